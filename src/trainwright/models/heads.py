"""What the raw output of a regression means: a point, the parameters of a distribution, or quantiles."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainwright.base.tree import Array

LEAST_VARIANCE = 1e-6
LEAST_SCALE = 1e-3  # its root
LEAST_DF = 2.001  # so that a variance exists

# What a head predicts of each target, one after another in the raw output.
PARTS: Mapping[str, tuple[str, ...]] = {
    "point": ("y",),
    "mean_variance": ("y", "variance"),
    "laplace": ("y", "scale"),
    "student_t": ("y", "scale", "df"),
}
DISTRIBUTIONS = ("mean_variance", "laplace", "student_t", "mixture")
_LEAST = {"variance": LEAST_VARIANCE, "scale": LEAST_SCALE, "df": LEAST_DF}


def count_outputs(
    head: str, dim: int, *, quantiles: Sequence[float] | None = None, components: int | None = None
) -> int:
    """Counts the raw outputs of a head for `dim` targets.

    Example:
        >>> count_outputs("mean_variance", 3), count_outputs("quantiles", 3, quantiles=[0.1, 0.5, 0.9])
        (6, 9)
        >>> count_outputs("mixture", 3, components=2)
        14
    """
    if head == "mixture":
        return (components or 0) * (1 + 2 * dim)
    return dim * (len(quantiles or ()) if head == "quantiles" else len(PARTS[head]))


def decode(
    head: str, raw: Array, *, quantiles: Sequence[float] | None = None, components: int | None = None
) -> dict[str, Array]:
    r"""Turns the raw output of a regression into named predictions, in the dtype of `raw`.

    .. math:: \sigma^2 = \log(1 + e^{r}) + 10^{-6}, \quad b = \log(1 + e^{r}) + 10^{-3}, \quad
        \nu = \log(1 + e^{r}) + 2.001

    Args:
        head: `point`: raw are the predictions. `mean_variance`: raw are D means, then D raw spreads. `laplace`: D
            centres, then D raw scales; `student_t`: after these D raw degrees of freedom. `quantiles`: raw are the D
            targets of the first level, then those of the next. `mixture`: raw are K logits, then the D means of the
            first component, those of the next and so on, then as many raw spreads.
        raw: Shape `(records, outputs)`, or `(records, outputs, *space)` of a unet.
        quantiles: The levels, rising, 0.5 among them; for the head `quantiles` only.
        components: K; for the head `mixture` only.

    Returns:
        `y`, shape `(records, D, *space)`; with `mean_variance` also `variance` of the same shape, in squared units of
        the target; with `laplace` and `student_t` the `scale`, in the unit of the target, and with the latter the
        degrees of freedom `df`; with `quantiles` also `quantiles`, shape `(records, Q, D, *space)`, sorted so that
        they never cross, and `y` is their median; with `mixture` also `mixing`, shape `(records, K, *space)`, which
        add to 1, and `means` and `variances`, shape `(records, K, D, *space)`, and `y` is the mean of all.

    Raises:
        ValueError: If the head is unknown, or the outputs do not divide among its parts.

    Source:
        Lakshminarayanan et al., Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles, 2017,
        section 2.2.1. Bishop, Mixture Density Networks, 1994.

    Example:
        >>> decode("mean_variance", np.array([[1.0, 0.0]]))["variance"].round(4)
        array([[0.6931]])
    """
    if head == "point":
        return {"y": raw}
    if head in PARTS:
        names = PARTS[head]
        if raw.shape[1] % len(names):
            kind = {2: "pairs", 3: "triples"}[len(names)]
            raise ValueError(f"{raw.shape[1]} outputs are no {kind} of {', '.join(names)}")
        parts = dict(zip(names, np.split(raw, len(names), axis=1), strict=True))
        return {name: part if name == "y" else _soften(part, _LEAST[name]) for name, part in parts.items()}
    if head == "mixture" and components:
        return _decode_mixture(raw, components)
    if head != "quantiles" or not quantiles:
        raise ValueError(
            f"head {head!r} with levels {quantiles}, components {components}: there is no such head"
        )
    if raw.shape[1] % len(quantiles):
        raise ValueError(f"{raw.shape[1]} outputs do not divide among {len(quantiles)} levels")
    levels = raw.reshape(len(raw), len(quantiles), raw.shape[1] // len(quantiles), *raw.shape[2:])
    # Sorting moves nan to the end, where it would leave a median that looks sound.
    lost = np.isnan(levels).any(axis=1, keepdims=True)
    levels = np.where(lost, raw.dtype.type(np.nan), np.sort(levels, axis=1))
    return {"y": levels[:, list(quantiles).index(0.5)], "quantiles": levels}


def _decode_mixture(raw: Array, components: int) -> dict[str, Array]:
    count = raw.shape[1]
    if count % components or count // components % 2 == 0 or count == components:
        raise ValueError(f"{count} outputs do not divide among {components} components")
    parts: Any = np.split(raw, [components, (count + components) // 2], axis=1)
    logits = parts[0]
    means, spreads = (one.reshape(len(raw), components, -1, *raw.shape[2:]) for one in parts[1:])
    with np.errstate(invalid="ignore"):  # NaN stays NaN, without a warning
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    mixing = chances / chances.sum(axis=1, keepdims=True)
    return {
        "y": (mixing[:, :, None] * means).sum(axis=1),
        "mixing": mixing,
        "means": means,
        "variances": _soften(spreads, LEAST_VARIANCE),
    }


def _soften(raw: Array, least: float) -> Array:
    with np.errstate(invalid="ignore"):  # NaN stays NaN, without a warning
        found: Array = np.logaddexp(raw, raw.dtype.type(0)) + raw.dtype.type(least)
    return found
