r"""The learning rate as a pure function of the step."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trainwright.spec.train import Constant, Cosine, OneCycle, Plateau

Shape = Callable[[float], float]


def rates(
    schedule: Constant | Cosine | OneCycle | Plateau,
    first: int,
    last: int,
    *,
    lr: float,
    steps: int,
    per_epoch: int,
) -> NDArray[np.float64]:
    r"""Gives the rates of the steps `first` to `last - 1`, without the scale of a plateau.

    With :math:`t` the step (from 0), :math:`T` all steps, :math:`W` the steps of the warm-up and :math:`c(u) =
    (1 + \cos \pi u) / 2`:

    * cosine: :math:`\eta (f + (1 - f) c((t - W) / (T - W)))`, and :math:`\eta (t + 1) / (W + 1)` while
      :math:`t < W`;
    * one_cycle: with :math:`R = rT`, from :math:`i\eta` to :math:`\eta` along a half cosine over :math:`R` steps,
      then to :math:`f\eta` along another, which ends at the last step :math:`T - 1`.

    Args:
        schedule: From the spec.
        first: First step.
        last: One past the last step.
        lr: The rate :math:`\eta` of the optimizer.
        steps: Steps of the whole run.
        per_epoch: Steps of one epoch.

    Example:
        >>> rates(Cosine(name="cosine"), 0, 4, lr=1.0, steps=4, per_epoch=2).round(3).tolist()
        [1.0, 0.854, 0.5, 0.146]

    Source:
        Loshchilov & Hutter, SGDR, 2017, equation 5, https://arxiv.org/abs/1608.03983; Smith & Topin,
        Super-Convergence, 2018, https://arxiv.org/abs/1708.07120.
    """
    if isinstance(schedule, Constant | Plateau):
        return np.full(last - first, lr)
    shape = (
        _cosine(schedule, steps, per_epoch) if isinstance(schedule, Cosine) else _one_cycle(schedule, steps)
    )
    return np.array([lr * shape(step) for step in range(first, last)])


def _half_cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(max(part, 0.0), 1.0))) / 2


def _cosine(schedule: Cosine, steps: int, per_epoch: int) -> Shape:
    warmup = min(schedule.warmup_epochs * per_epoch, steps - 1)

    def shape(step: float) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return _half_cosine(1.0, schedule.final_fraction, (step - warmup) / (steps - warmup))

    return shape


def _one_cycle(schedule: OneCycle, steps: int) -> Shape:
    top = schedule.rise * steps

    def shape(step: float) -> float:
        if step < top:
            return _half_cosine(schedule.initial_fraction, 1.0, step / top)
        return _half_cosine(1.0, schedule.final_fraction, (step - top) / max(steps - 1 - top, 1e-9))

    return shape
