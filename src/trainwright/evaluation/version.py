"""Judges a version on records, and keeps what was found with its run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainwright.base.errors import DataError
from trainwright.base.home import home_of
from trainwright.base.tree import Array
from trainwright.data.dataset import Records, open_dataset
from trainwright.data.inputs import read_inputs
from trainwright.ensemble_op import EnsembleOp
from trainwright.evaluation.baseline import baseline_scores
from trainwright.evaluation.ensembles import score_members
from trainwright.evaluation.judgement import Interval, Judgement
from trainwright.evaluation.predictions import judge_predictions, predict_records
from trainwright.evaluation.samples import columns_to_cut, sample_artifacts
from trainwright.model_op import ModelOp, load_version
from trainwright.spec.experiment import Experiment
from trainwright.store.records import VersionRow
from trainwright.store.registry import Registry
from trainwright.store.run import LocalRun
from trainwright.store.store import Store


def judge(
    model: ModelOp | EnsembleOp, records: Records, *, columns: Mapping[str, Array] | None = None
) -> Judgement:
    """Predicts for records and compares.

    Args:
        model: Loaded from a version.
        records: Raw, with targets.
        columns: Raw columns by name, one value per record; the scores are also taken by their values.

    Raises:
        DataError: If the records do not fit the model, or a column is not one value per record.
    """
    return judge_predictions(predict_records(model, records), columns=columns)


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
    scores, artifacts = _judge_test(registry, version, records, train)
    for name, value in artifacts.items():
        run.artifact(name, value, step=version.step)
    return scores


def evaluate_finished(
    registry: Registry, version: VersionRow, records: Records, *, train: Records, by: str
) -> dict[str, Interval]:
    """Does as `evaluate_version` for a run that ended without a look at the test split.

    Args:
        registry: Where the version is.
        version: As `evaluate_version`.
        records: As `evaluate_version`.
        train: As `evaluate_version`.
        by: Who looks.
    """
    registry.look(version.run, "test", by=by)
    scores, artifacts = _judge_test(registry, version, records, train)
    for name, value in artifacts.items():
        registry.keep(version.run, name, value)
    return scores


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
    version = registry.resolve(ref)
    model = load_version(registry, version)
    run = registry.run(version.run)
    spec = Experiment.model_validate(registry.spec(run))
    if data is not None:
        schema = model.schema
        records = read_inputs(data, schema=schema, target=schema.target or None, weight=spec.data.weight)
        prefix = data.name
    else:
        if spec.ensemble == "folds" and split != "test":
            raise DataError(
                f"data.split.{split}: every record of it has trained members of the ensemble, so that a score would "
                "tell nothing; `trainwright show` has the scores out of fold"
            )
        dataset = open_dataset(spec.data, folder=Path(run.folder), task_type=spec.model.task_type)
        records, prefix = dataset.part(split), split
        if len(records) == 0:
            raise DataError(f"data.split.{split}: it has no records")
        if split == "test":
            registry.look(run.id, "test", by="trainwright evaluate")
    return {f"{prefix}/{name}": score for name, score in judge(model, records).scores.items()}


def _judge_test(
    registry: Registry, version: VersionRow, records: Records, train: Records
) -> tuple[dict[str, Interval], dict[str, Any]]:
    """Gives the scores, and the artifacts that are kept of them, by name."""
    model = load_version(registry, version)
    found = judge(model, records, columns=columns_to_cut(records))
    scores = {f"test/{name}": score for name, score in found.scores.items()}
    baseline = baseline_scores(model.preparation, train, records)
    kept: dict[str, Any] = {
        "scores": {name: dict(score) for name, score in scores.items()},
        "about": {"version": version.number, "records": found.records, "classes": found.classes},
        **({"baseline": {f"test/{name}": value for name, value in baseline.items()}} if baseline else {}),
        **found.arrays,
        **found.tables,
        **sample_artifacts(model, records, found),
        **({"members": score_members(model, records)} if isinstance(model, EnsembleOp) else {}),
    }
    values = {name: score["value"] for name, score in scores.items()}
    return scores, values | {f"test/{name}": value for name, value in kept.items()}
