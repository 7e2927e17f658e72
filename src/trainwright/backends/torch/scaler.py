"""Keeps the gradients of half-precision passes within the range of float16."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

FIRST = 2.0**16
GROWTH, BACKOFF = 2.0, 0.5
GROWTH_INTERVAL = 2000  # updates in a row without overflow after which the scale grows
SMALLEST = 2.0**-24  # float16's own smallest number; below it only a diverged loss overflows


class LossScale:
    """The factor of the loss, halved when a gradient overflows and doubled after a while without.

    Attributes:
        value: By which the loss is multiplied before its gradient is found.
        skipped: Steps that changed no weight, because the gradient was not finite.

    Source:
        Micikevicius et al., Mixed Precision Training, 2018, section 3.2, https://arxiv.org/abs/1710.03740.
    """

    def __init__(self) -> None:
        self.value = FIRST
        self.skipped = 0
        self._clean = 0

    def unscale(self, gradients: Sequence[Tensor]) -> list[Tensor] | None:
        """Takes the factor from gradients again and adapts it; None if one is not finite: the step is skipped."""
        unscaled: list[Tensor] = torch._foreach_mul(list(gradients), 1.0 / self.value)
        if not torch.stack(torch._foreach_norm(unscaled, float("inf"))).isfinite().all():
            self.value, self._clean = max(self.value * BACKOFF, SMALLEST), 0
            self.skipped += 1
            return None
        self._clean += 1
        if self._clean == GROWTH_INTERVAL:
            self.value, self._clean = self.value * GROWTH, 0
        return unscaled

    def state(self) -> dict[str, Any]:
        """Gives what a resumed run needs."""
        return {"value": self.value, "clean": self._clean, "skipped": self.skipped}

    def load_state(self, tree: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.value, self._clean, self.skipped = tree["value"], tree["clean"], tree["skipped"]
