"""Rows that stay where they are until somebody asks for them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray

from trainwright.base.digest import digest_array, digest_blocks
from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.ops.operator import Operator, Sequential

BLOCK_BYTES = 2**24  # of rows looked at together; a fit by blocks depends on it, so it is the same everywhere
Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Odd:
    """Values that are nan or infinite.

    Args:
        count: How many.
        first: Where the first one is: its record, then its place in the record.
        value: The first one.
    """

    count: int
    first: tuple[int, ...]
    value: float


@dataclass(frozen=True, slots=True)
class Survey:
    """What one pass over all rows has found.

    Args:
        digest: As `digest_array` of the whole.
        odd: Values that are not finite, if there are any.
    """

    digest: str
    odd: Odd | None


class LazyRows(ABC):
    """An array whose rows are read when it is sliced; only its rows can be asked for.

    A slice or an array of positions gives a fresh NumPy array, in the order asked for. `numpy.asarray` reads all.

    Args:
        shape: Of the whole, `(records, ...)`.
        dtype: Of what is given out.

    Example:
        >>> rows = EncodedRows(np.arange(6.0).reshape(3, 2), lambda x: x * 10)
        >>> rows.shape, rows[1:], rows[np.array([2, 0])][:, 0]
        ((3, 2), array([[20., 30.],
               [40., 50.]]), array([40.,  0.]))
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype = dtype

    @abstractmethod
    def gather(self, rows: Positions) -> Array:
        """Gives the rows at some positions, each from 0 to the number of rows less one."""

    @property
    def ndim(self) -> int:
        """Counts the axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Counts the elements."""
        return int(np.prod(self.shape, dtype=object))

    @property
    def nbytes(self) -> int:
        """Counts the bytes of the whole."""
        return self.size * self.dtype.itemsize

    @cached_property
    def survey(self) -> Survey:
        """Reads everything once: the digest, and what is not finite."""
        count, first = 0, cast(Odd | None, None)

        def watched() -> Iterator[Array]:
            nonlocal count, first
            begin = 0
            for block in self.blocks():
                found = find_odd(block)
                if found is not None:
                    count += found.count
                    first = first or Odd(1, (begin + found.first[0], *found.first[1:]), found.value)
                begin += len(block)
                yield block

        digest = digest_blocks(watched(), shape=self.shape, dtype=self.dtype)
        return Survey(digest, None if first is None else Odd(count, first.first, first.value))

    def blocks(self, rows: int | None = None) -> Iterator[Array]:
        """Yields all rows in order, some at a time; as many as make 16 MiB unless given."""
        return blocks_of(self, rows)

    def stand_in(self) -> Array:
        """Gives itself where an array is asked for but only its rows are used."""
        return cast(Array, self)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: slice | Positions) -> Array:
        if isinstance(key, slice):
            return self.gather(np.arange(*key.indices(len(self)), dtype=np.int64))
        if not isinstance(key, np.ndarray) or key.dtype.kind not in "iu" or key.ndim != 1:
            raise TypeError("rows that are not in memory are asked for by a slice or an array of positions")
        if len(key) and not 0 <= key.min() <= key.max() < len(self):
            raise IndexError(f"rows {key.min()} to {key.max()} of {len(self)}")
        return self.gather(key.astype(np.int64, copy=False))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("rows that are not in memory cannot be an array without a copy")
        return self[:].astype(dtype or self.dtype, copy=False)


class TakenRows(LazyRows):
    """Some rows of another array.

    Args:
        rows: The other one.
        positions: Which of them, in order.
    """

    def __init__(self, rows: LazyRows, positions: Positions) -> None:
        super().__init__((len(positions), *rows.shape[1:]), rows.dtype)
        self._rows, self._positions = rows, positions

    def gather(self, rows: Positions) -> Array:
        """Gives the rows at some positions."""
        return self._rows[self._positions[rows]]


class JoinedRows(LazyRows):
    """The rows of several arrays, one array after another.

    Args:
        parts: Lazy or not, with rows of one shape.
    """

    def __init__(self, parts: Sequence[Array]) -> None:
        self._parts = list(parts)
        self._begins = np.cumsum([0, *(len(one) for one in parts)])
        dtype = np.result_type(*(one.dtype for one in parts))
        super().__init__((int(self._begins[-1]), *parts[0].shape[1:]), dtype)

    def gather(self, rows: Positions) -> Array:
        """Gives the rows at some positions."""
        found = np.empty((len(rows), *self.shape[1:]), dtype=self.dtype)
        for number, part in enumerate(self._parts):
            mine = (rows >= self._begins[number]) & (rows < self._begins[number + 1])
            if mine.any():
                found[mine] = part[rows[mine] - self._begins[number]]
        return found


