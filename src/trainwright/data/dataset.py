"""Opens a dataset: records, checked, with their splits and digests."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainwright.base.digest import digest_array, digest_json
from trainwright.base.errors import DataError
from trainwright.base.jsontext import Json
from trainwright.base.tree import Array
from trainwright.data.check import (
    TASK_TYPES,
    check_finite,
    check_ids,
    check_weight,
    infer_task_type,
    settle_target,
)
from trainwright.data.lazy import digest_rows, is_lazy, join_rows, take_rows
from trainwright.data.source import Raw, Roles, find_file
from trainwright.data.split import check_splits, split_records
from trainwright.data.storage import read_records
from trainwright.spec.data import DataSpec, TestRecords


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Some records.

    Args:
        x: Features, shape `(records, ...)`; lazy (data/lazy.py) where they stay in their file.
        y: Targets, shape `(records, ...)`; None at prediction.
        weight: Non-negative, shape `(records,)`; None where all weigh the same.
        ids: Names of the records, shape `(records,)`.

    Example:
        >>> records = Records(x=np.eye(3), y=None, weight=None, ids=np.arange(3))
        >>> len(records.take(np.array([0, 2])))
        2
    """

    x: Array
    y: Array | None
    weight: Array | None
    ids: Array

    def __len__(self) -> int:
        return len(self.x)

    def take(self, indices: NDArray[np.int64]) -> "Records":
        """Gives the records at some positions."""
        return Records(
            x=take_rows(self.x, indices),
            y=None if self.y is None else self.y[indices],
            weight=None if self.weight is None else self.weight[indices],
            ids=self.ids[indices],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Records with named splits.

    Args:
        records: All of them.
        recipe: What they were made from: the data section of the spec, without folders.
        recipe_digest: Of the recipe.
        content_digest: Of the arrays that came out.
        splits: Positions of records by split, sorted, disjoint.
        split_digests: Of these positions.
        features: Names of the feature columns of a table, in order; None for an array.
        target: Name of the target.
        task_type: `classification` or `regression`.
    """

    records: Records
    recipe: dict[str, Json]
    recipe_digest: str
    content_digest: str
    splits: dict[str, NDArray[np.int64]]
    split_digests: dict[str, str]
    features: tuple[str, ...] | None
    target: str
    task_type: str

    def part(self, split: str) -> Records:
        """Gives the records of a split.

        Raises:
            DataError: If there is no such split.
        """
        if split not in self.splits:
            raise DataError(f"there is no split {split!r}, only {', '.join(self.splits)}")
        return self.records.take(self.splits[split])


def open_dataset(
    spec: DataSpec, *, folder: Path, task_type: str = "auto", pinned: Mapping[str, Any] | None = None
) -> Dataset:
    """Reads, checks and splits the records a spec names.

    Args:
        spec: What the user says.
        folder: Where relative paths begin.
        task_type: `classification`, `regression`, or `auto`: by the values of the target (`infer_task_type`).
        pinned: What an earlier reading found: `content_digest`, which must be the same again, and `splits`
            (positions by name), which are then used as they are.

    Raises:
        DataError: If a file, array or column is not there, or its values cannot be trained on. The message
            begins with the path of the field, such as `data.target:`.
    """
    if task_type not in ("auto", *TASK_TYPES):
        raise ValueError(f"task type {task_type!r}")
    if spec.path is None:
        raise DataError("data.path: name a file, or register the dataset under the name it is asked for")
    path = find_file(spec.path, folder, at="data.path: ")
    roles = Roles(spec.features, spec.target, spec.weight, spec.id, spec.split.by)
    main = read_records(path, roles, in_memory=spec.in_memory)
    main_records = _records(main, "data", weighted=spec.weight is not None)
    records, appended = main_records, 0
    if spec.test is not None:
        test = _read_test(spec, spec.test, main, path=path, folder=folder)
        records, appended = _join(main_records, test, named=spec.id is not None), len(test)
    assert records.y is not None
    content = _digest(records)  # of what was read: the task type is no part of it
    resolved = infer_task_type(records.y[: len(main.x)]) if task_type == "auto" else task_type
    y = settle_target(records.y, resolved, at="data.target: ")
    records = Records(records.x, y, records.weight, records.ids)
    for expected in (spec.digest, (pinned or {}).get("content_digest")):
        _check_digest(content, expected, path.name)
    if pinned and "splits" in pinned:
        splits = check_splits(pinned["splits"], len(records))
    else:
        splits = split_records(
            spec.split, y, task_type=resolved, appended=appended, folder=folder, by=main.by
        )
    _check_parts(records, splits, resolved)
    recipe = _recipe(spec, main) | {"task_type": resolved}  # stratified splits go by it
    return Dataset(
        records=records,
        recipe=recipe,
        recipe_digest=digest_json(recipe),
        content_digest=content,
        splits=splits,
        split_digests={name: digest_array(indices) for name, indices in splits.items()},
        features=main.columns,
        target=main.target,
        task_type=resolved,
    )


def _check_roles(spec: DataSpec, raw: Raw) -> None:
    """Refuses a name with two roles: features that hold the target leak it."""
    names = [*(raw.columns or (raw.features,)), raw.target, spec.weight, spec.id]
    twice = sorted({name for name in names if name is not None and names.count(name) > 1})
    if twice:
        raise DataError(
            f"data: {', '.join(map(repr, twice))} has two roles among features, target, weight and id"
        )


def _read_test(spec: DataSpec, test: TestRecords, main: Raw, *, path: Path, folder: Path) -> Records:
    same_file = test.path is None
    if same_file and (path.suffix.lower() != ".npz" or test.features is None or test.target is None):
        raise DataError(
            "data.test: name their file (path), or both arrays (features, target) in the same .npz file"
        )
    for role in ("weight", "id"):
        if same_file and getattr(spec, role) is not None:
            raise DataError(
                f"data.{role}: {getattr(spec, role)!r} cannot belong to the test records too; "
                "give them a file of their own (data.test.path)"
            )
    own = path if test.path is None else find_file(test.path, folder, at="data.test.path: ")
    table = own.suffix.lower() in (".csv", ".parquet")
    features = test.features or (list(main.columns) if table and main.columns else spec.features)
    roles = Roles(features, test.target or spec.target, spec.weight, spec.id, where="data.test")
    raw = read_records(own, roles, in_memory="auto" if is_lazy(main.x) else True)
    assert raw.y is not None and main.y is not None
    if raw.x.shape[1:] != main.x.shape[1:]:
        raise DataError(
            f"data.test: its records have shape {raw.x.shape[1:]}, those of data {main.x.shape[1:]}"
        )
    kinds = [
        {"U": "text", "b": "booleans"}.get(one.y.dtype.kind, "numbers")
        for one in (main, raw)
        if one.y is not None
    ]
    if raw.y.shape[1:] != main.y.shape[1:] or kinds[0] != kinds[1]:
        raise DataError(
            f"data.test.target: it holds {kinds[1]} of shape {raw.y.shape[1:]} per record, "
            f"that of data {kinds[0]} of shape {main.y.shape[1:]}"
        )
    return _records(raw, "data.test", weighted=spec.weight is not None)


def _records(raw: Raw, where: str, *, weighted: bool) -> Records:
    count = len(raw.x)
    name = "it" if raw.columns else f"the array {raw.features!r}"
    if raw.x.size == 0:
        raise DataError(f"{where}.features: {name} is empty (shape {raw.x.shape})")
    if raw.y is None or raw.y.ndim == 0 or len(raw.y) != count:
        shape = None if raw.y is None else raw.y.shape
        raise DataError(
            f"{where}.target: {raw.target!r} has shape {shape}, but there are {count} records of features"
        )
    check_finite(raw.x, at=f"{where}.features: ", what=name, columns=raw.columns)
    check_finite(raw.y, at=f"{where}.target: ", what=repr(raw.target))
    assert weighted == (raw.weight is not None)
    weight = None if raw.weight is None else check_weight(raw.weight, count, at=f"{where}.weight: ")
    ids = np.arange(count) if raw.ids is None else check_ids(raw.ids, count, at=f"{where}.id: ")
    return Records(raw.x, raw.y, weight, ids)


def _join(first: Records, second: Records, *, named: bool) -> Records:
    assert first.y is not None and second.y is not None
    ids: Array = np.arange(len(first) + len(second))
    if named:
        if (first.ids.dtype.kind == "U") != (second.ids.dtype.kind == "U"):
            raise DataError("data.id: the ids of the test records are not of the same kind, text or integers")
        ids = np.concatenate([first.ids, second.ids])
    weighted = first.weight is not None and second.weight is not None
    return Records(
        x=join_rows(first.x, second.x),
        y=np.concatenate([first.y, second.y]),
        weight=np.concatenate([first.weight, second.weight]) if weighted else None,
        ids=ids,
    )


def _digest(records: Records) -> str:
    arrays = {"x": records.x, "y": records.y, "weight": records.weight, "ids": records.ids}
    return digest_json({name: None if one is None else digest_rows(one) for name, one in arrays.items()})


def _check_digest(found: str, expected: str | None, name: str) -> None:
    registered = found if expected is None else expected.removeprefix("sha256:")
    if found != registered:
        raise DataError(
            f"data.digest: {name} has changed: registered sha256 {registered}, now {found}; "
            "register it again or bring the file back"
        )


def _check_parts(records: Records, splits: Mapping[str, NDArray[np.int64]], task_type: str) -> None:
    assert records.y is not None
    for name, indices in splits.items():
        if records.weight is not None and not records.weight[indices].astype(np.float64).sum() > 0:
            raise DataError(f"data.weight: all {len(indices)} weights of the {name} split are zero")
    if task_type != "classification":
        return
    known = np.unique(records.y[splits["train"]])
    if len(known) == 1:
        raise DataError(f"data.split.train: all its records are of one class, {known[0].item()!r}")
    for name, indices in splits.items():
        unseen = indices[~np.isin(records.y[indices], known)]
        if len(unseen):
            value: Any = records.y[unseen[0]]
            raise DataError(
                f"data.split.{name}: {len(unseen)} of its records are of a class that train has not, such as "
                f"record {unseen[0]} of class {value.item()!r}; `method: stratified` leaves train one of each"
            )


def _recipe(spec: DataSpec, raw: Raw) -> dict[str, Json]:
    """Gives the spec without folders and `auto`, so that resolving it changes nothing."""
    tree = spec.tree()
    del tree["dataset"], tree["digest"], tree["in_memory"]
    tree["features"] = list(raw.columns) if raw.columns is not None else raw.features
    tree["target"] = raw.target
    tree["path"] = _bare(tree["path"])
    if tree["test"] is not None:
        tree["test"]["path"] = _bare(tree["test"]["path"])
    for name in ("train", "val", "test"):
        tree["split"][name] = _bare(tree["split"][name])
    return tree


def _bare(path: Json) -> Json:
    return Path(path).name if isinstance(path, str) else path
