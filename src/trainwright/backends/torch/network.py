"""A blueprint as a torch function of its tensors."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from trainwright.backends.torch.copies import Copies
from trainwright.backends.torch.layers import Kept, Step, make_step
from trainwright.base.random import at, keep_mask, stream
from trainwright.base.tree import Array
from trainwright.models.blueprint import Blueprint, Layer
from trainwright.train.groups import ParameterOptions, frozen_layers

NUMBER = np.float32  # the type of weights


def tensor_of(weights: Array) -> Tensor:
    """Gives a copy."""
    return torch.from_numpy(np.array(weights, dtype=NUMBER))


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
        options, device = options or {}, device or torch.device("cpu")
        frozen = {name for name, one in options.items() if one.frozen}
        tensors: dict[str, Tensor] = {}
        for name, parameter in blueprint.parameters.items():
            tensor = tensor_of(weights[name])
            if len(parameter.shape) == 4:
                tensor = tensor.contiguous(memory_format=torch.channels_last)
            tensors[name] = tensor.to(device).requires_grad_(parameter.trained and name not in frozen)
        self._link(blueprint, tensors, seed, still=frozen_layers(options), device=device)

    @classmethod
    def over(
        cls,
        blueprint: Blueprint,
        tensors: Mapping[str, Tensor],
        *,
        seed: int = 0,
        still: frozenset[str] = frozenset(),
    ) -> "Network":
        """Makes a network over tensors that belong to somebody else; layers in `still` are always in evaluation."""
        network = cls.__new__(cls)
        network._link(blueprint, dict(tensors), seed, still=still)
        return network

    def _link(
        self,
        blueprint: Blueprint,
        tensors: dict[str, Tensor],
        seed: int,
        *,
        still: frozenset[str] = frozenset(),
        device: torch.device | None = None,
    ) -> None:
        self.blueprint = blueprint
        self.device = device or torch.device("cpu")
        self.tensors = tensors
        self.trained = [one for one in tensors.values() if one.requires_grad]
        self._still = still
        self._copies = Copies(tensors)
        self._constants = {
            name: torch.from_numpy(np.ascontiguousarray(array)).to(self._device_of(tensors))
            for name, array in blueprint.constants.items()
        }
        self.position = (0, 0)
        self._steps = [self._make(layer, seed) for layer in blueprint.layers]
        self._training_steps = [
            *self._steps,
            *(self._make(layer, seed) for layer in blueprint.training_layers),
        ]

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Gives the raw outputs, shape `(records, *output_shape)`; in training, after the training layers."""
        kept: Kept = {}
        for step in self._training_steps if training else self._steps:
            x = step(x, training, kept)
        return x

    def whole(self, x: Tensor) -> Tensor:
        """Gives what the training layers make of the outputs, in evaluation mode: what a loss is measured on."""
        kept: Kept = {}
        for step in self._training_steps:
            x = step(x, False, kept)
        return x

    def arrays(self) -> dict[str, Array]:
        """Gives copies of all tensors in neutral layout."""
        return self._copies.take()

    def load(self, weights: Mapping[str, Array]) -> None:
        """Takes values for all tensors."""
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                tensor.copy_(torch.from_numpy(np.asarray(weights[name])))

    def _device_of(self, tensors: Mapping[str, Tensor]) -> torch.device:
        """Gives where constants belong: beside the tensors, which may be somebody else's."""
        return next(iter(tensors.values())).device if tensors else self.device

    def _make(self, layer: Layer, seed: int) -> Step:
        if layer.kind == "dropout":
            return self._dropout(layer, seed)
        step = self._layer(layer)
        if layer.name in self._still:
            return lambda x, training, kept: step(x, False, kept)
        return step

    def _layer(self, layer: Layer) -> Step:
        return make_step(layer, self.tensors | self._constants)

    def _dropout(self, layer: Layer, seed: int) -> Step:
        rate, keys = layer.options["rate"], stream(seed, "dropout", layer.name)
        shared = layer.options.get("shared", False)
        numbers: dict[torch.Size, Tensor] = {}

        def drop(x: Tensor, training: bool, kept: Kept) -> Tensor:
            if not training:
                return x
            step, first = self.position
            index = numbers.get(x.shape)
            if index is None:
                index = torch.arange(x.numel(), dtype=torch.int32, device=x.device).view(x.shape)
                numbers[x.shape] = index
            if first and not shared:
                index = index + first * math.prod(x.shape[1:])
            return x * keep_mask(at(keys, step), index, rate) * (1 / (1 - rate))

        return drop
