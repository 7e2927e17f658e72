"""What models say of records whose targets are known, in the unit of the data, and how it is judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.data.dataset import Records
from trainwright.ensemble_op import EnsembleOp, Model
from trainwright.evaluation.decisions import judge_classes, judge_labels, judge_places
from trainwright.evaluation.judgement import Judgement
from trainwright.evaluation.values import judge_embedding, judge_values


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Outputs beside what is true.

    Args:
        task_type: What was predicted.
        outputs: `logits`, shape `(records, classes, ...)`; or `y` in the unit of the data, with any `variance`,
            `scale`, `df` or `quantiles`, as `judge_values` takes them; or `embedding`, shape `(records, width)`.
        y: Class numbers or labels; or targets in the unit of the data, shape of `outputs["y"]`; None where an
            embedding has none.
        weight: Of the records, shape `(records,)`.
        classes: What the numbers stand for; the labels of a multi-label model.
        levels: Of the quantiles.
    """

    task_type: str
    outputs: Mapping[str, Array]
    y: Array | None
    weight: Array | None
    classes: Sequence[Any]
    levels: Sequence[float] | None

    def take(self, indices: NDArray[np.int64]) -> "Predictions":
        """Gives the predictions at some positions."""
        return Predictions(
            self.task_type,
            {name: one[indices] for name, one in self.outputs.items()},
            None if self.y is None else self.y[indices],
            None if self.weight is None else self.weight[indices],
            self.classes,
            self.levels,
        )


def predict_records(model: Model | EnsembleOp, records: Records) -> Predictions:
    """Predicts for records.

    Args:
        model: Loaded from a version.
        records: Raw, with targets.

    Raises:
        DataError: If the records do not fit the model.
    """
    task, outputs = model.schema.task_type, model.outputs(records.x)
    levels = model.levels
    if task != "regression":
        y = model.preparation.encode(records).y
        return Predictions(task, outputs, y, records.weight, model.classes, levels)
    found = {"y": model.decode(outputs), **model.spread(outputs)}
    assert records.y is not None
    if records.y.size != found["y"].size:
        raise DataError(
            f"the target has shape {records.y.shape}, the predictions for these records {found['y'].shape}"
        )
    return Predictions(task, found, records.y.reshape(found["y"].shape), records.weight, [], levels)


def join_predictions(parts: Sequence[Predictions]) -> Predictions:
    """Puts predictions of several models one after another.

    Args:
        parts: At least one; of one task, but not of embeddings: those of two models share no space.

    Raises:
        DataError: If they are of different tasks, classes or quantiles.
    """
    first = parts[0]
    if first.task_type == "embedding":
        raise DataError("embeddings of different models lie in different spaces; judge each model alone")
    for what in ("task_type", "classes", "levels"):
        said = {str(getattr(one, what)): None for one in parts}
        if len(said) > 1:
            raise DataError(f"the predictions do not go together: their {what} are {' and '.join(said)}")
    targets = [one.y for one in parts if one.y is not None]
    weights = [one.weight for one in parts if one.weight is not None]
    return Predictions(
        first.task_type,
        {name: np.concatenate([one.outputs[name] for one in parts]) for name in first.outputs},
        np.concatenate(targets),
        np.concatenate(weights) if weights else None,
        first.classes,
        first.levels,
    )


def judge_predictions(
    predictions: Predictions, *, columns: Mapping[str, Array] | None = None, intervals: bool = True
) -> Judgement:
    """Compares predictions with what is true.

    Args:
        predictions: Of some records.
        columns: Raw columns by name, one value per record; the scores are also taken by their values.
        intervals: As `add_intervals`; an embedding always has them.

    Raises:
        DataError: If a column is not one value per record.
    """
    task, outputs, y, weight = predictions.task_type, predictions.outputs, predictions.y, predictions.weight
    if task == "embedding":
        return judge_embedding(outputs["embedding"], y, weight=weight, columns=columns)
    assert y is not None
    options: Any = {"weight": weight, "columns": columns, "intervals": intervals}
    if task == "regression":
        return judge_values(outputs, y, levels=predictions.levels, **options)
    if task == "multi_label":
        return judge_labels(outputs["logits"], y, labels=predictions.classes, **options)
    judged = judge_places if task == "segmentation" else judge_classes
    return judged(outputs["logits"], y, classes=predictions.classes, **options)
