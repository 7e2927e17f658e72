"""Scores of a classifier whose targets are the probabilities of classes.

A record with probabilities counts as one record of each class, weighted by its probability: every score of a classifier
is then the mean over what the class may be. So it is said how good a model is that knows no more than the target.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.validation.classification import log_probabilities
from trainwright.validation.weights import Floats, settle_weight, weighted_mean


def spread_classes(
    logits: Array, y: Array, *, weight: Array | None = None
) -> tuple[Array, Array, Array | None]:
    """Makes of each record one of every class, in turn; class numbers are left as they are.

    Args:
        logits: Shape `(records, classes)`.
        y: Probabilities, shape of `logits`; or class numbers, shape `(records,)`.
        weight: Non-negative, shape `(records,)`.

    Returns:
        Logits, class numbers and weights of `records * classes` records.

    Raises:
        DataError: If the shapes do not belong together.

    Example:
        >>> _, classes, weights = spread_classes(np.zeros((1, 2)), np.array([[0.25, 0.75]]))
        >>> classes.tolist(), weights.tolist()
        ([0, 1], [0.25, 0.75])
    """
    if y.ndim != 2:
        return logits, y, weight
    shares = _check(logits, y) * settle_weight(weight, len(y))[:, None]
    return np.repeat(logits, y.shape[1], axis=0), np.tile(np.arange(y.shape[1]), len(y)), shares.reshape(-1)


def spread_counts(width: int) -> Callable[[Floats], Floats]:
    """Makes what gives how often each of `records * width` is drawn from how often each of the records is.

    It remembers the latest draws, of which several scores are taken one after another.
    """
    latest: list[Floats] = []

    def spread(counts: Floats) -> Floats:
        if not latest or latest[0] is not counts:
            latest[:] = [counts, np.repeat(counts, width, axis=1)]
        return latest[1]

    return spread


def kl_terms(logits: Array, y: Array) -> Floats:
    r"""Gives :math:`\sum_k y_k \log (y_k / p_k)` of each record, in nats; of a class that is certain, :math:`-\log p`.

    Args:
        logits: Shape `(records, classes)`.
        y: Probabilities, shape of `logits`; or class numbers, shape `(records,)`.

    Raises:
        DataError: If the shapes do not belong together.
    """
    logs = log_probabilities(logits)
    if y.ndim != 2:
        truth: Any = y
        picked: Floats = -logs[np.arange(len(truth)), truth]
        return picked
    shares = _check(logits, y)
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where((shares == 0) & ~np.isnan(logs), 0.0, shares * (np.log(shares) - logs))
    terms: Floats = each.sum(axis=1)
    return terms


def kl(logits: Array, y: Array, *, weight: Array | None = None) -> float:
    """Measures the weighted mean of `kl_terms`: how far the loss is from the best there is.

    Raises:
        DataError: If the shapes do not belong together, or the weights are wrong.

    Example:
        >>> print(f"{kl(np.zeros((1, 2)), np.array([[0.0, 1.0]])) / np.log(2):.3f}")
        1.000
    """
    return float(weighted_mean(kl_terms(logits, y), settle_weight(weight, len(logits))))


def agreement_terms(logits: Array, y: Array) -> Floats:
    """Gives 1 for each record whose most probable class is predicted, otherwise 0; a tie goes to the smaller number.

    Args:
        logits: Shape `(records, classes)`.
        y: Probabilities, shape of `logits`; or class numbers, shape `(records,)`.

    Raises:
        DataError: If the shapes do not belong together.
    """
    most = _check(logits, y).argmax(axis=1) if y.ndim == 2 else y
    return np.where(np.isnan(logits).any(axis=1), np.nan, logits.argmax(axis=1) == most)


def agreement(logits: Array, y: Array, *, weight: Array | None = None) -> float:
    """Measures the weighted mean of `agreement_terms`.

    Raises:
        DataError: If the shapes do not belong together, or the weights are wrong.

    Example:
        >>> agreement(np.array([[1.0, 0.0]]), np.array([[0.6, 0.4]]))
        1.0
    """
    return float(weighted_mean(agreement_terms(logits, y), settle_weight(weight, len(logits))))


def _check(logits: Array, y: Array) -> Floats:
    if y.shape != logits.shape:
        raise DataError(f"probabilities of shape {y.shape} do not belong to logits of shape {logits.shape}")
    return y.astype(np.float64)
