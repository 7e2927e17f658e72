"""What every learner does alike: it counts steps, sums the loss, tells, obeys, and keeps its numbers."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import BackendError
from trainwright.base.tree import Tree
from trainwright.spec.optimizer import Adagrad
from trainwright.spec.train import TrainSpec
from trainwright.train.clock import Clock
from trainwright.train.feed import Feed
from trainwright.train.learner import Answer, Learner
from trainwright.train.schedule import rates


class Stepping(ABC):
    """The half of a learner that no framework changes.

    A subclass makes steps (`_advance`; or `train`, where a framework's own loop makes them) and hands out and takes
    back its arrays (`_arrays`, `_load_arrays`).

    Args:
        train: The resolved training spec.
        steps: Of the whole run: the horizon of the schedule.

    Attributes:
        backend: Name of the backend, for messages.
        diverged: The first step made here whose loss is not finite, counted from 1; None as long as all are.
    """

    backend: ClassVar[str]

    def __init__(self, train: TrainSpec, *, steps: int) -> None:
        self.step = 0
        self.rate_scale = 1.0
        self.diverged: int | None = None
        self._train_spec = train
        self._steps = steps
        self._sum, self._weight = 0.0, 0.0

    @property
    def sums(self) -> Mapping[str, tuple[float, float]]:
        """Gives `(sum, weight)` of the loss over the open epoch."""
        return {"loss": (self._sum, self._weight)}

    def train(self, feed: Feed, clock: Clock, tell: Callable[[Learner], Answer]) -> None:
        """Trains until `clock.end`, tells exactly at each `clock.next`, returns right after a stop."""
        learner: Any = self
        while self.step < clock.end:
            self._advance(feed, clock.next(self.step))
            answer = tell(learner)
            self.rate_scale = answer.rate_scale
            if answer.stop is not None:
                return

    def state(self) -> Tree:
        """Gives all that the next step depends on, as a copy."""
        return {
            "step": self.step,
            "rate_scale": self.rate_scale,
            "loss_sum": self._sum,
            "loss_weight": self._weight,
            **self._arrays(),
        }

    def load_state(self, tree: Tree) -> None:
        """Takes back what `state` gave.

        Raises:
            BackendError: If an item is missing.
        """
        kept: Any = tree
        try:
            self._load_arrays(kept)
            self.step, self.rate_scale = kept["step"], kept["rate_scale"]
            self._sum, self._weight = kept["loss_sum"], kept["loss_weight"]
        except KeyError as error:
            text = f"{self.backend}: the state lacks {error}; it was not made by this version"
            raise BackendError(text) from error

    def hear(self, measured: Mapping[str, float]) -> None:
        """Hears what was measured at a told step, before it is saved; nobody listens but within a framework."""
        del measured

    def _advance(self, feed: Feed, due: int) -> None:
        """Makes the steps up to `due`."""
        raise NotImplementedError

    @abstractmethod
    def _arrays(self) -> dict[str, Tree]:
        """Gives copies of weights, moments and whatever else changes."""

    @abstractmethod
    def _load_arrays(self, kept: Any) -> None:
        """Takes back what `_arrays` gave; a KeyError tells what is missing."""

    def _add(self, loss: float, weight: float, *, step: int) -> None:
        """Takes the loss of a step into the sums.

        Args:
            loss: Mean over its records.
            weight: What they weigh together.
            step: Its number, counted from 1.
        """
        if self.diverged is None and not math.isfinite(loss):
            self.diverged = step
        # One addition per step in float64, in the order of the steps: the sum does not depend on the cuts.
        self._sum += loss * weight
        self._weight += weight

    def _rates(self, first: int, last: int, *, per_epoch: int) -> NDArray[np.float64]:
        """Gives the rates of some steps, without the scale of the latest answer."""
        spec = self._train_spec
        found = rates(
            spec.schedule, first, last, lr=spec.optimizer.lr, steps=self._steps, per_epoch=per_epoch
        )
        if isinstance(spec.optimizer, Adagrad) and spec.optimizer.lr_decay:
            found = found / (1 + np.arange(first, last) * spec.optimizer.lr_decay)
        return found
