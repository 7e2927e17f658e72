"""Whether a classifier's probabilities are what they say."""

import numpy as np
from numpy.typing import NDArray

from trainwright.base.tree import Array
from trainwright.validation.bootstrap import Score
from trainwright.validation.classification import check_classes, probabilities
from trainwright.validation.weights import Floats, weighted_mean

BINS = 15


def brier_terms(logits: Array, y: Array) -> Floats:
    r"""Gives :math:`\sum_k (p_k - [k = y])^2` of each record, and half of that for two classes.

    The half makes it the squared error of the probability of one class, from 0 to 1, as is usual for two
    classes; for more it goes from 0 to 2.

    Args:
        logits: Shape `(records, classes)`.
        y: Class numbers from 0, shape `(records,)`.

    Returns:
        Shape `(records,)`.

    Source:
        Brier, Verification of forecasts expressed in terms of probability, 1950, equation 2.
    """
    truth, _ = check_classes(logits, y, None)
    missed = probabilities(logits)
    missed[np.arange(len(truth)), truth] -= 1.0
    terms: Floats = np.square(missed).sum(axis=1)
    return terms / 2 if logits.shape[1] == 2 else terms


def brier(logits: Array, y: Array, *, weight: Array | None = None) -> float:
    """Measures the weighted mean of `brier_terms`.

    Raises:
        DataError: As `classification.cross_entropy`.

    Example:
        >>> brier(np.zeros((1, 2)), np.array([0])), brier(np.zeros((1, 4)), np.array([0]))
        (0.25, 0.75)
    """
    _, weights = check_classes(logits, y, weight)
    return float(weighted_mean(brier_terms(logits, y), weights))


def reliability(logits: Array, y: Array, *, weight: Array | None = None, bins: int = BINS) -> Floats:
    """Compares confidence and accuracy in bins of equal width; the confidence is the largest probability.

    Args:
        logits: Shape `(records, classes)`.
        y: Class numbers from 0, shape `(records,)`.
        weight: Non-negative, shape `(records,)`.
        bins: How many, from 0 to 1; a bin holds its upper edge.

    Returns:
        Shape `(bins, 3)`: weight, mean confidence and accuracy; the latter two are nan for an empty bin.
        All nan if a logit is.

    Raises:
        DataError: As `classification.cross_entropy`.

    Example:
        >>> reliability(np.log([[0.9, 0.1], [0.7, 0.3]]), np.array([0, 1]), bins=2).round(6).tolist()
        [[0.0, nan, nan], [2.0, 0.8, 0.5]]
    """
    _, weights = check_classes(logits, y, weight)
    confidence, right, place = _bin(logits, y, bins)
    if np.isnan(confidence[weights > 0]).any():
        return np.full((bins, 3), np.nan)
    counted = np.where(weights > 0, confidence, 0.0)
    sums = [np.bincount(place, weights=weights * one, minlength=bins) for one in (1.0, counted, right)]
    with np.errstate(invalid="ignore"):
        return np.stack([sums[0], sums[1] / sums[0], sums[2] / sums[0]], axis=1)


def expected_calibration_error(
    logits: Array, y: Array, *, weight: Array | None = None, bins: int = BINS
) -> float:
    r"""Measures :math:`\sum_b \frac{W_b}{W} |\mathrm{acc}_b - \mathrm{conf}_b|` over the bins of `reliability`.

    Raises:
        DataError: As `classification.cross_entropy`.

    Example:
        >>> logits = np.log([[0.9, 0.1], [0.7, 0.3]])
        >>> print(f"{expected_calibration_error(logits, np.array([0, 1]), bins=2):.3f}")
        0.300

    Source:
        Guo et al., On calibration of modern neural networks, 2017, equation 3.
    """
    score = calibration_score(logits, y, weight=weight, bins=bins)
    return float(score(np.ones((1, len(y))))[0])


def calibration_score(logits: Array, y: Array, *, weight: Array | None = None, bins: int = BINS) -> Score:
    """Makes `expected_calibration_error` a score for `bootstrap_interval`.

    Raises:
        DataError: As `classification.cross_entropy`.
    """
    _, weights = check_classes(logits, y, weight)
    confidence, right, place = _bin(logits, y, bins)
    gaps = np.zeros((len(y), bins))
    gaps[np.arange(len(y)), place] = np.where(weights > 0, right - confidence, 0.0) * weights

    def score(counts: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = np.abs(counts @ gaps).sum(axis=1) / (counts @ weights)
        return found

    return score


def _bin(logits: Array, y: Array, bins: int) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    if bins < 1:
        raise ValueError(f"bins {bins} is not at least 1")
    chances = probabilities(logits)
    confidence: Floats = chances.max(axis=1)
    known = np.nan_to_num(confidence)
    place = np.clip(np.ceil(known * bins).astype(np.int64) - 1, 0, bins - 1)
    return confidence, chances.argmax(axis=1) == y, place
