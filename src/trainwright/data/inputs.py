"""Reads records for a model that is already trained."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainwright.base.errors import DataError
from trainwright.data.check import check_finite, check_ids, check_weight
from trainwright.data.dataset import Records
from trainwright.data.source import Roles, find_file
from trainwright.data.storage import read_records


def read_inputs(
    path: Path,
    *,
    features: str | Sequence[str],
    shape: tuple[int, ...],
    target: str | None = None,
    weight: str | None = None,
    id: str | None = None,  # noqa: A002 - the field's word in a spec
) -> Records:
    """Reads the features a model was trained on, by the same names; whatever else the file holds is ignored.

    Args:
        path: A .npz, .npy, .csv or .parquet file.
        features: Names of columns, or the name of an array.
        shape: Of one record in training.
        target: Name of the array or column to compare predictions with; None reads none.
        weight: As `target`, for record weights.
        id: As `target`, for names of records.

    Raises:
        DataError: If a column or array is missing, the records have another shape, or values are not finite.
    """
    found = find_file(path.name, path.parent, at="")
    table = found.suffix.lower() in (".csv", ".parquet")
    if table == isinstance(features, str):
        took = f"the array {features!r}" if isinstance(features, str) else "columns of a table"
        raise DataError(f"{found.name}: the model was trained on {took}; bring them in a file of that kind")
    roles = Roles("x" if found.suffix.lower() == ".npy" else features, target, weight, id, where="")
    raw = read_records(found, roles, in_memory="auto")
    count = len(raw.x)
    if raw.x.shape[1:] != shape:
        raise DataError(f"{found.name}: records have shape {raw.x.shape[1:]}, the model takes {shape}")
    if count == 0:
        raise DataError(f"{found.name}: it has no records")
    at = f"{found.name}: "
    check_finite(raw.x, at=at, what=f"the array {raw.features!r}", columns=raw.columns)
    if raw.y is not None:
        if raw.y.ndim == 0 or len(raw.y) != count:
            raise DataError(
                f"{at}the target {target!r} has shape {raw.y.shape}, but there are {count} records"
            )
        check_finite(raw.y, at=at, what=f"the target {target!r}")
    return Records(
        x=raw.x,
        y=raw.y,
        weight=None
        if raw.weight is None
        else check_weight(raw.weight, count, at=f"{at}the weight {weight!r}: "),
        ids=np.arange(count) if raw.ids is None else check_ids(raw.ids, count, at=f"{at}the id {id!r}: "),
    )
