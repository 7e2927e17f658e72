"""What a user says about a model."""

from typing import Annotated, Literal

from pydantic import Field

from trainwright.spec.part import Auto, Part

Count = Annotated[int, Field(ge=1)]
Activation = Literal["relu", "gelu", "silu", "tanh", "elu", "leaky_relu", "sigmoid", "identity"]


class ModelSpec(Part):
    """An architecture that every backend builds alike.

    Args:
        architecture: `mlp`: dense layers on flattened features. `cnn`: stages of convolution, normalisation,
            activation and pooling by two, then the mean over positions and one dense layer.
        task_type: `classification` or `regression`; `auto` decides by the target's values.
        input_shape: Shape of one record without the batch axis. `cnn`: (length,), (channels, length),
            (height, width) or (channels, height, width); two axes are taken for (channels, length) when the first
            is at most 16, otherwise for an image. Left out, it is taken from the data.
        input_dim: For tables, instead of `input_shape`: the number of features.
        output_dim: Number of classes, or of regression targets. Left out, it is taken from the data.
        hidden_dims: `mlp`: widths of the hidden layers. `cnn`: channels of the stages.
        activation: After each hidden layer.
        normalization: `batch`: batch normalisation before each activation.
        dropout: Probability that an activation is dropped in training, after each hidden layer.
        kernel_size: `cnn` only, odd: width of the convolutions; 3 unless given.
    """

    architecture: Literal["mlp", "cnn"]
    task_type: Literal["classification", "regression"] | Auto = "auto"
    input_shape: list[Count] | Auto = "auto"
    input_dim: Count | None = None
    output_dim: Count | Auto = "auto"
    hidden_dims: list[Count] = [128, 128]
    activation: Activation = "relu"
    normalization: Literal["none", "batch"] = "none"
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    kernel_size: Count | None = None
