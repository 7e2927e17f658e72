"""Takes columns of text for dates and times: ISO 8601, and what people write by hand."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.data.arrow import BLANK, arrow_texts_of, to_array
from trainwright.data.texts import arrow_texts

Times = NDArray[np.datetime64]

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
ISO = "ISO 8601"
_TIME = r"(?: +(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?)?"
_ZONE = r"(?:Z|(?P<sign>[+-])(?P<off_hour>\d{2}):?(?P<off_minute>\d{2}))"
_PATTERNS = {
    ISO: r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"
    r"(?:[Tt ](?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)? ?(?P<zone>"
    + _ZONE
    + ")?)?",
    "DD.MM.YYYY": r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})" + _TIME,
    "DD/MM/YYYY": r"(?P<day>\d{1,2})/(?P<month>\d{1,2})/(?P<year>\d{4})" + _TIME,
    "MM/DD/YYYY": r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})" + _TIME,
    "YYYY/MM/DD": r"(?P<year>\d{4})/(?P<month>\d{1,2})/(?P<day>\d{1,2})" + _TIME,
    "DD Mon YYYY": r"(?P<day>\d{1,2}) (?P<name>[A-Za-z]{3}) (?P<year>\d{4})" + _TIME,
}
FORMATS = tuple(_PATTERNS)
_ZERO, _MINUS = arrow_texts_of(["0", "-"])
_HIGHEST = {"hour": 23, "minute": 59, "second": 59, "off_hour": 23, "off_minute": 59}


def parse_datetimes(values: Any, *, format: str | None = None) -> Times:  # noqa: A002 (the field's word)
    """Reads a column as moments of time.

    Times with an offset are turned into UTC; times without one are taken as they stand. Fractions of a second are
    dropped, towards the past.

    Args:
        values: Text as `arrow_texts` takes it, or dates and timestamps of Arrow or NumPy, shape `(records,)`.
        format: One of `FORMATS`; ISO 8601 is taken besides, because it cannot be mistaken. None finds the one that
            fits all values.

    Returns:
        Seconds (`datetime64[s]`), shape `(records,)`, NaT where a value is missing.

    Raises:
        DataError: If a text does not fit the format or names a day that there is not, if several formats fit and
            none was named, if some times have an offset and others none, or if the values are neither text nor times.

    Example:
        >>> parse_datetimes(["29.02.2024 12:30", None])
        array(['2024-02-29T12:30:00',                 'NaT'],
              dtype='datetime64[s]')
        >>> parse_datetimes(["2024-01-01T00:30:00+02:00"])
        array(['2023-12-31T22:30:00'], dtype='datetime64[s]')
    """
    if _are_times(values):
        return _seconds(values)
    column = arrow_texts(values)
    present = to_array(column.is_valid())
    if not present.any():
        return np.full(len(column), np.datetime64("NaT", "s"))
    chosen = format or looks_like_dates(column) or _most_fitting(column)
    if chosen not in _PATTERNS:
        raise ValueError(f"the format is one of {FORMATS}, not {chosen!r}")
    times, fits, zoned = _read(column, chosen)
    if format not in (None, ISO) and not fits[present].any():
        plain = _read(column, ISO)
        times, fits, zoned = plain if plain[1][present].all() else (times, fits, zoned)
    bad = np.flatnonzero(present & ~fits)
    if len(bad):
        first = int(bad[0])
        wanted = (
            f"in the format {chosen}"
            if format or fits.any()
            else f"in any of the formats {', '.join(FORMATS)}"
        )
        others = f" ({len(bad)} such texts in all)" if len(bad) > 1 else ""
        raise DataError(
            f"record {first} holds {column[first].as_py()[:80]!r}, which is no date {wanted}{others}"
        )
    if (zoned & present).any() and (~zoned & present).any():
        bare = int(np.flatnonzero(~zoned & present)[0])
        raise DataError(
            f"record {bare} holds {column[bare].as_py()!r} without an offset from UTC, others have one; "
            "give each one or none"
        )
    return times


def looks_like_dates(texts: Any) -> str | None:
    """Finds the format in which every text of a column is a date.

    Args:
        texts: As `arrow_texts` takes them, shape `(records,)`.

    Returns:
        One of `FORMATS`; None if none fits all texts, or all are missing.

    Raises:
        DataError: If no day is above 12, so that day and month cannot be told apart.

    Example:
        >>> looks_like_dates(["31/01/2024", "01/02/2024"]), looks_like_dates(["2024-01-31"]), looks_like_dates(["7"])
        ('DD/MM/YYYY', 'ISO 8601', None)
    """
    column = pc.drop_null(arrow_texts(texts))
    if not len(column):
        return None
    # The first text alone rules most formats out, so that long columns are read once.
    found = [
        one for one in FORMATS if _read(column.slice(0, 1), one)[1].all() and _read(column, one)[1].all()
    ]
    if len(found) > 1:
        raise DataError(
            f"{column[0].as_py()!r} may be {' or '.join(found)}, and no other value of the column tells"
        )
    return found[0] if found else None


def _most_fitting(column: Any) -> str:
    return max(FORMATS, key=lambda one: np.count_nonzero(_read(column, one)[1]))


def _read(column: Any, form: str) -> tuple[Times, NDArray[np.bool_], NDArray[np.bool_]]:
    """Gives the times, NaT where a text does not fit; which texts fit; which have an offset from UTC."""
    found = pc.extract_regex(column, f"^(?:{_PATTERNS[form]})$")
    fits: NDArray[np.bool_] = to_array(found.is_valid())
    names = {field.name for field in found.type}

    def text(name: str) -> Any:
        return pc.fill_null(pc.struct_field(found, name), BLANK)

    def number(name: str) -> NDArray[np.int64]:
        if name not in names:
            return np.zeros(len(column), dtype=np.int64)
        written = text(name)
        numbers = pc.cast(pc.if_else(pc.equal(written, BLANK), _ZERO, written), pa.int64())
        return to_array(numbers)

    month = _months(text("name")) if "name" in names else number("month")
    year, day = number("year"), number("day")
    fits = fits & (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    fits &= days.astype("datetime64[M]") == months  # 31 April would be in May
    clock = {name: number(name) for name in _HIGHEST}
    for name, highest in _HIGHEST.items():
        fits &= clock[name] <= highest
    offset = clock["off_hour"] * 3600 + clock["off_minute"] * 60
    behind = to_array(pc.equal(text("sign"), _MINUS)) if "sign" in names else False
    seconds = (
        clock["hour"] * 3600 + clock["minute"] * 60 + clock["second"] - np.where(behind, -offset, offset)
    )
    times = days.astype("datetime64[s]") + seconds
    times[~fits] = np.datetime64("NaT")
    zoned = to_array(pc.not_equal(text("zone"), BLANK)) if "zone" in names else np.zeros_like(fits)
    return times, fits, zoned


def _months(names: Any) -> NDArray[np.int64]:
    """Numbers the names of months from 1; 0 stands for no month."""
    place = pc.index_in(pc.utf8_lower(names), value_set=arrow_texts_of(MONTHS))
    numbers: NDArray[np.int64] = np.nan_to_num(to_array(place), nan=-1).astype(np.int64)
    return numbers + 1


def _are_times(values: Any) -> bool:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return bool(pa.types.is_timestamp(values.type) or pa.types.is_date(values.type))
    return isinstance(values, np.ndarray) and values.dtype.kind == "M"


def _seconds(values: Any) -> Times:
    found = values
    if isinstance(values, pa.ChunkedArray):
        found = values.combine_chunks()
    if isinstance(found, pa.Array):
        found = to_array(found)  # of times with a zone: UTC
    return np.asarray(found).astype("datetime64[s]")
