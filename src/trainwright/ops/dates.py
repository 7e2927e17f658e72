"""An operator that takes dates apart."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.ops.operator import Blocks, Operator

Part = Literal["year", "month", "day", "weekday", "dayofyear", "hour", "minute", "elapsed"]
_DAY = 86_400  # seconds
_THURSDAY = 3  # 1970-01-01, where the seconds begin, counted from Monday
_EARLIEST, _LATEST = (int(np.datetime64(day, "s").astype(np.int64)) for day in ("0001-01-01", "9999-12-31"))
_STEADY = ("year", "elapsed")  # what never comes again


@dataclass(frozen=True, eq=False)
class DateParts(Operator):
    r"""Takes dates apart into numbers.

    With `cyclic`, a part that comes again (all but `year` and `elapsed`) becomes two numbers,

    .. math:: \sin 2 \pi \varphi, \quad \cos 2 \pi \varphi

    where :math:`\varphi \in [0, 1)` is the place in its period: in 12 months, in the days of this month, in 7
    days, in the days of this year, in 24 hours, in 60 minutes.

    Args:
        parts: Any of `year`, `month` (from 1), `day` (from 1), `weekday` (Monday is 0), `dayofyear` (from 1),
            `hour`, `minute`, `elapsed` (days since the first date of train, with fractions).
        cyclic: Whether parts that come again are given by sine and cosine.
        start: Learnt by `fit` for `elapsed`: the first date of each column, seconds since 1970-01-01 UTC.

    Raises:
        DataError: If it is applied before it was fitted, or to values that are no dates.

    Example:
        >>> dates = np.array(["2024-02-29T12:30", "NaT"], dtype="datetime64[s]")
        >>> DateParts(parts=("month", "day", "hour"))(dates)
        array([[ 2., 29., 12.],
               [nan, nan, nan]])
    """

    parts: tuple[Part, ...] = ("year", "month", "day", "weekday")
    cyclic: bool = False
    start: tuple[int, ...] | None = None

    catalog_name: ClassVar[str | None] = "DateParts"

    def __post_init__(self) -> None:
        if isinstance(self.parts, str) or not self.parts:
            raise ValueError("parts is a list of at least one part")
        object.__setattr__(self, "parts", tuple(self.parts))
        for part in self.parts:
            if part not in get_args(Part):
                raise ValueError(f"parts are {', '.join(get_args(Part))}, not {part!r}")
        if len(set(self.parts)) < len(self.parts):
            raise ValueError("a part is there twice")
        if self.start is not None:
            object.__setattr__(self, "start", tuple(int(one) for one in self.start))

    def fit(self, x: Array) -> Self:
        """Learns the first date of each column, if `elapsed` is asked for.

        Raises:
            DataError: If the values are no dates, or a column has none.
        """
        return self.fit_blocks(lambda: iter((x,)))

    def fit_blocks(self, blocks: Blocks) -> Self:
        """Learns the same from records in parts."""
        start: list[int] = []
        for block in blocks():
            seconds, missing = _seconds(block)
            first = np.where(missing, _LATEST + 1, seconds).min(axis=0, initial=_LATEST + 1).tolist()
            start = [min(pair) for pair in zip(start or first, first, strict=True)]
        if "elapsed" not in self.parts:
            return self
        if not start or max(start) > _LATEST:
            raise DataError(
                "DateParts cannot be fitted: a column has no date in any record; leave it out of the features"
            )
        return replace(self, start=tuple(start))

    def __call__(self, x: Array) -> Array:
        """Gives float64 numbers, shape `(records, numbers)`; nan for what is no time (NaT)."""
        seconds, missing = _seconds(x)
        if "elapsed" in self.parts:
            if self.start is None:
                raise DataError("DateParts was applied before it was fitted")
            if len(self.start) != seconds.shape[1]:
                raise DataError(
                    f"DateParts was fitted on {len(self.start)} columns, these are {seconds.shape[1]}"
                )
        found: list[Any] = []
        for number in range(seconds.shape[1]):
            for value in self._numbers(np.where(missing[:, number], 0, seconds[:, number]), number):
                found.append(np.where(missing[:, number], np.nan, value))
        joined: Array = np.stack(found, axis=1)
        return joined

    def output_names(self, *names: str) -> list[str]:
        """Names the columns `name.part`, or `name.part.sin` and `name.part.cos`."""
        return [
            f"{name}.{part}{ending}"
            for name in names
            for part in self.parts
            for ending in ((".sin", ".cos") if self.cyclic and part not in _STEADY else ("",))
        ]

    def _numbers(self, seconds: NDArray[np.int64], number: int) -> Sequence[Any]:
        day_number = seconds // _DAY
        date = day_number.astype("datetime64[D]")
        month, year = date.astype("datetime64[M]"), date.astype("datetime64[Y]")
        first_of_month, first_of_year = month.astype("datetime64[D]"), year.astype("datetime64[D]")
        found: list[Any] = []
        for part in self.parts:
            if part == "year":
                found.append(year.astype(np.int64) + 1970)
                continue
            if part == "elapsed":
                assert self.start is not None
                found.append((seconds - self.start[number]) / _DAY)
                continue
            value: Any
            period: Any
            match part:
                case "month":
                    value, first, period = month.astype(np.int64) % 12 + 1, 1, 12
                case "day":
                    value, first, period = _days(first_of_month, date) + 1, 1, _days(month, month + 1)
                case "weekday":
                    value, first, period = (day_number + _THURSDAY) % 7, 0, 7
                case "dayofyear":
                    value, first, period = _days(first_of_year, date) + 1, 1, _days(year, year + 1)
                case "hour":
                    value, first, period = seconds % _DAY // 3600, 0, 24
                case "minute":
                    value, first, period = seconds % 3600 // 60, 0, 60
            angle = 2.0 * np.pi * (value - first) / period
            found += [np.sin(angle), np.cos(angle)] if self.cyclic else [value]
        return found


def _days(begin: Any, end: Any) -> Any:
    return (end.astype("datetime64[D]") - begin.astype("datetime64[D]")).astype(np.int64)


def _seconds(x: Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Gives seconds since 1970-01-01 and what is missing, both of shape `(records, columns)`."""
    if x.dtype.kind not in "iuM" or x.ndim not in (1, 2):
        raise DataError(
            f"DateParts takes columns of datetime64, or integers that are seconds since 1970-01-01, not {x.dtype} "
            f"of shape {x.shape[1:]}"
        )
    columns: Any = x[:, None] if x.ndim == 1 else x
    missing = np.isnat(columns) if x.dtype.kind == "M" else np.zeros(columns.shape, dtype=np.bool_)
    wide = columns.astype("datetime64[s]").astype(np.int64) if x.dtype.kind == "M" else columns
    wrong = ~missing & ((wide < _EARLIEST) | (wide > _LATEST))
    if wrong.any():
        record = int(np.argwhere(wrong)[0, 0])
        raise DataError(
            f"record {record} holds {wide[wrong][0]} seconds since 1970-01-01, which is not in the years 1 to "
            "9999; divide milliseconds by 1000"
        )
    return wide.astype(np.int64), missing
