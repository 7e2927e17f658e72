"""What the numbers of a regression head mean."""

from collections.abc import Sequence

import numpy as np

from trainwright.base.tree import Array

LEAST_VARIANCE = 1e-6


def raw_outputs(head: str, targets: int, *, quantiles: Sequence[float] | None = None) -> int:
    """Counts the numbers that a network gives for each record.

    Example:
        >>> raw_outputs("quantiles", 2, quantiles=[0.1, 0.5, 0.9])
        6
    """
    return targets * {"point": 1, "mean_variance": 2}.get(head, len(quantiles or ()))


def decode(head: str, raw: Array, *, quantiles: Sequence[float] | None = None) -> dict[str, Array]:
    r"""Names what a network gives.

    Args:
        head: `point`; `mean_variance`: means, then raw spreads :math:`s`, the variance being
            :math:`\log(1 + e^s) + 10^{-6}`; `quantiles`: the targets at the first level, at the second, and so on.
        raw: What the network gives, shape `(records, outputs, ...)`.
        quantiles: The levels, 0.5 among them.

    Returns:
        `y`, and `variance` of the shape of `y`, or `quantiles` of shape `(records, levels, targets, ...)`, sorted, so
        that they never cross.

    Example:
        >>> decode("quantiles", np.array([[3.0, 1.0, 2.0]]), quantiles=[0.1, 0.5, 0.9])["y"]
        array([[2.]])

    Source:
        Lakshminarayanan et al., Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles, 2017,
        section 2.2.1.
    """
    values: np.ndarray = np.asarray(raw)
    if head == "mean_variance":
        mean, spread = np.split(values, 2, axis=1)
        variance = np.logaddexp(np.zeros_like(spread), spread) + values.dtype.type(LEAST_VARIANCE)
        return {"y": mean, "variance": variance}
    if head == "quantiles":
        levels = list(quantiles or ())
        by_level = values.reshape(len(values), len(levels), -1, *values.shape[2:])
        # Sorting moves nan to the end, where it would leave a median that looks sound.
        lost = np.isnan(by_level).any(axis=1, keepdims=True)
        by_level = np.where(lost, np.nan, np.sort(by_level, axis=1)).astype(values.dtype)
        return {"y": by_level[:, levels.index(0.5)], "quantiles": by_level}
    return {"y": values}
