"""Scores of a model that says yes or no to each of several labels, from its logits.

A label is said to be there where its logit is above zero. Where a logit is nan, every score is nan.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.validation.confusion import Tally
from trainwright.validation.ranking import Under, column_score
from trainwright.validation.weights import Floats, settle_weight, weighted_mean


def label_probabilities(logits: Array) -> Floats:
    r"""Gives :math:`1 / (1 + e^{-z})`, in a form that never overflows.

    Example:
        >>> label_probabilities(np.array([0.0, -1000.0]))
        array([0.5, 0. ])
    """
    numbers = logits.astype(np.float64)
    shrunk = np.exp(-np.abs(numbers))
    chances: Floats = np.where(numbers >= 0, 1 / (1 + shrunk), shrunk / (1 + shrunk))
    return chances


def binary_cross_entropy_terms(logits: Array, y: Array) -> Floats:
    r"""Gives :math:`\log(1 + e^{z}) - y z` of each record, the mean over labels, in nats.

    Args:
        logits: Shape `(records, labels)`.
        y: 0 and 1, shape `(records, labels)`.

    Returns:
        Shape `(records,)`.

    Raises:
        DataError: If the shapes do not belong together, or a target is not 0 or 1.
    """
    numbers, truth = _check(logits, y)
    with np.errstate(invalid="ignore"):
        # A label that is ruled out by -inf, and is not there, costs nothing.
        signed = np.where(truth, -numbers, numbers)
        terms: Floats = np.logaddexp(0.0, signed).mean(axis=1)
    return terms


def binary_cross_entropy(logits: Array, y: Array, *, weight: Array | None = None) -> float:
    """Measures the weighted mean of `binary_cross_entropy_terms`.

    Args:
        logits: Shape `(records, labels)`.
        y: 0 and 1, shape `(records, labels)`.
        weight: Non-negative, shape `(records,)`.

    Raises:
        DataError: If the shapes do not belong together, a target is not 0 or 1, or the weights are wrong.

    Example:
        >>> print(f"{binary_cross_entropy(np.zeros((1, 2)), np.array([[0, 1]])) / np.log(2):.3f}")
        1.000
    """
    terms = binary_cross_entropy_terms(logits, y)
    return float(weighted_mean(terms, settle_weight(weight, len(terms))))


def subset_accuracy(logits: Array, y: Array, *, weight: Array | None = None) -> float:
    """Measures the share of records of which every label is right.

    Raises:
        DataError: As `binary_cross_entropy`.

    Example:
        >>> subset_accuracy(np.array([[1.0, -1.0], [1.0, 1.0]]), np.array([[1, 0], [1, 0]]))
        0.5
    """
    right = right_labels(logits, y)
    whole = np.where(np.isnan(right).any(axis=1), np.nan, (right == 1).all(axis=1))
    return float(weighted_mean(whole, settle_weight(weight, len(right))))


def hamming_loss(logits: Array, y: Array, *, weight: Array | None = None) -> float:
    """Measures the share of labels that are wrong.

    Raises:
        DataError: As `binary_cross_entropy`.

    Example:
        >>> hamming_loss(np.array([[1.0, -1.0], [1.0, 1.0]]), np.array([[1, 0], [1, 0]]))
        0.25
    """
    right = right_labels(logits, y)
    return float(weighted_mean(1 - right.mean(axis=1), settle_weight(weight, len(right))))


def right_labels(logits: Array, y: Array) -> Floats:
    """Says of each label whether it is right: 1, 0, or nan where the logit is nan.

    Raises:
        DataError: As `binary_cross_entropy_terms`.
    """
    numbers, truth = _check(logits, y)
    return np.where(np.isnan(numbers), np.nan, (numbers > 0) == truth)


def tally_label_draws(logits: Array, y: Array, *, weight: Array | None = None) -> Callable[[Floats], Tally]:
    """Makes a function from counts of records, shape `(draws, records)`, to tallies `(draws, labels)`.

    Raises:
        DataError: As `binary_cross_entropy`.
    """
    numbers, truth = _check(logits, y)
    weights = settle_weight(weight, len(truth))[:, None]
    said = np.where(np.isnan(numbers), np.nan, numbers > 0)
    # A record of weight zero does not count even if its logit is nan.
    hits, true, predicted = (
        np.where(weights > 0, one, 0.0) * weights for one in (said * truth, truth.astype(np.float64), said)
    )
    return lambda counts: Tally(counts @ hits, counts @ true, counts @ predicted)


def tally_labels(logits: Array, y: Array, *, weight: Array | None = None) -> Tally:
    """Sums up by label, shape `(labels,)` each; `validation.confusion` makes F1 and others of it.

    Raises:
        DataError: As `binary_cross_entropy`.

    Example:
        >>> tally_labels(np.array([[1.0, -1.0], [1.0, 1.0]]), np.array([[1, 0], [1, 0]])).predicted
        array([2., 1.])
    """
    found = tally_label_draws(logits, y, weight=weight)(np.ones((1, len(logits))))
    return Tally(*(one[0] for one in found))


def label_areas(
    logits: Array,
    y: Array,
    *,
    weight: Array | None = None,
    under: Under = "roc",
    average: Literal["macro", "weighted"] = "macro",
) -> float:
    """Measures the mean area under the curve over the labels that have one; see `ranking.column_score`.

    Raises:
        DataError: As `binary_cross_entropy`.

    Example:
        >>> label_areas(np.array([[1.0, 2.0], [0.0, 3.0]]), np.array([[1, 1], [0, 0]]))
        0.5
    """
    numbers, truth = _check(logits, y)
    score = column_score(numbers, truth, weight=weight, under=under, average=average)
    return float(score(np.ones((1, len(truth))))[0])


def _check(logits: Array, y: Array) -> tuple[Floats, Array]:
    if logits.ndim != 2 or logits.shape != y.shape or logits.shape[1] == 0:
        raise DataError(f"logits and labels have shape (records, labels), not {logits.shape} and {y.shape}")
    if logits.dtype.kind not in "iuf" or y.dtype.kind not in "biuf" or not np.isin(y, (0, 1)).all():
        raise DataError("logits are numbers, and labels 0 or 1")
    return logits.astype(np.float64), y.astype(bool)
