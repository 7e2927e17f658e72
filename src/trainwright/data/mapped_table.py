"""Parquet tables larger than memory: one column at a time, and the features as a scratch file of rows.

This file is imported only when a table is read, because importing pyarrow takes a third of a second.
"""

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.data.arrow import to_array
from trainwright.data.claims import check_columns
from trainwright.data.mapped import MappedArray
from trainwright.data.npy import Layout
from trainwright.data.tables import Table, is_number

BATCH_BYTES = 2**23  # of the rows that are converted together
PAGE_BYTES = 2**16  # of a column that are read at once; a table may have thousands of columns


@dataclass(frozen=True)
class ParquetColumns:
    """Stands for the Arrow table of a file, but reads a column each time it is asked for.

    Args:
        path: Of the file.
        schema: Names and types of its columns.
        num_rows: How many records it has.
    """

    path: Path
    schema: Any
    num_rows: int

    @property
    def column_names(self) -> list[str]:
        """Names the columns in order."""
        return list(self.schema.names)

    def column(self, name: str) -> Any:
        """Reads one column.

        Raises:
            DataError: If the file is damaged.
        """
        try:
            with parquet.ParquetFile(self.path) as file:
                found = file.read(columns=[name]).column(name)
                found.validate(full=True)
                return found
        except (pa.ArrowException, OSError) as error:
            raise _damaged(self.path, error) from error


@dataclass(frozen=True)
class MappedTable(Table):
    """A Parquet file whose features are put, once, into a scratch file from which rows can be read by position.

    The scratch file lies in the folder for temporary files, has no name there, and is gone when the process
    ends, however it ends. It holds float32 if that holds every value of the columns exactly, otherwise float64.
    """

    def matrix(self, columns: Sequence[str]) -> Array:
        """Gives columns of numbers side by side, float64 of shape `(records, columns)`, in the scratch file.

        Raises:
            DataError: If a value is missing, a column holds no numbers, or the disk has no room for the copy.
        """
        source: ParquetColumns = self.arrow
        stored: np.dtype[Any] = np.dtype(np.float32)
        for name in columns:
            kind = source.schema.field(name).type
            if not is_number(kind):
                raise DataError(
                    f"{self.name}: column {name!r} holds {kind}; only numbers are read in parts "
                    "(data.in_memory: true reads the file whole)"
                )
            if not np.can_cast(kind.to_pandas_dtype(), np.float32, "safe"):
                stored = np.dtype(np.float64)
        shape = (len(self), len(columns))
        layout = Layout(0, shape, stored)
        descriptor = _open_scratch(shape[0] * shape[1] * stored.itemsize, self.name)
        # It owns the descriptor from here on, so that a refusal below closes it.
        mapped = MappedArray(descriptor, layout, name=self.name, dtype=np.dtype(np.float64), scratch=True)
        try:
            self._convert(columns, descriptor, stored)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(source.path, error) from error
        return mapped.stand_in()

    def _convert(self, columns: Sequence[str], descriptor: int, stored: np.dtype[Any]) -> None:
        rows, begin = max(1, BATCH_BYTES // (8 * len(columns))), 0
        # Pages are read as they are needed; otherwise a row group of the size of the file would be held at once.
        with (
            parquet.ParquetFile(self.arrow.path, pre_buffer=False, buffer_size=PAGE_BYTES) as file,
            open(descriptor, "wb", closefd=False) as scratch,
        ):
            for batch in file.iter_batches(batch_size=rows, columns=list(columns), use_threads=False):
                block = np.empty((batch.num_rows, len(columns)), dtype=stored)
                for number, name in enumerate(columns):
                    found = batch.column(batch.schema.names.index(name))
                    if found.null_count:
                        record = begin + to_array(found.is_null()).argmax()
                        raise DataError(f"{self.name}: column {name!r} has no value in record {record}")
                    block[:, number] = to_array(found)
                scratch.write(block.data)
                begin += len(block)
        if begin != len(self):
            raise DataError(
                f"{self.name}: it says {len(self)} records but holds {begin}; write or copy it again"
            )


def map_parquet(path: Path) -> MappedTable:
    """Opens a Parquet file without reading its records.

    Raises:
        DataError: If it is damaged, empty, or names a column twice.
    """
    try:
        with parquet.ParquetFile(path) as file:
            columns = ParquetColumns(path, file.schema_arrow, file.metadata.num_rows)
            check_columns(columns.column_names, path.name)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(path, error) from error
    if columns.num_rows == 0:
        raise DataError(f"{path.name}: it has no records")
    return MappedTable(path.name, columns)


def _open_scratch(size_bytes: int, name: str) -> int:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if size_bytes > free:
        raise DataError(
            f"{name}: a copy of {size_bytes / 1e9:.1f} GB by records does not fit into {folder} "
            f"({free / 1e9:.1f} GB free); make room, or set TMPDIR to another folder"
        )
    descriptor, path = tempfile.mkstemp(prefix="trainwright-")
    os.unlink(path)
    return descriptor


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path.name}: not a whole Parquet file: {error}; write or copy it again")
