"""How far a score would move with other records: bootstrap intervals."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.base.random import at, bits, stream
from trainwright.base.tree import Array
from trainwright.validation.weights import Floats, settle_weight

Score = Callable[[Floats], Floats]
MOST = 0.9  # of the draws have a score, or there is no interval
_BLOCK = 2**20  # numbers drawn at once


def mean_score(values: Array, weight: Array | None = None) -> Score:
    r"""Makes a score for `bootstrap_interval` from a value per record: their weighted mean.

    Accuracy is one (values 0 and 1), and so are the mean squared and absolute errors and the cross-entropy.

    Args:
        values: Shape `(records,)`.
        weight: Non-negative, shape `(records,)`.

    Raises:
        DataError: If the weights are wrong.

    Example:
        >>> mean_score(np.array([1.0, 0.0]))(np.array([[1.0, 1.0], [2.0, 0.0]]))
        array([0.5, 1. ])
    """
    weights = settle_weight(weight, len(values))
    sums = np.where(weights > 0, values, 0.0).astype(np.float64) * weights

    def score(counts: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            means: Floats = (counts @ sums) / (counts @ weights)
        return means

    return score


def bootstrap_interval(
    score: Score, n: int, *, level: float = 0.95, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    r"""Gives the percentile interval of a score under resampling of the records.

    In each draw, `n` records are taken with replacement; the ends of the interval are the
    :math:`(1 \mp \text{level}) / 2` quantiles of the scores. The result is a function of its arguments alone.

    Args:
        score: Takes how often each record was drawn, shape `(draws, n)`, and gives a score per draw, shape
            `(draws,)`; it is called for several draws at once. A record drawn twice counts as if it had twice
            its weight.
        n: Number of records.
        level: Share of the draws that lie within.
        draws: How many.
        seed: Of the draws.

    Returns:
        Lower and upper end. Draws without a score, such as an AUC of a draw that lacks one of the classes, are left
        out; the ends are nan if these are more than a tenth.

    Raises:
        DataError: If there are no records.

    Example:
        >>> right = np.repeat([1.0, 0.0], [80, 20])
        >>> low, high = bootstrap_interval(mean_score(right), 100, seed=1)
        >>> print(f"{low:.2f} {high:.2f}")
        0.72 0.88

    Source:
        Efron, Nonparametric standard errors and confidence intervals, 1981, section 4 (percentile method).
    """
    return bootstrap_intervals({"": score}, n, level=level, draws=draws, seed=seed)[""]


def bootstrap_intervals(
    scores: Mapping[str, Score], n: int, *, level: float = 0.95, draws: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Gives the interval of several scores, all from the same draws; see `bootstrap_interval`.

    Args:
        scores: By name; each as in `bootstrap_interval`.
        n: Number of records.
        level: Share of the draws that lie within.
        draws: How many; fewer are the first ones of more.
        seed: Of the draws.

    Raises:
        DataError: If there are no records.
    """
    if n < 1:
        raise DataError("there are no records to resample")
    if not 0.0 < level < 1.0 or draws < 1:
        raise ValueError(f"level {level}, draws {draws}")
    base = stream(seed, "bootstrap")
    block = max(1, _BLOCK // n)
    found = {name: np.empty(draws) for name in scores}
    for number, begin in enumerate(range(0, draws, block)):
        rows = min(block, draws - begin)
        random = bits(at(base, number), np.arange(rows * n, dtype=np.int32)).view(np.uint32)
        # The high half of a 64-bit product: uniform on 0 to n-1 up to n / 2^32.
        chosen = ((random.astype(np.uint64) * np.uint64(n)) >> np.uint64(32)).astype(np.int64)
        counts = _count(chosen, rows, n)
        for name, score in scores.items():
            found[name][begin : begin + rows] = score(counts)
    ends = [(1 - level) / 2, (1 + level) / 2]
    return {name: _ends(drawn, ends) for name, drawn in found.items()}


def measured_score(measure: Callable[[Floats], float], weight: Array | None, n: int) -> Score:
    """Makes a score for `bootstrap_interval` of any measure of weights, which is asked once for each draw.

    Args:
        measure: Takes a weight per record, shape `(n,)`, and gives the score.
        weight: Non-negative, shape `(n,)`.
        n: Number of records.

    Returns:
        A score that is nan for a draw whose records weigh nothing.

    Raises:
        DataError: If the weights are wrong.

    Example:
        >>> spread = measured_score(lambda w: float(w.max()), None, 2)
        >>> spread(np.array([[1.0, 1.0], [2.0, 0.0]]))
        array([1., 2.])
    """
    weights = settle_weight(weight, n)

    def score(counts: Floats) -> Floats:
        masses = counts * weights
        return np.array([measure(mass) if mass.any() else np.nan for mass in masses])

    return score


def _ends(drawn: Floats, levels: list[float]) -> tuple[float, float]:
    known = drawn[~np.isnan(drawn)]
    if len(known) < MOST * len(drawn):
        return float("nan"), float("nan")
    with np.errstate(invalid="ignore"):  # between two infinite draws there is nothing
        low, high = np.quantile(known, levels)
    return float(low), float(high)


def _count(chosen: NDArray[np.int64], rows: int, n: int) -> Floats:
    chosen += np.repeat(np.arange(rows) * n, n)
    return np.bincount(chosen, minlength=rows * n).reshape(rows, n).astype(np.float64)
