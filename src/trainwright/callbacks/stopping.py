"""Callbacks that end a run."""

import math
from collections.abc import Sequence
from typing import Any, Literal

from trainwright.base.tree import Tree
from trainwright.train.callback import Callback
from trainwright.train.clock import Seconds
from trainwright.train.moment import Moment, Stop


class EarlyStopping(Callback):
    """Stops when a metric has not improved for a while.

    Args:
        metric: Name of a validation metric.
        patience: The run stops at this many validations in a row without improvement.
        mode: Whether smaller (`"min"`) or larger (`"max"`) is better.
        min_delta: Smallest improvement that counts, in the unit of the metric.
        min_epochs: The run never stops before this many epochs are complete; validations before that count.

    Example:
        >>> EarlyStopping(metric="val/accuracy", mode="max", patience=3).reads
        ('val/accuracy',)
    """

    def __init__(
        self,
        metric: str = "val/loss",
        patience: int = 10,
        *,
        mode: Literal["min", "max"] = "min",
        min_delta: float = 0.0,
        min_epochs: int = 0,
    ) -> None:
        if type(patience) is not int or patience < 1:
            raise ValueError(f"patience: {patience!r} is not a whole number of at least 1")
        if mode not in ("min", "max"):
            raise ValueError(f"mode: {mode!r} is neither 'min' nor 'max'")
        if not isinstance(min_delta, int | float) or not min_delta >= 0:
            raise ValueError(f"min_delta: {min_delta!r} is not a number of at least 0")
        if type(min_epochs) is not int or min_epochs < 0:
            raise ValueError(f"min_epochs: {min_epochs!r} is not a whole number of at least 0")
        self.reads = (metric,)
        self.metric = metric
        self.patience = patience
        self.sign = 1.0 if mode == "min" else -1.0
        self.min_delta = min_delta
        self.min_epochs = min_epochs
        self.best, self.waited = math.inf, 0

    def on_validation(self, moment: Moment) -> Stop | None:
        """Counts validations of the metric in a row without improvement; NaN is no improvement."""
        if self.metric not in moment.measured:
            return None
        value = self.sign * moment.measured[self.metric]
        if value < self.best - self.min_delta:
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        if self.waited >= self.patience and moment.epoch >= self.min_epochs:
            return Stop(f"{self.metric} has not improved for {self.waited} validations")
        return None

    def state(self) -> Tree:
        """Gives the best value and the count."""
        return {"best": self.best, "waited": self.waited}

    def load_state(self, tree: Tree) -> None:
        """Takes back what `state` gave."""
        kept: Any = tree
        self.best, self.waited = kept["best"], kept["waited"]


class StopOnThreshold(Callback):
    """Stops when a metric has passed a bound.

    A value that equals the bound does not stop the run, nor does NaN.

    Args:
        metric: Name of a metric of the train or val split.
        above: The run stops at the first value greater than this.
        below: The run stops at the first value smaller than this, instead.

    Example:
        >>> StopOnThreshold("val/accuracy", above=0.99).reads
        ('val/accuracy',)
    """

    def __init__(self, metric: str, *, above: float | None = None, below: float | None = None) -> None:
        if (above is None) == (below is None):
            raise ValueError("above, below: give one of the two")
        self.reads = (metric,)
        self.metric = metric
        self.bound = _number("above" if below is None else "below", above if below is None else below)
        self.word, self.sign = ("above", 1.0) if below is None else ("below", -1.0)

    def on_validation(self, moment: Moment) -> Stop | None:
        """Looks at the metric, if it was measured now."""
        value = moment.measured.get(self.metric, math.nan)
        if self.sign * value > self.sign * self.bound:
            return Stop(f"{self.metric} is {value:.6g}, {self.word} {self.bound:g}")
        return None

    def on_epoch(self, moment: Moment) -> Stop | None:
        """Looks at the metric, if it was measured now."""
        return self.on_validation(moment)


class StopOnNaN(Callback):
    """Stops when a metric is NaN or infinite: nothing that is trained from there on is of use.

    Args:
        metrics: Names of metrics of the train or val split.

    Example:
        >>> StopOnNaN().reads
        ('train/loss', 'val/loss')
    """

    def __init__(self, metrics: Sequence[str] = ("train/loss", "val/loss")) -> None:
        if isinstance(metrics, str) or not metrics or not all(isinstance(one, str) for one in metrics):
            raise ValueError(f"metrics: {metrics!r} is not a list of names of metrics")
        self.reads = tuple(metrics)

    def on_validation(self, moment: Moment) -> Stop | None:
        """Looks at the metrics that were measured now."""
        measured = {name: moment.measured[name] for name in self.reads if name in moment.measured}
        odd = [f"{name} is {value}" for name, value in measured.items() if not math.isfinite(value)]
        return Stop(", ".join(odd)) if odd else None

    def on_epoch(self, moment: Moment) -> Stop | None:
        """Looks at the metrics that were measured now."""
        return self.on_validation(moment)


class TimeLimit(Callback):
    """Stops when the run has trained for so long; not repeatable by nature.

    Training and validation of all attempts of the run count, up to the checkpoint from which the next attempt goes
    on; opening data does not. The limit is heard within a second, or a tenth of the limit if that is shorter, at the
    end of a step. `reproduce` trains up to the recorded step, however long that takes.

    Args:
        seconds: The limit.
        minutes: The limit, instead.
        hours: The limit, instead.

    Example:
        >>> TimeLimit(minutes=1.5).limit
        90.0
    """

    def __init__(
        self, *, seconds: float | None = None, minutes: float | None = None, hours: float | None = None
    ) -> None:
        units = {"seconds": (seconds, 1.0), "minutes": (minutes, 60.0), "hours": (hours, 3600.0)}
        given = [(name, value, unit) for name, (value, unit) in units.items() if value is not None]
        if len(given) != 1:
            raise ValueError("seconds, minutes, hours: give one of the three")
        name, value, unit = given[0]
        if not _number(name, value) > 0:
            raise ValueError(f"{name}: {value!r} is not greater than 0")
        self.told = f"{value:g} {name}"
        self.limit = value * unit
        self.every = Seconds(min(1.0, self.limit / 10))
        self.seconds = self._before = 0.0

    def on_step(self, moment: Moment) -> Stop | None:
        """Looks at the time."""
        self.seconds = self._before + moment.seconds
        if self.seconds < self.limit:
            return None
        return Stop(f"the time limit of {self.told} is reached")

    def on_validation(self, moment: Moment) -> Stop | None:
        """Looks at the time."""
        return self.on_step(moment)

    def on_epoch(self, moment: Moment) -> Stop | None:
        """Looks at the time."""
        return self.on_step(moment)

    def state(self) -> Tree:
        """Gives the seconds trained so far."""
        return {"seconds": self.seconds}

    def load_state(self, tree: Tree) -> None:
        """Takes back what `state` gave."""
        kept: Any = tree
        self.seconds = self._before = kept["seconds"]


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name}: {value!r} is not a finite number")
    return float(value)
