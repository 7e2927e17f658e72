"""Losses of spec-built models in torch: means over records, weighted where records have weights."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

TINY = 1e-30  # a batch whose records weigh nothing has loss and gradient zero
Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def cross_entropy(outputs: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
    """Gives the mean negative log-likelihood; outputs are logits `(records, classes)`, y class numbers."""
    if weight is None:
        return F.cross_entropy(outputs, y)
    return (F.cross_entropy(outputs, y, reduction="none") * weight).sum() / weight.sum().clamp(min=TINY)


def mse(outputs: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
    """Gives the mean squared error over records and outputs; both have shape `(records, outputs)`."""
    if weight is None:
        return F.mse_loss(outputs, y)
    return (torch.square(outputs - y).mean(1) * weight).sum() / weight.sum().clamp(min=TINY)


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "mse": mse}
