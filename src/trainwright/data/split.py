"""Which records are for training, for validation, for the test."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.random import permutation, stream
from trainwright.base.tree import Array
from trainwright.data.draw import (
    CLASSES,
    Chosen,
    Indices,
    choose_groups,
    choose_latest,
    choose_records,
    fold_of_groups,
    fold_of_records,
    random_groups,
    strata_of,
)
from trainwright.data.npy import list_npz, read_npy, read_npz
from trainwright.data.roles import nearest
from trainwright.spec.data import BY, KFOLD, REST, SplitSpec

SPLITS = ("train", "val", "test")
WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def split_records(
    spec: SplitSpec,
    y: Array,
    *,
    task_type: str,
    appended: int = 0,
    folder: Path = Path(),
    by: Array | None = None,
    arrays: Path | None = None,
) -> dict[str, Indices]:
    """Divides records into splits: disjoint, each sorted, the same for the same spec and number of records.

    Every record is put somewhere, but for records that `given` does not list or whose word in a `column` is
    blank. A fraction asks for that many records, rounded (halves up) and at least one. `stratified` shares the
    records of a split among classes (tenths by rank of a real target) in proportion to their size, by largest
    remainder, and leaves each class at least one record for training. `grouped` and `time` come as near to a
    fraction as whole groups and whole times allow. With the k-fold methods the test split is drawn first, and
    each of the other records is in val for exactly one fold.

    Args:
        spec: What the user says.
        y: Targets, shape `(records, ...)`, those of appended test records included.
        task_type: `classification` or `regression`.
        appended: How many records at the end came apart as test records.
        folder: Where paths of index files begin.
        by: What the records are grouped, ordered or named by, shape `(records,)` without the appended ones.
        arrays: The .npz file of the records, whose arrays may name those of a split.

    Returns:
        Positions of records by split; a split that nobody asks for is not there.

    Raises:
        DataError: If a split of the spec is empty, given splits overlap or name what is not there, or `by` does
            not hold what the method goes by.

    Example:
        >>> found = split_records(SplitSpec(val=0.2), np.zeros(10), task_type="regression")
        >>> {name: len(records) for name, records in found.items()}
        {'train': 8, 'val': 2}
    """
    count = len(y) - appended
    if appended and spec.test not in (0.0, []):
        raise DataError("data.split.test: data.test brings its own test records; leave one of the two out")
    if spec.method in BY:
        _check_by(by, count, spec)
    if spec.method == "given":
        found = _read_given(spec, count, folder, arrays)
    elif spec.method == "column":
        found = _read_words(by, spec.by)
    else:
        found = _draw(spec, y[:count], task_type, by)
    if appended and "test" in found:
        raise DataError(
            "data.split.by: it names test records, and data.test brings others; keep one of the two"
        )
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


def _draw(spec: SplitSpec, y: Array, task_type: str, by: Array | None) -> dict[str, Indices]:
    for name in SPLITS:
        if isinstance(getattr(spec, name), str | list):
            raise DataError(f"data.split.{name}: records are listed only with `method: given`")
    assert isinstance(spec.val, float) and isinstance(spec.test, float)
    keys = _keys(spec, y, task_type, by)
    fractions = {"test": spec.test} if spec.method in KFOLD else {"test": spec.test, "val": spec.val}
    rest, found = permutation(stream(spec.seed, "split"), len(y)), {}
    for name, fraction in fractions.items():
        # What is drawn first leaves a group for each split, or fold, that comes after it.
        leave = spec.folds or (2 if name == "test" else 1)
        if fraction:
            chosen = _choose(spec, keys[rest], fraction, task_type, leave=leave)
            found[name] = np.sort(rest[chosen])
            rest = rest[~chosen]
    if spec.method in KFOLD:
        if spec.folds is None or spec.fold is None:
            raise DataError("data.split.fold: it is missing; say which fold is val, from 0")
        if len(rest) < spec.folds:
            raise DataError(f"data.split.folds: {spec.folds} folds of {len(rest)} records")
        numbers = _folds(spec, keys[rest], spec.folds)
        found["val"] = np.sort(rest[numbers == spec.fold])
        rest = rest[numbers != spec.fold]
    return found | {"train": np.sort(rest)}


def _keys(spec: SplitSpec, y: Array, task_type: str, by: Array | None) -> Indices:
    """Gives a number for each record that its method goes by: its stratum, its group or its time."""
    if spec.method in BY:
        assert by is not None
        if spec.method == "time" and by.dtype.kind == "U":
            by = _times(by, str(spec.by))
        # The rank among different values stands for the value: equal ones have equal ranks.
        return np.unique(by, return_inverse=True)[1].reshape(-1).astype(np.int64)
    if spec.method in ("stratified", "stratified_kfold"):
        return strata_of(y, task_type=task_type)
    return np.zeros(len(y), dtype=np.int64)


def _times(by: Array, name: str) -> Array:
    from trainwright.data.datetimes import parse_datetimes  # it needs Arrow, which arrays do without

    try:
        times: Array = parse_datetimes(by.tolist())
    except DataError as error:
        cure = f"write YYYY-MM-DD, or say the format: data.columns: [{{name: {name}, format: DD/MM/YYYY}}]"
        raise DataError(f"data.split.by: {name!r}: {error}; {cure}") from error
    return times


def _choose(spec: SplitSpec, keys: Indices, fraction: float, task_type: str, *, leave: int) -> Chosen:
    if spec.method == "time":
        return choose_latest(keys, fraction, leave=leave)
    if spec.method in ("grouped", "grouped_kfold"):
        return choose_groups(keys, fraction, order=random_groups(keys, seed=spec.seed), leave=leave)
    return choose_records(keys, fraction, keep=1 if task_type in CLASSES else 0)


def _folds(spec: SplitSpec, keys: Indices, folds: int) -> Indices:
    if spec.method == "grouped_kfold":
        return fold_of_groups(keys, folds, order=random_groups(keys, seed=spec.seed))
    return fold_of_records(keys, folds)


def _check_by(by: Array | None, count: int, spec: SplitSpec) -> None:
    if by is None or by.shape != (count,):
        found = "it was not read" if by is None else f"it has shape {by.shape}"
        raise DataError(f"data.split.by: {spec.by!r} holds one value per record ({count}), but {found}")
    values: Any = by
    blank = np.zeros(count, dtype=np.bool_)
    if by.dtype.kind == "f":
        blank = ~np.isfinite(values)
    elif by.dtype.kind == "M":
        blank = np.isnat(values)
    elif by.dtype.kind == "U" and spec.method != "column":
        blank = np.strings.str_len(np.strings.strip(values)) == 0
    if blank.any():
        raise DataError(f"data.split.by: {spec.by!r} has no value in record {int(np.argmax(blank))}")


def _read_words(by: Array | None, name: str | None) -> dict[str, Indices]:
    assert by is not None
    if by.dtype.kind != "U":
        raise DataError(f"data.split.by: {name!r} holds {by.dtype}, not the words train, val and test")
    written, number = np.unique(by, return_inverse=True)
    meant = []
    for text in written.tolist():
        word = text.strip().lower()
        if word and word not in WORDS:
            record = int(np.argmax(by == text))
            raise DataError(
                f"data.split.by: {name!r} holds {text!r} in record {record}; it takes train, val, test or a blank"
            )
        meant.append(WORDS.get(word, ""))
    words = np.array(meant, dtype=np.str_)[number.reshape(-1)]
    return {split: np.flatnonzero(words == split) for split in SPLITS if (words == split).any()}


def is_index_file(listed: Any) -> bool:
    """Says whether the records of a split are named by a file of their numbers.

    Example:
        >>> is_index_file("train.npy"), is_index_file("train_idx"), is_index_file([0, 1])
        (True, False, False)
    """
    return isinstance(listed, str) and listed.lower().endswith(".npy")


def _read_given(spec: SplitSpec, count: int, folder: Path, arrays: Path | None) -> dict[str, Indices]:
    found: dict[str, Indices] = {}
    for name in SPLITS:
        listed: list[int] | str | float | None = getattr(spec, name)
        if listed is None or listed == REST or (name == "test" and listed in (0.0, [])):
            continue
        if isinstance(listed, float):
            raise DataError(
                f"data.split.{name}: `method: given` needs a list of records or an .npy file of them"
            )
        found[name] = _read_indices(listed, count, folder, arrays, at=f"data.split.{name}: ")
    if spec.train == REST:
        named = check_splits(found, count)
        taken = np.concatenate([np.empty(0, dtype=np.int64), *named.values()])
        found["train"] = np.setdiff1d(np.arange(count, dtype=np.int64), taken)
    return check_splits(found, count)


def _read_indices(
    listed: list[int] | str, count: int, folder: Path, arrays: Path | None, *, at: str
) -> Indices:
    if isinstance(listed, list):
        return np.array(listed, dtype=np.int64)
    try:
        if is_index_file(listed):
            path = folder / listed
            if not path.is_file():
                raise DataError(f"there is no .npy file {listed!r} in {folder.resolve()}")
            numbers, name = read_npy(path), path.name
        else:
            numbers, name = _read_named(listed, arrays), repr(listed)
    except DataError as error:
        raise DataError(f"{at}{error}") from error
    if numbers.shape == (count,) and numbers.dtype.kind == "b" and not is_index_file(listed):
        return np.flatnonzero(numbers)  # a mask over the records
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise DataError(
            f"{at}{name} holds {numbers.dtype} of shape {numbers.shape}, not a row of record numbers"
        )
    return numbers.astype(np.int64)


def _read_named(name: str, arrays: Path | None) -> Array:
    if arrays is None or arrays.suffix.lower() != ".npz":
        raise DataError(f"{name!r} is no .npy file, and only an .npz file has arrays that could be meant")
    known = list_npz(arrays)
    if name not in known:
        raise DataError(f"no array {name!r} in {arrays.name}, {nearest(name, known)}")
    return read_npz(arrays, [name])[name]
