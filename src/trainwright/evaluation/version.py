"""Judges a version on records, and keeps what was found with its run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.home import home_of
from trainwright.base.tree import Array
from trainwright.data.dataset import Records, open_dataset
from trainwright.data.frame import Frame
from trainwright.data.inputs import read_inputs
from trainwright.data.sequences import Sequences
from trainwright.evaluation.baseline import baseline_scores
from trainwright.evaluation.decisions import judge_classes, judge_labels, judge_places
from trainwright.evaluation.judgement import Interval, Judgement
from trainwright.evaluation.values import judge_embedding, judge_values
from trainwright.model_op import ModelOp
from trainwright.spec.experiment import Experiment
from trainwright.store.records import VersionRow
from trainwright.store.registry import Registry
from trainwright.store.run import LocalRun
from trainwright.store.store import Store


def judge(model: ModelOp, records: Records, *, columns: Mapping[str, Array] | None = None) -> Judgement:
    """Predicts for records and compares.

    Args:
        model: Loaded from a version.
        records: Raw, with targets.
        columns: Raw columns by name, one value per record; the scores are also taken by their values.

    Raises:
        DataError: If the records do not fit the model, or a column is not one value per record.
    """
    task, weight = model.schema.task_type, records.weight
    outputs = model.outputs(records.x)
    y = model.preparation.encode(records).y
    if task == "embedding":
        return judge_embedding(outputs["embedding"], y, weight=weight, columns=columns)
    assert y is not None
    if task == "regression":
        return _judge_regression(model, outputs, records, columns)
    logits = outputs["logits"]
    if task == "multi_label":
        return judge_labels(logits, y, weight=weight, labels=model.classes, columns=columns)
    judged = judge_places if task == "segmentation" else judge_classes
    return judged(logits, y, weight=weight, classes=model.classes, columns=columns)


def evaluate_version(
    registry: Registry, version: VersionRow, records: Records, *, run: LocalRun, train: Records
) -> dict[str, Interval]:
    """Judges a version on the test split and keeps what was found with the run; the look is counted.

    Args:
        registry: Where the version is.
        version: Is loaded from the store alone, as anybody would.
        records: The test split.
        run: Being finished.
        train: The train split, for the baseline.
    """
    run.look("test", "evaluate")
    model = ModelOp(registry.operator(version), registry.weights(version), version=version)  # type: ignore[arg-type]
    found = judge(model, records, columns=_cut_by(records))
    named = {f"test/{name}": score for name, score in found.scores.items()}
    for name, score in named.items():
        run.artifact(name, score["value"], step=version.step)
    run.artifact("test/scores", {name: dict(score) for name, score in named.items()}, step=version.step)
    about = {"version": version.number, "records": found.records, "classes": found.classes}
    run.artifact("test/about", about, step=version.step)
    baseline = baseline_scores(model.preparation, train, records)
    if baseline:
        run.artifact("test/baseline", {f"test/{name}": value for name, value in baseline.items()})
    for name, array in found.arrays.items():
        run.artifact(f"test/{name}", array, step=version.step)
    for name, table in found.tables.items():
        run.artifact(f"test/{name}", table, step=version.step)
    _keep_samples(model, records, found, run=run, step=version.step)
    return named


def _cut_by(records: Records) -> dict[str, Array]:
    """Gives the columns of a table by whose values the scores are looked at, part by part."""
    if not isinstance(records.x, Frame):
        return {}
    return {name: column for name, column in records.x.columns.items() if column.dtype.kind in "fU"}


def _keep_samples(model: ModelOp, records: Records, found: Judgement, *, run: LocalRun, step: int) -> None:
    """Keeps the raw inputs of the records that the report shows, and of grids what was wanted and predicted."""
    samples = found.tables.get("samples", {})
    rows = np.array([one["record"] for part in samples.values() for one in part], dtype=np.int64)
    if not len(rows):
        return
    some = records.take(rows)
    run.artifact("test/sample_records", rows, step=step)
    if isinstance(some.x, Frame):
        table = {name: [str(value) for value in column.tolist()] for name, column in some.x.columns.items()}
        run.artifact("test/sample_rows", table, step=step)
        return
    if isinstance(some.x, Sequences):
        return  # of different lengths: there is no one array of them
    x: Any = some.x
    run.artifact("test/sample_inputs", np.asarray(x[:]), step=step)
    if some.y is not None and some.y.ndim > 2 - (model.schema.task_type == "segmentation"):
        run.artifact("test/sample_targets", some.y, step=step)
        run.artifact("test/sample_predictions", model(x), step=step)


def evaluate_model(
    ref: str, *, data: Path | None = None, split: str = "test", home: Path | str | None = None
) -> dict[str, Interval]:
    """Judges a version on a file, or on a split of the data it was trained on.

    Args:
        ref: Such as `name@best`.
        data: A file with features, target and, if there were any in training, weights, by the same names.
        split: Which split, when no file is given. A look at `test` is counted.
        home: The store; `$TRAINWRIGHT_HOME` or `.trainwright` unless given.

    Raises:
        StoreError: If there is no such version.
        DataError: If the file or the split does not fit.
    """
    registry = Registry(Store.open(home_of(home), create=False))
    model = ModelOp.load(registry, ref)
    assert model.version is not None
    run = registry.run(model.version.run)
    spec = Experiment.model_validate(registry.spec(run))
    if data is not None:
        schema = model.schema
        records = read_inputs(data, schema=schema, target=schema.target, weight=spec.data.weight)
        prefix = data.name
    else:
        dataset = open_dataset(spec.data, folder=Path(run.folder), task_type=spec.model.task_type)
        records, prefix = dataset.part(split), split
        if len(records) == 0:
            raise DataError(f"data.split.{split}: it has no records")
        if split == "test":
            registry.look(run.id, "test", by="trainwright evaluate")
    return {f"{prefix}/{name}": score for name, score in judge(model, records).scores.items()}


def _judge_regression(
    model: ModelOp, outputs: Mapping[str, Array], records: Records, columns: Mapping[str, Array] | None
) -> Judgement:
    found = {"y": model.decode(outputs), **model.spread(outputs)}
    levels = model.description["model"].get("quantiles")
    assert records.y is not None
    true = records.y.reshape(found["y"].shape)
    return judge_values(found, true, weight=records.weight, levels=levels, columns=columns)
