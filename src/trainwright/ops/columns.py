"""An operator that makes one matrix of the columns of a table."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar, Self

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.ops.operator import Blocks, Operator

Table = Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Columns(Operator):
    """Gives each column of a table to an operator of its own; side by side, what comes out is one matrix.

    Args:
        of: The operator of each column, by its name, in the order of the matrix: a mapping, or pairs of name
            and operator. It is kept and written down as pairs, because JSON does not keep the order of keys.
        widths: Learnt by `fit`: how many columns of the matrix each one becomes.

    Raises:
        DataError: If it is applied before it was fitted, a column is not there, or its operator refuses it.

    Example:
        >>> from trainwright.ops.categories import OneHot
        >>> from trainwright.ops.scaling import Standardize
        >>> table = {"age": np.array([30.0, 50.0]), "sex": np.array(["f", "m"])}
        >>> columns = Columns(of={"sex": OneHot(), "age": Standardize()}).fit(table)
        >>> columns(table)
        array([[ 1.,  0., -1.],
               [ 0.,  1.,  1.]], dtype=float32)
        >>> columns.names
        ['sex=f', 'sex=m', 'age']
    """

    of: Mapping[str, Operator] | Sequence[tuple[str, Operator]]
    widths: tuple[int, ...] | None = None

    catalog_name: ClassVar[str | None] = "Columns"

    def __post_init__(self) -> None:
        pairs = tuple(self.of.items()) if isinstance(self.of, Mapping) else tuple(map(tuple, self.of))
        if not pairs:
            raise ValueError("of holds at least one column")
        for pair in pairs:
            if len(pair) != 2 or not isinstance(pair[0], str) or not isinstance(pair[1], Operator):
                raise TypeError(f"of holds an operator for each name of a column, not {pair!r:.80}")
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            raise ValueError(f"the column {max(names, key=names.count)!r} is there twice")
        object.__setattr__(self, "of", pairs)
        if self.widths is not None:
            if len(self.widths) != len(pairs):
                raise ValueError("widths and of do not belong together")
            object.__setattr__(self, "widths", tuple(self.widths))

    @property
    def operators(self) -> dict[str, Operator]:
        """Gives the operator of each column, in order."""
        return dict(self.of)

    @property
    def names(self) -> list[str]:
        """Names the columns of the matrix, such as `age`, `sex=m`, `date.month`, `age.missing`.

        Raises:
            DataError: If it was not fitted.
        """
        found: list[str] = []
        for (name, op), width in zip(self.operators.items(), self._learnt(), strict=True):
            own = op.output_names(name)
            found += own if len(own) == width else [f"{name}[{number}]" for number in range(width)]
        return found

    @property
    def categories(self) -> list[int]:
        """Says for each column of the matrix how many codes it has (0 for missing is one), 0 for a number.

        Raises:
            DataError: If it was not fitted.
        """
        pairs = zip(self.operators.values(), self._learnt(), strict=True)
        return [codes for op, width in pairs for codes in op.output_categories(width)]

    def fit(self, x: Table) -> Self:
        """Fits each operator on its column.

        Raises:
            DataError: If a column is not there, or its operator cannot be fitted; the column is named.
        """
        return self._fit(lambda name, op: op.fit(_column(x, name)), x)

    def fit_blocks(self, blocks: Blocks) -> Self:
        """Fits each operator on its column, a part of the table at a time.

        Raises:
            DataError: If an operator must see its whole column at once.
        """
        first = next(blocks(), None)
        if first is None:
            raise DataError("Columns cannot be fitted on no records")

        def column_of(name: str) -> Callable[[], Iterator[Array]]:
            return lambda: (_column(block, name) for block in blocks())

        return self._fit(lambda name, op: op.fit_blocks(column_of(name)), first)

    def __call__(self, x: Table) -> Array:
        """Gives float32 values, shape `(records, columns)`. What is in `x` besides its columns is ignored."""
        widths, parts = self._learnt(), []
        for (name, op), width in zip(self.operators.items(), widths, strict=True):
            with _naming(name):
                part = _matrix(op(_column(x, name)))
            if part.shape[1] != width:
                raise DataError(
                    f"column {name!r}: it became {part.shape[1]} columns, not {width} as in training"
                )
            parts.append(part)
        lengths = {name: len(part) for (name, _), part in zip(self.of, parts, strict=True)}
        if len(set(lengths.values())) > 1:
            raise DataError(f"the columns are of different lengths: {lengths}")
        with np.errstate(over="ignore"):
            joined: Array = np.concatenate([part.astype(np.float32) for part in parts], axis=1)
        return joined

    def output_names(self, *names: str) -> list[str]:
        """Names the columns of the matrix."""
        del names
        return self.names

    def output_categories(self, count: int) -> list[int]:
        """Says how many codes each column of the matrix has."""
        del count
        return self.categories

    def _fit(self, fit: Callable[[str, Operator], Operator], sample: Table) -> Self:
        fitted, widths = [], []
        for name, op in self.operators.items():
            with _naming(name):
                one = fit(name, op)
                fitted.append((name, one))
                widths.append(_matrix(one(_column(sample, name)[:1])).shape[1])
        return replace(self, of=tuple(fitted), widths=tuple(widths))

    def _learnt(self) -> tuple[int, ...]:
        if self.widths is None:
            raise DataError("Columns was applied before it was fitted")
        return self.widths


@contextmanager
def _naming(column: str) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise DataError(f"column {column!r}: {error}") from error


def _column(table: Table, name: str) -> Array:
    if not isinstance(table, Mapping):
        raise DataError(f"Columns takes arrays by the name of their column, not a {type(table).__name__}")
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"nearest: {near[0]!r}" if near else f"there are: {', '.join(map(repr, table))}"
        raise DataError(f"it is not in the data, {hint}")
    column = table[name]
    if column.ndim != 1:
        raise DataError(f"a column has one value per record, this one has {column.shape[1:]}")
    return column


def _matrix(part: Array) -> Array:
    if part.dtype.kind not in "biuf":
        raise DataError(f"what comes out is {part.dtype}, not numbers; end with OneHot, Ordinal or DateParts")
    return part.reshape(len(part), prod(part.shape[1:]))
