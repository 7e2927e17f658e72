"""A blueprint as a plain `torch.nn.Module`, for use outside of the package."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trainwright.backends.torch.network import Network
from trainwright.models.blueprint import Blueprint


class Module(nn.Module):
    """A network whose parameters and buffers have the neutral names; training layers are no part of it.

    Args:
        blueprint: The plan.
        seed: Of initial values and dropout. Each forward in training mode is a further step of dropout.
        tensors: By neutral name; the module shares their memory. Initial values by the seed unless given.

    Attributes:
        still: Layers that are in evaluation mode even in training.
    """

    def __init__(
        self, blueprint: Blueprint, *, seed: int = 0, tensors: Mapping[str, Tensor] | None = None
    ) -> None:
        super().__init__()
        self.blueprint = blueprint
        self.seed = seed
        self.steps = 0
        self.still: frozenset[str] = frozenset()
        if tensors is None:
            tensors = {name: torch.from_numpy(array) for name, array in blueprint.initial(seed).items()}
        for name, tensor in tensors.items():
            *path, last = name.split(".")
            holder: nn.Module = self
            for part in path:
                if not hasattr(holder, part):
                    holder.add_module(part, nn.Module())
                holder = getattr(holder, part)
            if blueprint.parameters[name].trained:
                holder.register_parameter(last, nn.Parameter(tensor.detach()))
            else:
                holder.register_buffer(last, tensor)

    def forward(self, x: Tensor) -> Tensor:
        """Gives the raw outputs, shape `(records, *output_shape)`."""
        # Linked anew each time, so that copying, moving and swapping parameters work as with any module.
        tensors = dict(self.named_parameters()) | dict(self.named_buffers())
        network = Network.over(self.blueprint, tensors, seed=self.seed, still=self.still)
        network.position = (self.steps, 0)
        if self.training:
            self.steps += 1
        return network(x, training=self.training)
