"""Update rules over lists of tensors, by torch's fused kernels.

The kernels are called without `torch.optim`: constructing an optimizer there imports the compiler, about one second.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from trainwright.base.tree import Array
from trainwright.spec.train import SGD, Adam, AdamW


class Optimizer:
    """Changes tensors in place by their gradients.

    Args:
        spec: The rule; its `lr` is not read, `step` is told the rate.
        tensors: What is trained, by name.

    Attributes:
        slots: The moments, lists along `tensors`, by name.
    """

    def __init__(self, spec: SGD | Adam | AdamW, tensors: Mapping[str, Tensor]) -> None:
        self.spec = spec
        self._names = list(tensors)
        self._tensors = list(tensors.values())
        names = ["mean", "square"]
        if isinstance(spec, SGD):
            names = ["momentum"] if spec.momentum else []
        self.slots = {name: [torch.zeros_like(tensor.detach()) for tensor in self._tensors] for name in names}
        self._count = torch.zeros(())

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, gradients: Sequence[Tensor], *, lr: float, number: int) -> None:
        """Makes one update.

        Args:
            gradients: Along the tensors.
            lr: The rate.
            number: Which update it is, counted from 1; Adam's bias correction goes by it.
        """
        spec = self.spec
        if isinstance(spec, SGD):
            torch._fused_sgd_(
                self._tensors,
                gradients,
                self.slots.get("momentum", []),
                weight_decay=spec.weight_decay,
                momentum=spec.momentum,
                lr=lr,
                dampening=0.0,
                nesterov=spec.nesterov,
                maximize=False,
                is_first_step=False,
            )
            return
        update = torch._fused_adamw_ if isinstance(spec, AdamW) else torch._fused_adam_
        update(
            self._tensors,
            gradients,
            self.slots["mean"],
            self.slots["square"],
            [],
            [self._count.fill_(number)] * len(self._tensors),
            lr=lr,
            beta1=spec.beta1,
            beta2=spec.beta2,
            weight_decay=spec.weight_decay,
            eps=spec.eps,
            amsgrad=False,
            maximize=False,
        )

    def state(self) -> dict[str, dict[str, Array]]:
        """Gives copies of the moments, by slot and by name of the tensor."""
        return {
            slot: {n: t.contiguous().numpy().copy() for n, t in zip(self._names, tensors, strict=True)}
            for slot, tensors in self.slots.items()
        }

    def load_state(self, tree: Mapping[str, Mapping[str, Array]]) -> None:
        """Takes back what `state` gave."""
        for slot, tensors in self.slots.items():
            for name, tensor in zip(self._names, tensors, strict=True):
                tensor.copy_(torch.from_numpy(np.asarray(tree[slot][name])))


def clip_by_norm(gradients: Sequence[Tensor], limit: float) -> None:
    """Scales gradients in place so that the norm of them all is at most `limit`."""
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(gradients))))
    torch._foreach_mul_(list(gradients), limit / torch.clamp(norm, min=limit))
