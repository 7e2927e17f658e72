"""Reads tables: CSV and Parquet, by way of pyarrow.

This file is imported only when a table is read, because importing pyarrow takes a third of a second.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from trainwright.base.bounds import excerpt
from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.data import csvtext
from trainwright.data.arrow import BLANK, NOTHING, arrow_marks, arrow_places, to_array
from trainwright.data.claims import check_parquet, is_text, written_out
from trainwright.data.texts import text_array

_DECIMAL_COMMA = re.compile(r"[+-]?(\d++(,\d++)?|,\d++)([eE][+-]?\d++)?")
_ARROW_MISSING = arrow_csv.ConvertOptions().null_values


@dataclass(frozen=True)
class Table:
    """Columns of one file.

    Args:
        name: Of the file, for messages.
        arrow: The columns.
        csv: The text it was read from, if it was CSV; gives the lines of a message.
        delimiter: What separates the cells of that text.
        decimal: The decimal mark of its numbers.
        rows: Which records of the file these are, where some were left out; otherwise None.
    """

    name: str
    arrow: Any
    csv: bytes | None = None
    delimiter: str = ","
    decimal: str = "."
    rows: Array | None = None

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names the columns in order."""
        return tuple(self.arrow.column_names)

    def __len__(self) -> int:
        return int(self.arrow.num_rows)

    def place(self, record: int) -> str:
        """Says where a record lies, in words: its line in a CSV file, otherwise its number from 0."""
        record = record if self.rows is None else int(self.rows[record])
        line = (
            None
            if self.csv is None
            else csvtext.line_of(self.csv, record, delimiter=self.delimiter, name=self.name)
        )
        return f"record {record}" if line is None else f"line {line}"

    def take(self, keep: NDArray[np.bool_]) -> "Table":
        """Gives the records that are marked."""
        return replace(self, arrow=self.arrow.filter(arrow_marks(keep)), rows=np.flatnonzero(keep))

    def blank(self, column: str) -> Array:
        """Marks the records without a value in a column."""
        found = self.decoded(column)
        if is_text(found.type):
            found = pc.if_else(pc.equal(pc.utf8_trim_whitespace(found), BLANK), NOTHING, found)
        return to_array(found.is_null(nan_is_null=True))

    def numbers(self, column: str) -> Array:
        """Gives a column of integers, floats or booleans.

        Raises:
            DataError: If a value is missing, not finite or no number; the first one is named with its line.
        """
        found = self.decoded(column)
        if not is_number(found.type):
            raise DataError(self._not_numeric(column, found))
        if found.null_count:
            raise DataError(self._missing(column, found))
        array = to_array(found)
        finite = np.isfinite(array) if array.dtype.kind == "f" else np.ones(len(array), dtype=np.bool_)
        bad = np.flatnonzero(~finite)
        if len(bad):
            first = int(bad[0])
            raise DataError(
                f"{self.name}: column {column!r} holds {array[first]} in {self.place(first)} "
                f"({len(bad)} such values in all); remove or replace them first"
            )
        return array

    def values(self, column: str) -> Array:
        """Gives a column of numbers, booleans or text without the blanks around it.

        Raises:
            DataError: If a value is missing, longer than 1000 letters, or of another kind.
        """
        found = self.decoded(column)
        if is_number(found.type):
            return self.numbers(column)
        if self.csv is not None and not is_text(found.type):
            found = self.as_written(column)  # a date, say
        if not is_text(found.type):
            raise DataError(f"{self.name}: column {column!r} holds {found.type}, not numbers or text")
        texts = [(text or "").strip() for text in found.to_pylist()]
        if not all(texts):
            raise DataError(self._missing(column, found))
        return text_array(texts, f"{self.name}: column {column!r}")

    def names(self, column: str) -> Array:
        """Gives a column that names records, as it is written: `007` stays text.

        Raises:
            DataError: As `values`.
        """
        if self.csv is None:
            return self.values(column)
        texts = replace(self, arrow=pa.table({column: self.as_written(column)})).values(column)
        numbers = self.decoded(column)
        if pa.types.is_integer(numbers.type) and not numbers.null_count:
            whole = self.numbers(column)
            return whole if np.array_equal(whole.astype(np.str_), texts) else texts
        return texts

    def as_written(self, column: str) -> Any:
        """Gives a column of a CSV file as text, blank where there is nothing."""
        assert self.csv is not None
        found = _parse(
            self.csv,
            self.name,
            text=(column,),
            columns=len(self.columns),
            delimiter=self.delimiter,
            decimal=self.decimal,
        )
        whole = found.column(column)
        return whole if self.rows is None else whole.take(arrow_places(self.rows))

    def keys(self, column: str) -> Array:
        """Gives a column that a split goes by: numbers, times as `datetime64[us]`, or text with `""` for a blank.

        Raises:
            DataError: If it is of another kind, or a number or a time is missing.
        """
        found = self.decoded(column)
        if is_text(found.type):
            texts = [(value or "").strip() for value in found.to_pylist()]
            return text_array(texts, f"{self.name}: column {column!r}")
        if pa.types.is_null(found.type):
            return np.full(len(self), "", dtype=np.str_)
        if not (pa.types.is_timestamp(found.type) or pa.types.is_date(found.type)):
            return self.numbers(column)
        if found.null_count:
            raise DataError(self._missing(column, found))
        times = found.cast(pa.timestamp("us"), safe=False)
        return to_array(times)

    def matrix(self, columns: Sequence[str]) -> Array:
        """Gives columns of numbers side by side, float64 of shape `(records, columns)`.

        Raises:
            DataError: As `numbers`.
        """
        return np.column_stack([self.numbers(one).astype(np.float64) for one in columns])

    def decoded(self, column: str) -> Any:
        """Gives a column as Arrow holds it, dictionaries written out.

        Raises:
            DataError: If they would fill the memory.
        """
        return written_out(self.arrow.column(column), f"{self.name}: column {column!r}")

    def _missing(self, column: str, found: Any) -> str:
        gone = found.is_null()
        if is_text(found.type):
            gone = pc.or_(gone, pc.fill_null(pc.equal(found, ""), True))
        bad = np.flatnonzero(gone.to_numpy()).tolist()
        where = csvtext.is_blank if is_text(found.type) else csvtext.is_missing
        cell = self._first_cell(column, where)
        if cell is None:
            return (
                f"{self.name}: column {column!r} has no value in {self.place(bad[0] if bad else 0)}"
                + _rest(bad)
            )
        line, text = cell
        shown = f" ({text!r})" if text.strip() else ""
        return f"{self.name}: column {column!r} has no value in line {line}{shown}{_rest(bad)}"

    def _not_numeric(self, column: str, found: Any) -> str:
        what = f"{self.name}: column {column!r}"
        cell = self._first_cell(column, csvtext.is_no_number)
        if cell is not None and csvtext.is_missing(cell[1]):
            return f"{what} has no value in line {cell[0]}"
        if cell is not None:
            return f"{what} is not numeric, line {cell[0]} holds {cell[1][:80]!r}"
        there = found.drop_null()
        first = str(there[0]) if len(there) else None  # of a date beyond Python's: only its text
        return f"{what} is not numeric, it holds {str(found.type)[:80]}, such as {excerpt(first)}"

    def _first_cell(self, column: str, where: Callable[[str], bool]) -> tuple[int, str] | None:
        if not self.csv:
            return None
        number = csvtext.read_header(self.csv, self.name, delimiter=self.delimiter).index(column)
        return csvtext.first_cell(self.csv, number, where=where, delimiter=self.delimiter, name=self.name)


