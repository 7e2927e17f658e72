"""Which records make step n: a pure function of (seed, step)."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from trainwright.base.random import Stream, at, permutation, stream
from trainwright.base.tree import Array

Columns = tuple[Array, Array, Array | None]  # x, y, weight


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

    def share(self, number: int, *, of: int, batch_size: int) -> "Feed":
        """Gives the feed of one of several processes that make each step together: their batches in turn."""
        ...


class _Shuffled:
    """The order that all feeds share: each epoch is a permutation of its own, cut into batches."""

    def __init__(self, records: int, *, batch_size: int, seed: int) -> None:
        self.records = records
        self.batch_size = batch_size
        self.seed = seed
        self.steps_per_epoch = -(-records // batch_size)
        self._stream = stream(seed, "order")
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)
        self._share: tuple[int, int, int] | None = None

    def share(self, number: int, *, of: int, batch_size: int) -> Self:
        """Gives the feed of one of several processes that make each step together: their batches in turn.

        Args:
            number: Of the process, counted from 0.
            of: How many there are.
            batch_size: Records of one batch; the step's last one may be smaller, and a process may have none.
        """
        found = copy(self)
        found._share = number, of, batch_size
        return found

    def indices(self, step: int) -> NDArray[np.int64]:
        """Gives the positions of the records that make a step, counted from 0."""
        return self.span(step, step + 1)

    def span(self, first: int, last: int) -> NDArray[np.int64]:
        """Gives the positions of the records of the steps `first` to `last - 1` of one epoch, one after another."""
        epoch, number = divmod(first, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, permutation(at(self._stream, epoch), self.records)
        found: NDArray[np.int64] = self._order[
            number * self.batch_size : (number + last - first) * self.batch_size
        ]
        if self._share is None:
            return found
        mine, of, size = self._share
        turns: NDArray[np.int64] = np.arange(len(found)) % self.batch_size // size % of
        chosen: NDArray[np.int64] = found[turns == mine]
        return chosen


class ArrayFeed(_Shuffled):
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
        >>> first, second = (feed.share(number, of=2, batch_size=1) for number in range(2))
        >>> [[len(one.indices(step)) for step in range(3)] for one in (first, second)]
        [[1, 1, 1], [1, 1, 0]]
    """

    def __init__(self, arrays: Mapping[str, Array], *, batch_size: int, seed: int) -> None:
        super().__init__(len(arrays["x"]), batch_size=batch_size, seed=seed)
        self.arrays: Mapping[str, Array] | None = arrays
        self._arrays = arrays

    def batch(self, step: int) -> Batch:
        """Gives the records that make a step."""
        chosen = self.indices(step)
        return Batch(*_columns(self._arrays, chosen), ids=chosen)


class StreamFeed(_Shuffled):
    """A feed over records that are read when a step needs them, in the same order as those of an `ArrayFeed`.

    While a step is made, the records of the next one are read in a thread. That holds one batch more in memory
    and changes nothing else: what a step gets does not depend on what was asked for before.

    Args:
        read: Gives `x`, `y` and `weight` (or None) of the records at some positions.
        records: How many there are.
        batch_size: Records of one step; with gradient accumulation, of all its batches together.
        seed: Of the order.
        prefetch: Whether to read ahead.

    Example:
        >>> feed = StreamFeed(lambda rows: (rows * 10, rows, None), 5, batch_size=2, seed=0)
        >>> np.array_equal(feed.batch(4).x, feed.indices(4) * 10)
        True
    """

    def __init__(
        self,
        read: Callable[[NDArray[np.int64]], Columns],
        records: int,
        *,
        batch_size: int,
        seed: int,
        prefetch: bool = True,
    ) -> None:
        super().__init__(records, batch_size=batch_size, seed=seed)
        self.arrays: Mapping[str, Array] | None = None
        self._read = read
        self._reader = ThreadPoolExecutor(1, "trainwright-feed") if prefetch else None
        self._ahead: tuple[int, Future[Columns]] | None = None

    def batch(self, step: int) -> Batch:
        """Gives the records that make a step.

        Raises:
            DataError: If they cannot be read.
        """
        chosen = self.indices(step)
        ahead, self._ahead = self._ahead, None
        found = ahead[1].result() if ahead is not None and ahead[0] == step else self._read(chosen)
        # Not across the end of an epoch: the order of the next one would replace the one still asked about.
        if self._reader is not None and (step + 1) % self.steps_per_epoch:
            self._ahead = step + 1, self._reader.submit(self._read, self.indices(step + 1))
        return Batch(*found, ids=chosen)


