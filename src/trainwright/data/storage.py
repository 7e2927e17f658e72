"""Decides whether the features of a file are read whole or stay in it."""

import tempfile
from pathlib import Path
from typing import Any, Literal

from trainwright.base.errors import DataError
from trainwright.base.machine import hardware
from trainwright.data.lazy import is_lazy
from trainwright.data.mapped import MappedArray
from trainwright.data.npy import list_npz, locate_npy, locate_npz
from trainwright.data.roles import Raw, Roles
from trainwright.data.source import read_source

SHARE = 4  # of the machine's memory, one part


def read_records(path: Path, roles: Roles, *, in_memory: bool | Literal["auto"]) -> Raw:
    """Reads the arrays or columns that play a role; the features stay in the file where that is asked for.

    Args:
        path: Of the file.
        roles: Which array or column plays which part.
        in_memory: Whether the features are read whole; `auto` leaves them in the file if it can be read in parts
            and they would take more than a quarter of the machine's memory.

    Raises:
        DataError: As `read_source`; or if `in_memory` is false and the file can only be read whole.
    """
    if in_memory is True:
        return read_source(path, roles)
    try:
        size, obstacle = _look(path, roles)
    except DataError:
        size, obstacle = 0, ""  # reading it says what is wrong, and with which role
    if in_memory == "auto":
        large = size * SHARE > int(hardware()["memory_bytes"])
        return read_source(path, roles, lazily=large and not obstacle)
    if obstacle:
        raise DataError(f"data.in_memory: {path.name} cannot be read in parts: {obstacle}; or leave this out")
    return read_source(path, roles, lazily=True)


def explain_storage(x: Any) -> dict[str, str]:
    """Says in words, for a plan, that features stay in their file; empty if they are in memory."""
    if not is_lazy(x):
        return {}
    text = f"false: {x.nbytes / 1e9:.1f} GB of features are read batch by batch"
    if isinstance(x, MappedArray) and x.scratch:
        text += f", from a copy of {x.file_bytes / 1e9:.1f} GB in {tempfile.gettempdir()} while it runs"
    return {"data.in_memory": text}


def _look(path: Path, roles: Roles) -> tuple[int, str]:
    """Gives the bytes the features would take, and why they can only be read whole, if so."""
    suffix = path.suffix.lower()
    if suffix == ".npy":
        layout = locate_npy(path)
    elif suffix == ".npz":
        name = "x" if roles.features == "auto" else roles.features
        if not isinstance(name, str) or name not in list_npz(path):
            return 0, ""  # as above
        layout = locate_npz(path, name)
    elif suffix == ".parquet":
        return _look_at_parquet(path, roles)
    else:
        return 0, f"{suffix} files are read whole; write it as Parquet"
    size = layout.dtype.itemsize
    for length in layout.shape:
        size *= length
    return size, layout.whole


def _look_at_parquet(path: Path, roles: Roles) -> tuple[int, str]:
    from trainwright.data.mapped_table import map_parquet

    table = map_parquet(path)
    columns = len(table.columns) if roles.features == "auto" else len(roles.features)
    return len(table) * columns * 8, ""
