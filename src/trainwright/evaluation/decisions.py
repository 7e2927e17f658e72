"""Judges decisions between classes: of a classifier, of several labels, of a segmentation."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from trainwright.base.tree import Array
from trainwright.evaluation.judgement import (
    Judgement,
    Measured,
    add_intervals,
    make_tables,
    measure,
    pick_samples,
    tallied,
)
from trainwright.validation import confusion
from trainwright.validation.bootstrap import mean_score
from trainwright.validation.calibration import brier_terms, calibration_score, reliability
from trainwright.validation.classification import (
    confusion_matrix,
    in_top,
    log_probabilities,
    probabilities,
)
from trainwright.validation.confusion import Tally, class_scores, tally_draws
from trainwright.validation.distribution import class_distribution
from trainwright.validation.multilabel import (
    binary_cross_entropy_terms,
    right_labels,
    tally_label_draws,
    tally_labels,
)
from trainwright.validation.ranking import (
    POINTS,
    column_score,
    one_vs_rest,
    precision_recall_curve,
    roc_curve,
)
from trainwright.validation.segmentation import place_cross_entropy_terms, tally_places, tally_records
from trainwright.validation.softlabels import agreement_terms, kl_terms, spread_classes, spread_counts
from trainwright.validation.space import spread_weight, to_places
from trainwright.validation.weights import Floats, settle_weight

MOST_CLASSES = 40  # with more, curves and tables by class are not drawn
TOP = 5
BY_TALLY = {
    "accuracy": confusion.accuracy,
    "balanced_accuracy": confusion.balanced_accuracy,
    "macro_f1": confusion.f1,
    "macro_precision": confusion.precision,
    "macro_recall": confusion.recall,
    "weighted_f1": partial(confusion.f1, average="weighted"),
    "mcc": confusion.matthews,
}
BY_LABEL_TALLY = {
    "macro_f1": confusion.f1,
    "micro_f1": partial(confusion.f1, average="micro"),
    "weighted_f1": partial(confusion.f1, average="weighted"),
    "macro_precision": confusion.precision,
    "macro_recall": confusion.recall,
}
BY_PLACE_TALLY = {
    "pixel_accuracy": confusion.accuracy,
    "mean_iou": confusion.mean_iou,
    "mean_dice": confusion.mean_dice,
}


def judge_classes(
    logits: Array,
    y: Array,
    *,
    weight: Array | None,
    classes: Sequence[Any],
    columns: Mapping[str, Array] | None = None,
    intervals: bool = True,
) -> Judgement:
    """Judges a classifier.

    Args:
        logits: Shape `(records, classes)`.
        y: Class numbers, shape `(records,)`; or their probabilities, shape `(records, classes)`: a record counts as one
            of each class with that weight, and draws take whole records.
        weight: Shape `(records,)`.
        classes: What the numbers stand for.
        columns: Raw columns by name; the scores are also taken by their values.
        intervals: As `add_intervals`.

    Raises:
        DataError: If the arrays do not belong together.
    """
    (count, width), soft = logits.shape, y.ndim == 2
    quick, slow, arrays = _decide_classes(*spread_classes(logits, y, weight=weight))
    losses, most = kl_terms(logits, y), y
    if soft:
        spread, most = spread_counts(width), y.argmax(axis=1)
        for scores in (quick, slow):
            scores |= {name: _of_records(one, spread) for name, one in scores.items()}
        quick["kl"] = measure(mean_score(losses, weight), count)
        quick["agreement"] = measure(mean_score(agreement_terms(logits, y), weight), count)
    arrays["logits"] = logits
    said = [classes[one] for one in logits.argmax(axis=1).tolist()]
    samples = pick_samples(
        losses, lambda one: {"target": classes[int(most[one])], "prediction": said[one]}, weight=weight
    )
    return Judgement(
        add_intervals(quick, slow, count=count, work=count * width, intervals=intervals),
        arrays,
        list(classes),
        count,
        make_tables(quick | slow, samples, columns=columns, count=count, weight=weight),
    )


def _decide_classes(
    logits: Array, y: Array, weight: Array | None
) -> tuple[dict[str, Measured], dict[str, Measured], dict[str, Array]]:
    """Measures a classifier by class numbers: scores that are quick, those that are slow, and what is drawn."""
    count, width = logits.shape
    losses = -log_probabilities(logits)[np.arange(count), y]
    quick = _measure_tallies(tally_draws(logits, y, weight=weight), BY_TALLY, count)
    quick["loss"] = measure(mean_score(losses, weight), count)
    quick["brier"] = measure(mean_score(brier_terms(logits, y), weight), count)
    quick["ece"] = measure(calibration_score(logits, y, weight=weight), count)
    if width > TOP:
        right = np.where(np.isnan(losses), np.nan, in_top(logits, y, TOP))
        quick[f"top_{TOP}_accuracy"] = measure(mean_score(right, weight), count)
    slow = {
        "roc_auc": measure(one_vs_rest(logits, y, weight=weight), count),
        "average_precision": measure(one_vs_rest(logits, y, weight=weight, under="precision_recall"), count),
    }
    table = confusion_matrix(logits, y, weight=weight)
    tally = Tally(np.diagonal(table).copy(), table.sum(axis=1), table.sum(axis=0))
    arrays: dict[str, Array] = {
        "confusion_matrix": table,
        "class_scores": class_scores(tally),
        "class_distribution": class_distribution(tally),
        "reliability": reliability(logits, y, weight=weight),
    }
    if width <= MOST_CLASSES:
        arrays |= _curves(probabilities(logits), y[:, None] == np.arange(width), weight)
    return quick, slow, arrays


def _of_records(measured: Measured, spread: Callable[[Floats], Floats]) -> Measured:
    """Makes a score of whole records from one of their classes."""
    return Measured(measured.value, lambda counts: measured.score(spread(counts)))


def judge_labels(
    logits: Array,
    y: Array,
    *,
    weight: Array | None,
    labels: Sequence[Any],
    columns: Mapping[str, Array] | None = None,
    intervals: bool = True,
) -> Judgement:
    """Judges a multi-label model; `y` is 0 and 1 of the shape of the logits, the rest as `judge_classes`.

    Raises:
        DataError: If the arrays do not belong together.
    """
    count, width = logits.shape
    numbers = logits.astype(np.float64)
    losses, right = binary_cross_entropy_terms(logits, y), right_labels(logits, y)
    whole = np.where(np.isnan(right).any(axis=1), np.nan, (right == 1).all(axis=1))
    quick = _measure_tallies(tally_label_draws(logits, y, weight=weight), BY_LABEL_TALLY, count)
    quick["subset_accuracy"] = measure(mean_score(whole, weight), count)
    quick["hamming_loss"] = measure(mean_score(1 - right.mean(axis=1), weight), count)
    quick["loss"] = measure(mean_score(losses, weight), count)
    slow = {
        "roc_auc": measure(column_score(logits, y, weight=weight), count),
        "average_precision": measure(column_score(logits, y, weight=weight, under="precision_recall"), count),
    }
    tally = tally_labels(logits, y, weight=weight)
    arrays: dict[str, Array] = {
        "logits": logits,
        "class_scores": class_scores(tally),
        "class_distribution": class_distribution(tally),
    }
    if width <= MOST_CLASSES:
        arrays |= _curves(numbers, y.astype(bool), weight)

    def describe(one: int) -> dict[str, Any]:
        said, true = (np.flatnonzero(row).tolist() for row in (numbers[one] > 0, y[one]))
        return {"target": [labels[n] for n in true], "prediction": [labels[n] for n in said]}

    return Judgement(
        add_intervals(quick, slow, count=count, work=count * width, intervals=intervals),
        arrays,
        list(labels),
        count,
        make_tables(
            quick | slow,
            pick_samples(losses, describe, weight=weight),
            columns=columns,
            count=count,
            weight=weight,
        ),
    )


def judge_places(
    logits: Array,
    y: Array,
    *,
    weight: Array | None,
    classes: Sequence[Any],
    columns: Mapping[str, Array] | None = None,
    intervals: bool = True,
) -> Judgement:
    """Judges a segmentation; draws take whole records, because the places of one go together.

    Args:
        logits: Shape `(records, classes, *space)`.
        y: Class numbers, shape `(records, *space)`.
        weight: As `judge_classes`.
        classes: As `judge_classes`.
        columns: As `judge_classes`.
        intervals: As `add_intervals`.

    Raises:
        DataError: If the arrays do not belong together.
    """
    count = len(logits)
    weights = settle_weight(weight, count)[:, None]
    by_record = Tally(*(np.where(weights > 0, one, 0.0) * weights for one in tally_records(logits, y)))

    def draw(counts: Floats) -> Tally:
        return Tally(*(counts @ one for one in by_record))

    losses = place_cross_entropy_terms(logits, y)
    quick = _measure_tallies(draw, BY_PLACE_TALLY, count)
    quick["loss"] = measure(mean_score(losses, weight), count)
    tally = tally_places(logits, y, weight=weight)
    arrays: dict[str, Array] = {
        "confusion_matrix": confusion_matrix(
            to_places(logits), y.reshape(-1), weight=spread_weight(weight, logits)
        ),
        "class_scores": class_scores(tally),
        "class_iou": confusion.iou(tally),
        "class_dice": confusion.dice(tally),
        "class_distribution": class_distribution(tally),
    }
    right = (logits.argmax(axis=1) == y).reshape(count, -1).mean(axis=1)
    samples = pick_samples(losses, lambda one: {"pixel_accuracy": float(right[one])}, weight=weight)
    return Judgement(
        add_intervals(quick, {}, count=count, work=count, intervals=intervals),
        arrays,
        list(classes),
        count,
        make_tables(quick, samples, columns=columns, count=count, weight=weight),
    )


def _measure_tallies(draw: Any, scores: Mapping[str, Any], count: int) -> dict[str, Measured]:
    made = tallied(draw, *scores.values())
    return {name: measure(score, count) for name, score in zip(scores, made, strict=True)}


def _curves(values: Floats, positive: Array, weight: Array | None) -> dict[str, Array]:
    """Gives both curves of each class, shape `(classes, 200, 2)`; a shorter one repeats its last point."""
    found: dict[str, Array] = {}
    for name, draw in (("roc_curves", roc_curve), ("precision_recall_curves", precision_recall_curve)):
        curves = np.empty((values.shape[1], POINTS, 2))
        for one in range(values.shape[1]):
            curve = draw(values[:, one], positive[:, one], weight=weight)
            curves[one] = curve[np.minimum(np.arange(POINTS), len(curve) - 1)]
        found[name] = curves
    return found
