"""Tables that are in memory already, or in an Arrow file: frames, columns, rows."""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainwright.base.bounds import unfolds_too_far
from trainwright.base.errors import DataError
from trainwright.data.claims import check_columns
from trainwright.data.tables import Table

# What pyarrow raises where it cannot make a column of some values.
_REFUSALS = (pa.ArrowException, TypeError, ValueError, OverflowError)


def table_of(value: Any, *, name: str) -> Table:
    """Takes a table of another library, or plain columns or rows, for a table.

    Categories become their values, decimals float64, times with a zone UTC. The numbering of a pandas frame is
    left out.

    Args:
        value: One of: anything that streams Arrow columns (`__arrow_c_stream__`, as pandas, polars and pyarrow
            tables do); a lazy frame with `collect`; columns by name, as lists or arrays of shape `(records,)`;
            a list of rows, as `read_json_rows` takes them.
        name: For messages.

    Raises:
        DataError: If it is no table; if it has no records, a column without a name or two of one name; if a pandas
            frame has an index of its own; if a column holds values of several kinds, or of a kind that is neither
            numbers, booleans, text, times nor lists of these. The column is named.

    Example:
        >>> table = table_of({"height": [1.5, 1.75], "name": ["a", "b"]}, name="people")
        >>> table.columns, table.numbers("height")
        (('height', 'name'), array([1.5 , 1.75]))
    """
    if isinstance(value, Mapping):
        return _table(_from_columns(value, name), name)
    if isinstance(value, list | tuple):
        return read_json_rows(value, name=name)
    if not _streams(value) and hasattr(value, "collect"):
        value = value.collect()
    is_pandas = hasattr(value, "reset_index")
    if not (_streams(value) or hasattr(value, "__arrow_c_array__") or is_pandas):
        raise DataError(
            f"{name}: {type(value).__name__} is no table; give a frame of pandas or polars, an Arrow table, "
            "a dict of columns or a list of rows"
        )
    try:
        with _without_their_deprecations():
            # Older pandas frames do not stream; pyarrow knows them too. One thread, as in reading CSV.
            arrow = pa.table(value, nthreads=1)
    except _REFUSALS as error:
        reason = "; ".join(str(one) for one in error.args)
        raise DataError(f"{name}: it cannot be taken for a table: {reason}") from error
    if is_pandas:
        arrow = _without_numbering(arrow, name)
    return _table(arrow, name)


def read_json_rows(rows: Sequence[Any], *, name: str = "rows") -> Table:
    """Reads a table that is written out as rows, as they come from YAML or JSON.

    Args:
        rows: Each a dict with the same keys, the columns; values are numbers, booleans, text or None.
        name: For messages.

    Raises:
        DataError: If a row is no dict or has other columns than the first one, which names the row; otherwise as
            `table_of`.

    Example:
        >>> read_json_rows([{"a": 1, "b": "x"}, {"b": "y", "a": 2.5}]).numbers("a")
        array([1. , 2.5])
    """
    if not rows:
        raise DataError(f"{name}: it has no records")
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DataError(f"{name}: row {number} is {str(row)[:80]!r}, not columns with values")
        differs = [*(key for key in rows[0] if key not in row), *(key for key in row if key not in rows[0])]
        if differs:
            has, lacks = (number, 0) if differs[0] in row else (0, number)
            raise DataError(
                f"{name}: row {has} has a column {differs[0]!r}, row {lacks} has not; "
                "write null where there is no value"
            )
    return _table(_from_columns({key: [row[key] for row in rows] for key in rows[0]}, name), name)


def read_arrow(path: Path) -> Table:
    """Reads an Arrow IPC file, also called Feather (version 2).

    Raises:
        DataError: If it is damaged or of another format, or as `table_of`.
    """
    try:
        with pa.OSFile(str(path)) as file:
            options = pa.ipc.IpcReadOptions(use_threads=False)
            arrow = _read_batches(pa.ipc.open_file(file, options=options), path)
        # Offsets of text and lists that point outside would be followed later, and crash.
        arrow.validate(full=True)
    except (*_REFUSALS, OSError, MemoryError) as error:
        raise DataError(f"{path.name}: not a whole Arrow file: {error}; write or copy it again") from error
    return _table(arrow, path.name)


def _read_batches(reader: Any, path: Path) -> Any:
    """Reads part by part: the list of parts at the end of the file may name one of them a million times."""
    check_columns(reader.schema.names, path.name)
    parts, held, stored = [], 0, path.stat().st_size
    for number in range(reader.num_record_batches):
        parts.append(reader.get_batch(number))
        held += parts[-1].get_total_buffer_size()
        if unfolds_too_far(held, stored):
            raise DataError(
                f"{path.name}: its {stored} bytes would unfold to {held} and more, as if made to fill the memory; "
                "write it without compression"
            )
    return pa.Table.from_batches(parts, schema=reader.schema)


