"""What a user says about a model."""

import math
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from trainwright.spec.part import Auto, Broken, Part, Rule

Count = Annotated[int, Field(ge=1)]
Activation = Literal["relu", "gelu", "silu", "tanh", "elu", "leaky_relu", "sigmoid", "identity"]


def _kernel_goes_with_cnn(model: Any) -> Iterator[Broken]:
    if model.kernel_size is not None and model.architecture != "cnn":
        cure = "leave it out, or write architecture: cnn"
        yield Broken(("kernel_size",), f"it has no meaning for architecture {model.architecture!r}; {cure}")


def _kernel_is_odd(model: Any) -> Iterator[Broken]:
    if model.kernel_size is not None and model.kernel_size % 2 == 0:
        odd = f"{model.kernel_size - 1} or {model.kernel_size + 1}"
        yield Broken(("kernel_size",), f"{model.kernel_size} is even; write an odd width, such as {odd}")


def _one_input_shape(model: Any) -> Iterator[Broken]:
    shape = model.input_shape
    if shape == "auto":
        return
    if not shape:
        yield Broken(("input_shape",), "it has no axes; write the shape of one record, such as [40]")
    elif model.input_dim is not None and math.prod(shape) != model.input_dim:
        text = f"{model.input_dim} contradicts input_shape {list(shape)}; give one of the two"
        yield Broken(("input_dim",), text)


class ModelSpec(Part):
    """An architecture that every backend builds alike.

    Args:
        architecture: `mlp`: dense layers on flattened features. `cnn`: stages of convolution, normalisation,
            max pooling by two and activation, then the mean over positions and one dense layer.
        task_type: What is predicted; `auto` decides by the target's values.
        head: Regression: `point`, a normal distribution (`mean_variance`) or `quantiles`.
        quantiles: Levels of `head: quantiles`, sorted, 0.5 among them.
        input_shape: Shape of one record without the batch axis. `cnn`: (length,), (channels, length),
            (height, width) or (channels, height, width); two axes are taken for (channels, length) when the
            first is at most 16, otherwise for an image. Left out, it is taken from the data.
        input_dim: For tables, instead of `input_shape`: the number of features.
        output_dim: Number of classes, or of regression targets. Left out, it is taken from the data.
        hidden_dims: `mlp`: widths of the hidden layers. `cnn`: channels of the stages.
        activation: After each hidden layer.
        normalization: `batch`: batch normalisation before each activation.
        dropout: Probability that an activation is dropped in training, after each hidden layer.
        kernel_size: `cnn` only, odd: width of the convolutions; 3 unless given.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_kernel_goes_with_cnn, _kernel_is_odd, _one_input_shape)

    architecture: Literal["mlp", "cnn"]
    task_type: Literal["classification", "multi_label", "segmentation", "regression", "embedding"] | Auto = (
        "auto"
    )
    head: Literal["point", "mean_variance", "quantiles"] = "point"
    quantiles: list[Annotated[float, Field(gt=0.0, lt=1.0)]] | None = None
    input_shape: list[Count] | Auto = "auto"
    input_dim: Count | None = None
    output_dim: Count | Auto = "auto"
    hidden_dims: list[Count] = Field(default=[128, 128])
    activation: Activation = "relu"
    normalization: Literal["none", "batch"] = "none"
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    kernel_size: Count | None = None
