"""How far one predicted distribution is from another."""

import numpy as np

from trainwright.base.errors import DataError
from trainwright.validation.families import Family, Laplace, Normal
from trainwright.validation.weights import Floats


def kl_terms(known: Family, found: Family, *, draws: int = 1000, seed: int = 0) -> Floats:
    r"""Gives the Kullback-Leibler divergence of `found` from `known` of each record, in nats per target.

    By a formula where both are normal or both are Laplace distributions:

    .. math:: \log \frac{\sigma_q}{\sigma_p} + \frac{\sigma_p^2 + (m_p - m_q)^2}{2 \sigma_q^2} - \frac12, \quad
        \log \frac{b_q}{b_p} + \frac{|m_p - m_q| + b_p e^{-|m_p - m_q| / b_p}}{b_q} - 1

    Otherwise by the mean of :math:`\log p - \log q` over draws from p, whose error falls with the root of their number.

    Args:
        known: p, what should be predicted.
        found: q, what is predicted, of the same targets.
        draws: Of each record, where there is no formula.
        seed: Of the draws.

    Returns:
        Shape `(records,)`; 0 where both are the same, nan where one is no distribution.

    Raises:
        DataError: If they are not of the same targets.

    Example:
        >>> one = np.ones((1, 1))
        >>> kl_terms(Normal(0 * one, one), Normal(one, one))
        array([0.5])

    Source:
        Gil, Alajaji & Linder, Rényi divergence measures for commonly used univariate continuous distributions, 2013,
        table 2. Hershey & Olsen, Approximating the Kullback Leibler divergence between Gaussian mixture models, 2007,
        section 2.
    """
    if known.centre.shape != found.centre.shape:
        raise DataError(
            f"distributions of targets of shape {known.centre.shape} and {found.centre.shape} have no divergence"
        )
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        apart = np.abs(known.centre - found.centre)
        if isinstance(known, Normal) and isinstance(found, Normal):
            share = known.variance / found.variance
            each = (share - 1 - np.log(share) + np.square(apart) / found.variance) / 2
        elif isinstance(known, Laplace) and isinstance(found, Laplace):
            near = known.scale * np.exp(-apart / known.scale)
            each = np.log(found.scale / known.scale) + (apart + near) / found.scale - 1
        else:
            drawn = known.draw(draws, seed=seed)
            each = np.stack([found.nll_terms(y) - known.nll_terms(y) for y in drawn], axis=1)
    terms: Floats = each.reshape(len(each), -1).mean(axis=1)
    return terms