def read_csv(path: Path, *, delimiter: str = "auto", decimal: str = "auto") -> Table:
    """Reads a CSV or TSV file: UTF-8, one header line.

    Args:
        path: The file.
        delimiter: What separates the cells; `auto` goes by the first lines.
        decimal: The decimal mark; `auto` takes a comma if a column is numeric with it, and none with a point only.

    Raises:
        DataError: If it is empty, badly encoded or ragged, or names a column twice; the line is named.
    """
    name = path.name
    content, mark = csvtext.read_text(path, delimiter=delimiter)
    header = csvtext.read_header(content, name, delimiter=mark)
    point = "." if decimal == "auto" else decimal
    arrow = _parse(content, name, columns=len(header), delimiter=mark, decimal=point)
    if arrow.column_names != header:
        odd = next((one for one in header if one not in set(arrow.column_names)), header[0])
        raise DataError(
            f"{name}, line 1: the name {excerpt(odd)} can be read in two ways; take out quotes and breaks"
        )
    if decimal == "auto" and any(_has_decimal_commas(arrow.column(one)) for one in header):
        point = ","
        arrow = _parse(content, name, columns=len(header), delimiter=mark, decimal=point)
    table = Table(name, arrow, content, mark, point)
    if len(table) == 0:
        raise DataError(f"{name}: it has a header but no records")
    return table


