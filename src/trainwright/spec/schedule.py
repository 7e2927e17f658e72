"""What a user says about how the rate changes over a run."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from trainwright.spec.optimizer import Amount, Count, Rate
from trainwright.spec.part import Broken, Part, Rule

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Factor = Annotated[float, Field(gt=0.0, lt=1.0)]
Steps = Annotated[int, Field(ge=0)]
Unit = Literal["step", "epoch"]


def _one_warmup(schedule: Any) -> Iterator[Broken]:
    if schedule.warmup_epochs and schedule.warmup_steps:
        yield Broken(("warmup_steps",), "the warm-up is given twice; leave out warmup_steps or warmup_epochs")


class Constant(Part):
    """The rate stays as it is, after a linear warm-up.

    Args:
        name: Chooses it.
        warmup_epochs: Epochs (parts too) over which the rate rises from zero, step by step.
        warmup_steps: The same in steps.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_one_warmup,)

    name: Literal["constant"]
    warmup_epochs: Amount = 0.0
    warmup_steps: Steps = 0


class Cosine(Part):
    """The rate falls along half a cosine, after a linear warm-up (Loshchilov & Hutter 2017, equation 5).

    Args:
        name: Chooses it.
        warmup_epochs: Epochs (parts too) over which the rate rises from zero, step by step.
        warmup_steps: The same in steps.
        final_fraction: The last rate, as a fraction of `lr`.
        by: `step`, or `epoch`: then it falls only where an epoch begins.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_one_warmup,)

    name: Literal["cosine"]
    warmup_epochs: Amount = 0.0
    warmup_steps: Steps = 0
    final_fraction: Fraction = 0.0
    by: Unit = "step"


class OneCycle(Part):
    """The rate rises along half a cosine to `lr` and falls along another (Smith & Topin 2018).

    Args:
        name: Chooses it.
        rise: Fraction of the run that the rise takes; it is the warm-up.
        initial_fraction: The first rate, as a fraction of `lr`.
        final_fraction: The last rate, as a fraction of `lr`.
        by: `step`, or `epoch`: then it changes only where an epoch begins.
    """

    name: Literal["one_cycle"]
    rise: Factor = 0.3
    initial_fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 0.04
    final_fraction: Fraction = 4e-6
    by: Unit = "step"


class Step(Part):
    """The rate is cut at regular intervals, counted from the beginning of the run.

    Args:
        name: Chooses it.
        every: Epochs or steps between two cuts.
        factor: What the rate is multiplied by.
        by: What `every` counts: `epoch` or `step`.
        warmup_epochs: Epochs (parts too) over which the rate rises from zero, step by step.
        warmup_steps: The same in steps.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_one_warmup,)

    name: Literal["step"]
    every: Count
    factor: Factor = 0.1
    by: Unit = "epoch"
    warmup_epochs: Amount = 0.0
    warmup_steps: Steps = 0


def _rising(schedule: Any) -> Iterator[Broken]:
    places = schedule.milestones
    if not places:
        yield Broken(("milestones",), "there are none; list epochs or steps such as [30, 60]")
    if any(later <= earlier for earlier, later in pairwise(places)):
        yield Broken(("milestones",), f"{places} do not rise; sort them, each once")


class MultiStep(Part):
    """The rate is cut at given places, counted from the beginning of the run.

    Args:
        name: Chooses it.
        milestones: Epochs or steps after which the rate is cut, rising.
        factor: What the rate is multiplied by at each.
        by: What `milestones` count: `epoch` or `step`.
        warmup_epochs: Epochs (parts too) over which the rate rises from zero, step by step.
        warmup_steps: The same in steps.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_rising, _one_warmup)

    name: Literal["multi_step"]
    milestones: list[Count]
    factor: Factor = 0.1
    by: Unit = "epoch"
    warmup_epochs: Amount = 0.0
    warmup_steps: Steps = 0


class Exponential(Part):
    """The rate falls by the same factor in each epoch after the warm-up.

    Args:
        name: Chooses it.
        gamma: What the rate is multiplied by over an epoch.
        by: `epoch`: it falls where an epoch begins; `step`: a little at each step.
        warmup_epochs: Epochs (parts too) over which the rate rises from zero, step by step.
        warmup_steps: The same in steps.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_one_warmup,)

    name: Literal["exponential"]
    gamma: Factor = 0.95
    by: Unit = "epoch"
    warmup_epochs: Amount = 0.0
    warmup_steps: Steps = 0


class Linear(Part):
    """The rate falls along a line, after a linear warm-up.

    Args:
        name: Chooses it.
        final_fraction: Where the line ends at the end of the run, as a fraction of `lr`.
        by: `step`, or `epoch`: then it falls only where an epoch begins.
        warmup_epochs: Epochs (parts too) over which the rate rises from zero, step by step.
        warmup_steps: The same in steps.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_one_warmup,)

    name: Literal["linear"]
    final_fraction: Fraction = 0.0
    by: Unit = "step"
    warmup_epochs: Amount = 0.0
    warmup_steps: Steps = 0


class Polynomial(Part):
    """The rate falls along a power of the part of the run that is left, after a linear warm-up.

    Args:
        name: Chooses it.
        power: The power; 1 is a line, larger ones fall faster at first.
        final_fraction: Where the curve ends at the end of the run, as a fraction of `lr`.
        by: `step`, or `epoch`: then it falls only where an epoch begins.
        warmup_epochs: Epochs (parts too) over which the rate rises from zero, step by step.
        warmup_steps: The same in steps.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_one_warmup,)

    name: Literal["polynomial"]
    power: Rate = 2.0
    final_fraction: Fraction = 0.0
    by: Unit = "step"
    warmup_epochs: Amount = 0.0
    warmup_steps: Steps = 0


def _plateau_metric(schedule: Any) -> Iterator[Broken]:
    if not schedule.metric.startswith("val/"):
        text = f"{schedule.metric!r} is not a validation metric; write one such as 'val/loss'"
        yield Broken(("metric",), text)


class Plateau(Part):
    """The rate is cut when a metric has not improved for a while.

    Args:
        name: Chooses it.
        metric: A validation metric.
        mode: Whether smaller or larger is better.
        factor: What the rate is multiplied by.
        patience: The rate is cut at this many validations in a row without improvement.
        min_fraction: The rate never falls below this fraction of `lr`.
        warmup_epochs: Epochs (parts too) over which the rate rises from zero, step by step.
        warmup_steps: The same in steps.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_plateau_metric, _one_warmup)

    name: Literal["plateau"]
    metric: str = "val/loss"
    mode: Literal["min", "max"] = "min"
    factor: Factor = 0.1
    patience: Count = 10
    min_fraction: Fraction = 0.0
    warmup_epochs: Amount = 0.0
    warmup_steps: Steps = 0
