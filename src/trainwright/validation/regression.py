"""Scores of a regression. Several outputs count alike: each score is the plain mean over them."""

from collections.abc import Sequence

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.validation.weights import Floats, settle_weight, weighted_mean

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def check_values(prediction: Array, y: Array, weight: Array | None) -> tuple[Floats, Floats, Floats]:
    """Gives residuals and targets, both `(records, outputs)`, and weights, all as float64.

    Raises:
        DataError: If the shapes do not belong together, or the weights are wrong.
    """
    # Without this, (records,) minus (records, 1) would quietly become (records, records).
    shapes = [one.shape if one.ndim == 2 else (*one.shape, 1) for one in (prediction, y)]
    if shapes[0] != shapes[1] or len(shapes[0]) != 2 or shapes[0][1] == 0:
        raise DataError(
            f"predictions of shape {prediction.shape} do not belong to targets of shape {y.shape}"
        )
    if any(one.dtype.kind not in "biuf" for one in (prediction, y)):
        raise DataError(f"predictions and targets are numbers, not {prediction.dtype} and {y.dtype}")
    guess, truth = prediction.astype(np.float64).reshape(shapes[0]), y.astype(np.float64).reshape(shapes[0])
    weights = settle_weight(weight, len(truth))
    with np.errstate(invalid="ignore", over="ignore"):
        return guess - truth, truth, weights


def mse(prediction: Array, y: Array, *, weight: Array | None = None) -> float:
    r"""Measures :math:`\sum_i w_i (\hat y_i - y_i)^2 / \sum_i w_i`, in squared target units.

    Args:
        prediction: Shape `(records,)` or `(records, outputs)`.
        y: Shape of `prediction`; `(records,)` and `(records, 1)` are the same.
        weight: Non-negative, shape `(records,)`.

    Raises:
        DataError: If the shapes do not belong together, or the weights are wrong.

    Example:
        >>> mse(np.array([1.0, 2.0]), np.array([[1.0], [4.0]]))
        2.0
    """
    residual, _, weights = check_values(prediction, y, weight)
    return float(_mean_square(residual, weights).mean())


def rmse(prediction: Array, y: Array, *, weight: Array | None = None) -> float:
    """Measures the root of the mean squared error of each output, in target units; the mean over outputs.

    Raises:
        DataError: As `mse`.

    Example:
        >>> rmse(np.array([1.0, 1.0]), np.array([3.0, -1.0]))
        2.0
    """
    residual, _, weights = check_values(prediction, y, weight)
    return float(np.sqrt(_mean_square(residual, weights)).mean())


def mae(prediction: Array, y: Array, *, weight: Array | None = None) -> float:
    r"""Measures :math:`\sum_i w_i |\hat y_i - y_i| / \sum_i w_i`, in target units.

    Raises:
        DataError: As `mse`.

    Example:
        >>> mae(np.array([1.0, 2.0]), np.array([1.0, 4.0]), weight=np.array([1.0, 3.0]))
        1.5
    """
    residual, _, weights = check_values(prediction, y, weight)
    return float(weighted_mean(np.abs(residual), weights).mean())


def r2(prediction: Array, y: Array, *, weight: Array | None = None) -> float:
    r"""Measures :math:`1 - \sum_i w_i (\hat y_i - y_i)^2 / \sum_i w_i (y_i - \bar y)^2`, weighted.

    Returns:
        For a constant target, 1 if it is met exactly, otherwise 0. For a single record, nan.

    Raises:
        DataError: As `mse`.

    Example:
        >>> r2(np.array([2.0, 2.0]), np.array([1.0, 3.0]))
        0.0
    """
    residual, truth, weights = check_values(prediction, y, weight)
    if np.count_nonzero(weights) < 2:
        return float("nan")
    there = weights > 0
    constant = (truth[there] == truth[there][0]).all(axis=0)
    missed = _mean_square(residual, weights)
    spread = _mean_square(truth - weighted_mean(truth, weights), weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = np.where(constant, np.where(missed == 0, 1.0, 0.0), 1.0 - missed / spread)
    return float(np.where(np.isnan(missed), np.nan, scores).mean())


def mape(prediction: Array, y: Array, *, weight: Array | None = None) -> float:
    r"""Measures :math:`\sum_i w_i |\hat y_i - y_i| / |y_i| / \sum_i w_i`, as a share (1 is 100 %).

    A target below the rounding of 1 is divided by that instead, so a target of zero gives a huge score.

    Raises:
        DataError: As `mse`.

    Example:
        >>> mape(np.array([1.0, 3.0]), np.array([2.0, 2.0]))
        0.5
    """
    residual, truth, weights = check_values(prediction, y, weight)
    with np.errstate(over="ignore"):
        shares = np.abs(residual) / np.maximum(np.abs(truth), np.finfo(np.float64).eps)
    return float(weighted_mean(shares, weights).mean())


def huber(prediction: Array, y: Array, *, delta: float = 1.0, weight: Array | None = None) -> float:
    r"""Measures the mean of :math:`r^2 / 2` where :math:`|r| \le \delta`, else :math:`\delta (|r| - \delta / 2)`.

    Args:
        prediction: As `mse`.
        y: As `mse`.
        delta: Where the square goes over into a line, in target units.
        weight: As `mse`.

    Raises:
        DataError: As `mse`.

    Example:
        >>> huber(np.array([1.0, 3.0]), np.zeros(2))
        1.5

    Source:
        Huber, Robust estimation of a location parameter, 1964.
    """
    residual, _, weights = check_values(prediction, y, weight)
    size = np.abs(residual)
    inner = np.minimum(size, delta)
    return float(weighted_mean(inner * (size - inner / 2), weights).mean())


def residual_quantiles(
    prediction: Array, y: Array, *, weight: Array | None = None, levels: Sequence[float] = LEVELS
) -> Floats:
    r"""Gives quantiles of :math:`\hat y - y`: the smallest residual that reaches that share of the weight.

    Args:
        prediction: Shape `(records,)` or `(records, outputs)`.
        y: As `mse`.
        weight: As `mse`.
        levels: From 0 to 1.

    Returns:
        Shape `(levels, outputs)`, in target units.

    Raises:
        DataError: As `mse`.

    Example:
        >>> residual_quantiles(np.array([1.0, 2.0, 9.0]), np.zeros(3), levels=[0.5]).tolist()
        [[2.0]]
    """
    residual, _, weights = check_values(prediction, y, weight)
    found: Floats = np.quantile(residual, list(levels), axis=0, weights=weights, method="inverted_cdf")
    return found


def _mean_square(values: Floats, weight: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return weighted_mean(values**2, weight)
