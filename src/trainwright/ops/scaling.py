"""Operators that shift and scale: the statistics are float64, what comes out is float32."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.ops.groups import (
    Per,
    Statistics,
    along,
    axes_of,
    finite_numbers,
    per_of_fitted,
    read_evenly,
    refuse_infinite,
    scale,
    settle_statistics,
    unscale,
)
from trainwright.ops.operator import Blocks, Operator


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
    affine: ClassVar[bool] = True
    increasing: ClassVar[bool] = True

    def __post_init__(self) -> None:
        settle_statistics(self, "mean", "std")

    def fit(self, x: Array) -> Self:
        """Learns mean and standard deviation.

        Raises:
            DataError: If there are no records, no numbers, or statistics that are not finite.
        """
        return self.fit_blocks(lambda: iter((x,)))

    def fit_blocks(self, blocks: Blocks) -> Self:
        """Learns the same, bit by bit, from records in parts, in two passes: mean, then deviations from it."""
        total: Any = 0.0
        low: Any = np.inf
        high: Any = -np.inf
        elements = 0
        with np.errstate(over="ignore", invalid="ignore"):
            for block in read_evenly(blocks(), self):
                numbers: Any = block
                axes = axes_of(self, block)
                total = total + numbers.sum(axis=axes, dtype=np.float64)
                low, high = np.minimum(low, numbers.min(axis=axes)), np.maximum(high, numbers.max(axis=axes))
                elements += block.size
            count = elements // np.size(total)
            mean = np.asarray(total / count)
            squares: Any = 0.0
            for block in read_evenly(blocks(), self):
                deviation = block.astype(np.float64) - along(mean, block, self)
                squares = squares + (deviation * deviation).sum(axis=axes_of(self, block))
            std = np.asarray(np.sqrt(squares / count))
        # Rounding in the mean of a constant leaves a tiny deviation; scaling would blow it up to noise.
        constant = low == high
        mean, std = np.where(constant, low, mean), np.where(constant, 0.0, std)
        refuse_infinite(self, mean, std)
        return replace(self, per=per_of_fitted(self, block), mean=mean, std=std)

    def __call__(self, x: Array) -> Array:
        """Gives float32 values of the same shape."""
        mean, divisor = self._learnt()
        return scale(x, mean, divisor, op=self)

    def invert(self, y: Array) -> Array:
        """Gives back float64 values in the unit of `x`."""
        mean, divisor = self._learnt()
        return unscale(y, mean, divisor, op=self)

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
    affine: ClassVar[bool] = True
    increasing: ClassVar[bool] = True

    def __post_init__(self) -> None:
        settle_statistics(self, "low", "high")

    def fit(self, x: Array) -> Self:
        """Learns the bounds.

        Raises:
            DataError: If there are no records, no numbers, or bounds that are not finite.
        """
        return self.fit_blocks(lambda: iter((x,)))

    def fit_blocks(self, blocks: Blocks) -> Self:
        """Learns the same, bit by bit, from records in parts."""
        low: Any = np.inf
        high: Any = -np.inf
        for block in read_evenly(blocks(), self):
            numbers: Any = block
            axes = axes_of(self, block)
            low, high = np.minimum(low, numbers.min(axis=axes)), np.maximum(high, numbers.max(axis=axes))
        with np.errstate(over="ignore", invalid="ignore"):
            refuse_infinite(self, low, high, high - low)
        return replace(self, per=per_of_fitted(self, block), low=low, high=high)

    def __call__(self, x: Array) -> Array:
        """Gives float32 values of the same shape."""
        low, width = self._learnt()
        return scale(x, low, width, op=self)

    def invert(self, y: Array) -> Array:
        """Gives back float64 values in the unit of `x`."""
        low, width = self._learnt()
        return unscale(y, low, width, op=self)

    def _learnt(self) -> tuple[Statistics, Statistics]:
        if self.low is None or self.high is None:
            raise DataError("MinMax was applied before it was fitted")
        return self.low, np.where(self.high > self.low, self.high - self.low, 1.0)


@dataclass(frozen=True, eq=False)
class Robust(Operator):
    r"""Shifts and scales by what a few wild values cannot move.

    .. math:: y = \frac{x - q_{0.5}}{q_{0.75} - q_{0.25}}

    Where the middle half of the values is constant, it is shifted but not scaled.

    Args:
        per: What shares a median: each `feature` (place in a record), each `channel` (second axis), or `all`.
        median: Learnt by `fit`, shape of one record, `(channels,)` or `()`, in the unit of `x`.
        spread: Learnt by `fit`, as `median`: from the first to the third quartile.

    Raises:
        DataError: If it is applied before it was fitted, or to records of another shape.

    Example:
        >>> x = np.array([0.0, 1.0, 2.0, 3.0, 1e9])
        >>> Robust().fit(x)(x[:4])
        array([-1. , -0.5,  0. ,  0.5], dtype=float32)
    """

    per: Per = "feature"
    median: Statistics | None = None
    spread: Statistics | None = None

    catalog_name: ClassVar[str | None] = "Robust"
    affine: ClassVar[bool] = True
    increasing: ClassVar[bool] = True

    def __post_init__(self) -> None:
        settle_statistics(self, "median", "spread")

    def fit(self, x: Array) -> Self:
        """Learns median and quartiles.

        Raises:
            DataError: If there are no records, no numbers, or values that are not finite.
        """
        numbers = finite_numbers(x, self)
        if self.per == "channel" and x.ndim < 2:
            raise DataError(
                f"Robust(per='channel') needs a second axis, the records have shape {x.shape[1:]}"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            first, median, third = np.quantile(numbers, [0.25, 0.5, 0.75], axis=axes_of(self, x))
            spread = np.asarray(third - first)
        refuse_infinite(self, median, spread)
        return replace(self, per=per_of_fitted(self, x), median=median, spread=spread)

    def __call__(self, x: Array) -> Array:
        """Gives float32 values of the same shape."""
        median, divisor = self._learnt()
        return scale(x, median, divisor, op=self)

    def invert(self, y: Array) -> Array:
        """Gives back float64 values in the unit of `x`."""
        median, divisor = self._learnt()
        return unscale(y, median, divisor, op=self)

    def _learnt(self) -> tuple[Statistics, Statistics]:
        if self.median is None or self.spread is None:
            raise DataError("Robust was applied before it was fitted")
        return self.median, np.where(self.spread > 0.0, self.spread, 1.0)
