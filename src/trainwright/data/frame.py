"""Columns of different kinds, side by side, one value per record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainwright.base.digest import digest_array, digest_json
from trainwright.base.errors import DataError
from trainwright.base.tree import Array


@dataclass(frozen=True, eq=False)
class Frame:
    """The features of a table; where an array of records could stand, a frame can.

    Args:
        columns: By name, each of shape `(records,)`: float64 (nan where there is no value), text (blank where there is
            none), or datetime64 (NaT where there is none).

    Example:
        >>> frame = Frame({"age": np.array([30.0, 40.0]), "sex": np.array(["f", "m"])})
        >>> frame.shape, frame[np.array([1])].columns["sex"].tolist()
        ((2, 2), ['m'])
    """

    columns: Mapping[str, Array]

    def __post_init__(self) -> None:
        if len({len(one) for one in self.columns.values()}) != 1:
            lengths = {name: len(one) for name, one in self.columns.items()}
            raise DataError(f"the columns of a table are of one length, not {lengths}")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, chosen: Any) -> "Frame":
        return Frame({name: column[chosen] for name, column in self.columns.items()})

    @property
    def shape(self) -> tuple[int, int]:
        """Gives the numbers of records and of columns."""
        return len(self), len(self.columns)

    @property
    def size(self) -> int:
        """Counts the values."""
        return len(self) * len(self.columns)

    def matrix(self) -> Array:
        """Gives columns of numbers side by side, float64 of shape `(records, columns)`."""
        return np.column_stack([one.astype(np.float64) for one in self.columns.values()])

    def digest(self) -> str:
        """Names the values of all columns and their order; of numbers without gaps, those of their matrix."""
        if all(one.dtype.kind == "f" and not np.isnan(one).any() for one in self.columns.values()):
            return digest_array(self.matrix())  # as of rows that are read in parts
        return digest_json([[name, digest_array(_plain(one))] for name, one in self.columns.items()])


def join_frames(first: Frame, second: Frame) -> Frame:
    """Puts the records of one frame after those of another with the same columns."""
    return Frame({name: np.concatenate([one, second.columns[name]]) for name, one in first.columns.items()})


def is_blank(column: Array) -> Any:
    """Marks where a column has no value.

    Example:
        >>> is_blank(np.array(["a", ""])).tolist(), is_blank(np.array([np.nan, 1.0])).tolist()
        ([False, True], [True, False])
    """
    values: Any = column
    if values.dtype.kind == "U":
        return np.strings.str_len(values) == 0
    return np.isnat(values) if values.dtype.kind == "M" else np.isnan(values)


def _plain(column: Array) -> Array:
    return column.astype("datetime64[us]").view(np.int64) if column.dtype.kind == "M" else column
