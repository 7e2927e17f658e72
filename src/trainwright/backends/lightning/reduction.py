"""Sums over all processes: of gradients, and of what batch normalisation looks at."""

from typing import Any

import torch
from torch import Tensor, distributed

from trainwright.backends.torch.layers import EPS, Kept, Step
from trainwright.backends.torch.network import Network
from trainwright.models.blueprint import Layer


def add_up(tensors: list[Tensor]) -> list[Tensor]:
    """Gives the sum of each tensor over all processes, the same bits in each, by one exchange."""
    whole = torch.cat([one.reshape(-1) for one in tensors])
    distributed.all_reduce(whole)
    parts = whole.split([one.numel() for one in tensors])
    return [part.view(one.shape) for part, one in zip(parts, tensors, strict=True)]


class _Sum(torch.autograd.Function):
    """A sum over all processes, which each goes on with: the gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        (found,) = add_up([x])
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (found,) = add_up(list(gradients))
        return found


class SharedNetwork(Network):
    """A network whose batch normalisation is over the records of all processes.

    Attributes:
        normalises: Whether there is any, so that all processes must make a forward pass, be it of no records.
    """

    @property
    def normalises(self) -> bool:
        """Says whether a layer looks at the records of all processes."""
        return any(self._is_shared(layer) for layer in self.blueprint.layers + self.blueprint.training_layers)

    def _is_shared(self, layer: Layer) -> bool:
        return layer.kind == "batch_norm" and layer.name not in self._still

    def _make(self, layer: Layer, seed: int) -> Step:
        alone = super()._make(layer, seed)
        return _batch_norm(layer.name, self.tensors, alone) if self._is_shared(layer) else alone


def _batch_norm(name: str, tensors: dict[str, Tensor], alone: Step) -> Step:
    """Makes the layer of `torch/layers.py` over all processes; in evaluation it is that layer."""
    scale, shift = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    mean, var = tensors[f"{name}.running_mean"], tensors[f"{name}.running_var"]

    def normalise(x: Tensor, training: bool, kept: Kept) -> Tensor:
        if not training:
            return alone(x, training, kept)
        axes, view = [0, *range(2, x.dim())], (1, -1, *[1] * (x.dim() - 2))
        numbers = x.float()
        own = numbers.new_full((1,), x.numel() / x.shape[1])
        *_, count = sums = _Sum.apply(torch.cat([numbers.sum(axes), own]))
        centre = sums[:-1] / count
        apart = numbers - centre.view(view)
        spread = _Sum.apply(apart.square().sum(axes)) / count
        with torch.no_grad():
            mean.lerp_(centre, 0.1)
            # A single value has no variance: it counts as zero, as where there is one process.
            var.lerp_(spread * count / (count - 1) if count > 1 else torch.zeros_like(var), 0.1)
        return (apart * (spread + EPS).rsqrt().view(view) * scale.view(view) + shift.view(view)).to(x.dtype)

    return normalise