@contextmanager
def _without_their_deprecations() -> Iterator[None]:
    """Keeps quiet what pandas tells pyarrow about pyarrow's use of pandas, which nobody here can mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _streams(value: Any) -> bool:
    return hasattr(value, "__arrow_c_stream__")


def _from_columns(columns: Mapping[Any, Any], name: str) -> Any:
    arrays: dict[str, Any] = {}
    for column, values in columns.items():
        if not isinstance(column, str):
            raise DataError(f"{name}: the column {column!r} has a name that is no text; write it in quotes")
        arrays[column] = _column(values, f"{name}: column {column!r}")
    first = next(iter(arrays), "")
    for column, array in arrays.items():
        if len(array) != len(arrays[first]):
            raise DataError(
                f"{name}: column {column!r} has {len(array)} values, column {first!r} has {len(arrays[first])}; "
                "give all the same number"
            )
    return pa.table(arrays)


def _column(values: Any, at: str) -> Any:
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise DataError(f"{at} is {type(values).__name__}, not a list or an array")
    if isinstance(values, np.ndarray):
        if values.ndim != 1:
            raise DataError(f"{at} has shape {values.shape}; a column has one axis, (records,)")
        values = values.astype(values.dtype.newbyteorder("="), copy=False)
    try:
        with _without_their_deprecations():
            return pa.chunked_array(values) if _streams(values) else pa.array(values)
    except _REFUSALS as error:
        raise DataError(f"{at} cannot be read: {error}; give all its values one type") from error


def _table(arrow: Any, name: str) -> Table:
    columns = arrow.column_names
    check_columns(columns, name)
    if not columns or arrow.num_rows == 0:
        raise DataError(f"{name}: it has no {'records' if columns else 'columns'}")
    plain = {column: _plain(arrow.column(column), f"{name}: column {column!r}") for column in columns}
    return Table(name, pa.table(plain))


def _plain(column: Any, at: str) -> Any:
    """Gives a column in the few types that the rest of the package knows."""
    plain = _plain_type(column.type)
    if plain is None:
        raise DataError(
            f"{at} holds {column.type}; columns hold numbers, booleans, text, times or lists of these, "
            "turn it into one of them or drop it"
        )
    if plain == column.type:
        return column
    try:
        return pc.cast(_viewless(column), plain)
    except _REFUSALS as error:
        raise DataError(f"{at} holds {column.type}, which cannot become {plain}: {error}") from error


def _viewless(column: Any) -> Any:
    """Turns categories of polars, whose words are string views, into ones that pyarrow can write out."""
    if not (pa.types.is_dictionary(column.type) and pa.types.is_string_view(column.type.value_type)):
        return column
    parts = [
        pa.DictionaryArray.from_arrays(part.indices, part.dictionary.cast(pa.large_string()))
        for part in column.chunks
    ]
    return pa.chunked_array(parts, type=pa.dictionary(column.type.index_type, pa.large_string()))


def _plain_type(kind: Any) -> Any:
    """Gives the type that stands for another one, itself if it may stay, or None if nothing does."""
    types = pa.types
    if types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if types.is_decimal(kind):
        return pa.float64()
    if types.is_float16(kind):
        return pa.float32()
    if types.is_string_view(kind):
        return pa.large_string()
    if types.is_timestamp(kind):
        return pa.timestamp(kind.unit, tz=None if kind.tz is None else "UTC")
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _plain_list(kind)
    stays = (types.is_integer, types.is_floating, types.is_boolean, types.is_string, types.is_large_string)
    times = (types.is_date, types.is_null)
    return kind if any(one(kind) for one in (*stays, *times)) else None


def _plain_list(kind: Any) -> Any:
    inner = _plain_type(kind.value_type)
    if inner is None or inner == kind.value_type:
        return None if inner is None else kind
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(inner, kind.list_size)
    return pa.large_list(inner) if pa.types.is_large_list(kind) else pa.list_(inner)


def _without_numbering(arrow: Any, name: str) -> Any:
    """Leaves out the numbers of records, also those a filter left; refuses an index that holds something else.

    Left out that would be lost, kept it would be a feature.
    """
    told = json.loads((arrow.schema.metadata or {}).get(b"pandas", b"{}"))
    for index in told.get("index_columns", []):
        is_numbering = isinstance(index, dict) and index.get("name") is None
        unnamed = isinstance(index, str) and index.startswith("__index_level_")
        if unnamed and pa.types.is_integer(arrow.column(index).type):
            arrow = arrow.drop_columns([index])
        elif not is_numbering:
            called = index.get("name") if isinstance(index, dict) else index
            shown = "" if str(called).startswith("__index_level_") else f" {called!r}"
            raise DataError(
                f"{name}: the frame has an index{shown} besides its columns; make it a column with reset_index(), "
                "or leave it out with reset_index(drop=True)"
            )
    return arrow
