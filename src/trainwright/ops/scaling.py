"""Operators that shift and scale: the statistics are float64, what comes out is float32."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.ops.operator import Operator

Per = Literal["feature", "channel", "all"]
Statistics = NDArray[np.float64]
_BLOCK = 2**20  # elements worked on at once, so that no float64 copy of a large array is made


@dataclass(frozen=True, eq=False)
class Standardize(Operator):
    r"""Shifts and scales to zero mean and unit variance.

    .. math:: y = \frac{x - \mu}{\sigma}

    where :math:`\sigma^2` is the mean of :math:`(x - \mu)^2`. What is constant in the records it was fitted
    on is shifted to zero but not scaled.

    Args:
        per: What shares a mean: each `feature` (place in a record), each `channel` (second axis), or `all`.
        mean: Learnt by `fit`, shape of one record, `(channels,)` or `()`, in the unit of `x`.
        std: Learnt by `fit`, as `mean`; zero for what is constant.

    Raises:
        DataError: If it is applied before it was fitted, or to records of another shape.

    Example:
        >>> x = np.array([[1.0, 5.0], [3.0, 5.0]])
        >>> Standardize().fit(x)(x)
        array([[-1.,  0.],
               [ 1.,  0.]], dtype=float32)
    """

    per: Per = "feature"
    mean: Statistics | None = None
    std: Statistics | None = None

    catalog_name: ClassVar[str | None] = "Standardize"

    def __post_init__(self) -> None:
        _settle(self, "mean", "std")

    def fit(self, x: Array) -> Self:
        """Learns mean and standard deviation.

        Raises:
            DataError: If there are no records, no numbers, or statistics that are not finite.
        """
        low, high = _bounds(x, self)
        numbers: Any = x
        axes = _axes(x, self)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.asarray(numbers.mean(axis=axes, dtype=np.float64))
            std = np.asarray(numbers.std(axis=axes, dtype=np.float64))
        # Rounding in the mean of a constant leaves a tiny deviation; scaling would blow it up to noise.
        constant = low == high
        mean, std = np.where(constant, low, mean), np.where(constant, 0.0, std)
        _refuse_infinite(self, mean, std)
        return replace(self, mean=mean, std=std)

    def __call__(self, x: Array) -> Array:
        """Gives float32 values of the same shape."""
        mean, divisor = self._learnt()
        return _scale(x, mean, divisor, self)

    def invert(self, y: Array) -> Array:
        """Gives back float64 values in the unit of `x`."""
        mean, divisor = self._learnt()
        return _unscale(y, mean, divisor, self)

    def _learnt(self) -> tuple[Statistics, Statistics]:
        if self.mean is None or self.std is None:
            raise DataError("Standardize was applied before it was fitted")
        return self.mean, np.where(self.std > 0.0, self.std, 1.0)


@dataclass(frozen=True, eq=False)
class MinMax(Operator):
    r"""Shifts and scales to the interval from 0 to 1.

    .. math:: y = \frac{x - \min}{\max - \min}

    Values outside of what it was fitted on come to lie outside of the interval. What is constant becomes 0.

    Args:
        per: What shares bounds: each `feature` (place in a record), each `channel` (second axis), or `all`.
        low: Learnt by `fit`, shape of one record, `(channels,)` or `()`, in the unit of `x`.
        high: Learnt by `fit`, as `low`.

    Raises:
        DataError: If it is applied before it was fitted, or to records of another shape.

    Example:
        >>> MinMax().fit(np.array([[1.0], [3.0]]))(np.array([[2.0], [4.0]]))
        array([[0.5],
               [1.5]], dtype=float32)
    """

    per: Per = "feature"
    low: Statistics | None = None
    high: Statistics | None = None

    catalog_name: ClassVar[str | None] = "MinMax"

    def __post_init__(self) -> None:
        _settle(self, "low", "high")

    def fit(self, x: Array) -> Self:
        """Learns the bounds.

        Raises:
            DataError: If there are no records, no numbers, or bounds that are not finite.
        """
        low, high = _bounds(x, self)
        with np.errstate(over="ignore"):
            _refuse_infinite(self, low, high, high - low)
        return replace(self, low=low, high=high)

    def __call__(self, x: Array) -> Array:
        """Gives float32 values of the same shape."""
        low, width = self._learnt()
        return _scale(x, low, width, self)

    def invert(self, y: Array) -> Array:
        """Gives back float64 values in the unit of `x`."""
        low, width = self._learnt()
        return _unscale(y, low, width, self)

    def _learnt(self) -> tuple[Statistics, Statistics]:
        if self.low is None or self.high is None:
            raise DataError("MinMax was applied before it was fitted")
        return self.low, np.where(self.high > self.low, self.high - self.low, 1.0)


Scaling = Standardize | MinMax


def _settle(op: Scaling, *learnt: str) -> None:
    if op.per not in ("feature", "channel", "all"):
        raise ValueError(f"per is `feature`, `channel` or `all`, not {op.per!r}")
    shapes = set()
    for name in learnt:
        if getattr(op, name) is not None:
            object.__setattr__(op, name, np.asarray(getattr(op, name), dtype=np.float64))
        shapes.add(np.shape(getattr(op, name)))
    if len(shapes) > 1 or len({getattr(op, name) is None for name in learnt}) > 1:
        raise ValueError(f"{' and '.join(learnt)} do not belong together")


def _axes(x: Array, op: Scaling) -> tuple[int, ...] | int | None:
    if op.per == "channel":
        return (0, *range(2, x.ndim))
    return 0 if op.per == "feature" else None


def _bounds(x: Array, op: Scaling) -> tuple[Statistics, Statistics]:
    name = type(op).__name__
    if x.dtype.kind not in "biuf":
        raise DataError(f"{name} takes numbers, not {x.dtype}")
    if x.size == 0:
        raise DataError(f"{name} cannot be fitted on no records (shape {x.shape})")
    if op.per == "channel" and x.ndim < 2:
        raise DataError(f"{name}(per='channel') needs a second axis, the records have shape {x.shape[1:]}")
    numbers: Any = x
    axes = _axes(x, op)
    return np.asarray(numbers.min(axis=axes), np.float64), np.asarray(numbers.max(axis=axes), np.float64)


def _refuse_infinite(op: Scaling, *statistics: Statistics) -> None:
    if not all(np.isfinite(one).all() for one in statistics):
        raise DataError(
            f"{type(op).__name__} cannot be fitted: the records hold nan, inf or values too large"
        )


def _along(statistic: Statistics, x: Array, op: Scaling) -> Statistics:
    """Shapes a statistic so that it stands beside the records it belongs to."""
    name = type(op).__name__
    if op.per == "feature" and x.shape[1:] != statistic.shape:
        raise DataError(f"{name} was fitted on records of shape {statistic.shape}, these have {x.shape[1:]}")
    if op.per == "channel":
        if x.ndim < 2 or x.shape[1:2] != statistic.shape:
            raise DataError(
                f"{name} was fitted on {statistic.size} channels, these records have shape {x.shape[1:]}"
            )
        return statistic.reshape(-1, *[1] * (x.ndim - 2))
    return statistic


def _scale(x: Array, shift: Statistics, divisor: Statistics, op: Scaling) -> Array:
    if x.dtype.kind not in "biuf":
        raise DataError(f"{type(op).__name__} takes numbers, not {x.dtype}")
    shift, divisor = _along(shift, x, op), _along(divisor, x, op)
    scaled = np.empty(x.shape, dtype=np.float32)
    rows = max(1, _BLOCK * len(x) // max(1, x.size))
    with np.errstate(over="ignore", invalid="ignore"):
        for begin in range(0, len(x), rows):
            block = x[begin : begin + rows].astype(np.float64)
            scaled[begin : begin + rows] = (block - shift) / divisor
    return scaled


def _unscale(y: Array, shift: Statistics, divisor: Statistics, op: Scaling) -> Array:
    return y.astype(np.float64) * _along(divisor, y, op) + _along(shift, y, op)
