"""Scores of a regression that says how sure it is: by a variance, or by quantiles.

Every `..._terms` function gives a number per record, the mean over outputs; the score is their weighted mean.
A negative variance, or nan anywhere, gives nan.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.validation.weights import Floats, settle_weight, weighted_mean

_erf = np.frompyfunc(math.erf, 1, 1)  # NumPy has none, and SciPy is not needed for anything else


def gaussian_nll_terms(mean: Array, variance: Array, y: Array) -> Floats:
    r"""Gives :math:`\tfrac12 (\log 2 \pi v + (y - m)^2 / v)` of each record, in nats.

    Args:
        mean: Shape `(records, outputs)`.
        variance: Shape of `mean`, in the squared unit of the target.
        y: Shape of `mean`.

    Returns:
        Shape `(records,)`.

    Raises:
        DataError: If the shapes do not belong together.
    """
    centre, spread, truth = _check(mean, variance, y)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        terms = (np.log(2 * np.pi * spread) + np.square(truth - centre) / spread) / 2
    return _over_outputs(terms)


def gaussian_crps_terms(mean: Array, variance: Array, y: Array) -> Floats:
    r"""Gives :math:`\sigma (z (2 \Phi(z) - 1) + 2 \varphi(z) - 1 / \sqrt \pi)`, :math:`z = (y - m) / \sigma`.

    It is the mean absolute error of a certain prediction, and in the unit of the target.

    Args:
        mean: Shape `(records, outputs)`.
        variance: Shape of `mean`.
        y: Shape of `mean`.

    Raises:
        DataError: If the shapes do not belong together.

    Source:
        Gneiting & Raftery, Strictly proper scoring rules, prediction, and estimation, 2007, section 4.2.
    """
    centre, spread, truth = _check(mean, variance, y)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        deviation = np.sqrt(spread)
        z = (truth - centre) / deviation
        inner = np.asarray(_erf(z / math.sqrt(2)), dtype=np.float64)  # 2 Phi(z) - 1
        density = np.exp(-np.square(z) / 2) / math.sqrt(2 * math.pi)
        terms = deviation * (z * inner + 2 * density - 1 / math.sqrt(math.pi))
    certain = np.where(spread == 0, np.abs(truth - centre), terms)
    return _over_outputs(certain)


def inside_terms(mean: Array, variance: Array, y: Array, *, level: float) -> Floats:
    """Gives the share of outputs within the central interval of a Gaussian, for each record.

    Args:
        mean: Shape `(records, outputs)`.
        variance: Shape of `mean`.
        y: Shape of `mean`.
        level: The probability of the interval, such as 0.9.

    Raises:
        DataError: If the shapes do not belong together.
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level {level} is not between 0 and 1")
    centre, spread, truth = _check(mean, variance, y)
    with np.errstate(invalid="ignore"):
        reach = NormalDist().inv_cdf((1 + level) / 2) * np.sqrt(spread)
        away = np.abs(truth - centre)
        inside = np.where(np.isnan(reach) | np.isnan(away), np.nan, away <= reach)
    return _over_outputs(inside)


def gaussian_nll(mean: Array, variance: Array, y: Array, *, weight: Array | None = None) -> float:
    """Measures the weighted mean of `gaussian_nll_terms`.

    Args:
        mean: Shape `(records, outputs)`.
        variance: Shape of `mean`.
        y: Shape of `mean`.
        weight: Non-negative, shape `(records,)`.

    Raises:
        DataError: If the shapes do not belong together, or the weights are wrong.

    Example:
        >>> print(f"{gaussian_nll(np.zeros(1), np.ones(1), np.ones(1)):.4f}")
        1.4189
    """
    return _mean(gaussian_nll_terms(mean, variance, y), weight)


def gaussian_crps(mean: Array, variance: Array, y: Array, *, weight: Array | None = None) -> float:
    """Measures the weighted mean of `gaussian_crps_terms`.

    Raises:
        DataError: As `gaussian_nll`.

    Example:
        >>> print(f"{gaussian_crps(np.zeros(1), np.ones(1), np.zeros(1)):.4f}")
        0.2337
    """
    return _mean(gaussian_crps_terms(mean, variance, y), weight)


def interval_coverage(
    mean: Array, variance: Array, y: Array, *, level: float = 0.9, weight: Array | None = None
) -> float:
    """Measures which share of the targets lies in the central interval of that probability; best is `level`.

    Raises:
        DataError: As `gaussian_nll`.

    Example:
        >>> interval_coverage(np.zeros(2), np.ones(2), np.array([1.6, 1.7]), level=0.9)
        0.5
    """
    return _mean(inside_terms(mean, variance, y, level=level), weight)


