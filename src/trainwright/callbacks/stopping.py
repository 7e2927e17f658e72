"""Callbacks that end a run."""

import math
from typing import Any, Literal

from trainwright.base.tree import Tree
from trainwright.train.callback import Callback
from trainwright.train.moment import Moment, Stop


class EarlyStopping(Callback):
    """Stops when a metric has not improved for a while.

    Args:
        metric: Name of a validation metric.
        patience: The run stops at this many validations in a row without improvement.
        mode: Whether smaller (`"min"`) or larger (`"max"`) is better.
        min_delta: Smallest improvement that counts, in the unit of the metric.

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
    ) -> None:
        if type(patience) is not int or patience < 1:
            raise ValueError(f"patience: {patience!r} is not a whole number of at least 1")
        if mode not in ("min", "max"):
            raise ValueError(f"mode: {mode!r} is neither 'min' nor 'max'")
        if not isinstance(min_delta, int | float) or not min_delta >= 0:
            raise ValueError(f"min_delta: {min_delta!r} is not a number of at least 0")
        self.reads = (metric,)
        self.metric = metric
        self.patience = patience
        self.sign = 1.0 if mode == "min" else -1.0
        self.min_delta = min_delta
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
        if self.waited >= self.patience:
            return Stop(f"{self.metric} has not improved for {self.waited} validations")
        return None

    def state(self) -> Tree:
        """Gives the best value and the count."""
        return {"best": self.best, "waited": self.waited}

    def load_state(self, tree: Tree) -> None:
        """Takes back what `state` gave."""
        kept: Any = tree
        self.best, self.waited = kept["best"], kept["waited"]
