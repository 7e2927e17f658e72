"""Class values and their numbers."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.ops.operator import Operator

Value = bool | int | str
_LARGEST = 2**63 - 1


@dataclass(frozen=True, eq=False)
class Labels(Operator):
    """Numbers classes from 0, in sorted order; inverted, it gives back their values.

    Args:
        values: Learnt by `fit`: the classes, all integers, all booleans or all text, sorted.

    Raises:
        DataError: If it is applied before it was fitted, or meets a class it has not seen.

    Example:
        >>> labels = Labels().fit(np.array(["dog", "cat", "dog"]))
        >>> labels(np.array(["dog", "cat"])), labels.invert(np.array([0]))
        (array([1, 0]), array(['cat'], dtype='<U3'))
    """

    values: tuple[Value, ...] | None = None

    catalog_name: ClassVar[str | None] = "Labels"

    def __post_init__(self) -> None:
        if self.values is None:
            return
        values = tuple(self.values)
        if len({type(one) for one in values}) != 1 or type(values[0]) not in (bool, int, str):
            raise ValueError("values are at least one class, all integers, all booleans or all text")
        if list(values) != sorted(set(values)):
            raise ValueError("values are sorted and each is there once")
        object.__setattr__(self, "values", values)

    def fit(self, x: Array) -> Self:
        """Learns which classes there are.

        Raises:
            DataError: If there are no records, or their values cannot be classes.
        """
        if x.ndim != 1 or x.dtype.kind not in "biuU":
            raise DataError(
                f"classes are integers, booleans or text, one per record, not {x.dtype} of shape {x.shape}"
            )
        if len(x) == 0:
            raise DataError("Labels cannot be fitted on no records")
        values = np.unique(x).tolist()
        if isinstance(values[-1], int) and values[-1] > _LARGEST:
            raise DataError(f"the class {values[-1]} is larger than {_LARGEST}; save such classes as text")
        return replace(self, values=tuple(values))

    def __call__(self, x: Array) -> Array:
        """Gives class numbers, int64."""
        known: Any = np.array(self._learnt())
        if (known.dtype.kind == "U") != (x.dtype.kind == "U") or x.dtype.kind not in "biufU" or x.ndim != 1:
            kind = "text" if known.dtype.kind == "U" else "numbers"
            raise DataError(f"the classes are {kind}, one per record; these are {x.dtype} of shape {x.shape}")
        # Beside int64, uint64 would be compared as float64, where neighbours above 2^53 are equal.
        given: Any = x.astype(np.int64) if x.dtype.kind == "u" else x
        index: Array = np.minimum(np.searchsorted(known, given), len(known) - 1).astype(np.int64)
        unseen = known[index] != x
        if unseen.any():
            first = int(np.argmax(unseen))
            shown = ", ".join(repr(one) for one in known[:10].tolist()) + (", ..." if len(known) > 10 else "")
            raise DataError(
                f"record {first} has the class {x[first].item()!r}, which was not there in training "
                f"({np.count_nonzero(unseen)} such records); known: {shown}"
            )
        return index

    def invert(self, y: Array) -> Array:
        """Gives the values of class numbers."""
        known = np.array(self._learnt())
        if y.dtype.kind not in "iu" or (y.size and not 0 <= int(y.min()) <= int(y.max()) < len(known)):
            raise DataError(f"class numbers are integers from 0 to {len(known) - 1}")
        values: Array = known[y]
        return values

    def _learnt(self) -> tuple[Value, ...]:
        if self.values is None:
            raise DataError("Labels was applied before it was fitted")
        return self.values