class Augmentation(Protocol):
    """Changes the inputs of records, each in its own way; what happens to one is a pure function of the call."""

    def __call__(self, x: Array, *, stream: Stream, records: NDArray[np.int64]) -> Array:
        """Gives `x`, shape `(records, ...)`, as the stream and the number of each record say."""
        ...


class AugmentedFeed:
    """A feed whose inputs are changed anew each epoch.

    Args:
        feed: Which records make a step.
        augmentations: In the order of application; each has a stream of its own per epoch (and view).
        seed: Of the streams.
        views: How often each record is changed; with several, `x` has shape `(records, views, ...)`.

    Example:
        >>> inner = ArrayFeed({"x": np.zeros((5, 1)), "y": np.zeros(5)}, batch_size=2, seed=0)
        >>> feed = AugmentedFeed(inner, [lambda x, *, stream, records: x + records[:, None]], seed=0, views=2)
        >>> feed.batch(0).x.shape, np.array_equal(feed.batch(0).x[:, 1, 0], feed.indices(0))
        ((2, 2, 1), True)
    """

    def __init__(
        self, feed: Feed, augmentations: Sequence[Augmentation], *, seed: int, views: int = 1
    ) -> None:
        self.steps_per_epoch = feed.steps_per_epoch
        self.records = feed.records
        self.seed = feed.seed
        self.arrays: Mapping[str, Array] | None = None
        self._feed, self._views = feed, views
        self._steps = [(one, stream(seed, "augment", str(place))) for place, one in enumerate(augmentations)]

    def share(self, number: int, *, of: int, batch_size: int) -> Self:
        """Gives the feed of one of several processes that make each step together: their batches in turn."""
        found = copy(self)
        found._feed = self._feed.share(number, of=of, batch_size=batch_size)
        return found

    def indices(self, step: int) -> NDArray[np.int64]:
        """Gives the positions of the records that make a step, counted from 0."""
        return self._feed.indices(step)

    def span(self, first: int, last: int) -> NDArray[np.int64]:
        """Gives the positions of the records of the steps `first` to `last - 1` of one epoch, one after another."""
        return self._feed.span(first, last)

    def batch(self, step: int) -> Batch:
        """Gives the records that make a step, their inputs changed."""
        batch, epoch = self._feed.batch(step), step // self.steps_per_epoch
        if self._views == 1:
            return replace(batch, x=self._changed(batch, epoch, None))
        return replace(
            batch, x=np.stack([self._changed(batch, epoch, n) for n in range(self._views)], axis=1)
        )

    def _changed(self, batch: Batch, epoch: int, view: int | None) -> Array:
        x = batch.x
        for augmentation, base in self._steps:
            keys = at(base, epoch) if view is None else at(at(base, epoch), view)
            x = augmentation(x, stream=keys, records=batch.ids)
        return np.ascontiguousarray(x)


def make_feed(arrays: Mapping[str, Array], *, batch_size: int, seed: int) -> Feed:
    """Makes the feed of a split: of its arrays if all are in memory, otherwise one that reads batch by batch.

    Args:
        arrays: `x`, `y` and perhaps `weight`, of one length; `x` may be lazy.
        batch_size: Records of one step.
        seed: Of the order.
    """
    if isinstance(arrays["x"], np.ndarray):
        return ArrayFeed(arrays, batch_size=batch_size, seed=seed)
    return StreamFeed(lambda rows: _columns(arrays, rows), len(arrays["x"]), batch_size=batch_size, seed=seed)


def _columns(arrays: Mapping[str, Array], rows: NDArray[np.int64]) -> Columns:
    weight = arrays.get("weight")
    return arrays["x"][rows], arrays["y"][rows], None if weight is None else weight[rows]
