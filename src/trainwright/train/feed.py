"""Which records make step n: a pure function of (seed, step)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trainwright.base.random import at, permutation, stream
from trainwright.base.tree import Array


@dataclass(frozen=True, slots=True)
class Batch:
    """The records of one step.

    Args:
        x: Inputs, shape `(records, ...)`.
        y: Targets, shape `(records, ...)`.
        weight: Non-negative weights, shape `(records,)`, or None where all weigh the same.
        ids: Positions in the split, shape `(records,)`.
    """

    x: Array
    y: Array
    weight: Array | None
    ids: NDArray[np.int64]


class Feed(Protocol):
    """Hands out records by step. The ragged last batch of an epoch is a real, smaller step."""

    steps_per_epoch: int
    records: int
    seed: int
    arrays: Mapping[str, Array] | None

    def indices(self, step: int) -> NDArray[np.int64]:
        """Gives the positions of the records that make a step, counted from 0."""
        ...

    def span(self, first: int, last: int) -> NDArray[np.int64]:
        """Gives the positions of the records of the steps `first` to `last - 1` of one epoch, one after another."""
        ...

    def batch(self, step: int) -> Batch:
        """Gives the records that make a step."""
        ...


class ArrayFeed:
    """A feed over arrays in memory, shuffled anew each epoch.

    Args:
        arrays: `x`, `y` and perhaps `weight`, of one length.
        batch_size: Records of one step; with gradient accumulation, of all its batches together.
        seed: Of the order.

    Example:
        >>> feed = ArrayFeed({"x": np.zeros((5, 1)), "y": np.zeros(5)}, batch_size=2, seed=0)
        >>> feed.steps_per_epoch, [len(feed.indices(step)) for step in range(3)]
        (3, [2, 2, 1])
        >>> sorted(int(i) for step in range(3, 6) for i in feed.indices(step))
        [0, 1, 2, 3, 4]
    """

    def __init__(self, arrays: Mapping[str, Array], *, batch_size: int, seed: int) -> None:
        self.arrays: Mapping[str, Array] | None = arrays
        self._arrays = arrays
        self.records = len(arrays["x"])
        self.batch_size = batch_size
        self.seed = seed
        self.steps_per_epoch = -(-self.records // batch_size)
        self._stream = stream(seed, "order")
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def indices(self, step: int) -> NDArray[np.int64]:
        """Gives the positions of the records that make a step, counted from 0."""
        return self.span(step, step + 1)

    def span(self, first: int, last: int) -> NDArray[np.int64]:
        """Gives the positions of the records of the steps `first` to `last - 1` of one epoch, one after another."""
        epoch, number = divmod(first, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, permutation(at(self._stream, epoch), self.records)
        return self._order[number * self.batch_size : (number + last - first) * self.batch_size]

    def batch(self, step: int) -> Batch:
        """Gives the records that make a step."""
        chosen = self.indices(step)
        weight = self._arrays.get("weight")
        return Batch(
            x=self._arrays["x"][chosen],
            y=self._arrays["y"][chosen],
            weight=None if weight is None else weight[chosen],
            ids=chosen,
        )
