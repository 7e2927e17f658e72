"""What a table claims of itself, looked at before it is read: its columns, its records, how far its words unfold."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet

from trainwright.base.bounds import excerpt, unfolds_too_far
from trainwright.base.errors import DataError
from trainwright.data.csvtext import MAX_COLUMNS, MAX_NAME


def check_columns(columns: Sequence[str], name: str) -> None:
    """Refuses columns of one name, without a name, or too many of them.

    Raises:
        DataError: If there are such.
    """
    if len(columns) > MAX_COLUMNS:
        raise DataError(
            f"{name}: {len(columns)} columns, {MAX_COLUMNS} are allowed; save them as an array (.npy, .npz)"
        )
    seen: set[str] = set()
    for number, column in enumerate(columns, start=1):
        if not column.strip() or "\x00" in column:
            what = "a NUL in its name" if "\x00" in column else "no name"
            raise DataError(f"{name}: column {number} has {what}")
        if len(column) > MAX_NAME:
            raise DataError(
                f"{name}: column {number} has a name of {len(column)} letters, {MAX_NAME} at most"
            )
        if column in seen:
            raise DataError(f"{name}: the column {excerpt(column)} is there twice")
        seen.add(column)


def check_parquet(path: Path) -> list[str]:
    """Looks at what a file says of itself before anything of it is read.

    Returns:
        The columns of words.

    Raises:
        DataError: If its columns cannot be told apart, or it would unfold to fill the memory.
    """
    with parquet.ParquetFile(path) as file:
        check_columns(file.schema_arrow.names, path.name)
        about, kinds = file.metadata, file.schema_arrow
        words = [
            one.name
            for one in kinds
            if is_text(one.type) or str(one.type).endswith(("binary", "binary_view"))
        ]
        # Not what each column says of itself: asked for a column that is not described, pyarrow ends the process.
        rows = sum(max(0, about.row_group(number).num_rows) for number in range(about.num_row_groups))
        claimed = 8 * rows * about.num_columns
    if unfolds_too_far(claimed, path.stat().st_size):
        raise DataError(
            f"{path.name}: its {path.stat().st_size} bytes would unfold to {claimed}, as if made to fill the memory; "
            "if they are numbers, data.in_memory: false reads them in parts"
        )
    return words


def written_out(column: Any, what: str) -> Any:
    """Gives a column of a dictionary as the words themselves.

    Raises:
        DataError: If they would fill the memory.
    """
    if not pa.types.is_dictionary(column.type):
        return column
    claimed = held = 0
    for part in column.chunks:
        words = part.dictionary
        held += words.nbytes + part.indices.nbytes
        if is_text(words.type) or pa.types.is_binary(words.type) or pa.types.is_large_binary(words.type):
            letters = pc.binary_length(words).cast(pa.int64())
            claimed += pc.sum(letters.take(part.indices)).as_py() or 0
    if unfolds_too_far(claimed, held):
        raise DataError(f"{what}: its words would unfold to {claimed} bytes, as if made to fill the memory")
    return column.cast(column.type.value_type)


def is_text(kind: Any) -> bool:
    """Says whether an Arrow type is one of text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
