"""The text of a CSV file before it is taken for numbers: its encoding, its header, its lines."""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from trainwright.base.bounds import excerpt
from trainwright.base.errors import DataError

MAX_BYTES = 2**31 - 2**20  # what the parser takes in one piece
MAX_LINE = 2**24  # bytes: 20 000 columns of 800 letters
MAX_COLUMNS = 20_000  # each is looked at by itself, which takes 0.1 ms
MAX_NAME = 1000  # letters of a column's name
_CHUNK = 2**22
_NUMBER = re.compile(
    r"\s*+[+-]?(\d++(\.\d*+)?([eE][+-]?\d++)?|\.\d++([eE][+-]?\d++)?|0[xX][\da-fA-F]++|inf(inity)?|nan)\s*+"
)
MISSING = frozenset({"", "#N/A", "N/A", "NA", "NULL", "NaN", "n/a", "nan", "null", "None", "none", "?", "-"})
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})++(\.\d++)?")
DELIMITERS = (",", ";", "\t", "|")
_SAMPLE, _LINES = 2**16, 20


def read_text(path: Path, *, delimiter: str = "auto") -> tuple[bytes, str]:
    """Reads a CSV file as UTF-8 without a byte order mark and without blank lines at its end.

    Args:
        path: The file.
        delimiter: What separates the cells; `auto` goes by the first lines.

    Returns:
        The text, and what separates its cells.

    Raises:
        DataError: If it is empty, not UTF-8, holds NUL bytes or a line of more than 16 MiB, or leaves a quotation mark
            open; the line is named. Nothing of what is refused is held whole.
    """
    name = path.name
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{name}: larger than 2 GB; convert it to Parquet, which is read in parts")
        quoted = _check_text(path)
        if delimiter == "auto":
            with path.open("rb") as file:
                delimiter = find_delimiter(file.read(_SAMPLE + 1).removeprefix(codecs.BOM_UTF8), name)
        if quoted:
            _check_quotes(path, delimiter=delimiter)
        content = path.read_bytes()
        while content.startswith(codecs.BOM_UTF8):  # a file may have been saved so twice
            content = content.removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error.strerror or error}") from error
    if not content.strip():
        raise DataError(f"{name}: it is empty")
    return content.rstrip(b"\r\n") + b"\n", delimiter


def _check_text(path: Path) -> bool:
    """Looks through a file piece by piece; says whether it holds quotation marks."""
    quoted, name, decoder = False, path.name, codecs.getincrementaldecoder("utf-8")()
    line, open_bytes = 1, 0  # of the piece's beginning: its line, and how much of that line came before
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if file.tell() == len(chunk) and chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise DataError(f"{name}: it is UTF-16, not UTF-8; save it as UTF-8")
            nul = chunk.find(b"\x00")
            if nul >= 0:
                where = line + chunk.count(b"\n", 0, nul)
                raise DataError(
                    f"{name}, line {where}: a NUL byte; it is not text, or UTF-16: save it as UTF-8"
                )
            _check_utf8(decoder, chunk, name, line)
            last = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
            open_bytes = open_bytes + len(chunk) if last < 0 else len(chunk) - last
            if open_bytes > MAX_LINE:
                raise DataError(
                    f"{name}, line {line}: it has more than {MAX_LINE} bytes; is a quotation mark or a line break lost?"
                )
            line += chunk.count(b"\n")
            quoted = quoted or b'"' in chunk
    _check_utf8(decoder, b"", name, line)
    return quoted


def _check_utf8(decoder: codecs.IncrementalDecoder, chunk: bytes, name: str, line: int) -> None:
    try:
        decoder.decode(chunk, final=not chunk)
    except UnicodeDecodeError as error:
        where = line + error.object.count(b"\n", 0, error.start)
        raise DataError(
            f"{name}, line {where}: the byte 0x{error.object[error.start]:02x} is not UTF-8; save it as UTF-8"
        ) from error


def find_delimiter(content: bytes, name: str = "CSV") -> str:
    """Finds what separates the cells: the mark that cuts the first lines into most cells, all alike.

    A comma, if none does: a table may have one column.

    Example:
        >>> find_delimiter(b"a;b\\n1,5;2\\n"), find_delimiter(b"a\\n1\\n")
        (';', ',')
    """
    text = content[:_SAMPLE].decode("utf-8", errors="ignore")
    best, most = ",", 1
    for mark in DELIMITERS:
        widths = [len(row) for _, (_, row) in zip(range(_LINES), _rows(text, mark, name), strict=False)]
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
        DataError: If a name is missing or given twice, or there are more than 20 000.
    """
    # Its own line or, where names hold line breaks, the beginning that no header exceeds.
    head = content[:MAX_LINE].lstrip(b"\r\n")
    line = head.partition(b"\n")[0]
    text = head if b'"' in line else line
    header = next(_rows(text.decode("utf-8", errors="ignore"), delimiter, name))[1]
    if len(header) > MAX_COLUMNS:
        raise DataError(
            f"{name}, line 1: {len(header)} columns, {MAX_COLUMNS} are allowed; save them as an array (.npy, .npz)"
        )
    seen: set[str] = set()
    for number, column in enumerate(header, start=1):
        if not column.strip():
            raise DataError(
                f"{name}, line 1: column {number} has no name; pandas writes its index so, unless index=False"
            )
        if len(column) > MAX_NAME:
            raise DataError(
                f"{name}, line 1: column {number} has a name of {len(column)} letters, {MAX_NAME} at most"
            )
        if column in seen:
            raise DataError(f"{name}, line 1: the column {excerpt(column)} is there twice")
        seen.add(column)
    return header


def check_ragged(content: bytes, name: str, *, columns: int, delimiter: str = ",") -> None:
    """Refuses rows that are longer or shorter than the header.

    Raises:
        DataError: If there is one; its line is named.
    """
    for line, row in _rows(content.decode("utf-8"), delimiter, name):
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
    content: bytes, column: int, *, where: Callable[[str], bool], delimiter: str = ",", name: str = "CSV"
) -> tuple[int, str] | None:
    """Finds the first cell of a column for which something holds.

    Returns:
        Its line and its text, or None if there is no such cell.
    """
    rows = _rows(content.decode("utf-8"), delimiter, name)
    next(rows)
    for line, row in rows:
        cell = row[column] if column < len(row) else ""
        if where(cell):
            return line, cell
    return None


def line_of(content: bytes, record: int, *, delimiter: str = ",", name: str = "CSV") -> int | None:
    """Gives the line where a record begins; records count from 0 and the header is line 1."""
    rows = _rows(content.decode("utf-8"), delimiter, name)
    next(rows)
    return next((line for number, (line, _) in enumerate(rows) if number == record), None)


def _rows(text: str, delimiter: str, name: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    line, columns = 1, 0
    try:
        for row in reader:
            columns = columns or len(row)
            if row or columns == 1:  # in a lone column a blank line is a missing value, not nothing
                yield line, row or [""]
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{name}, line {line}: {error}") from error


def _check_quotes(path: Path, *, delimiter: str) -> None:
    """Refuses a quotation mark that is left open: it swallows the rows that follow, and no parser complains."""
    line = 1
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            for _ in reader:
                line = reader.line_num + 1
        except csv.Error as error:
            raise DataError(f"{path.name}, line {line}: {error}; is a quotation mark left open?") from error
