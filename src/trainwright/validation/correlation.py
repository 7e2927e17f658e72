"""How well predictions follow the targets, whatever their scale. Several outputs count alike."""

import numpy as np

from trainwright.base.tree import Array
from trainwright.validation.regression import check_values
from trainwright.validation.weights import Floats, weighted_mean


def pearson(prediction: Array, y: Array, *, weight: Array | None = None) -> float:
    r"""Measures :math:`\mathrm{cov}(\hat y, y) / \sqrt{\mathrm{var}(\hat y)\,\mathrm{var}(y)}`, all weighted.

    Args:
        prediction: Shape `(records,)` or `(records, outputs)`.
        y: Shape of `prediction`.
        weight: Non-negative, shape `(records,)`.

    Returns:
        From -1 to 1; nan where predictions or targets are constant (SciPy warns and gives nan).

    Raises:
        DataError: As `regression.mse`.

    Example:
        >>> print(f"{pearson(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])):.3f}")
        1.000
    """
    _, truth, weights = check_values(prediction, y, weight)
    guess = prediction.astype(np.float64).reshape(truth.shape)
    return float(_correlate(guess, truth, weights).mean())


def spearman(prediction: Array, y: Array, *, weight: Array | None = None) -> float:
    """Measures the Pearson correlation of ranks; equal values share the middle of their ranks.

    With weights, it is the weighted Pearson correlation of weighted middle ranks: a value's rank is the weight
    below it and half of the weight beside it. A record of weight 2 counts as two records.

    Returns:
        From -1 to 1; nan where predictions or targets are constant (SciPy warns and gives nan).

    Raises:
        DataError: As `regression.mse`.

    Example:
        >>> print(f"{spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0, 100.0])):.3f}")
        1.000
    """
    _, truth, weights = check_values(prediction, y, weight)
    there = weights > 0
    guess, truth = prediction.astype(np.float64).reshape(truth.shape)[there], truth[there]
    weights = weights[there]
    if np.isnan(guess).any() or np.isnan(truth).any():
        return float("nan")
    ranks = [np.stack([_rank(column, weights) for column in values.T], axis=1) for values in (guess, truth)]
    return float(_correlate(ranks[0], ranks[1], weights).mean())


def _rank(values: Floats, weight: Floats) -> Floats:
    _, group = np.unique(values, return_inverse=True)
    mass = np.bincount(group, weights=weight)
    ranks: Floats = (np.cumsum(mass) - mass / 2)[group]
    return ranks


def _correlate(first: Floats, second: Floats, weight: Floats) -> Floats:
    there = weight > 0
    first, second, weight = first[there], second[there], weight[there]
    constant = (first == first[0]).all(axis=0) | (second == second[0]).all(axis=0)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        moved = [values - weighted_mean(values, weight) for values in (first, second)]
        both = weighted_mean(moved[0] * moved[1], weight)
        spread = [np.sqrt(weighted_mean(np.square(one), weight)) for one in moved]
        # Rounding must not lift a perfect correlation above one.
        return np.where(constant, np.nan, np.clip(both / spread[0] / spread[1], -1.0, 1.0))
