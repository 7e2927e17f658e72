"""Writes columns of predictions to a file or to stdout."""

import csv
import io
import os
import secrets
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TextIO

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array


def write_columns(columns: Mapping[str, Array], path: Path | None) -> None:
    """Writes columns, a file whole or not at all.

    In a table, an array with further axes becomes columns `name[0]`, `name[1]`, and so on.

    Args:
        columns: Arrays of one length, by name.
        path: A .parquet, .csv or .npz file; None writes CSV to stdout.

    Raises:
        DataError: If the type of file is unknown, the columns are not of one length, or it cannot be written.

    Example:
        >>> write_columns({"y": np.array([0.5, 1.0]), "ok": np.array([True, False])}, None)
        y,ok
        0.5,true
        1.0,false
    """
    if len({len(column) for column in columns.values()}) > 1:
        raise DataError(
            f"columns of different lengths: { {name: len(one) for name, one in columns.items()} }"
        )
    if path is None:
        _write_csv(columns, sys.stdout)
        return
    writers: dict[str, Callable[[Mapping[str, Array], IO[bytes]], None]] = {
        ".csv": _write_csv_bytes,
        ".npz": _write_npz,
        ".parquet": _write_parquet,
    }
    if path.suffix.lower() not in writers:
        raise DataError(f"{path.name}: unknown type; known types: {', '.join(writers)}")
    draft = path.with_name(f".{secrets.token_hex(8)}.draft")
    try:
        with draft.open("xb") as file:
            writers[path.suffix.lower()](columns, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)


def write_arrays(arrays: Mapping[str, Array], path: Path) -> None:
    """Writes arrays to an .npz file; equal arrays give equal bytes."""
    with path.open("xb") as file:
        _write_npz(arrays, file)


def _write_csv(columns: Mapping[str, Array], file: TextIO) -> None:
    flat = _flatten(columns)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(flat)
    writer.writerows(zip(*(_spell(column) for column in flat.values()), strict=True))


def _write_csv_bytes(columns: Mapping[str, Array], file: IO[bytes]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    _write_csv(columns, text)
    text.flush()
    text.detach()


def _write_npz(columns: Mapping[str, Array], file: IO[bytes]) -> None:
    # Not numpy.savez: the time of writing would be in the file, and a column could be called `file`.
    with zipfile.ZipFile(file, "w") as archive:
        for name, column in columns.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(column), allow_pickle=False)


def _write_parquet(columns: Mapping[str, Array], file: IO[bytes]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    parquet.write_table(
        pa.table({name: pa.array(column) for name, column in _flatten(columns).items()}), file
    )


def _flatten(columns: Mapping[str, Array]) -> dict[str, Array]:
    flat: dict[str, Array] = {}
    for name, column in columns.items():
        wide = column.reshape(len(column), -1)
        parts = (
            {name: column}
            if column.ndim == 1
            else {f"{name}[{number}]": wide[:, number] for number in range(wide.shape[1])}
        )
        twice = flat.keys() & parts.keys()
        if twice:
            raise DataError(f"two columns would be called {min(twice)!r}; rename one")
        flat |= parts
    return flat


def _spell(column: Array) -> list[str]:
    """Spells values so that reading them gives the same values again, in as few digits as that takes."""
    if column.dtype.kind == "b":
        return ["true" if one else "false" for one in column.tolist()]
    spelled: list[str] = column.astype(np.str_).tolist()
    return spelled
