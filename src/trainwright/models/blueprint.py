"""The framework-free plan of a network: layers in order, parameters by name, initial values."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from trainwright.base.random import stream, uniform
from trainwright.base.tree import Array

Kind = Literal[
    # shapes
    "reshape",
    "flatten",
    "pad",
    "crop",
    "upsample",
    # numbers
    "dense",
    "conv",
    "batch_norm",
    "layer_norm",
    "activation",
    "dropout",
    "max_pool",
    "mean",
    "unit",
    # what was kept under a name
    "keep",
    "take",
    "add",
    "concat",
    # masks of ragged records, kept under the name `mask`
    "split_mask",
    "mask",
    "halve_mask",
    # tokens, shape (records, tokens, width)
    "patches",
    "tokens",
    "embed",
    "embed_columns",
    "position",
    "class_token",
    "attention",
    "token_mean",
    "first_token",
    # nodes of graphs, shape (graphs, nodes, width), their arrows kept under the names `source` and `target`
    "nodes",
    "graphs",
    "gcn",
    "sage",
    "gat",
    "gin",
    "node_norm",
    "pool_nodes",
    "pick",
    "join_pair",
    # a network of the user's own, whose arrays are known to its framework
    "own",
]


MANY = 1024  # records predicted at once, where nothing speaks against it


@dataclass(frozen=True, slots=True)
class Layer:
    """One step of a network; what it means exactly is written in `docs/backends.md`.

    The layers of a network are a flat list. What a later layer needs again is kept under a name: `keep` stores the
    array, `take` goes on with a kept one, `add` and `concat` (behind the present channels) join a kept one to the
    present one. Each kept array is used once; the `mask` stays.

    Args:
        kind: What it does.
        name: Prefix of its parameters; unique.
        options: Such as `rate` of a dropout or `padding` of a convolution.
    """

    kind: Kind
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One array of a network.

    Args:
        shape: Dense: (out, in). Convolution: (out, in, *kernel). Normalisation: (channels,). Table: (rows, width).
        bound: Initial values are uniform in [-bound, bound].
        constant: Initial value, instead of `bound`.
        trained: False for running statistics.
    """

    shape: tuple[int, ...]
    bound: float | None = None
    constant: float = 0.0
    trained: bool = True


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A network that every backend builds alike.

    Args:
        input_shape: Of one record.
        output_shape: Of the raw output for one record: (output_dim,), or (output_dim, *space) of a unet.
        layers: In order.
        parameters: By name, in the order of the layers, those of `training_layers` last.
        training_layers: Run after `layers` in training only, such as the decoder of a reconstruction.
        constants: Arrays that the network reads and no training changes, by name: the graph whose nodes are records.
    """

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    parameters: Mapping[str, Parameter]
    training_layers: tuple[Layer, ...] = ()
    constants: Mapping[str, Array] = field(default_factory=dict, compare=False)

    @property
    def output_dim(self) -> int:
        """Gives the length of the raw output, or its number of channels."""
        return self.output_shape[0]

    @property
    def has_convolutions(self) -> bool:
        """Says whether any layer is a convolution."""
        return any(layer.kind == "conv" for layer in self.layers)

    @property
    def reads_one_graph(self) -> bool:
        """Says whether all records are nodes of one graph, so that a step computes all nodes whatever its records."""
        return any(layer.kind == "nodes" for layer in self.layers)

    def initial(self, seed: int) -> dict[str, Array]:
        """Draws the initial values, a pure function of (seed, parameter name), in float32."""
        return {name: _draw(parameter, name, seed) for name, parameter in self.parameters.items()}

    def count_parameters(self) -> int:
        """Counts the numbers that training changes; running statistics are not among them."""
        return sum(math.prod(one.shape) for one in self.parameters.values() if one.trained)


def records_at_once(layers: Iterable[Layer]) -> int:
    """Says how many records a CPU predicts at once.

    Those of many positions in pieces whose activations stay in the processor's cache: a convolutional network or
    a transformer is two to three times faster in pieces of 64 than of 1024 (`benchmarks/predicting.py`).

    Example:
        >>> records_at_once([Layer("dense", "output")]), records_at_once([Layer("conv", "conv_0")])
        (1024, 64)
    """
    return 64 if any(layer.kind in ("conv", "attention") for layer in layers) else MANY


def _draw(parameter: Parameter, name: str, seed: int) -> Array:
    if parameter.bound is None:
        return np.full(parameter.shape, parameter.constant, dtype=np.float32)
    drawn = uniform(stream(seed, "initial", name), math.prod(parameter.shape)).reshape(parameter.shape)
    return (drawn * np.float32(2 * parameter.bound) - np.float32(parameter.bound)).astype(np.float32)
