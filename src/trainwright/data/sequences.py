"""Sequences of different lengths, one per record."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainwright.base.digest import digest_array, digest_json
from trainwright.base.errors import DataError
from trainwright.base.tree import Array


@dataclass(frozen=True, eq=False)
class Sequences:
    """Values of all records, one sequence after another; where an array of records could stand, it can.

    Args:
        values: Numbers, shape `(total, channels)`, or token ids from 1, shape `(total,)`.
        lengths: How many values each record has, shape `(records,)`.

    Example:
        >>> some = Sequences(np.array([5, 6, 7, 8]), np.array([3, 1]))
        >>> some[np.array([1, 0])].values.tolist(), some.shape
        ([8, 5, 6, 7], (2, 3))
    """

    values: Array
    lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, chosen: Any) -> "Sequences":
        begins = np.cumsum(self.lengths) - self.lengths
        lengths, begins = self.lengths[chosen], begins[chosen]
        # Position of each value: the begin of its record, and its place within.
        within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return Sequences(self.values[np.repeat(begins, lengths) + within], lengths)

    @property
    def tokens(self) -> bool:
        """Says whether the values are token ids."""
        return self.values.ndim == 1 and self.values.dtype.kind in "iu"

    @property
    def longest(self) -> int:
        """Gives the length of the longest sequence."""
        return int(self.lengths.max())

    @property
    def shape(self) -> tuple[int, ...]:
        """Gives the shape that padding would give; the mask of numbers is a further channel."""
        if self.tokens:
            return len(self), self.longest
        return len(self), (1 if self.values.ndim == 1 else self.values.shape[1]) + 1, self.longest

    @property
    def size(self) -> int:
        """Counts the values."""
        return int(self.values.size)

    def digest(self) -> str:
        """Names the values and the lengths."""
        return digest_json([digest_array(self.values), digest_array(self.lengths)])


def join_sequences(first: Sequences, second: Sequences) -> Sequences:
    """Puts the records of one after those of the other.

    Raises:
        DataError: If they hold different things.
    """
    if first.values.shape[1:] != second.values.shape[1:] or first.tokens != second.tokens:
        raise DataError("data.test: its sequences hold other values per place than those of data")
    return Sequences(
        np.concatenate([first.values, second.values]), np.concatenate([first.lengths, second.lengths])
    )
