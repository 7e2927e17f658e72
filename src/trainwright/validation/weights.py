"""What scores have in common: every record counts with its weight."""

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.base.tree import Array

Floats = NDArray[np.float64]


def settle_weight(weight: Array | None, count: int) -> Floats:
    """Gives record weights as float64; ones where there are none.

    Raises:
        DataError: If there are no records, or the weights are not one per record, non-negative and finite
            with a positive sum.

    Example:
        >>> settle_weight(None, 3)
        array([1., 1., 1.])
    """
    if count == 0:
        raise DataError("there are no records to score")
    if weight is None:
        return np.ones(count)
    if weight.shape != (count,):
        raise DataError(f"weights have shape {weight.shape}, but there are {count} records")
    numbers = weight.astype(np.float64)
    if not np.isfinite(numbers).all() or (numbers < 0).any() or not numbers.sum() > 0:
        raise DataError("weights must be finite, not negative, and not all zero")
    return numbers


def weighted_mean(values: Floats, weight: Floats) -> Floats:
    r"""Gives :math:`\sum_i w_i v_i / \sum_i w_i` over the first axis.

    A record of weight zero does not count, not even when its value is infinite.
    """
    there = weight > 0
    shares = weight[there].reshape(-1, *[1] * (values.ndim - 1))
    with np.errstate(over="ignore", invalid="ignore"):
        mean: Floats = np.asarray((shares * values[there]).sum(axis=0) / shares.sum())
    return mean
