"""The text of a CSV file before it is taken for numbers: its encoding, its header, its lines."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from trainwright.base.errors import DataError

MAX_BYTES = 2**31 - 2**20  # what the parser takes in one piece
_NUMBER = re.compile(
    r"\s*[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|0[xX][\da-fA-F]+|inf(inity)?|nan)\s*"
)
MISSING = frozenset({"", "#N/A", "N/A", "NA", "NULL", "NaN", "n/a", "nan", "null", "None", "none", "?", "-"})
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")
DELIMITERS = (",", ";", "\t", "|")
_SAMPLE, _LINES = 2**16, 20


def read_text(path: Path) -> bytes:
    """Reads a CSV file as UTF-8 without a byte order mark and without blank lines at its end.

    Raises:
        DataError: If it is empty, not UTF-8, or holds NUL bytes.
    """
    name = path.name
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{name}: larger than 2 GB; convert it to Parquet, which is read in parts")
    content = path.read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{name}: it is UTF-16, not UTF-8; save it as UTF-8")
    content = content.removeprefix(b"\xef\xbb\xbf")
    if not content.strip():
        raise DataError(f"{name}: it is empty")
    nul = content.find(b"\x00")
    if nul >= 0:
        raise DataError(
            f"{name}, line {_line(content, nul)}: a NUL byte; it is not text, or UTF-16: save it as UTF-8"
        )
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        where = _line(content, error.start)
        raise DataError(
            f"{name}, line {where}: the byte 0x{content[error.start]:02x} is not UTF-8; save it as UTF-8"
        ) from error
    return content.rstrip(b"\r\n") + b"\n"


def find_delimiter(content: bytes) -> str:
    """Finds what separates the cells: the mark that cuts the first lines into most cells, all alike.

    A comma, if none does: a table may have one column.

    Example:
        >>> find_delimiter(b"a;b\\n1,5;2\\n"), find_delimiter(b"a\\n1\\n")
        (';', ',')
    """
    text = content[:_SAMPLE].decode("utf-8", errors="ignore")
    best, most = ",", 1
    for mark in DELIMITERS:
        widths = [len(row) for _, (_, row) in zip(range(_LINES), _rows(text, mark), strict=False)]
        if len(content) > _SAMPLE and len(widths) > 1:
            del widths[-1]  # the last line of a sample may be cut
        if len(set(widths)) == 1 and widths[0] > most:
            best, most = mark, widths[0]
    if most == 1:  # ragged lines are refused later, by their number; the header says what was meant
        header = text.partition("\n")[0]
        best = max(DELIMITERS, key=header.count)
        best = best if best in header else ","
    return best


def read_header(content: bytes, name: str, *, delimiter: str = ",") -> list[str]:
    """Gives the names of the columns.

    Raises:
        DataError: If a name is missing or given twice.
    """
    header = next(_rows(content.decode("utf-8"), delimiter))[1]
    for number, column in enumerate(header, start=1):
        if not column.strip():
            raise DataError(
                f"{name}, line 1: column {number} has no name; pandas writes its index so, unless index=False"
            )
        if column in header[: number - 1]:
            raise DataError(f"{name}, line 1: the column {column!r} is there twice")
    return header


def check_ragged(content: bytes, name: str, *, columns: int, delimiter: str = ",") -> None:
    """Refuses rows that are longer or shorter than the header.

    Raises:
        DataError: If there is one; its line is named.
    """
    for line, row in _rows(content.decode("utf-8"), delimiter):
        if len(row) != columns:
            raise DataError(f"{name}, line {line}: {len(row)} cells, the header has {columns}")


def is_missing(cell: str) -> bool:
    """Says whether a cell stands for no number: it is blank, or a word such as NA."""
    return cell.strip() in MISSING


def is_blank(cell: str) -> bool:
    """Says whether a cell holds nothing; for text, NA is a word like any other."""
    return not cell.strip()


def is_no_number(cell: str) -> bool:
    """Says whether a cell is missing, or holds something else than a number."""
    return is_missing(cell) or not _NUMBER.fullmatch(cell)


def first_cell(
    content: bytes, column: int, *, where: Callable[[str], bool], delimiter: str = ","
) -> tuple[int, str] | None:
    """Finds the first cell of a column for which something holds.

    Returns:
        Its line and its text, or None if there is no such cell.
    """
    rows = _rows(content.decode("utf-8"), delimiter)
    next(rows)
    for line, row in rows:
        cell = row[column] if column < len(row) else ""
        if where(cell):
            return line, cell
    return None


def line_of(content: bytes, record: int, *, delimiter: str = ",") -> int | None:
    """Gives the line where a record begins; records count from 0 and the header is line 1."""
    rows = _rows(content.decode("utf-8"), delimiter)
    next(rows)
    return next((line for number, (line, _) in enumerate(rows) if number == record), None)


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    line, columns = 1, 0
    try:
        for row in reader:
            columns = columns or len(row)
            if row or columns == 1:  # in a lone column a blank line is a missing value, not nothing
                yield line, row or [""]
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"line {line}: {error}") from error


def check_quotes(content: bytes, name: str, *, delimiter: str) -> None:
    """Refuses a quotation mark that is left open: it swallows the rows that follow, and no parser complains.

    Raises:
        DataError: If there is one; its line is named.
    """
    if b'"' not in content:
        return
    reader = csv.reader(io.StringIO(content.decode("utf-8"), newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for _ in reader:
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{name}, line {line}: {error}; is a quotation mark left open?") from error


def _line(content: bytes, position: int) -> int:
    return content.count(b"\n", 0, position) + 1
