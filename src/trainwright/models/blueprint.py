"""The framework-free plan of a network: layers in order, parameters by name, initial values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from trainwright.base.random import stream, uniform
from trainwright.base.tree import Array

Kind = Literal[
    "reshape", "flatten", "dense", "conv", "batch_norm", "activation", "dropout", "max_pool", "mean"
]


@dataclass(frozen=True, slots=True)
class Layer:
    """One step of a network; what it means exactly is written in `docs/backends.md`.

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
        shape: Dense: (out, in). Convolution: (out, in, *kernel). Normalisation: (channels,).
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
        output_dim: Length of the output vector.
        layers: In order.
        parameters: By name, in the order of the layers.
    """

    input_shape: tuple[int, ...]
    output_dim: int
    layers: tuple[Layer, ...]
    parameters: Mapping[str, Parameter]

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Gives the shape of what the network gives for one record."""
        return (self.output_dim,)

    @property
    def has_convolutions(self) -> bool:
        """Says whether any layer is a convolution."""
        return any(layer.kind == "conv" for layer in self.layers)

    def initial(self, seed: int) -> dict[str, Array]:
        """Draws the initial values, a pure function of (seed, parameter name), in float32."""
        return {name: _draw(parameter, name, seed) for name, parameter in self.parameters.items()}

    def count_parameters(self) -> int:
        """Counts the numbers that training changes; running statistics are not among them."""
        return sum(math.prod(one.shape) for one in self.parameters.values() if one.trained)


def _draw(parameter: Parameter, name: str, seed: int) -> Array:
    if parameter.bound is None:
        return np.full(parameter.shape, parameter.constant, dtype=np.float32)
    drawn = uniform(stream(seed, "initial", name), math.prod(parameter.shape)).reshape(parameter.shape)
    return (drawn * np.float32(2 * parameter.bound) - np.float32(parameter.bound)).astype(np.float32)
