"""Judges a version on records: scores with intervals, and the arrays that a report draws."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.home import home_of
from trainwright.base.tree import Array
from trainwright.data.dataset import Records, open_dataset
from trainwright.data.inputs import read_inputs
from trainwright.model_op import ModelOp
from trainwright.spec.experiment import Experiment
from trainwright.store.records import VersionRow
from trainwright.store.registry import Registry
from trainwright.store.run import LocalRun
from trainwright.store.store import Store
from trainwright.validation import classification, regression
from trainwright.validation.bootstrap import Score, bootstrap_interval, mean_score

DRAWS = 1000


class Interval(TypedDict):
    """A score with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found about a version on some records.

    Args:
        scores: With intervals, by name such as `accuracy`.
        arrays: What a report draws, by name.
        classes: Of a classifier, in the order of the confusion matrix.
        records: How many records.
    """

    scores: dict[str, Interval]
    arrays: dict[str, Array]
    classes: list[Any]
    records: int


def judge(model: ModelOp, records: Records) -> Judgement:
    """Predicts for records and compares.

    Args:
        model: Loaded from a version.
        records: Raw, with targets.
    """
    outputs = model.outputs(records.x)
    encoded = model.preparation.encode(records)
    assert encoded.y is not None
    if model.schema.task_type == "classification":
        return _judge_classes(model, outputs, encoded.y, records.weight)
    prediction = model.decode(outputs)
    assert records.y is not None
    return _judge_values(prediction, records.y.reshape(prediction.shape), records.weight)


def evaluate_version(
    registry: Registry, version: VersionRow, records: Records, *, run: LocalRun
) -> dict[str, Interval]:
    """Judges a version on the test split and keeps what was found with the run; the look is counted.

    Args:
        registry: Where the version is.
        version: Is loaded from the store alone, as anybody would.
        records: The test split.
        run: Being finished.
    """
    run.look("test", "evaluate")
    model = ModelOp(registry.operator(version), registry.weights(version), version=version)  # type: ignore[arg-type]
    found = judge(model, records)
    named = {f"test/{name}": score for name, score in found.scores.items()}
    for name, score in named.items():
        run.artifact(name, score["value"], step=version.step)
    run.artifact("test/scores", {name: dict(score) for name, score in named.items()}, step=version.step)
    about = {"version": version.number, "records": found.records, "classes": found.classes}
    run.artifact("test/about", about, step=version.step)
    for name, array in found.arrays.items():
        run.artifact(f"test/{name}", array, step=version.step)
    return named


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


def _judge_classes(model: ModelOp, logits: Any, y: Any, weight: Any) -> Judgement:
    count = logits.shape[1]
    chosen = logits.argmax(1)
    log_likelihood = classification.log_probabilities(logits)[np.arange(len(y)), y]
    rates = {
        "accuracy": (classification.accuracy, mean_score(chosen == y, weight)),
        "balanced_accuracy": (
            classification.balanced_accuracy,
            _by_confusion(chosen, y, weight, count, _balanced),
        ),
        "macro_f1": (classification.macro_f1, _by_confusion(chosen, y, weight, count, _macro_f1)),
        "loss": (classification.cross_entropy, mean_score(-log_likelihood, weight)),
    }
    scores = {
        name: _interval(measure(logits, y, weight=weight), draw, len(y))
        for name, (measure, draw) in rates.items()
    }
    classes = model.preparation.targets.invert(np.arange(count)).tolist()
    arrays = {"confusion_matrix": classification.confusion_matrix(logits, y, weight=weight), "logits": logits}
    return Judgement(scores, arrays, classes, len(y))


def _judge_values(prediction: Any, true: Any, weight: Any) -> Judgement:
    error = (prediction - true).astype(np.float64)
    weights = np.ones(len(true)) if weight is None else np.asarray(weight, dtype=np.float64)
    weighted = np.square(error) * weights[:, None]
    draws: Mapping[str, tuple[Callable[..., float], Score]] = {
        # Of several outputs, the mean of their roots.
        "rmse": (
            regression.rmse,
            lambda counts: np.sqrt((counts @ weighted) / (counts @ weights)[:, None]).mean(1),
        ),
        "mae": (regression.mae, mean_score(np.abs(error).mean(1), weight)),
        "r2": (regression.r2, _r2_score(prediction.astype(np.float64), true.astype(np.float64), weight)),
    }
    scores = {
        name: _interval(measure(prediction, true, weight=weight), draw, len(true))
        for name, (measure, draw) in draws.items()
    }
    return Judgement(scores, {"predictions": prediction, "targets": true}, [], len(true))


def _interval(value: float, draw: Score, count: int) -> Interval:
    # What cannot be measured has no interval either.
    low, high = (value, value) if math.isnan(value) else bootstrap_interval(draw, count, draws=DRAWS)
    return {"value": value, "low": low, "high": high}


def _by_confusion(chosen: Any, y: Any, weight: Any, count: int, score: Callable[[Any], Any]) -> Score:
    """Resamples a score that is a function of the confusion matrix, shape `(draws, true, predicted)`."""
    cells = np.zeros((len(y), count * count))
    cells[np.arange(len(y)), y * count + chosen] = 1.0 if weight is None else weight
    return lambda counts: score((counts @ cells).reshape(-1, count, count))


def _balanced(matrix: Any) -> Any:
    with np.errstate(invalid="ignore"):
        recall = np.diagonal(matrix, axis1=1, axis2=2) / matrix.sum(2)
    return np.nanmean(recall, axis=1)


def _macro_f1(matrix: Any) -> Any:
    hits = np.diagonal(matrix, axis1=1, axis2=2)
    total = matrix.sum(1) + matrix.sum(2)
    with np.errstate(invalid="ignore"):
        f1 = np.where(total > 0, 2 * hits / total, np.nan)
    return np.nanmean(f1, axis=1)


def _r2_score(prediction: Any, true: Any, weight: Any) -> Score:
    weights = np.ones(len(true)) if weight is None else weight.astype(np.float64)

    def score(counts: Any) -> Any:
        mass = counts * weights
        mean = (mass @ true) / mass.sum(1, keepdims=True)
        # sum w (y - m)^2 = sum w y^2 - m^2 sum w, after a common shift that keeps it accurate
        shift = true.mean(0)
        spread = mass @ np.square(true - shift) - np.square(mean - shift) * mass.sum(1, keepdims=True)
        left = mass @ np.square(prediction - true)
        with np.errstate(divide="ignore", invalid="ignore"):
            return (1 - left / spread).mean(1)

    return score
