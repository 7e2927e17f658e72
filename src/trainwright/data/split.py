"""Which records are for training, for validation, for the test."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.base.random import permutation, stream
from trainwright.base.tree import Array
from trainwright.data.npy import read_npy
from trainwright.spec.data import SplitSpec

Indices = NDArray[np.int64]
SPLITS = ("train", "val", "test")
TENTHS = 10


def split_records(
    spec: SplitSpec, y: Array, *, task_type: str, appended: int = 0, folder: Path = Path()
) -> dict[str, Indices]:
    """Divides records into splits: disjoint, each sorted, the same for the same spec and number of records.

    `random` and `stratified` put every record somewhere. A fraction asks for that many records, rounded
    (halves up) and at least one. `stratified` shares the records of a split among classes (tenths by rank of
    a real target, of its first output) in proportion to their size, by largest remainder, and leaves each
    class at least one record for training. With `given`, records that nobody lists belong to no split.

    Args:
        spec: What the user says.
        y: Targets, shape `(records, ...)`, those of appended test records included.
        task_type: `classification` or `regression`.
        appended: How many records at the end came apart as test records.
        folder: Where paths of index files begin.

    Returns:
        Positions of records by split; a split that nobody asks for is not there.

    Raises:
        DataError: If a split of the spec is empty, or given splits overlap or name what is not there.

    Example:
        >>> found = split_records(SplitSpec(val=0.2), np.zeros(10), task_type="regression")
        >>> {name: len(records) for name, records in found.items()}
        {'train': 8, 'val': 2}
    """
    count = len(y) - appended
    if appended and spec.test not in (0.0, []):
        raise DataError("data.split.test: data.test brings its own test records; leave one of the two out")
    given = spec.method == "given"
    found = _read_given(spec, count, folder) if given else _draw(spec, y[:count], task_type)
    if appended:
        found["test"] = np.arange(count, len(y), dtype=np.int64)
    for name in ("train", "val"):
        if len(found.get(name, ())) == 0:
            raise DataError(f"data.split.{name}: the {name} split is empty ({count} records to divide)")
    return {name: found[name] for name in SPLITS if name in found}


def check_splits(splits: Mapping[str, Indices], count: int) -> dict[str, Indices]:
    """Sorts the indices of each split.

    Args:
        splits: Positions of records, by split.
        count: How many records there are.

    Raises:
        DataError: If a position is given twice, is out of range, or belongs to two splits.
    """
    owner = np.full(count, -1, dtype=np.int8)
    found: dict[str, Indices] = {}
    for number, (name, listed) in enumerate(splits.items()):
        at = f"data.split.{name}: "
        outside = (listed < 0) | (listed >= count)
        if outside.any():
            absent = listed[np.argmax(outside)]
            raise DataError(f"{at}there is no record {absent}, they count from 0 to {count - 1}")
        values, first, times = np.unique(listed, return_index=True, return_counts=True)
        if len(values) < len(listed):
            twice = int(values[times > 1][np.argmin(first[times > 1])])
            raise DataError(f"{at}record {twice} is listed twice")
        taken = owner[values] >= 0
        if taken.any():
            shared = int(values[np.argmax(taken)])
            other = list(splits)[owner[shared]]
            raise DataError(
                f"{at}record {shared} is in {other} already ({np.count_nonzero(taken)} records are in both)"
            )
        owner[values] = number
        found[name] = values.astype(np.int64)
    return found


def _draw(spec: SplitSpec, y: Array, task_type: str) -> dict[str, Indices]:
    for name in SPLITS:
        if isinstance(getattr(spec, name), str | list):
            raise DataError(f"data.split.{name}: records are listed only with `method: given`")
    assert isinstance(spec.val, float) and isinstance(spec.test, float)
    order = permutation(stream(spec.seed, "split"), len(y))
    stratified = spec.method == "stratified"
    groups = _groups(y, task_type) if stratified else np.zeros(len(y), dtype=np.int64)
    rest, found = order, {}
    for name, fraction in (("test", spec.test), ("val", spec.val)):
        if fraction:
            chosen = _choose(groups[rest], fraction, keep=1 if task_type == "classification" else 0)
            found[name] = np.sort(rest[chosen])
            rest = rest[~chosen]
    return found | {"train": np.sort(rest)}


def _choose(groups: Indices, fraction: float, *, keep: int) -> NDArray[np.bool_]:
    """Marks, in an order that is random already, the first records of each group that are chosen."""
    sizes = np.bincount(groups)
    shares = (
        _apportion(sizes, fraction, keep=keep)
        if len(sizes) > 1
        else np.array([_rounded(fraction * len(groups))])
    )
    # The place of each record among those of its own group.
    by_group = np.argsort(groups, kind="stable")
    place = np.empty_like(groups)
    place[by_group] = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    chosen: NDArray[np.bool_] = place < shares[groups]
    return chosen


def _apportion(sizes: Indices, fraction: float, *, keep: int) -> Indices:
    quota = fraction * sizes
    limit = np.maximum(sizes - keep, 0)
    shares: Indices = np.minimum(np.floor(quota).astype(np.int64), limit)
    wanted = _rounded(fraction * int(sizes.sum()))
    # Largest remainder first; equal ones in the order of the classes.
    for group in np.argsort(-(quota - np.floor(quota)), kind="stable"):
        if shares.sum() < wanted and shares[group] < limit[group]:
            shares[group] += 1
    return shares


def _groups(y: Array, task_type: str) -> Indices:
    if task_type == "classification":
        return np.unique(y, return_inverse=True)[1].astype(np.int64)
    rank = np.empty(len(y), dtype=np.int64)
    rank[np.argsort(y.reshape(len(y), -1)[:, 0], kind="stable")] = np.arange(len(y))
    return rank * TENTHS // max(1, len(y))


def _rounded(records: float) -> int:
    return max(1, int(np.floor(records + 0.5)))


def _read_given(spec: SplitSpec, count: int, folder: Path) -> dict[str, Indices]:
    found: dict[str, Indices] = {}
    for name in SPLITS:
        listed: list[int] | str | float | None = getattr(spec, name)
        if listed is None or (name == "test" and listed in (0.0, [])):
            continue
        if isinstance(listed, float):
            raise DataError(
                f"data.split.{name}: `method: given` needs a list of records or an .npy file of them"
            )
        found[name] = _read_indices(listed, folder, at=f"data.split.{name}: ")
    return check_splits(found, count)


def _read_indices(listed: list[int] | str, folder: Path, *, at: str) -> Indices:
    if isinstance(listed, list):
        return np.array(listed, dtype=np.int64)
    path = folder / listed
    if not path.is_file() or path.suffix.lower() != ".npy":
        raise DataError(f"{at}there is no .npy file {listed!r} in {folder.resolve()}")

    try:
        numbers = read_npy(path)
    except DataError as error:
        raise DataError(f"{at}{error}") from error
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise DataError(
            f"{at}{path.name} holds {numbers.dtype} of shape {numbers.shape}, not a row of record numbers"
        )
    return numbers.astype(np.int64)
