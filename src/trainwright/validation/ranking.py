"""Scores of a ranking: areas under the ROC and the precision-recall curve, and the curves.

A value says how much a record looks like a positive one. Equal values are one step of the curve. Where there is
no positive record, or no other, there is no curve and the score is nan; scikit-learn warns, and gives nan for
the ROC but 0 for the precision.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.validation.bootstrap import Score
from trainwright.validation.classification import check_classes, probabilities
from trainwright.validation.weights import Floats, settle_weight

Under = Literal["roc", "precision_recall"]
POINTS = 200


def roc_auc(values: Array, positive: Array, *, weight: Array | None = None) -> float:
    """Measures how likely a positive record has a larger value than another; a tie counts half.

    Args:
        values: Shape `(records,)`.
        positive: Booleans, or 0 and 1, shape `(records,)`.
        weight: Non-negative, shape `(records,)`.

    Returns:
        From 0 to 1; nan where all records are alike.

    Raises:
        DataError: If the shapes do not belong together, or the weights are wrong.

    Example:
        >>> roc_auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
        0.75

    Source:
        Hanley & McNeil, The meaning and use of the area under a ROC curve, 1982.
    """
    return float(area_score(values, positive, weight=weight)(np.ones((1, len(values))))[0])


def average_precision(values: Array, positive: Array, *, weight: Array | None = None) -> float:
    r"""Measures :math:`\sum_j (R_j - R_{j-1}) P_j` over the thresholds, from the highest value down.

    Returns:
        From 0 to 1; nan where no record is positive.

    Raises:
        DataError: As `roc_auc`.

    Example:
        >>> print(f"{average_precision(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])):.4f}")
        0.8333
    """
    score = area_score(values, positive, weight=weight, under="precision_recall")
    return float(score(np.ones((1, len(values))))[0])


def area_score(values: Array, positive: Array, *, weight: Array | None = None, under: Under = "roc") -> Score:
    """Makes a score for `bootstrap_interval`: the records are sorted once for all draws.

    Raises:
        DataError: As `roc_auc`.
    """
    kept, numbers, right, weights = _check(values, positive, weight)
    if np.isnan(numbers).any():
        return lambda counts: np.full(len(counts), np.nan)
    order, ends = _sort(numbers)
    kept, right, weights = kept[order], right[order], weights[order]

    def score(counts: Floats) -> Floats:
        mass = counts[:, kept] * weights
        above = np.cumsum(mass * right, axis=1)[:, ends]
        other = np.cumsum(mass * ~right, axis=1)[:, ends]
        gained = np.diff(above, axis=1, prepend=0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            if under == "roc":
                # Where the curve rises and goes on at once, half of the new step lies below.
                area = (np.diff(other, axis=1, prepend=0.0) * (above - gained / 2)).sum(axis=1)
                found: Floats = area / other[:, -1] / above[:, -1]
            else:
                shares = np.where(gained == 0, 0.0, gained * above / (above + other))
                found = shares.sum(axis=1) / above[:, -1]
        return found

    return score


def column_score(
    values: Array,
    positive: Array,
    *,
    weight: Array | None = None,
    under: Under = "roc",
    average: Literal["macro", "weighted"] = "macro",
) -> Score:
    """Makes a score that is the mean of `area_score` over columns.

    Args:
        values: Shape `(records, columns)`.
        positive: Shape `(records, columns)`.
        weight: Shape `(records,)`.
        under: Which curve.
        average: `macro`: columns count alike; `weighted`: by the weight of their positive records.

    Returns:
        A score over the columns that have a curve in the draw; nan where none has, or a value is nan.

    Raises:
        DataError: As `roc_auc`.
    """
    if values.ndim != 2 or values.shape != positive.shape or values.shape[1] == 0:
        raise DataError(f"values of shape {values.shape} do not belong to positives of {positive.shape}")
    if average not in ("macro", "weighted"):
        raise ValueError(f"average is `macro` or `weighted`, not {average!r}")
    weights = settle_weight(weight, len(values))
    unknown = bool(np.isnan(values[weights > 0]).any())
    scores = [
        area_score(values[:, one], positive[:, one], weight=weight, under=under)
        for one in range(values.shape[1])
    ]
    masses = positive.astype(bool) * weights[:, None]

    def score(counts: Floats) -> Floats:
        if unknown:
            return np.full(len(counts), np.nan)
        areas = np.stack([one(counts) for one in scores], axis=1)
        there = ~np.isnan(areas)
        shares = there * (counts @ masses if average == "weighted" else 1.0)
        with np.errstate(invalid="ignore"):
            means: Floats = (np.where(there, areas, 0.0) * shares).sum(axis=1) / shares.sum(axis=1)
        return means

    return score


def one_vs_rest(
    logits: Array,
    y: Array,
    *,
    weight: Array | None = None,
    under: Under = "roc",
    average: Literal["macro", "weighted"] = "macro",
) -> Score:
    """Makes a score of a classifier's probabilities: each class against all others.

    Of two classes, the second is the positive one. Classes that do not occur are left out of the mean, where
    scikit-learn refuses.

    Raises:
        DataError: As `classification.cross_entropy`.
    """
    truth, weights = check_classes(logits, y, weight)
    columns = [1] if logits.shape[1] == 2 else list(range(logits.shape[1]))
    positive = truth[:, None] == np.array(columns)
    return column_score(
        probabilities(logits)[:, columns], positive, weight=weights, under=under, average=average
    )


def class_roc_auc(
    logits: Array, y: Array, *, weight: Array | None = None, average: Literal["macro", "weighted"] = "macro"
) -> float:
    """Measures `roc_auc` of a classifier's probabilities, one class against the rest; see `one_vs_rest`.

    Raises:
        DataError: As `classification.cross_entropy`.

    Example:
        >>> class_roc_auc(np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 0.0]]), np.array([0, 1, 0]))
        1.0
    """
    return float(one_vs_rest(logits, y, weight=weight, average=average)(np.ones((1, len(y))))[0])


def class_average_precision(
    logits: Array, y: Array, *, weight: Array | None = None, average: Literal["macro", "weighted"] = "macro"
) -> float:
    """Measures `average_precision` of a classifier's probabilities; see `one_vs_rest`.

    Raises:
        DataError: As `classification.cross_entropy`.
    """
    score = one_vs_rest(logits, y, weight=weight, under="precision_recall", average=average)
    return float(score(np.ones((1, len(y))))[0])


def roc_curve(values: Array, positive: Array, *, weight: Array | None = None, points: int = POINTS) -> Floats:
    """Gives the curve for drawing: false positive rate and true positive rate, from (0, 0) to (1, 1).

    Args:
        values: Shape `(records,)`.
        positive: Shape `(records,)`.
        weight: Shape `(records,)`.
        points: At most so many; the others are left out evenly.

    Returns:
        Shape `(points, 2)`; nan where there is no curve.

    Raises:
        DataError: As `roc_auc`.

    Example:
        >>> roc_curve(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))[:3].tolist()
        [[0.0, 0.0], [0.0, 0.5], [0.5, 0.5]]
    """
    above, other = _steps(values, positive, weight)
    with np.errstate(invalid="ignore"):
        curve = np.stack([other / other[-1], above / above[-1]], axis=1)
    return _thin(np.concatenate([[[0.0, 0.0]], curve]), points)


def precision_recall_curve(
    values: Array, positive: Array, *, weight: Array | None = None, points: int = POINTS
) -> Floats:
    """Gives the curve for drawing: recall and precision, from (0, 1) on; see `roc_curve`.

    Raises:
        DataError: As `roc_auc`.
    """
    above, other = _steps(values, positive, weight)
    with np.errstate(invalid="ignore"):
        curve = np.stack([above / above[-1], above / (above + other)], axis=1)
    return _thin(np.concatenate([[[0.0, 1.0]], curve]), points)


def _steps(values: Array, positive: Array, weight: Array | None) -> tuple[Floats, Floats]:
    """Gives the weights of positive and of other records down to each value, the highest first."""
    _, numbers, right, weights = _check(values, positive, weight)
    if np.isnan(numbers).any():
        return np.full(1, np.nan), np.full(1, np.nan)
    order, ends = _sort(numbers)
    mass, right = weights[order], right[order]
    return np.cumsum(mass * right)[ends], np.cumsum(mass * ~right)[ends]


def _thin(curve: Floats, points: int) -> Floats:
    if points < 2:
        raise ValueError(f"points {points} is not at least 2")
    if np.isnan(curve).any():
        return np.full((1, 2), np.nan)
    if len(curve) <= points:
        return curve
    return curve[np.linspace(0, len(curve) - 1, points).round().astype(np.int64)]


def _sort(numbers: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Gives the order from the highest value down, and where each group of equal values ends."""
    order = np.argsort(-numbers, kind="stable")
    ranked = numbers[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    return order, ends


def _check(
    values: Array, positive: Array, weight: Array | None
) -> tuple[NDArray[np.int64], Floats, NDArray[np.bool_], Floats]:
    """Gives positions, values, positives and weights of the records that count."""
    if values.ndim != 1 or values.shape != positive.shape or values.dtype.kind not in "biuf":
        raise DataError(f"values of shape {values.shape} do not belong to positives of {positive.shape}")
    if not np.isin(positive, (0, 1)).all():
        raise DataError("positives are booleans, or 0 and 1")
    weights = settle_weight(weight, len(values))
    kept = np.flatnonzero(weights > 0)
    return kept, values[kept].astype(np.float64), positive[kept].astype(bool), weights[kept]
