"""Operators that turn categories into numbers."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.ops.labels import Value
from trainwright.ops.operator import Blocks, Operator

_OTHER = "other"
_MAX_CODES = 2**24  # the features are float32, which holds integers up to here


@dataclass(frozen=True, eq=False)
class OneHot(Operator):
    """Gives each category a column of its own, with 1 in the column of a record's category.

    Categories are text, integers or booleans (whole numbers with nan for gaps are integers). What is missing,
    "" or nan, is no category: it has 0 in all columns. A matrix has its columns done one after another.

    Args:
        unknown: What a category that was not there in training gets: `zeros`, as if it was missing, or
            `error`.
        drop_first: Leaves out the column of the first category, which the others imply. Then the first
            category looks like a missing one.
        max_categories: The most columns for one column. If there are more categories, the rarest ones share
            the last column, `other`.
        values: Learnt by `fit`: for each column, its categories, sorted.
        rare: Learnt by `fit`: for each column, the categories that share `other`.

    Raises:
        DataError: If it is applied before it was fitted, or to values of another kind.

    Example:
        >>> OneHot().fit(np.array(["m", "f", "m"]))(np.array(["f", "m", "x"]))
        array([[1., 0.],
               [0., 1.],
               [0., 0.]], dtype=float32)
    """

    unknown: Literal["zeros", "error"] = "zeros"
    drop_first: bool = False
    max_categories: int = 100
    values: tuple[tuple[Value, ...], ...] | None = None
    rare: tuple[tuple[Value, ...], ...] | None = None

    catalog_name: ClassVar[str | None] = "OneHot"

    def __post_init__(self) -> None:
        if self.unknown not in ("zeros", "error"):
            raise ValueError(f"unknown is `zeros` or `error`, not {self.unknown!r}")
        if self.max_categories < 2:
            raise ValueError(f"max_categories is at least 2, not {self.max_categories}")
        if (self.values is None) != (self.rare is None) or len(self.values or ()) != len(self.rare or ()):
            raise ValueError("values and rare do not belong together")
        _settle_values(self, "values", "rare")

    def fit(self, x: Array) -> Self:
        """Learns which categories there are.

        Raises:
            DataError: If a column has none, or values that cannot be categories.
        """
        return self.fit_blocks(lambda: iter((x,)))

    def fit_blocks(self, blocks: Blocks) -> Self:
        """Learns the same from records in parts."""
        values, rare = [], []
        for counts in _count(blocks, self):
            known, rest = sorted(counts), []
            if len(known) > self.max_categories:
                # Sorting is stable: of equally frequent ones, those that sort first are kept.
                ranked = sorted(known, key=lambda one: -counts[one])[: self.max_categories - 1]
                kept = {one for one in ranked if one != _OTHER}  # its name is that of the shared column
                known, rest = [one for one in known if one in kept], [one for one in known if one not in kept]
            values.append(tuple(known))
            rare.append(tuple(rest))
        return replace(self, values=tuple(values), rare=tuple(rare))

    def __call__(self, x: Array) -> Array:
        """Gives zeros and ones, float32, shape `(records, columns)`."""
        if self.values is None or self.rare is None:
            raise DataError("OneHot was applied before it was fitted")
        widths = [len(names) for names in self._names()]
        hot = np.zeros((len(x), sum(widths)), dtype=np.float32)
        begin = 0
        for number, (column, missing) in enumerate(_columns(x, len(self.values), self)):
            known, rare = self.values[number], self.rare[number]
            index = _index(column, missing, known)
            index = np.where(_index(column, missing, rare) >= 0, len(known), index)
            if self.unknown == "error":
                _refuse_unknown(column, (index < 0) & ~missing)
            index -= self.drop_first
            rows = np.flatnonzero(index >= 0)
            hot[rows, begin + index[rows]] = 1.0
            begin += widths[number]
        return hot

    def output_names(self, *names: str) -> list[str]:
        """Names the columns `name=category`."""
        # Fewer names than columns come out if an operator before gave more columns than it named.
        pairs = zip(names, self._names(), strict=False)
        return [f"{name}={one}" for name, found in pairs for one in found]

    def _names(self) -> list[list[str]]:
        if self.values is None or self.rare is None:
            raise DataError("OneHot was applied before it was fitted")
        return [
            [*map(str, known), *([_OTHER] if rare else [])][int(self.drop_first) :]
            for known, rare in zip(self.values, self.rare, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class Ordinal(Operator):
    """Numbers categories from 1; 0 is what is missing or was not there in training.

    Categories are text, integers or booleans (whole numbers with nan for gaps are integers).

    Args:
        order: The categories in order, where they have one, such as `(low, middle, high)`; sorted otherwise.
        values: Learnt by `fit`: for each column, its categories in the order of their codes.

    Raises:
        DataError: If it is applied before it was fitted, or to values of another kind.

    Example:
        >>> sizes = Ordinal(order=("small", "large")).fit(np.array(["large", "small"]))
        >>> sizes(np.array(["small", "large", "huge", ""]))
        array([1, 2, 0, 0])
    """

    order: tuple[Value, ...] | None = None
    values: tuple[tuple[Value, ...], ...] | None = None

    catalog_name: ClassVar[str | None] = "Ordinal"

    def __post_init__(self) -> None:
        if self.order is not None:
            order = tuple(self.order)
            if len({type(one) for one in order}) != 1 or type(order[0]) not in (bool, int, str):
                raise ValueError("order holds at least one category, all integers, all booleans or all text")
            if len(set(order)) < len(order) or "" in order:
                raise ValueError('each category is there once in order, and "" is none')
            object.__setattr__(self, "order", order)
        _settle_values(self, "values")

    def fit(self, x: Array) -> Self:
        """Learns which categories there are.

        Raises:
            DataError: If a column has none, one that is not in the given order, or values that cannot be
                categories.
        """
        return self.fit_blocks(lambda: iter((x,)))

    def fit_blocks(self, blocks: Blocks) -> Self:
        """Learns the same from records in parts."""
        values = []
        for counts in _count(blocks, self):
            strange = sorted(set(counts) - set(self.order), key=str) if self.order else []
            if strange:
                raise DataError(
                    f"the category {strange[0]!r} is not in order {list(self.order or ())}; add it"
                )
            values.append(self.order or tuple(sorted(counts)))
            if len(values[-1]) >= _MAX_CODES:
                raise DataError(
                    f"Ordinal found {len(values[-1])} categories; float32 holds {_MAX_CODES} codes"
                )
        return replace(self, values=tuple(values))

    def __call__(self, x: Array) -> Array:
        """Gives codes, int64, of the same shape."""
        values = self._learnt()
        pairs = _columns(x, len(values), self)
        codes = [_index(*pair, known) + 1 for pair, known in zip(pairs, values, strict=True)]
        result: Array = np.stack(codes, axis=1).reshape(x.shape)
        return result

    def invert(self, y: Array) -> Array:
        """Gives the categories of codes, "" for 0.

        Raises:
            DataError: If a code is none, or is 0 where the categories are not text.
        """
        values = self._learnt()
        if y.dtype.kind not in "iu" or y.ndim not in (1, 2) or y.size != len(y) * len(values):
            raise DataError(f"codes are integers, one per record for each of {len(values)} columns")
        columns = []
        for known, codes in zip(values, (y[:, None] if y.ndim == 1 else y).T, strict=True):
            text = isinstance(known[0], str)
            if codes.size and not (0 if text else 1) <= int(codes.min()) <= int(codes.max()) <= len(known):
                raise DataError(f"codes of these categories are from {0 if text else 1} to {len(known)}")
            columns.append(np.array(("", *known) if text else (known[0], *known))[codes])
        result: Array = np.stack(columns, axis=1).reshape(y.shape)
        return result

    def output_categories(self, count: int) -> list[int]:
        """Says for each column how many codes there are, 0 among them."""
        del count
        return [len(known) + 1 for known in self._learnt()]

    def _learnt(self) -> tuple[tuple[Value, ...], ...]:
        if self.values is None:
            raise DataError("Ordinal was applied before it was fitted")
        return self.values


def _settle_values(op: OneHot | Ordinal, *learnt: str) -> None:
    for name in learnt:
        if getattr(op, name) is not None:
            object.__setattr__(op, name, tuple(tuple(known) for known in getattr(op, name)))


def _columns(x: Array, count: int | None, op: Operator) -> list[tuple[Array, NDArray[np.bool_]]]:
    """Gives each column as text, int64 or booleans, with what is missing in it."""
    name = type(op).__name__
    if x.ndim not in (1, 2) or x.dtype.kind not in "biufU":
        raise DataError(f"{name} takes columns of text, integers or booleans, not {x.dtype} of {x.shape[1:]}")
    columns = x[:, None] if x.ndim == 1 else x
    if count is not None and columns.shape[1] != count:
        raise DataError(f"{name} was fitted on {count} columns, these are {columns.shape[1]}")
    return [_readable(column, name) for column in columns.T]


def _readable(column: Any, name: str) -> tuple[Array, NDArray[np.bool_]]:
    if column.dtype.kind == "U":
        return column, column == ""
    missing = np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), dtype=np.bool_)
    if column.dtype.kind == "b":
        return column, missing
    filled = np.where(missing, 0, column)
    # 2**63 is a float exactly; what is not below it would wrap around.
    wrong = (filled != np.floor(filled)) | (filled >= 2**63) | (filled < -(2**63))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise DataError(
            f"record {first} holds {column[first].item()!r}; {name} takes text, integers or booleans: "
            "leave the column a number, or make it text"
        )
    return filled.astype(np.int64), missing


def _count(blocks: Blocks, op: Operator) -> list[Counter[Value]]:
    """Counts the categories of each column."""
    counts: list[Counter[Value]] = []
    text: set[bool] = set()
    for block in blocks():
        columns = _columns(block, len(counts) or None, op)
        counts = counts or [Counter() for _ in columns]
        for counter, (column, missing) in zip(counts, columns, strict=True):
            values, times = np.unique(column[~missing], return_counts=True)
            counter.update(dict(zip(values.tolist(), times.tolist(), strict=True)))
        text.add(block.dtype.kind == "U")
    if len(text) > 1:
        raise DataError(
            f"{type(op).__name__}: the columns are text in one part of the data, numbers in another"
        )
    if not counts or not all(counts):
        raise DataError(
            f"{type(op).__name__} cannot be fitted: a column has no value in any record; leave it out of the "
            "features"
        )
    return counts


def _index(column: Any, missing: NDArray[np.bool_], known: tuple[Value, ...]) -> NDArray[np.int64]:
    """Gives the place of each value among the known ones, -1 where it is not among them."""
    if not known:
        return np.full(len(column), -1, dtype=np.int64)
    table: Any = np.array(known)
    if (table.dtype.kind == "U") != (column.dtype.kind == "U"):
        kind = "text" if table.dtype.kind == "U" else "numbers"
        raise DataError(f"the categories are {kind}, these are {column.dtype}")
    order = np.argsort(table, kind="stable")
    place = order[np.minimum(np.searchsorted(table, column, sorter=order), len(table) - 1)]
    found = (table[place] == column) & ~missing
    return np.where(found, place, -1)


def _refuse_unknown(column: Any, unknown: NDArray[np.bool_]) -> None:
    if unknown.any():
        first = int(np.argmax(unknown))
        raise DataError(
            f"record {first} has the category {column[first].item()!r}, which was not there in training "
            f"({np.count_nonzero(unknown)} such records); `unknown: zeros` lets them pass as missing"
        )
