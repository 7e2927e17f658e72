"""Student's t distribution in NumPy: what norms its density, its distribution function, its quantiles."""

import math

import numpy as np

from trainwright.validation.weights import Floats

_lgamma = np.frompyfunc(math.lgamma, 1, 1)  # NumPy has none
STEPS = 200  # of the continued fraction; it needs about the root of the degrees of freedom
HALVINGS = 80


def student_norm(df: Floats) -> Floats:
    r"""Gives :math:`\tfrac12 \log \nu\pi + \log \Gamma(\nu/2) - \log \Gamma((\nu + 1)/2)`.

    Args:
        df: Degrees of freedom, above 0; nan gives nan.

    Example:
        >>> print(f"{student_norm(np.array([1.0]))[0]:.6f}")  # log pi
        1.144730
    """
    gammas = [
        np.asarray(_lgamma(np.where(df > 0, part, np.nan)), dtype=np.float64)
        for part in (df / 2, (df + 1) / 2)
    ]
    norm: Floats = 0.5 * np.log(df * math.pi) + gammas[0] - gammas[1]
    return norm


def student_central(z: Floats, df: Floats) -> Floats:
    r"""Gives the probability of values nearer to the centre than z, :math:`2 F(|z|) - 1`.

    Args:
        z: Distances in scales.
        df: Degrees of freedom, above 0.

    Source:
        Abramowitz & Stegun, 26.7.1 and 26.5.8: 1 - I_x(v/2, 1/2) with x = v/(v + z²).
    """
    square = np.square(z)
    return _beta_share(square / (df + square), np.full_like(df, 0.5), df / 2, df / (df + square))


def student_reach(level: float | Floats, df: Floats) -> Floats:
    """Gives the distance that values keep with a probability, in scales, by halving.

    Args:
        level: Between 0 and 1; an array goes by the shape of `df`.
        df: Degrees of freedom, above 0.

    Example:
        >>> print(f"{student_reach(0.95, np.array([4.0]))[0]:.4f}")
        2.7764
    """
    low, high = np.zeros_like(df), np.ones_like(df)
    for _ in range(HALVINGS):
        high = np.where(student_central(high, df) < level, 4 * high, high)
        if not (student_central(high, df) < level).any():
            break
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if ((middle == low) | (middle == high) | np.isnan(middle)).all():
            break
        below = student_central(middle, df) < level
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.where(np.isnan(df), np.nan, (low + high) / 2)


def _beta_share(x: Floats, a: Floats, b: Floats, rest: Floats) -> Floats:
    """Gives the regularised incomplete beta function I_x(a, b); rest is 1 - x, without loss of digits.

    Source:
        Press et al., Numerical Recipes, 3rd edition, section 6.4: the continued fraction by Lentz's method.
    """
    swap = x > (a + 1) / (a + b + 2)
    here, there = np.where(swap, rest, x), np.where(swap, x, rest)
    one, other = np.where(swap, b, a), np.where(swap, a, b)
    gammas = [np.asarray(_lgamma(part), dtype=np.float64) for part in (one + other, one, other)]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        front = np.exp(gammas[0] - gammas[1] - gammas[2] + one * np.log(here) + other * np.log(there)) / one
        share = front * _fraction(here, one, other)
    share = np.where(here == 0, 0.0, share)
    return np.where(swap, 1 - share, share)


def _fraction(x: Floats, a: Floats, b: Floats) -> Floats:
    tiny = 1e-300

    def away(value: Floats) -> Floats:
        return np.where(np.abs(value) < tiny, tiny, value)

    c = np.ones_like(x)
    d = 1 / away(1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d, c = 1 / away(1 + even * d), away(1 + even / c)
        found = found * d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = 1 / away(1 + odd * d), away(1 + odd / c)
        change = d * c
        found = found * change
        if not (np.abs(change - 1) > 1e-15).any():
            break
    return found
