"""Mixtures of Gaussians, of the components that a model predicts.

`mixing` has shape `(records, components, ...)` and adds to 1, `means` and `variances` have shape `(records, components,
outputs, ...)` and `y` has `(records, outputs, ...)`. What is nan or no variance gives nan.
"""

import math
from statistics import NormalDist

import numpy as np

from trainwright.validation.weights import Floats

_erfc = np.frompyfunc(math.erfc, 1, 1)  # NumPy has none
_STEPS = 200  # of Newton and halving together; a few are needed


def nll_terms(mixing: Floats, means: Floats, variances: Floats, y: Floats) -> Floats:
    r"""Gives :math:`-\frac1D \log \sum_k \pi_k \prod_d N(y_d; \mu_{kd}, v_{kd})`, shape `(records, ...)`, in nats.

    Over the number D of targets, so that one component has the mean of its targets' own likelihoods.

    Source:
        Bishop, Mixture Density Networks, 1994, equation 29.

    Example:
        >>> one = np.ones((1, 1, 1))
        >>> print(f"{nll_terms(one[0], 0 * one, one, one[0])[0]:.4f}")
        1.4189
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        squares = np.square(y[:, None] - means) / variances
        shares = np.log(mixing) - 0.5 * (np.log(2 * np.pi * variances) + squares).sum(axis=2)
        largest = shares.max(axis=1)
        sums = np.log(np.exp(shares - largest[:, None]).sum(axis=1))
    found: Floats = -np.where(np.isinf(largest), largest, largest + sums) / y.shape[1]
    return found


def crps_terms(mixing: Floats, means: Floats, variances: Floats, y: Floats) -> Floats:
    r"""Gives the CRPS of each target by itself, shape of `y`, in its unit.

    .. math:: \sum_k \pi_k A(y - \mu_k, v_k) - \frac12 \sum_{jk} \pi_j \pi_k A(\mu_j - \mu_k, v_j + v_k)

    with :math:`A(m, v)` the mean of :math:`|X|` for a normal X of mean m and variance v.

    Source:
        Grimit, Gneiting, Berrocal & Johnson, The continuous ranked probability score for circular variables and its
        application to mesoscale forecast ensemble verification, 2006, equation 5.

    Example:
        >>> one = np.ones((1, 1, 1))
        >>> print(f"{crps_terms(one[0], 0 * one, one, 0 * one[0])[0, 0]:.4f}")
        0.2337
    """
    shares = mixing[:, :, None]
    found: Floats = (shares * _mean_size(y[:, None] - means, variances)).sum(axis=1)
    for one in range(means.shape[1]):
        apart = _mean_size(means - means[:, one, None], variances + variances[:, one, None])
        found = found - 0.5 * shares[:, one] * (shares * apart).sum(axis=1)
    return found


def cdf(mixing: Floats, means: Floats, variances: Floats, y: Floats) -> Floats:
    """Gives the probability of values up to `y`, of each target by itself, shape of `y`."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        z = (y[:, None] - means) / np.sqrt(variances)
    below = 0.5 * np.asarray(_erfc(-z / math.sqrt(2)), dtype=np.float64)
    found: Floats = (mixing[:, :, None] * below).sum(axis=1)
    return found


def quantile(mixing: Floats, means: Floats, variances: Floats, level: float) -> Floats:
    """Gives what each target does not exceed with a probability, by Newton's method, halving where that leaves.

    Args:
        mixing: As above.
        means: As above.
        variances: As above.
        level: Between 0 and 1.

    Returns:
        Shape `(records, outputs, ...)`.

    Raises:
        ValueError: If the level is not between 0 and 1.

    Example:
        >>> two, one = np.array([[[-9.0], [1.0]]]), np.ones((1, 2, 1))
        >>> quantile(one[:, :, 0] / 2, two, one, 0.75).round(6)
        array([[1.]])
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level {level} is not between 0 and 1")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        deviations = np.sqrt(variances)
        # That of a mixture lies between those of its components.
        ends = means + NormalDist().inv_cdf(level) * deviations
        low, high = ends.min(axis=1), ends.max(axis=1)
        found: Floats = (low + high) / 2
        size = np.maximum(np.abs(low), np.abs(high))
        for _ in range(_STEPS):
            excess = cdf(mixing, means, variances, found) - level
            low, high = np.where(excess < 0, found, low), np.where(excess >= 0, found, high)
            z = (found[:, None] - means) / deviations
            density = mixing[:, :, None] * np.exp(-np.square(z) / 2) / (deviations * math.sqrt(2 * math.pi))
            guess = found - excess / density.sum(axis=1)
            better = np.where((low <= guess) & (guess <= high), guess, (low + high) / 2)
            moved, found = np.abs(better - found), better
            if not (moved > 1e-14 * size).any():
                break
    return np.where(np.isnan(excess), np.nan, found)


def _mean_size(mean: Floats, variance: Floats) -> Floats:
    r"""Gives the mean of :math:`|X|`: :math:`2 \sigma \varphi(m / \sigma) + m (2 \Phi(m / \sigma) - 1)`."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        deviation = np.sqrt(variance)
        z = np.abs(mean) / deviation
        inner = 1 - np.asarray(_erfc(z / math.sqrt(2)), dtype=np.float64)
        found = 2 * deviation * np.exp(-np.square(z) / 2) / math.sqrt(2 * math.pi) + np.abs(mean) * inner
    return np.where(variance == 0, np.abs(mean), found)
