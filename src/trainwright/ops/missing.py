"""Fills values that are missing."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.ops.operator import Operator

Strategy = Literal["mean", "median", "most_frequent", "constant"]


@dataclass(frozen=True, eq=False)
class Impute(Operator):
    """Fills what is missing, nan among numbers and "" among text, with one value per column.

    Args:
        strategy: `mean` or `median` of the values that are there (numbers only), the `most_frequent` one (the
            smallest of several), or a `constant`.
        value: The constant, a number or text, for the strategy `constant`.
        indicator: Adds a column per column, after all of them, with 1 where a value was missing (numbers
            only: for text, OneHot and Ordinal have a place for "" of their own).
        fill: Learnt by `fit`, shape of one record: `()` or `(columns,)`.

    Raises:
        DataError: If it is applied before it was fitted, or to columns of another kind or number.

    Example:
        >>> x = np.array([[1.0, np.nan], [3.0, 5.0]])
        >>> Impute(indicator=True).fit(x)(x)
        array([[1., 5., 0., 1.],
               [3., 5., 0., 0.]])
    """

    strategy: Strategy = "mean"
    value: float | str | None = None
    indicator: bool = False
    fill: Array | None = None

    catalog_name: ClassVar[str | None] = "Impute"

    def __post_init__(self) -> None:
        if self.strategy not in ("mean", "median", "most_frequent", "constant"):
            raise ValueError(
                f"strategy is `mean`, `median`, `most_frequent` or `constant`, not {self.strategy!r}"
            )
        if (self.value is None) == (self.strategy == "constant"):
            raise ValueError("a value is given for the strategy `constant`, and only for it")
        if self.value == "" or self.value != self.value:
            raise ValueError(f"the value {self.value!r} is itself what counts as missing")
        if self.fill is not None:
            fill = np.asarray(self.fill)
            object.__setattr__(self, "fill", fill if fill.dtype.kind == "U" else fill.astype(np.float64))

    def fit(self, x: Array) -> Self:
        """Learns what to fill in.

        Raises:
            DataError: If there are no records, a column has no value at all, or its values do not go with the
                strategy.
        """
        missing = _missing(x)
        text = x.dtype.kind == "U"
        if len(x) == 0:
            raise DataError("Impute cannot be fitted on no records")
        if text and self.strategy in ("mean", "median"):
            raise DataError(f"the {self.strategy} is for numbers; for text use most_frequent or constant")
        if text and self.indicator:
            raise DataError('Impute(indicator=True) is for numbers; OneHot and Ordinal have a place for ""')
        if self.strategy == "constant":
            if isinstance(self.value, str) != text:
                raise DataError(f"the value {self.value!r} does not go with a column of {x.dtype}")
            return replace(self, fill=np.full(x.shape[1:], self.value))
        columns, gaps = _matrix(x), _matrix(missing)
        fills = []
        for number in range(columns.shape[1]):
            there = columns[~gaps[:, number], number]
            if len(there) == 0:
                what = "the column has" if x.ndim == 1 else f"column {number} has"
                raise DataError(
                    f"{what} no value in any record, so there is nothing to learn; leave it out of the "
                    "features, or give strategy: constant with a value"
                )
            fills.append(self._typical(there))
        return replace(self, fill=np.array(fills).reshape(x.shape[1:]))

    def __call__(self, x: Array) -> Array:
        """Gives `x` without gaps; with the indicator shape `(records, 2)` or `(records, 2 * columns)`.

        Float32 stays float32; a column of integers has no gaps and stays as it is.
        """
        if self.fill is None:
            raise DataError("Impute was applied before it was fitted")
        missing = _missing(x)
        if (x.dtype.kind == "U") != (self.fill.dtype.kind == "U"):
            raise DataError(f"Impute was fitted on columns of another kind; these are {x.dtype}")
        if x.shape[1:] != self.fill.shape:
            raise DataError(
                f"Impute was fitted on records of shape {self.fill.shape}, these have {x.shape[1:]}"
            )
        filled: Array = x
        if missing.any():
            fill = self.fill.astype(x.dtype) if x.dtype.kind == "f" else self.fill
            filled = np.where(missing, fill, x)
        if not self.indicator:
            return filled
        kind = np.float32 if x.dtype == np.float32 else np.float64
        both: list[Any] = [_matrix(part).astype(kind) for part in (filled, missing)]
        joined: Array = np.concatenate(both, axis=1)
        return joined

    def output_names(self, *names: str) -> list[str]:
        """Names the columns: their own names, and `name.missing` for indicators."""
        return [*names, *(f"{name}.missing" for name in names if self.indicator)]

    def _typical(self, there: Array) -> Any:
        numbers: Any = there
        if self.strategy == "most_frequent":
            values, counts = np.unique(numbers, return_counts=True)
            found = values[np.argmax(counts)]
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                found = (np.mean if self.strategy == "mean" else np.median)(numbers.astype(np.float64))
        if there.dtype.kind == "f" and not np.isfinite(found):
            raise DataError("Impute cannot be fitted: the records hold inf, or values too large")
        return found


def _matrix(x: Any) -> Any:
    return x[:, None] if x.ndim == 1 else x


def _missing(x: Array) -> Any:
    if x.dtype.kind not in "biufU":
        raise DataError(f"Impute takes numbers or text, not {x.dtype}")
    if x.ndim not in (1, 2):
        raise DataError(f"Impute takes columns, not records of shape {x.shape[1:]}")
    if x.dtype.kind == "U":
        return x == ""
    return np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, dtype=np.bool_)