class EncodedRows(LazyRows):
    """Rows that go through a step when they are asked for.

    Args:
        rows: Lazy or not.
        encode: The step, which keeps the number of rows and treats each one by itself.
    """

    def __init__(self, rows: Array, encode: Callable[[Array], Array]) -> None:
        one = encode(rows[:1])
        super().__init__((len(rows), *one.shape[1:]), one.dtype)
        self._rows, self._encode = rows, encode

    def gather(self, rows: Positions) -> Array:
        """Gives the rows at some positions.

        Raises:
            DataError: If the step gives another number of rows than it was given.
        """
        found = self._encode(self._rows[rows])
        if len(found) != len(rows):
            raise DataError(f"{len(found)} records were made of {len(rows)}; an operator keeps their number")
        return found


def is_lazy(x: Any) -> TypeGuard[LazyRows]:
    """Says whether the rows of an array are read when it is sliced."""
    return isinstance(x, LazyRows)


def take_rows(x: Array, positions: Positions) -> Array:
    """Gives the rows at some positions; lazy rows stay lazy."""
    return TakenRows(x, positions).stand_in() if is_lazy(x) else x[positions]


def join_rows(first: Array, second: Array) -> Array:
    """Puts the rows of two arrays one after another; if one of them is lazy, the result is."""
    if is_lazy(first) or is_lazy(second):
        return JoinedRows([first, second]).stand_in()
    return np.concatenate([first, second])


def encode_rows(x: Array, encode: Callable[[Array], Array]) -> Array:
    """Puts rows through a step that treats each one by itself; lazy rows when they are asked for."""
    return EncodedRows(x.stand_in(), encode).stand_in() if is_lazy(x) else encode(x)


def digest_rows(x: Array) -> str:
    """Names an array as `digest_array` does, block by block if it is lazy."""
    return x.survey.digest if is_lazy(x) else digest_array(x)


def find_odd(x: Array) -> Odd | None:
    """Finds nan and infinities.

    Example:
        >>> find_odd(np.array([1.0, np.nan, np.inf]))
        Odd(count=2, first=(1,), value=nan)
    """
    if is_lazy(x):
        return x.survey.odd
    if x.dtype.kind != "f":
        return None
    good = np.isfinite(cast(Any, x))
    if good.all():
        return None
    bad = np.argwhere(~good)
    first = tuple(bad[0].tolist())
    return Odd(len(bad), first, float(cast(Any, x[first])))


def blocks_of(x: Array | LazyRows, rows: int | None = None) -> Iterator[Array]:
    """Yields the rows of an array in order, some at a time; as many as make 16 MiB unless given."""
    step = rows or _block_rows(x)
    for begin in range(0, len(x), step):
        yield x[begin : begin + step]


def fit_rows(op: Operator, x: Array) -> Operator:
    """Fits an operator on the rows of an array, block by block where they are more than one block.

    Blocks are the same whether the rows are in memory or not, and so is what is learnt, to the last bit.

    Raises:
        DataError: If lazy rows make more than one block and the operator cannot be fitted on blocks.
    """
    if isinstance(op, Sequential):
        steps: list[Operator] = []
        for step in op.steps:
            steps.append(fit_rows(step, x))
            x = encode_rows(x, steps[-1])
        return replace(op, steps=tuple(steps))
    if len(x) <= _block_rows(x):
        return op.fit(x[:])
    if _own(op, "fit_blocks"):
        fitted: Operator = op.fit_blocks(lambda: blocks_of(x))
        return fitted
    if not is_lazy(x):
        return op.fit(x)
    if not _own(op, "fit"):
        return op  # it learns nothing
    raise DataError(
        f"{type(op).__name__} cannot be fitted on data that is read in parts; choose another operator, "
        "or data.in_memory: true"
    )


def _own(op: Operator, method: str) -> bool:
    return getattr(type(op), method, None) is not getattr(Operator, method, None)


def _block_rows(x: Array | LazyRows) -> int:
    return max(1, BLOCK_BYTES * len(x) // max(1, x.nbytes))
