"""Brings what a model says about a target back to the unit of the target."""

from collections.abc import Callable, Mapping

import numpy as np

from trainwright.base.tree import Array

Invert = Callable[[Array], Array]


def invert_variance(variance: Array, invert: Invert) -> Array:
    r"""Multiplies a variance by the squared slope of an affine inverse, :math:`(f(1) - f(0))^2`.

    Args:
        variance: Of the target as the model sees it, shape `(records, outputs)`.
        invert: Takes targets back to their unit; affine in each output.

    Example:
        >>> invert_variance(np.array([[2.0]]), lambda y: 3 * y + 1)
        array([[18.]])
    """
    at_one, at_zero = (invert(make(variance)).astype(np.float64) for make in (np.ones_like, np.zeros_like))
    found: Array = np.square(at_one - at_zero) * variance.astype(np.float64)
    return found


def invert_scale(scale: Array, invert: Invert) -> Array:
    """Multiplies a scale, such as a standard deviation, by the size of the slope of an affine inverse.

    Args:
        scale: Of the target as the model sees it, shape `(records, outputs)`.
        invert: Takes targets back to their unit; affine in each output.

    Example:
        >>> invert_scale(np.array([[2.0]]), lambda y: -3 * y + 1)
        array([[6.]])
    """
    at_one, at_zero = (invert(make(scale)).astype(np.float64) for make in (np.ones_like, np.zeros_like))
    found: Array = np.abs(at_one - at_zero) * scale.astype(np.float64)
    return found


def invert_quantiles(quantiles: Array, invert: Invert) -> Array:
    """Takes each level back by itself; a falling inverse turns their order round, so they are sorted again.

    Args:
        quantiles: Shape `(records, levels, outputs)`.
        invert: Takes targets of shape `(records, outputs)` back to their unit.

    Example:
        >>> invert_quantiles(np.array([[[0.0], [1.0]]]), lambda y: 3 * y + 1).tolist()
        [[[1.0], [4.0]]]
    """
    return np.sort(_each(quantiles, invert), axis=1)


def invert_spread(outputs: Mapping[str, Array], invert: Invert) -> dict[str, Array]:
    """Takes what a model says besides `y` back to the unit of the target.

    Args:
        outputs: Of a regression; `variance`, `scale`, `df`, `mixing`, `means`, `variances` and `quantiles` are looked
            at. Degrees of freedom and the shares of components have no unit.
        invert: Takes targets back to their unit.

    Example:
        >>> one = np.ones((1, 1))
        >>> invert_spread({"y": one, "scale": one, "df": 5 * one}, lambda y: 3 * y + 1)
        {'scale': array([[3.]]), 'df': array([[5.]])}
    """
    found: dict[str, Array] = {}
    if "variance" in outputs:
        found["variance"] = invert_variance(outputs["variance"], invert)
    if "scale" in outputs:
        found["scale"] = invert_scale(outputs["scale"], invert)
    found |= {name: outputs[name] for name in ("df", "mixing") if name in outputs}
    if "means" in outputs:
        found["means"] = _each(outputs["means"], invert)
        found["variances"] = _each(outputs["variances"], lambda one: invert_variance(one, invert))
    if "quantiles" in outputs:
        found["quantiles"] = invert_quantiles(outputs["quantiles"], invert)
    return found


def _each(values: Array, change: Invert) -> Array:
    """Changes each level or component by itself."""
    return np.stack([change(values[:, one]) for one in range(values.shape[1])], axis=1)
