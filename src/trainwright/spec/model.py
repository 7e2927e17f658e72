"""What a user says about a model."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainwright.spec.model_rules import RULES
from trainwright.spec.part import Arguments, Auto, Part, Rule

Count = Annotated[int, Field(ge=1)]
Level = Annotated[float, Field(gt=0.0, lt=1.0)]
Activation = Literal[
    "relu", "gelu", "silu", "tanh", "elu", "leaky_relu", "sigmoid", "softplus", "mish", "identity"
]


class ModelSpec(Part):
    """An architecture that every backend builds alike.

    A field that is `auto` is decided by the data and the preset; one that has no meaning for the architecture is
    null once the spec is decided.

    Args:
        architecture: `mlp`: dense layers on flattened features. `cnn`: stages of convolution, normalisation,
            max pooling by two and activation, then the mean over positions and one dense layer. `transformer`:
            attention blocks over patches, tokens or columns. `unet`: an answer for each position. `gnn`: convolutions
            over the edges of a graph. `own`: a network of your own, built by `use`.
        task_type: `classification`, `multi_label`, `segmentation`, `regression` or `embedding`; `auto` decides by
            the target's values.
        input: What a record is. `vector`: features without order. `sequence`: (length,) or (channels, length).
            `image`: (height, width) or (channels, height, width). `tokens`: ids (length,), 0 is padding. `columns`: a
            table's row, each column a token. `node`: a node of one graph. `pair`, `arrow`: two of its nodes,
            in either order or in theirs. `graph`: a graph. `auto` goes by the data and the shape: two axes are taken
            for (channels, length) when the first is at most 16, otherwise for an image.
        input_shape: Shape of one record without the batch axis. Left out, it is taken from the data.
        input_dim: For tables, instead of `input_shape`: the number of features.
        output_dim: Number of classes, of labels, of regression targets or of output channels; for an embedding its
            width, 16 unless given. Left out, it is taken from the data.
        head: What a regression predicts: the `point`; a distribution by its `mean_variance` (a normal one), as
            `laplace` (centre and scale), as `student_t` (centre, scale, degrees of freedom) or as a `mixture` of
            normal ones; or `quantiles`.
        quantiles: Levels of the head `quantiles`, rising, 0.5 among them; 0.05, 0.5 and 0.95 unless given.
        components: How many normal distributions the head `mixture` mixes; 3 unless given.
        preset: Fills `hidden_dims`, `dropout`, `normalization` and `residual` where they are `auto`.
        hidden_dims: `mlp`: widths of the hidden layers. `cnn`: channels of the stages. `transformer`: width of each
            block. `gnn`: widths of the convolutions. `unet`: channels of the levels, from the finest.
        activation: After each hidden layer; `auto` is gelu in a transformer, otherwise relu.
        normalization: Before each activation. `batch`: over the records of a batch. `layer`: over the channels of
            each position.
        residual: Each hidden layer is added to what came in, which is projected where the widths differ.
        dropout: Probability that an activation is dropped in training, after each hidden layer or block. `gnn`: before
            each layer, so that the features of the nodes are dropped too.
        ragged: Sequences of unequal length whose last channel is the mask: 1 where there is a value, 0 in the padding.
        kernel_size: Odd: width of the convolutions of a cnn or unet (3 unless given), or of a transformer's stem (5).
        stem: How a transformer makes tokens of sequences and images: `patch` or `convolution`; `auto` goes by the
            other fields, and is `patch` without them.
        patch_size: Positions of a patch along each axis; `auto` is the least power of two that leaves at most 64.
        stride: Of the stem's convolution; 2 unless given.
        convolution: Of a gnn: `gcn`, `sage`, `gat` or `gin`; `auto` is `gin` for graphs, otherwise `gcn`.
        pooling: How a gnn makes one vector of the nodes of a graph: `mean`, `sum` or `max`; `auto` is `sum` with
            `gin`, otherwise `mean`.
        node_features: Features of each node of a graph; taken from the data.
        heads: Of each attention; `auto` has heads of about 32 channels.
        feedforward_factor: Width inside a transformer's block over its width; 4 unless given.
        vocabulary_size: Number of token ids, 0 included; `auto` takes it from the data.
        categories: For each column 0 if it is numeric, otherwise the number of its categories; taken from the data.
        upscale: Positions of a unet's output for each of its input, along each axis: 1, 2 or 4; `auto` goes by the
            data.
        use: Of `own`: a class, `module:Name`, with a method for each framework that builds the network: `keras`.
        args: Of `own`: keyword arguments of its constructor.
    """

    rules: ClassVar[tuple[Rule, ...]] = RULES

    architecture: Literal["mlp", "cnn", "transformer", "unet", "gnn", "own"]
    task_type: Literal["classification", "multi_label", "segmentation", "regression", "embedding"] | Auto = (
        "auto"
    )
    input: (
        Literal["vector", "sequence", "image", "tokens", "columns", "node", "pair", "arrow", "graph"] | Auto
    ) = "auto"
    input_shape: list[Count] | Auto = "auto"
    input_dim: Count | None = None
    output_dim: Count | Auto = "auto"
    head: Literal["point", "mean_variance", "laplace", "student_t", "mixture", "quantiles"] = "point"
    quantiles: list[Level] | Auto | None = "auto"
    components: Annotated[int, Field(ge=2)] | Auto | None = "auto"
    preset: Literal["small", "medium", "large"] = "small"
    hidden_dims: list[Count] | Auto = "auto"
    activation: Activation | Auto = "auto"
    normalization: Literal["none", "batch", "layer"] | Auto = "auto"
    residual: bool | Auto = "auto"
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | Auto = "auto"
    ragged: bool | Auto = "auto"
    kernel_size: Count | Auto | None = "auto"
    stem: Literal["patch", "convolution"] | Auto | None = "auto"
    patch_size: Count | Auto | None = "auto"
    stride: Count | Auto | None = "auto"
    convolution: Literal["gcn", "sage", "gat", "gin"] | Auto | None = "auto"
    pooling: Literal["mean", "sum", "max"] | Auto | None = "auto"
    node_features: Count | Auto | None = "auto"
    heads: Count | Auto | None = "auto"
    feedforward_factor: Count | Auto | None = "auto"
    vocabulary_size: Annotated[int, Field(ge=2)] | Auto | None = "auto"
    categories: list[Annotated[int, Field(ge=0)]] | Auto | None = "auto"
    upscale: Literal[1, 2, 4] | Auto | None = "auto"
    use: str | None = None
    args: Arguments | None = None
