"""A blueprint as a torch function of its tensors."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trainwright.base.random import Stream, at, keep_mask, stream
from trainwright.base.tree import Array
from trainwright.models.blueprint import Blueprint, Layer
from trainwright.train.groups import ParameterOptions, frozen_layers

# In place where the gradient needs the result only; no layer before an activation needs its own result.
ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh_,
    "elu": F.elu,
    "leaky_relu": F.leaky_relu,
    "sigmoid": torch.sigmoid_,
}


class Network:
    """A network over named tensors; dropout draws from the counter hash, never from torch's generator.

    Args:
        blueprint: The plan.
        weights: Neutral arrays by name; they are copied.
        seed: Of dropout.
        options: How each trained parameter is trained; what is frozen asks for no gradient.
        device: Where the tensors lie.

    Attributes:
        device: Where the tensors lie.
        tensors: All tensors by name, in the order of the blueprint.
        trained: Those that training changes, as leaves that ask for gradients.
        position: `(step, first)` of the batch that is trained on: `first` is its offset within the step's records.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        weights: Mapping[str, Array],
        *,
        seed: int = 0,
        options: Mapping[str, ParameterOptions] | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.blueprint = blueprint
        self.device = device or torch.device("cpu")
        options = options or {}
        self._still = frozen_layers(options)
        frozen = {name for name, one in options.items() if one.frozen}
        self.tensors: dict[str, Tensor] = {}
        for name, parameter in blueprint.parameters.items():
            tensor = torch.from_numpy(np.array(weights[name], dtype=np.float32))
            if len(parameter.shape) == 4:
                tensor = tensor.contiguous(memory_format=torch.channels_last)
            asks = parameter.trained and name not in frozen
            self.tensors[name] = tensor.to(self.device).requires_grad_(asks)
        self.trained = [tensor for tensor in self.tensors.values() if tensor.requires_grad]
        self.position = (0, 0)
        self._steps = [self._build(layer, seed) for layer in blueprint.layers]

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Gives the outputs, shape `(records, output_dim)`."""
        for step in self._steps:
            x = step(x, training)
        return x

    def arrays(self) -> dict[str, Array]:
        """Gives copies of all tensors in neutral layout."""
        return {
            name: tensor.detach().contiguous().cpu().numpy().copy() for name, tensor in self.tensors.items()
        }

    def load(self, weights: Mapping[str, Array]) -> None:
        """Takes values for all tensors."""
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                tensor.copy_(torch.from_numpy(np.asarray(weights[name])))

    def _build(self, layer: Layer, seed: int) -> Callable[[Tensor, bool], Tensor]:
        tensors, options, name = self.tensors, layer.options, layer.name
        if layer.kind == "dense":
            weight, bias = tensors[f"{name}.weight"], tensors.get(f"{name}.bias")
            linear = F.linear
            return lambda x, _: linear(x, weight, bias)
        if layer.kind == "conv":
            weight, bias, padding = tensors[f"{name}.weight"], tensors.get(f"{name}.bias"), options["padding"]
            if options["axes"] == 1:
                return lambda x, _: F.conv1d(x, weight, bias, padding=padding)
            # `to` changes the strides even of one channel, where `contiguous` sees nothing to do; torch chooses the
            # faster channels-last kernels by the strides.
            layout = torch.channels_last
            return lambda x, _: F.conv2d(x.to(memory_format=layout), weight, bias, padding=padding)
        if layer.kind == "batch_norm":
            scale, shift = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
            mean, var = tensors[f"{name}.running_mean"], tensors[f"{name}.running_var"]

            still = layer.name in self._still

            def normalise(x: Tensor, training: bool) -> Tensor:
                training = training and not still
                if training and x.numel() == x.shape[1]:
                    # One value per channel: torch refuses it. Its deviation is zero, and so is what is left of it.
                    with torch.no_grad():
                        mean.lerp_(x.detach().flatten(), 0.1)
                        var.mul_(0.9)
                    return (x - x) * scale + shift
                return F.batch_norm(x, mean, var, scale, shift, training, 0.1, 1e-5)

            return normalise
        if layer.kind == "activation":
            function = ACTIVATIONS[options["function"]]
            return lambda x, _: function(x)
        if layer.kind == "max_pool":
            pool = F.max_pool1d if options["axes"] == 1 else F.max_pool2d
            return lambda x, _: pool(x, 2)
        if layer.kind == "mean":
            return lambda x, _: x.mean(tuple(range(2, x.dim())))
        if layer.kind == "dropout":
            return self._dropout(options["rate"], stream(seed, "dropout", name))
        if layer.kind == "reshape":
            shape = tuple(options["shape"])
            return lambda x, _: x.reshape(-1, *shape)
        return lambda x, _: x.flatten(1)

    def _dropout(self, rate: float, keys: Stream) -> Callable[[Tensor, bool], Tensor]:
        numbers: dict[torch.Size, Tensor] = {}

        def drop(x: Tensor, training: bool) -> Tensor:
            if not training:
                return x
            step, first = self.position
            index = numbers.get(x.shape)
            if index is None:
                index = numbers[x.shape] = torch.arange(x.numel(), dtype=torch.int32, device=x.device).view(
                    x.shape
                )
            if first:
                index = index + first * math.prod(x.shape[1:])
            return x * keep_mask(at(keys, step), index, rate) * (1 / (1 - rate))

        return drop
