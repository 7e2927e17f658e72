"""Matrices that are mostly zero, kept in an .npz file without their zeros."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from trainwright.base.bounds import unfolds_too_far
from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.data.npy import read_npz

PARTS = ("row", "col", "val")


def is_sparse(name: str, known: Collection[str]) -> bool:
    """Says whether an .npz file holds a matrix without its zeros.

    Args:
        name: Of the matrix.
        known: The names of all arrays of the file.

    Example:
        >>> is_sparse("x", ["x_row", "x_col", "x_val"]), is_sparse("x", ["x"])
        (True, False)
    """
    return name not in known and all(f"{name}_{part}" in known for part in PARTS)


def read_sparse_npz(path: Path, name: str, known: Collection[str]) -> Array:
    """Reads a matrix of which the arrays `<name>_row`, `<name>_col` and `<name>_val` say what is not zero, and where.

    `<name>_shape`, if it is there, is the shape; otherwise it ends with the last row and the last column that hold
    something.

    Raises:
        DataError: If the arrays do not belong together, name one place twice, or would unfold to fill the memory.
    """
    wanted = [f"{name}_{part}" for part in PARTS]
    more = [f"{name}_shape"] if f"{name}_shape" in known else []
    found: dict[str, Any] = read_npz(path, [*wanted, *more])
    row, column, value = (found[one] for one in wanted)
    at = f"{path.name}: the matrix {name!r}"
    if row.ndim != 1 or not row.shape == column.shape == value.shape or len(row) == 0:
        raise DataError(
            f"{at} needs three arrays of one length, not of {row.shape}, {column.shape}, {value.shape}"
        )
    if row.dtype.kind not in "iu" or column.dtype.kind not in "iu" or value.dtype.kind not in "biuf":
        raise DataError(f"{at} holds places of {row.dtype} and {column.dtype}, and values of {value.dtype}")
    shape = tuple(int(one) for one in found[more[0]].reshape(-1)) if more else None
    shape = shape or (int(row.max()) + 1, int(column.max()) + 1)
    if (
        len(shape) != 2
        or min(row.min(), column.min()) < 0
        or row.max() >= shape[0]
        or column.max() >= shape[1]
    ):
        raise DataError(f"{at} names a place outside of its shape {shape}")
    claimed = shape[0] * shape[1] * value.dtype.itemsize
    if unfolds_too_far(claimed, path.stat().st_size):
        raise DataError(f"{at} would unfold to {claimed} bytes, as if made to fill the memory")
    places = np.unique(row.astype(np.int64) * shape[1] + column)
    if len(places) < len(row):
        raise DataError(
            f"{at} names {len(row) - len(places)} places more than once; add their values up first"
        )
    matrix = np.zeros(shape, dtype=value.dtype)
    matrix[row, column] = value
    return matrix
