"""A blueprint while it is drawn: each layer is added with its parameters, and the shape is carried along."""

import math
from typing import Any

from trainwright.models.blueprint import Kind, Layer, Parameter


class Draft:
    """Layers, parameters and the shape of a record after them.

    Args:
        shape: Of one record: (width,), (channels, *space) or (tokens, width).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.layers: list[Layer] = []
        self.parameters: dict[str, Parameter] = {}

    def add(self, kind: Kind, name: str, **options: Any) -> None:
        """Adds a layer without parameters that leaves the shape as it is."""
        self.layers.append(Layer(kind, name, options))

    def uniform(self, name: str, shape: tuple[int, ...], *, bound: float) -> None:
        """Adds a parameter whose initial values are uniform within a bound."""
        self.parameters[name] = Parameter(shape, bound=bound)

    def constant(self, name: str, shape: tuple[int, ...], value: float) -> None:
        """Adds a parameter whose initial values are all the same."""
        self.parameters[name] = Parameter(shape, constant=value)

    def flatten(self) -> None:
        """Makes one axis of all, where there are several."""
        if len(self.shape) != 1:
            self.add("flatten", "flatten")
            self.shape = (math.prod(self.shape),)

    def reshape(self, name: str, shape: tuple[int, ...]) -> None:
        """Gives a record another shape of the same size."""
        self.add("reshape", name, shape=list(shape))
        self.shape = shape

    def dense(self, name: str, width: int, *, bias: bool) -> None:
        """Adds a dense layer over the last axis, with values uniform within 1/sqrt(fan in)."""
        bound = 1 / math.sqrt(self.shape[-1])
        self.add("dense", name, bias=bias)
        self.uniform(f"{name}.weight", (width, self.shape[-1]), bound=bound)
        if bias:
            self.uniform(f"{name}.bias", (width,), bound=bound)
        self.shape = (*self.shape[:-1], width)

    def convolution(self, name: str, channels: int, kernel: int, *, bias: bool, stride: int = 1) -> None:
        """Adds a convolution of odd width with zero padding, with values uniform within 1/sqrt(fan in)."""
        axes = len(self.shape) - 1
        bound = 1 / math.sqrt(self.shape[0] * kernel**axes)
        self.add("conv", name, bias=bias, padding=kernel // 2, axes=axes, stride=stride)
        self.uniform(f"{name}.weight", (channels, self.shape[0], *[kernel] * axes), bound=bound)
        if bias:
            self.uniform(f"{name}.bias", (channels,), bound=bound)
        self.shape = (channels, *[-(-length // stride) for length in self.shape[1:]])

    def normalise(self, name: str, how: str, *, axis: int = 0) -> None:
        """Adds a normalisation of the channels, which lie on an axis of a record.

        Args:
            name: Of the layer.
            how: `none`, `batch` or `layer`.
            axis: 0 for (channels, *space), -1 for (tokens, width) and for (nodes, width).
        """
        if how == "none":
            return
        channels = (self.shape[axis],)
        if how == "batch":
            self.add("batch_norm" if axis == 0 else "node_norm", name)
        else:
            self.add("layer_norm", name, axis=1 if axis == 0 else -1)
        self.parameters[f"{name}.weight"] = Parameter(channels, constant=1.0)
        self.parameters[f"{name}.bias"] = Parameter(channels)
        if how == "batch":
            self.parameters[f"{name}.running_mean"] = Parameter(channels, trained=False)
            self.parameters[f"{name}.running_var"] = Parameter(channels, constant=1.0, trained=False)

    def activate(self, name: str, function: str) -> None:
        """Adds an activation, unless it is the identity."""
        if function != "identity":
            self.add("activation", name, function=function)

    def drop(self, name: str, rate: float, *, shared: bool = False) -> None:
        """Adds a dropout, unless its rate is zero; a shared one is of what all records of a step have in common."""
        if rate > 0:
            self.add("dropout", name, rate=rate, **({"shared": True} if shared else {}))

    def pool(self, name: str, *, masked: bool = False) -> None:
        """Adds a max pooling by two; masked, an odd last position is kept, otherwise it is dropped."""
        self.add("max_pool", name, axes=len(self.shape) - 1, masked=masked)
        up = 1 if masked else 0
        self.shape = (self.shape[0], *[(length + up) // 2 for length in self.shape[1:]])

    def upsample(self, name: str) -> None:
        """Doubles each axis of space by repeating positions."""
        self.add("upsample", name, axes=len(self.shape) - 1)
        self.shape = (self.shape[0], *[2 * length for length in self.shape[1:]])
