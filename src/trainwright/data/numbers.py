"""Takes columns of text for numbers: `1.234,5`, `1,234.5`, `1 234,5`."""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.data.texts import arrow_texts

DECIMAL_MARKS = (".", ",")
_SPACES = " \u00a0\u2009\u202f"  # plain, no-break, thin, and narrow no-break: all stand between thousands


def parse_numbers(texts: Any, *, decimal: str) -> NDArray[np.float64]:
    """Reads a column of text as numbers.

    The other one of the marks `.` and `,`, or a space, may stand between groups of three digits, and an exponent may
    follow a number without groups. Percent signs, units and words such as `inf` are no numbers.

    Args:
        texts: As `arrow_texts` takes them, shape `(records,)`.
        decimal: The decimal mark, `.` or `,`.

    Returns:
        Shape `(records,)`, NaN where a text is missing.

    Raises:
        DataError: If a text is no number or larger than a float64 holds; the first one is named with its record.

    Example:
        >>> parse_numbers(["1.234,5", " -7 ", "", "1 000 000"], decimal=",")
        array([ 1.2345e+03, -7.0000e+00,         nan,  1.0000e+06])
    """
    column = arrow_texts(texts)
    _refuse(column, ~_fits(column, decimal), why=f"which is no number with the decimal mark {decimal!r}")
    numbers = _convert(column, decimal)
    _refuse(column, np.isinf(numbers), why="which is larger than a float64 holds")
    return numbers


def looks_like_numbers(texts: Any) -> str | None:
    """Finds the decimal mark with which every text of a column is a number.

    Args:
        texts: As `arrow_texts` takes them, shape `(records,)`.

    Returns:
        `.` or `,`; None if a text is no number with either, or all are missing.

    Raises:
        DataError: If every text is a number with either mark, but not the same one, such as `1,234`.

    Example:
        >>> looks_like_numbers(["1.234,5", "7"]), looks_like_numbers(["7", None]), looks_like_numbers(["7 kg"])
        (',', '.', None)
    """
    column = pc.drop_null(arrow_texts(texts))
    marks = [mark for mark in DECIMAL_MARKS if len(column) and bool(_fits(column, mark).all())]
    if len(marks) < 2:
        return marks[0] if marks else None
    point, comma = (_convert(column, mark) for mark in marks)
    different = np.flatnonzero(point != comma)
    if len(different):
        first = int(different[0])
        raise DataError(
            f"{column[first].as_py()!r} may be {point[first]:g} or {comma[first]:g}, and so may every number "
            "of the column be read in two ways; name the decimal mark"
        )
    return marks[0]


def _pattern(decimal: str) -> str:
    if decimal not in DECIMAL_MARKS:
        raise ValueError(f"the decimal mark is one of {DECIMAL_MARKS}, not {decimal!r}")
    mark, other = re.escape(decimal), re.escape("." if decimal == "," else ",")
    # A first group of 0 is no group of thousands: `0,125` is a fraction.
    grouped = rf"[1-9]\d{{0,2}}(?:(?:{other}\d{{3}})+|(?:[{_SPACES}]\d{{3}})+)(?:{mark}\d*)?"
    plain = rf"(?:\d+(?:{mark}\d*)?|{mark}\d+)(?:[eE][+-]?\d+)?"
    return f"^[+-]?(?:{plain}|{grouped})$"


def _fits(column: Any, decimal: str) -> NDArray[np.bool_]:
    """Says of each text whether it is a number or missing."""
    fits = pc.fill_null(pc.match_substring_regex(column, _pattern(decimal)), True)
    found: NDArray[np.bool_] = fits.to_numpy(zero_copy_only=False)
    return found


def _convert(column: Any, decimal: str) -> NDArray[np.float64]:
    other = "." if decimal == "," else ","
    bare = pc.replace_substring_regex(column, f"[{other}{_SPACES}]", "")
    numbers = pc.cast(pc.replace_substring(bare, decimal, "."), pa.float64())
    found: NDArray[np.float64] = numbers.to_numpy(zero_copy_only=False)  # null becomes NaN
    return found


def _refuse(column: Any, bad: NDArray[np.bool_], *, why: str) -> None:
    found = np.flatnonzero(bad)
    if len(found):
        first = int(found[0])
        count = f" ({len(found)} such texts in all)" if len(found) > 1 else ""
        raise DataError(f"record {first} holds {column[first].as_py()[:80]!r}, {why}{count}")
