"""What is measured about a learner on a split."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from trainwright.base.tree import Array
from trainwright.train.clock import Period
from trainwright.train.learner import Learner, Task


@dataclass(frozen=True, slots=True)
class Examples:
    """The records of one split as the model sees them.

    Args:
        x: Inputs after preprocessing, shape `(records, ...)`.
        y: Targets after preprocessing: class numbers `(records,)`, or values `(records, outputs)`.
        weight: Record weights, shape `(records,)`, or None.
    """

    x: Array
    y: Array
    weight: Array | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """What a routine made.

    Args:
        scores: Numbers by metric name, such as `val/loss`.
        arrays: Arrays by artifact name.
    """

    scores: Mapping[str, float] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)


class View:
    """A learner seen through the splits; predictions are made once and shared by all routines.

    Args:
        learner: As it is now.
        splits: Examples by split.
        invert: Takes targets or predictions of them back to the unit of the data.
        look: Is told the name of a split that is looked at for the first time in this view.
    """

    def __init__(
        self,
        learner: Learner,
        splits: Mapping[str, Examples],
        *,
        invert: Callable[[Array], Array] = lambda values: values,
        look: Callable[[str], Any] = lambda split: None,
    ) -> None:
        self.learner = learner
        self.splits = splits
        self.invert = invert
        self._look = look
        self._predictions: dict[str, dict[str, Array]] = {}

    def predictions(self, split: str) -> Mapping[str, Array]:
        """Gives the outputs of the learner on a split, as the model makes them."""
        if split not in self._predictions:
            self._look(split)
            self._predictions[split] = self.learner.predict(self.splits[split].x)
        return self._predictions[split]

    def examples(self, split: str) -> Examples:
        """Gives the records of a split, as the model sees them."""
        return self.splits[split]


class Routine(Protocol):
    """Makes numbers and arrays about a learner on a split."""

    @property
    def every(self) -> Period:
        """Says how often."""
        ...

    @property
    def split(self) -> str:
        """Names the split it looks at."""
        ...

    def names(self, task: Task) -> tuple[str, ...]:
        """Gives the names of its metrics, so that an unknown one fails before step 1."""
        ...

    def __call__(self, view: View) -> Results:
        """Measures."""
        ...
