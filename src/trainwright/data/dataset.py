"""Opens a dataset: records, checked, with their splits and digests."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainwright.base.digest import digest_array, digest_json
from trainwright.base.errors import DataError
from trainwright.base.jsontext import Json
from trainwright.base.tree import Array
from trainwright.data.check import (
    NO_CLASS,
    TASK_TYPES,
    check_finite,
    check_ids,
    check_weight,
    infer_task_type,
    settle_target,
    without_target,
)
from trainwright.data.frame import Frame, join_frames
from trainwright.data.graph import Graphs, Nodes
from trainwright.data.graph_source import read_graph
from trainwright.data.lazy import digest_rows, is_lazy, join_rows, take_rows
from trainwright.data.roles import Raw, Roles
from trainwright.data.schema import Column
from trainwright.data.sequences import Sequences, join_sequences
from trainwright.data.source import (
    BUNDLED,
    TABLES,
    find_file,
    find_place,
    read_bundled,
    read_inline,
    read_source,
)
from trainwright.data.spelling import spell_classes
from trainwright.data.split import check_splits, split_records
from trainwright.data.storage import read_records
from trainwright.spec.data import ColumnSpec, DataSpec, TestRecords

Features = Array | Frame | Sequences | Nodes | Graphs
OWN = (Frame, Sequences, Nodes, Graphs)  # they know how to take records, and their digest


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Some records.

    Args:
        x: Features, shape `(records, ...)`, lazy (data/lazy.py) where they stay in their file; the columns of a
            table; sequences; or nodes or graphs.
        y: Targets, shape `(records, ...)`; None at prediction.
        weight: Non-negative, shape `(records,)`; None where all weigh the same.
        ids: Names of the records, shape `(records,)`.

    Example:
        >>> records = Records(x=np.eye(3), y=None, weight=None, ids=np.arange(3))
        >>> len(records.take(np.array([0, 2])))
        2
    """

    x: Features
    y: Array | None
    weight: Array | None
    ids: Array

    def __len__(self) -> int:
        return len(self.x)

    def take(self, indices: NDArray[np.int64]) -> "Records":
        """Gives the records at some positions."""
        return Records(
            x=self.x[indices] if isinstance(self.x, OWN) else take_rows(self.x, indices),
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
        target: Name of the target, or of its columns.
        task_type: `classification` or `regression`.
        schema: What is known of the columns of a table that have no other role; None for an array.
        left_out: How many records were left out because they lack values.
    """

    records: Records
    recipe: dict[str, Json]
    recipe_digest: str
    content_digest: str
    splits: dict[str, NDArray[np.int64]]
    split_digests: dict[str, str]
    features: tuple[str, ...] | None
    target: str | tuple[str, ...]
    task_type: str
    schema: tuple[Column, ...] | None = None
    left_out: int = 0

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
    main, path = _read_main(spec, folder)
    _check_roles(spec, main)
    main_records = _records(main, "data", weighted=spec.weight is not None)
    records, appended = main_records, 0
    if spec.test is not None:
        test = _read_test(spec, spec.test, main, path=path, folder=folder)
        records, appended = _join(main_records, test, named=spec.id is not None), len(test)
    content = _digest(records)  # of what was read: the task type is no part of it
    resolved, y = _settle(records, len(main.x), task_type)
    records = Records(records.x, y, records.weight, records.ids)
    for expected in (spec.digest, (pinned or {}).get("content_digest")):
        _check_digest(content, expected, path.name)
    if pinned and "splits" in pinned:
        splits = check_splits(pinned["splits"], len(records))
    else:
        splits = split_records(
            spec.split, y, task_type=resolved, appended=appended, folder=folder, by=main.by, arrays=path
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
        schema=main.schema,
        left_out=main.left_out,
    )


def _settle(records: Records, count: int, task_type: str) -> tuple[str, Array]:
    """Decides the task type, and gives the target its form."""
    if records.y is None:
        if task_type not in ("auto", "embedding"):
            raise DataError(f"data.target: {task_type} learns to predict one; name it")
        return "embedding", without_target(len(records))
    resolved = infer_task_type(records.y[:count]) if task_type == "auto" else task_type
    return resolved, settle_target(records.y, resolved, at="data.target: ")


def _read_main(spec: DataSpec, folder: Path) -> tuple[Raw, Path]:
    if spec.inline is not None:
        return read_inline(spec.inline, _roles(spec)), folder / "the inline table"
    if spec.path is None:
        raise DataError("data.path: name a file, or register the dataset under the name it is asked for")
    if spec.path.startswith(BUNDLED):
        return read_bundled(spec.path, _roles(spec)), folder / spec.path
    path = find_place(spec.path, folder, at="data.path: ")
    if spec.graph is not None:
        return read_graph(path, _roles(spec), spec.graph), path
    if path.is_dir():
        return read_source(path, _roles(spec)), path
    return read_records(path, _roles(spec), in_memory=spec.in_memory), path


def _check_roles(spec: DataSpec, raw: Raw) -> None:
    """Refuses a name with two roles: features that hold the target leak it."""
    target = raw.target if isinstance(raw.target, tuple) else (raw.target,)
    names = [*(raw.columns or (raw.features,)), *target, spec.weight, spec.id]
    twice = sorted({name for name in names if name is not None and names.count(name) > 1})
    if twice:
        raise DataError(
            f"data: {', '.join(map(repr, twice))} has two roles among features, target, weight and id"
        )


def _roles(spec: DataSpec) -> Roles:
    return Roles(
        spec.features,
        spec.target,
        spec.weight,
        spec.id,
        by=spec.split.by,
        columns=spec.columns,
        missing=spec.missing,
        delimiter=spec.delimiter,
        decimal=spec.decimal,
        size=None if spec.image_size is None else (spec.image_size[0], spec.image_size[1]),
        color=spec.color,
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
    table = own.suffix.lower() in TABLES
    features = test.features or (list(main.columns) if table and main.columns else spec.features)
    roles = replace(
        _roles(spec),
        features=features,
        target=test.target or spec.target,
        where="data.test",
        columns=_said(main) if test.features is None else spec.columns,
    )
    raw = read_records(own, roles, in_memory="auto" if is_lazy(main.x) else True)
    alike = isinstance(raw.x, Sequences) or raw.x.shape[1:] == main.x.shape[1:]
    if not alike:
        raise DataError(
            f"data.test: its records have shape {raw.x.shape[1:]}, those of data {main.x.shape[1:]}"
        )
    if raw.y is not None and main.y is not None:
        raw = replace(raw, y=spell_classes(raw.y, like=main.y))
        assert raw.y is not None
        kinds = [{"U": "text", "b": "booleans"}.get(y.dtype.kind, "numbers") for y in (main.y, raw.y)]
        if raw.y.shape[1:] != main.y.shape[1:] or kinds[0] != kinds[1]:
            raise DataError(
                f"data.test.target: it holds {kinds[1]} of shape {raw.y.shape[1:]} per record, "
                f"that of data {kinds[0]} of shape {main.y.shape[1:]}"
            )
    return _records(raw, "data.test", weighted=spec.weight is not None)


def _said(raw: Raw) -> list[ColumnSpec]:
    """Says of the feature columns what was found, so that other records are read alike."""
    return [
        ColumnSpec(name=one.name, role="feature", kind=one.kind, format=one.format or "auto")  # type: ignore[arg-type]
        for one in raw.schema or ()
        if one.name in (raw.columns or ())
    ]


def _records(raw: Raw, where: str, *, weighted: bool) -> Records:
    count = len(raw.x)
    name = "it" if raw.columns else f"the array {raw.features!r}"
    if raw.x.size == 0:
        raise DataError(f"{where}.features: {name} is empty (shape {raw.x.shape})")
    if raw.y is not None and (raw.y.ndim == 0 or len(raw.y) != count):
        raise DataError(
            f"{where}.target: {raw.target!r} has shape {raw.y.shape}, but there are {count} records of features"
        )
    values = raw.x if isinstance(raw.x, Frame) else plain_values(raw.x)
    if not isinstance(values, Frame):
        check_finite(values, at=f"{where}.features: ", what=name)
    if raw.y is not None:
        check_finite(raw.y, at=f"{where}.target: ", what=repr(raw.target))
    assert weighted == (raw.weight is not None)
    weight = None if raw.weight is None else check_weight(raw.weight, count, at=f"{where}.weight: ")
    own = np.arange(count) if raw.numbers is None else raw.numbers
    ids = own if raw.ids is None else check_ids(raw.ids, count, at=f"{where}.id: ")
    return Records(raw.x, raw.y, weight, ids)


def plain_values(x: Array | Sequences | Nodes | Graphs) -> Array | Frame:
    """Gives the values behind sequences, nodes or graphs; an array is its own."""
    return x.values if isinstance(x, Sequences | Nodes | Graphs) else x


def _join(first: Records, second: Records, *, named: bool) -> Records:
    ids: Array = np.arange(len(first) + len(second))
    if named:
        if (first.ids.dtype.kind == "U") != (second.ids.dtype.kind == "U"):
            raise DataError("data.id: the ids of the test records are not of the same kind, text or integers")
        ids = np.concatenate([first.ids, second.ids])
    weighted = first.weight is not None and second.weight is not None
    return Records(
        x=_join_features(first.x, second.x),
        y=None if first.y is None or second.y is None else np.concatenate([first.y, second.y]),
        weight=np.concatenate([first.weight, second.weight]) if weighted else None,
        ids=ids,
    )


def _join_features(first: Features, second: Features) -> Features:
    if isinstance(first, Frame) and isinstance(second, Frame):
        return join_frames(first, second)
    if isinstance(first, Sequences) and isinstance(second, Sequences):
        return join_sequences(first, second)
    if isinstance(first, OWN) or isinstance(second, OWN):
        raise DataError("data.test.path: the test records are of another kind than those of data")
    return join_rows(first, second)


def _digest(records: Records) -> str:
    x = records.x.digest() if isinstance(records.x, OWN) else digest_rows(records.x)
    arrays = {"y": records.y, "weight": records.weight, "ids": records.ids}
    return digest_json(
        {"x": x} | {name: None if one is None else digest_array(one) for name, one in arrays.items()}
    )


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
        if records.weight is not None and not records.weight[indices].astype(np.float32).any():
            tiny = " in float32; multiply all weights by one number" if records.weight[indices].any() else ""
            raise DataError(f"data.weight: all {len(indices)} weights of the {name} split are zero{tiny}")
    train = records.y[splits["train"]]
    if task_type == "regression" and len(train) > 1 and (train == train[0]).all():
        raise DataError(
            f"data.split.train: all its records have one target, {train[0].tolist()}; nothing can be learnt"
        )
    if records.y.ndim == 2:  # probabilities of classes, labels, quantities: all have their columns everywhere
        return
    if task_type != "classification" and (task_type != "embedding" or (records.y == NO_CLASS).all()):
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
    # Operators are fitted in each run anew; they are no part of the data.
    for name in ("dataset", "digest", "in_memory", "operators", "target_operators"):
        del tree[name]
    if tree["graph"] is None:
        del tree["graph"]  # a recipe without one is spelled as it always was
    tree["features"] = list(raw.columns) if raw.columns is not None else raw.features
    tree["target"] = list(raw.target) if isinstance(raw.target, tuple) else raw.target
    used = [one for one in raw.schema or () if one.name in (raw.columns or ())]
    tree["columns"] = [{"name": one.name, "kind": one.kind} for one in used]
    tree["path"] = _bare(tree["path"])
    if tree["test"] is not None:
        tree["test"]["path"] = _bare(tree["test"]["path"])
    for name in ("train", "val", "test"):
        tree["split"][name] = _bare(tree["split"][name])
    return tree


def _bare(path: Json) -> Json:
    return Path(path).name if isinstance(path, str) else path
