r"""The learning rate as a pure function of the step."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import SpecError
from trainwright.spec.optimizer import Ema
from trainwright.spec.schedule import (
    Constant,
    Cosine,
    Exponential,
    Linear,
    MultiStep,
    OneCycle,
    Plateau,
    Polynomial,
    Step,
)
from trainwright.spec.train import Schedule


class _Run(NamedTuple):
    """The length of a run in the unit of its schedule: the warm-up ends, the run ends, one epoch."""

    begin: float
    end: float
    epoch: float

    def part(self, place: float) -> float:
        """Gives how much of the way after the warm-up is done, from 0 to 1."""
        return min(max((place - self.begin) / (self.end - self.begin), 0.0), 1.0)


def rates(
    schedule: Schedule, first: int, last: int, *, lr: float, steps: int, per_epoch: int
) -> NDArray[np.float64]:
    r"""Gives the rates of the steps `first` to `last - 1`, without the scale of a plateau.

    With :math:`t` the step (from 0), :math:`T` all steps, :math:`W` the steps of the warm-up, :math:`p = (t - W) /
    (T - W)` from 0 to 1, :math:`f` the final fraction and :math:`c(u) = (1 + \cos \pi u) / 2`, the rate is
    :math:`\eta` times

    * cosine: :math:`f + (1 - f) c(p)`; linear: :math:`f + (1 - f) (1 - p)`; polynomial: :math:`f + (1 - f)
      (1 - p)^k`;
    * exponential: :math:`\gamma^e` with :math:`e` the epochs after the warm-up;
    * step and multi_step: the factor to the power of the number of cuts up to :math:`t`;
    * one_cycle: with :math:`R = rT`, from :math:`i` to 1 along a half cosine over :math:`R` steps, then to :math:`f`
      along another, which ends at the last step :math:`T - 1`.

    While :math:`t < W` it is also multiplied by :math:`(t + 1) / (W + 1)`. With `by: epoch`, :math:`t, T, W` above
    are counted in whole epochs done; the warm-up still rises step by step.

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
        >>> rates(Cosine(name="cosine", by="epoch"), 0, 4, lr=1.0, steps=4, per_epoch=2).round(3).tolist()
        [1.0, 1.0, 0.5, 0.5]

    Source:
        Loshchilov & Hutter, SGDR, 2017, equation 5, https://arxiv.org/abs/1608.03983; Smith & Topin,
        Super-Convergence, 2018, https://arxiv.org/abs/1708.07120.
    """
    warmup = min(warmup_of(schedule, per_epoch), steps - 1)
    if isinstance(schedule, Constant | Plateau) and first >= warmup:
        return np.full(last - first, lr)
    unit = per_epoch if getattr(schedule, "by", "step") == "epoch" else 1
    run = _Run(warmup / unit, steps / unit, per_epoch / unit)
    shape = _SHAPES[type(schedule)]

    def rate(step: int) -> float:
        risen = (step + 1) / (warmup + 1) if step < warmup else 1.0
        return lr * risen * shape(schedule, step // unit, run)

    return np.array([rate(step) for step in range(first, last)])


def warmup_of(schedule: Schedule, per_epoch: int) -> float:
    """Gives the steps of the warm-up, which need not be whole."""
    epochs: float = getattr(schedule, "warmup_epochs", 0.0)
    steps: int = getattr(schedule, "warmup_steps", 0)
    return epochs * per_epoch + steps


def check_schedule(schedule: Schedule, *, steps: int) -> None:
    """Checks what can only be told when the number of steps is known.

    Raises:
        SpecError: If the warm-up outlasts the run.
    """
    warmup = getattr(schedule, "warmup_steps", 0)
    if warmup > steps:
        text = f"the warm-up of {warmup} steps outlasts the {steps} steps of the run; write a smaller number"
        raise SpecError(f"train.schedule.warmup_steps: {text}")


def ema_decay(ema: Ema, number: int) -> float:
    """Gives the decay of the averaged weights after an update.

    Args:
        ema: From the spec.
        number: Which update it was, counted from 1.

    Example:
        >>> ema_decay(Ema(decay=0.5), 1), ema_decay(Ema(decay=0.5), 30)
        (0.18181818181818182, 0.5)
    """
    return min(ema.decay, (1 + number) / (10 + number)) if ema.warmup else ema.decay


def _between(start: float, end: float, done: float) -> float:
    """Goes from one value to another as `done` goes from 0 to 1."""
    return end + (start - end) * (1 - done)


def _half_cosine(part: float) -> float:
    return (1 - math.cos(math.pi * min(max(part, 0.0), 1.0))) / 2


def _constant(schedule: Any, place: float, run: _Run) -> float:
    return 1.0


def _cosine(schedule: Cosine, place: float, run: _Run) -> float:
    return _between(1.0, schedule.final_fraction, _half_cosine(run.part(place)))


def _linear(schedule: Linear, place: float, run: _Run) -> float:
    return _between(1.0, schedule.final_fraction, run.part(place))


def _polynomial(schedule: Polynomial, place: float, run: _Run) -> float:
    left: float = (1 - run.part(place)) ** schedule.power
    return _between(1.0, schedule.final_fraction, 1 - left)


def _exponential(schedule: Exponential, place: float, run: _Run) -> float:
    fallen: float = schedule.gamma ** (max(place - run.begin, 0.0) / run.epoch)
    return fallen


def _step(schedule: Step, place: float, run: _Run) -> float:
    cut: float = schedule.factor ** (place // schedule.every)
    return cut


def _multi_step(schedule: MultiStep, place: float, run: _Run) -> float:
    cut: float = schedule.factor ** sum(place >= milestone for milestone in schedule.milestones)
    return cut


def _one_cycle(schedule: OneCycle, place: float, run: _Run) -> float:
    top = schedule.rise * run.end
    if place < top:
        return _between(schedule.initial_fraction, 1.0, _half_cosine(place / top))
    fall = (place - top) / max(run.end - 1 - top, 1e-9)
    return _between(1.0, schedule.final_fraction, _half_cosine(fall))


_SHAPES: dict[type, Callable[[Any, float, _Run], float]] = {
    Constant: _constant,
    Plateau: _constant,
    Cosine: _cosine,
    Linear: _linear,
    Polynomial: _polynomial,
    Exponential: _exponential,
    Step: _step,
    MultiStep: _multi_step,
    OneCycle: _one_cycle,
}