def read_parquet(path: Path) -> Table:
    """Reads a Parquet file.

    Raises:
        DataError: If it is damaged, empty, names a column twice, or would unfold to fill the memory.
    """
    try:
        words = check_parquet(path)
        # Not `read_table`, which takes `name=value` in the path for a further column. Words stay in dictionaries until
        # it is known how many letters there are: one long word may stand for every record.
        with parquet.ParquetFile(path, read_dictionary=words) as file:
            arrow = file.read()
        with parquet.ParquetFile(path) as file:
            kinds = file.schema_arrow
        for number, field in enumerate(kinds):
            if field.name in words and not pa.types.is_dictionary(field.type):
                whole = written_out(arrow.column(number), f"{path.name}: column {excerpt(field.name)}")
                arrow = arrow.set_column(number, field.name, whole.cast(field.type))
        arrow.validate(full=True)
        table = Table(path.name, _without_views(arrow))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path.name}: not a whole Parquet file: {error}; write or copy it again") from error
    if len(table) == 0:
        raise DataError(f"{path.name}: it has no records")
    return table


def _without_views(arrow: Any) -> Any:
    """Turns views of text into text: Arrow cannot take records of a view."""
    for number, field in enumerate(arrow.schema):  # of a dictionary, Parquet gives plain words
        if pa.types.is_string_view(field.type):
            arrow = arrow.set_column(number, field.name, arrow.column(number).cast(pa.large_string()))
    return arrow


def write_parquet(table: Table, path: Path) -> None:
    """Writes a table to a Parquet file; equal tables give equal bytes."""
    parquet.write_table(table.arrow, path)


def _parse(
    content: bytes,
    name: str,
    *,
    text: Sequence[str] = (),
    columns: int | None = None,
    delimiter: str = ",",
    decimal: str = ".",
) -> Any:
    one_column = columns == 1
    try:
        return arrow_csv.read_csv(
            # Not a Python file, and no threads: an Arrow thread that still holds one at the end of the process
            # aborts it, now and then.
            pa.BufferReader(content),
            # In one block: the type of a column is guessed from the first block alone.
            read_options=arrow_csv.ReadOptions(block_size=len(content) + 1, use_threads=False),
            # In a lone column a blank line is a missing value, not nothing.
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=not one_column
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(text, pa.string()),
                include_columns=list(text),
                null_values=[*_ARROW_MISSING, *csvtext.MISSING],
                decimal_point=decimal,
            ),
        )
    except (pa.ArrowException, ValueError) as error:
        if columns is not None:
            csvtext.check_ragged(content, name, columns=columns, delimiter=delimiter)
        raise DataError(f"{name}: cannot be read as CSV: {error}") from error


def _has_decimal_commas(column: Any) -> bool:
    """Says whether all values of a text column are numbers once their comma is a decimal mark.

    Where every comma could as well group thousands, as in 1,234, it is not: that is left to the user.
    """
    if not is_text(column.type):
        return False
    texts = {text.strip() for text in column.to_pylist() if text is not None} - csvtext.MISSING
    if not texts or not all(_DECIMAL_COMMA.fullmatch(text) for text in texts):
        return False
    return not all(csvtext.THOUSANDS.fullmatch(text) for text in texts if "," in text)


def is_number(kind: Any) -> bool:
    """Says whether an Arrow type is one of integers, floats or booleans."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _rest(bad: Sequence[int]) -> str:
    return f" ({len(bad)} values missing in all)" if len(bad) > 1 else ""
