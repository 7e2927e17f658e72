"""Scores of a segmentation: a class for each place of a grid. A place weighs what its record does."""

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.validation.classification import log_probabilities
from trainwright.validation.confusion import Tally
from trainwright.validation.space import to_places
from trainwright.validation.weights import Floats, settle_weight, weighted_mean

Numbers = NDArray[np.int64]


def tally_records(logits: Array, y: Array) -> Tally:
    """Counts places by class in each record; `validation.confusion` makes IoU and Dice of their sum.

    Args:
        logits: Shape `(records, classes, *space)`.
        y: Class numbers from 0, shape `(records, *space)`.

    Returns:
        Shape `(records, classes)` each; nan for a record with a nan logit.

    Raises:
        DataError: If the shapes do not belong together, or a class number is out of range.

    Example:
        >>> tally_records(np.array([[[2.0, 0.0], [1.0, 1.0]]]), np.array([[0, 0]])).predicted
        array([[1., 1.]])
    """
    truth = _check(logits, y)
    records, classes = logits.shape[:2]
    chosen = logits.argmax(axis=1).reshape(records, -1)
    offset = np.arange(records)[:, None] * classes
    nothing = np.asarray(np.isnan(logits.reshape(records, -1)).any(axis=1))[:, None]

    def count(number: Numbers, kept: NDArray[np.bool_]) -> Floats:
        sums = np.bincount((offset + number)[kept], minlength=records * classes)
        return np.where(nothing, np.nan, sums.reshape(records, classes))

    every, right = np.ones(truth.shape, dtype=bool), np.equal(chosen, truth)
    return Tally(count(truth, right), count(truth, every), count(chosen, every))


def tally_places(logits: Array, y: Array, *, weight: Array | None = None) -> Tally:
    """Sums up `tally_records` over the records, each with its weight, shape `(classes,)` each.

    Raises:
        DataError: As `tally_records`, or if the weights are wrong.
    """
    weights = settle_weight(weight, len(logits))
    there = weights > 0
    return Tally(*(weights[there] @ one[there] for one in tally_records(logits, y)))


def place_cross_entropy_terms(logits: Array, y: Array) -> Floats:
    """Gives the mean cross-entropy over the places of each record, in nats, shape `(records,)`.

    Raises:
        DataError: As `tally_records`.
    """
    truth = _check(logits, y).reshape(-1)
    logs = log_probabilities(to_places(logits))
    losses: Floats = -logs[np.arange(len(truth)), truth].reshape(len(logits), -1)
    means: Floats = losses.mean(axis=1)
    return means


def place_cross_entropy(logits: Array, y: Array, *, weight: Array | None = None) -> float:
    """Measures the weighted mean of `place_cross_entropy_terms`.

    Raises:
        DataError: As `tally_places`.

    Example:
        >>> print(f"{place_cross_entropy(np.zeros((1, 4, 3)), np.array([[0, 1, 3]])) / np.log(4):.3f}")
        1.000
    """
    terms = place_cross_entropy_terms(logits, y)
    return float(weighted_mean(terms, settle_weight(weight, len(terms))))


def _check(logits: Array, y: Array) -> Numbers:
    """Gives class numbers by record and place, shape `(records, places)`."""
    if logits.ndim < 3 or logits.dtype.kind not in "iuf" or logits.size == 0:
        raise DataError(
            f"logits are numbers of shape (records, classes, *space), not {logits.dtype} {logits.shape}"
        )
    if y.shape != (len(logits), *logits.shape[2:]) or y.dtype.kind not in "iu":
        raise DataError(f"class numbers are integers, one per place, not {y.dtype} {y.shape}")
    if y.min() < 0 or y.max() >= logits.shape[1]:
        raise DataError(f"class numbers go from {y.min()} to {y.max()}, the logits have {logits.shape[1]}")
    return y.astype(np.int64).reshape(len(y), -1)
