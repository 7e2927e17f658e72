"""What the columns of a table are: numbers, categories, dates, or names of records."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trainwright.base.bounds import excerpt
from trainwright.base.errors import DataError
from trainwright.base.jsontext import write_json
from trainwright.base.tree import Array
from trainwright.data import csvtext
from trainwright.data.arrow import to_array
from trainwright.data.datetimes import looks_like_dates, parse_datetimes
from trainwright.data.frame import is_blank
from trainwright.data.schema import Column
from trainwright.data.spelling import spell
from trainwright.data.texts import text_array

if TYPE_CHECKING:
    from trainwright.data.tables import Table

MOST_CATEGORIES = 100
MOSTLY = 0.8  # a column of which this share is numbers was meant to be numeric
_TRUE = frozenset({"true", "yes", "y", "t", "on", "1"})
_FALSE = frozenset({"false", "no", "n", "f", "off", "0"})
_PLAIN = re.compile(r"[+-]?(\d++(\.\d*+)?|\.\d++)([eE][+-]?\d++)?", re.ASCII)  # `float` also takes 1_000
_POINT_GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})++")
_NUMERIC = ("int", "uint", "float", "double", "halffloat", "decimal")
_ID_NAME = re.compile(r"(.*[_\s])?(id|index|idx|uuid|guid|row|rownum|unnamed.*)|.*(Id|ID)|", re.IGNORECASE)


def infer_column(table: "Table", name: str) -> Column:
    """Tells from its values what a column is.

    Raises:
        DataError: If nearly all its values are numbers, but not all.
    """
    found = table.decoded(name)
    count = len(found)
    texts = _texts(found)
    if texts is None:
        return _of_typed(table, name, found)
    there = [one for one in texts if one]
    distinct, missing = len(set(there)), count - len(there)
    if not there:
        return Column(name, "text", False, missing, 0, "it has no values")
    numbers = _numbers(texts, table.decimal)
    _check_points(table, name, texts)
    meant = sum(one not in csvtext.MISSING for one in there)
    good = int(np.isfinite(numbers).sum())
    if good and good == meant:
        return _numeric(table, name, numbers, "its text is numbers")
    if good >= MOSTLY * max(1, meant) and len(np.unique(numbers[np.isfinite(numbers)])) > 2:
        raise DataError(_mixed(table, name, texts, numbers))
    _check_commas(table, name, there)
    words = {one.lower() for one in set(there)}
    if words <= (_TRUE | _FALSE) and len(words) == 2:
        return Column(name, "boolean", True, missing, distinct, "its words are yes and no")
    form = find_format(table, name)
    if form is not None:
        return Column(name, "datetime", distinct > 1, missing, distinct, "its text is dates", form)
    return _categories(name, distinct, len(there), missing)


def read_column(table: "Table", name: str, kind: str, *, form: str | None = None) -> Array:
    """Gives the values of a column as its kind says.

    Args:
        table: Where it is.
        name: Of the column.
        kind: One of `KINDS`.
        form: How dates that are text are written; None goes by the values.

    Returns:
        `numeric` and `boolean`: float64, nan where there is no value. `categorical` and `text`: text, blank where
        there is none. `datetime`: datetime64 in seconds, NaT where there is none.

    Raises:
        DataError: If a value is not of the kind; the first one is named with its line.
    """
    found = table.decoded(name)
    if kind in ("numeric", "boolean"):
        return _as_numbers(table, name, found, kind)
    if kind == "datetime":
        return _as_dates(table, name, found, form)
    return _as_text(table, name, found)


def find_format(table: "Table", name: str) -> str | None:
    """Finds how the dates of a column of text are written; None if they are no dates, or no text.

    Raises:
        DataError: If day and month cannot be told apart.
    """
    texts = _texts(table.decoded(name))
    if texts is None:
        return None
    try:
        return looks_like_dates([one for one in texts if one])
    except DataError as error:
        quoted = write_json(name)
        raise DataError(
            f"{table.name}: column {name!r}: {error}; say how they are written: "
            f"data.columns: [{{name: {quoted}, format: DD/MM/YYYY}}], or write them as YYYY-MM-DD"
        ) from error


def check_missing(frame: Mapping[str, Array], table: "Table", *, at: str) -> None:
    """Refuses records without a value.

    Raises:
        DataError: If there is one; its line, how many there are and the cure are named.
    """
    holes = {name: np.flatnonzero(is_blank(column)) for name, column in frame.items()}
    holes = {name: places for name, places in holes.items() if len(places)}
    if not holes:
        return
    name, places = next(iter(holes.items()))
    total = sum(len(one) for one in holes.values())
    more = f" ({total} values missing in all, in {len(holes)} columns)" if total > 1 else ""
    raise DataError(
        f"{at}{table.name}: column {name!r} has no value in {table.place(int(places[0]))}{more}; "
        "write `missing: impute` or `missing: drop`, or mend the file"
    )


def _of_typed(table: "Table", name: str, found: Any) -> Column:
    """Judges a column that Arrow has a type for other than text."""
    kind = str(found.type)
    if kind == "null":
        return Column(name, "text", False, len(found), 0, "it has no values")
    if kind.startswith(("date", "timestamp")):
        values = _as_dates(table, name, found, None)
        distinct = len(np.unique(values[~np.isnat(values)]))
        return Column(
            name, "datetime", distinct > 1, int(np.isnat(values).sum()), distinct, "its type is date"
        )
    if kind == "bool":
        values = _as_numbers(table, name, found, "boolean")
        distinct = len(np.unique(values[~np.isnan(values)]))
        used = distinct > 1
        return Column(
            name,
            "boolean",
            used,
            int(np.isnan(values).sum()),
            distinct,
            "its type is boolean" if used else "it is constant",
        )
    if kind.startswith(_NUMERIC):
        return _numeric(table, name, _as_numbers(table, name, found, "numeric"), "its values are numbers")
    return Column(name, "text", False, found.null_count, 0, f"it holds {kind}, which a model cannot read")


def _numeric(table: "Table", name: str, numbers: Array, why: str) -> Column:
    there: Any = numbers[~np.isnan(numbers)]
    distinct, missing = len(np.unique(there)), len(numbers) - len(there)
    if distinct <= 1:
        return Column(name, "numeric", False, missing, distinct, "it is constant")
    whole = bool((there == np.rint(there)).all())
    once = whole and distinct == len(numbers)
    if once and (_ID_NAME.fullmatch(name) or _is_row_number(table, name, there)):
        return Column(
            name, "numeric", False, missing, distinct, "it names records: every value is there once"
        )
    return Column(name, "numeric", True, missing, distinct, why)


def _is_row_number(table: "Table", name: str, values: Any) -> bool:
    """Says whether the first of several columns counts the records from 0 or 1."""
    first = len(table.columns) > 2 and table.columns[0] == name
    return first and len(values) > 2 and values[0] in (0, 1) and bool((np.diff(values) == 1).all())


def _categories(name: str, distinct: int, count: int, missing: int) -> Column:
    if distinct == 1 and missing == 0:
        return Column(name, "categorical", False, missing, distinct, "it is constant")
    if distinct <= 2 or (distinct <= MOST_CATEGORIES and 2 * distinct <= count):
        return Column(name, "categorical", True, missing, distinct, f"{distinct} different words")
    why = f"{distinct} different texts in {count} records name records rather than groups"
    return Column(name, "text", False, missing, distinct, why)


def _mixed(table: "Table", name: str, texts: Any, numbers: Any) -> str:
    odd = [
        number
        for number, text in enumerate(texts)
        if np.isnan(numbers[number]) and text.strip() not in csvtext.MISSING
    ]
    more = f" ({len(odd)} such values in all)" if len(odd) > 1 else ""
    return (
        f"{table.name}: column {name!r} is not numeric, {table.place(odd[0])} holds {texts[odd[0]][:80]!r}{more}; "
        f"mend it, or say what the column is: data.columns: [{{name: {write_json(name)}, kind: categorical}}]"
    )


def _check_points(table: "Table", name: str, texts: Any) -> None:
    """Refuses `1.234` where the comma is the decimal mark, unless another value shows that the point is one too."""
    pointed = [one for one in texts if "." in one]
    if table.decimal == "," and pointed and all(_POINT_GROUPS.fullmatch(one) for one in pointed):
        raise DataError(
            f"{table.name}: column {name!r} holds {excerpt(pointed[0])}: the comma is the decimal mark of this file, "
            "so the point may group digits; take it out, or write a comma in its place"
        )


def _check_commas(table: "Table", name: str, texts: list[str]) -> None:
    """Refuses `1,234` and `1,234.50` where the comma is no decimal mark, if all the other values are numbers."""
    grouped = [text for text in texts if csvtext.THOUSANDS.fullmatch(text)]
    if grouped and all(csvtext.THOUSANDS.fullmatch(text) or _PLAIN.fullmatch(text) for text in texts):
        doubt = "if the comma is the decimal mark, write `decimal: ','`; if it groups digits, take it out"
        sure = "the comma groups digits: take it out"
        raise DataError(
            f"{table.name}: column {name!r} holds {excerpt(grouped[0])}: {sure if '.' in ''.join(grouped) else doubt}"
        )


def _texts(found: Any) -> list[str] | None:
    """Gives a text column without the blanks around it, blank where there is nothing; None for another type.

    As a list: an array is as wide everywhere as its longest text.
    """
    if not str(found.type).endswith(("string", "string_view")):
        return None
    return [(one or "").strip() for one in found.to_pylist()]


def _numbers(texts: Sequence[str], decimal: str) -> Any:
    """Gives texts as numbers, nan where they are none."""

    def number(text: str) -> float:
        if text in csvtext.MISSING:
            return np.nan
        plain = text.replace(",", ".", 1) if decimal == "," else text
        return float(plain) if _PLAIN.fullmatch(plain) else np.nan

    return np.array([number(text) for text in texts], dtype=np.float64)


def _as_numbers(table: "Table", name: str, found: Any, kind: str) -> Array:
    texts = _texts(found)
    if texts is None:
        if not str(found.type).startswith((*_NUMERIC, "bool", "null")):
            raise DataError(f"{table.name}: column {name!r} is not {kind}, it holds {found.type}")
        # Not `safe`: integers beyond 2**53 are rounded, as they are later by float32.
        numbers: Any = to_array(found.cast("float64", safe=False))
        missing: Any = to_array(found.is_null())
        bad = np.flatnonzero(np.isinf(numbers) | (np.isnan(numbers) & ~missing & (table.csv is not None)))
        if len(bad):
            where, more = (
                table.place(int(bad[0])),
                f" ({len(bad)} such values in all)" if len(bad) > 1 else "",
            )
            raise DataError(
                f"{table.name}: column {name!r} holds {numbers[bad[0]]} in {where}{more}; remove or replace it"
            )
        if kind == "boolean" and not np.isin(numbers[~np.isnan(numbers)], (0.0, 1.0)).all():
            raise DataError(f"{table.name}: column {name!r} is not boolean, it holds more than 0 and 1")
        return numbers  # type: ignore[no-any-return]
    if kind == "boolean":
        lowered = [one.lower() for one in texts]
        values = np.array([1.0 if one in _TRUE else 0.0 if one in _FALSE else np.nan for one in lowered])
    else:
        _check_points(table, name, texts)
        values = _numbers(texts, table.decimal)
    empty = np.array([text in csvtext.MISSING for text in texts], dtype=np.bool_)
    odd = np.flatnonzero(~np.isfinite(values) & ~empty)
    if len(odd):
        raise DataError(
            f"{table.name}: column {name!r} is not {kind}, {table.place(int(odd[0]))} holds {texts[odd[0]][:80]!r}"
        )
    return values


def _as_dates(table: "Table", name: str, found: Any, form: str | None) -> Array:
    texts = _texts(found)
    if texts is None:
        if str(found.type) == "null":
            return np.full(len(found), np.datetime64("NaT", "s"))
        if str(found.type).startswith(("date", "timestamp")):
            return to_array(found.cast("timestamp[s]", safe=False))
        raise DataError(f"{table.name}: column {name!r} holds {found.type}, not dates")
    try:
        dates: Array = parse_datetimes(texts, format=form)
    except DataError as error:
        cure = f"write dates in the format {form}, or as YYYY-MM-DD" if form else "write dates as YYYY-MM-DD"
        raise DataError(f"{table.name}: column {name!r}: {error}; {cure}") from error
    return dates


def _as_text(table: "Table", name: str, found: Any) -> Array:
    if "<" in str(found.type) or str(found.type).endswith("binary"):
        raise DataError(f"{table.name}: column {name!r} holds {found.type}, not text")
    # As written, because `None` and `NA` are words: alone in a column, or among numbers, the parser drops them.
    if table.csv is not None and (found.null_count or str(found.type).startswith(("date", "time"))):
        found = table.as_written(name)
    values = found.to_pylist()
    spelled = {one: spell(one, decimal=table.decimal) for one in set(values)}
    return text_array([spelled[one] for one in values], f"{table.name}: column {name!r}")