def pinball_terms(quantiles: Array, y: Array, *, levels: Sequence[float]) -> Floats:
    r"""Gives :math:`\max(q (y - \hat y_q), (q - 1)(y - \hat y_q))` of each record, the mean over levels.

    Args:
        quantiles: Shape `(records, levels, outputs)`.
        y: Shape `(records, outputs)`.
        levels: Each between 0 and 1.

    Raises:
        DataError: If the shapes do not belong together.

    Source:
        Koenker & Bassett, Regression quantiles, 1978, equation 2.1.
    """
    guess, truth, shares = _check_quantiles(quantiles, y, levels)
    with np.errstate(invalid="ignore"):
        missed = truth - guess
        terms: Floats = np.maximum(shares * missed, (shares - 1) * missed)
    return _over_outputs(terms)


def pinball(quantiles: Array, y: Array, *, levels: Sequence[float], weight: Array | None = None) -> float:
    """Measures the weighted mean of `pinball_terms`, in the unit of the target.

    Raises:
        DataError: If the shapes do not belong together, or the weights are wrong.

    Example:
        >>> pinball(np.zeros((1, 2, 1)), np.ones((1, 1)), levels=[0.5, 0.75])
        0.625
    """
    return _mean(pinball_terms(quantiles, y, levels=levels), weight)


def quantile_coverage(
    quantiles: Array, y: Array, *, levels: Sequence[float], weight: Array | None = None
) -> Floats:
    """Gives, for each level, which share of the targets is not above its quantile; best is the level.

    Returns:
        Shape `(levels,)`, the mean over outputs.

    Raises:
        DataError: As `pinball`.

    Example:
        >>> quantile_coverage(np.array([[[0.0], [2.0]]]), np.ones((1, 1)), levels=[0.1, 0.9]).tolist()
        [0.0, 1.0]
    """
    guess, truth, _ = _check_quantiles(quantiles, y, levels)
    below = np.where(np.isnan(guess) | np.isnan(truth), np.nan, truth <= guess).mean(axis=2)
    return weighted_mean(below, settle_weight(weight, len(below)))


def between_terms(quantiles: Array, y: Array) -> Floats:
    """Gives the share of outputs between the lowest and the highest quantile, for each record.

    Args:
        quantiles: Shape `(records, levels, outputs)`, sorted by level.
        y: Shape `(records, outputs)`.

    Raises:
        DataError: If the shapes do not belong together.
    """
    guess, truth, _ = _check_quantiles(quantiles, y, [0.5] * quantiles.shape[1])
    low, high, truth = guess[:, 0], guess[:, -1], truth[:, 0]
    unknown = np.isnan(low) | np.isnan(high) | np.isnan(truth)
    return _over_outputs(np.where(unknown, np.nan, (low <= truth) & (truth <= high)))


def nominal_coverage(levels: Sequence[float]) -> str:
    """Names the interval between the lowest and the highest level by its probability in percent.

    Example:
        >>> nominal_coverage([0.05, 0.5, 0.95])
        'coverage_90'
    """
    return f"coverage_{100 * (max(levels) - min(levels)):g}"


def _mean(terms: Floats, weight: Array | None) -> float:
    return float(weighted_mean(terms, settle_weight(weight, len(terms))))


def _over_outputs(terms: Floats) -> Floats:
    means: Floats = terms.reshape(len(terms), -1).mean(axis=1)
    return means


def _check(*arrays: Array) -> tuple[Floats, Floats, Floats]:
    shapes = {one.shape if one.ndim > 1 else (*one.shape, 1) for one in arrays}
    if len(shapes) != 1 or any(one.size == 0 for one in arrays):
        raise DataError(
            "mean, variance and targets do not belong together: "
            + ", ".join(str(one.shape) for one in arrays)
        )
    mean, variance, y = (one.astype(np.float64).reshape(min(shapes)) for one in arrays)
    return mean, np.where(variance < 0, np.nan, variance), y


def _check_quantiles(quantiles: Array, y: Array, levels: Sequence[float]) -> tuple[Floats, Floats, Floats]:
    """Gives quantiles, targets and levels so that they stand beside each other."""
    truth = y.reshape(len(y), -1)
    if quantiles.size == 0 or quantiles.shape != (len(y), len(levels), truth.shape[1]):
        raise DataError(
            f"quantiles of shape {quantiles.shape} do not belong to {len(levels)} levels and targets {y.shape}"
        )
    if not all(0.0 < one < 1.0 for one in levels):
        raise ValueError(f"levels lie between 0 and 1, not {list(levels)}")
    shares = np.array(levels, dtype=np.float64)[:, None]
    return quantiles.astype(np.float64), truth.astype(np.float64)[:, None], shares
