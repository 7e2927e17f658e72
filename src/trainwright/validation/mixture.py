"""Several Gaussian predictions of the same target, as one."""

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.validation.weights import Floats


def mix_gaussians(means: Array, variances: Array) -> tuple[Floats, Floats]:
    r"""Gives mean and variance of an evenly weighted mixture of Gaussians, such as the members of an ensemble.

    .. math:: m_* = \frac1M \sum_k m_k, \quad v_* = \frac1M \sum_k (v_k + m_k^2) - m_*^2

    The second is computed as the mean variance plus the variance of the means, which loses no digits where the
    means are large. What members disagree about is thus added to what each holds for noise.

    Args:
        means: Of each member, shape `(members, records, outputs)` or `(members, records)`.
        variances: Shape of `means`, in the squared unit of the target.

    Returns:
        Mean and variance, each of the shape of one member. Where a member's variance is negative or anything is
        nan, the variance is nan: no score of it is good by accident.

    Raises:
        DataError: If the shapes do not belong together, or there is no member.

    Example:
        Two members that are sure of different things make an unsure ensemble:

        >>> mean, variance = mix_gaussians(np.array([[1.0], [3.0]]), np.array([[0.5], [0.5]]))
        >>> mean.tolist(), variance.tolist()
        ([2.0], [1.5])

    Source:
        Lakshminarayanan, Pritzel & Blundell, Simple and Scalable Predictive Uncertainty Estimation using Deep
        Ensembles, 2017, section 2.4.
    """
    if means.shape != variances.shape or means.ndim < 2 or len(means) == 0:
        raise DataError(
            f"means of shape {means.shape} and variances of shape {variances.shape} are no mixture; "
            "stack those of each member along a first axis"
        )
    centres, spreads = means.astype(np.float64), variances.astype(np.float64)
    mean: Floats = centres.mean(axis=0)
    with np.errstate(invalid="ignore"):
        variance: Floats = np.where(spreads < 0, np.nan, spreads).mean(axis=0) + centres.var(axis=0)
    return mean, variance
