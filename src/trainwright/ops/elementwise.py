"""Operators on each value, or on each record, by itself."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.ops.groups import Statistics, check_record_shape, finite_numbers
from trainwright.ops.operator import Blocks, Operator


@dataclass(frozen=True, eq=False)
class Log1p(Operator):
    r"""Takes the logarithm of one plus the value, for what spreads over orders of magnitude from zero on.

    .. math:: y = \ln(1 + x)

    Raises:
        DataError: If a value is not above -1, or is missing.

    Example:
        >>> Log1p().invert(Log1p()(np.array([0.0, 9.0])))
        array([0., 9.])
    """

    catalog_name: ClassVar[str | None] = "Log1p"
    increasing: ClassVar[bool] = True

    def __call__(self, x: Array) -> Array:
        """Gives values of the same shape, float32 for float32 and float64 otherwise."""
        numbers = _floats(x, self)
        good = numbers > -1.0
        if not good.all():
            place = tuple(np.argwhere(~good)[0].tolist())
            raise DataError(
                f"record {place[0]} holds {numbers[place]}; Log1p takes values above -1: shift or clip them "
                "first, fill what is missing by Impute"
            )
        result: Array = np.log1p(numbers)
        return result

    def invert(self, y: Array) -> Array:
        """Gives back float64 values in the unit of `x`; what is too large for them becomes infinite."""
        with np.errstate(over="ignore"):
            result: Array = np.expm1(y.astype(np.float64))
        return result


@dataclass(frozen=True, eq=False)
class UnitSum(Operator):
    r"""Divides each record by the sum of its absolute values, such as counts of words by how many there are.

    .. math:: y_{ij} = \frac{x_{ij}}{\sum_k |x_{ik}|}

    A record of zeros stays one.

    Raises:
        DataError: If a value is missing or infinite.

    Example:
        >>> UnitSum()(np.array([[1.0, 3.0], [0.0, 0.0]]))
        array([[0.25, 0.75],
               [0.  , 0.  ]])
    """

    catalog_name: ClassVar[str | None] = "UnitSum"

    def __call__(self, x: Array) -> Array:
        """Gives values of the same shape, float32 for float32 and float64 otherwise."""
        numbers = _floats(x, self)
        good = np.isfinite(numbers)
        if not good.all():
            place = tuple(np.argwhere(~good)[0].tolist())
            raise DataError(f"record {place[0]} holds {numbers[place]}; UnitSum takes finite numbers")
        if numbers.ndim < 2:
            raise DataError("UnitSum takes records of several features, whose sum it divides by")
        total = np.abs(numbers).reshape(len(numbers), -1).sum(1, dtype=np.float64)
        share = np.where(total > 0, total, 1.0).reshape(-1, *(1,) * (numbers.ndim - 1))
        result: Array = (numbers / share).astype(numbers.dtype)
        return result


@dataclass(frozen=True, eq=False)
class Clip(Operator):
    """Moves what lies outside of bounds to the bounds.

    It is undone by leaving values as they are: what was outside is not known any more.

    Args:
        low: The lower bound, in the unit of `x`.
        high: The upper bound.
        lower_quantile: The part of the records below the lower bound, instead of `low`; from 0 to 1.
        upper_quantile: The part of the records below the upper bound, instead of `high`.
        lower: Learnt by `fit` from `lower_quantile`, shape of one record.
        upper: Learnt by `fit` from `upper_quantile`, shape of one record.

    Raises:
        DataError: If it is applied before it was fitted, or to records of another shape.

    Example:
        >>> Clip(low=0.0, upper_quantile=0.5).fit(np.arange(5.0))(np.array([-1.0, 1.0, 9.0]))
        array([0., 1., 2.])
    """

    low: float | None = None
    high: float | None = None
    lower_quantile: float | None = None
    upper_quantile: float | None = None
    lower: Statistics | None = None
    upper: Statistics | None = None

    catalog_name: ClassVar[str | None] = "Clip"
    increasing: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for given, quantile, learnt in (
            ("low", "lower_quantile", "lower"),
            ("high", "upper_quantile", "upper"),
        ):
            part = getattr(self, quantile)
            if part is not None and getattr(self, given) is not None:
                raise ValueError(f"{given} and {quantile} are two ways to say one bound; give one")
            if part is not None and not 0.0 <= part <= 1.0:
                raise ValueError(f"{quantile} is from 0 to 1, not {part}")
            if getattr(self, given) is not None and np.isnan(getattr(self, given)):
                raise ValueError(f"{given} is not a number")
            if getattr(self, learnt) is not None:
                object.__setattr__(self, learnt, np.asarray(getattr(self, learnt), dtype=np.float64))
        bounds = (self.low, self.high, self.lower_quantile, self.upper_quantile)
        if all(one is None for one in bounds):
            raise ValueError("give a bound: low, high, lower_quantile or upper_quantile")
        for small, large in ((self.low, self.high), (self.lower_quantile, self.upper_quantile)):
            if small is not None and large is not None and small > large:
                raise ValueError(f"the lower bound {small} is above the upper bound {large}")

    def fit(self, x: Array) -> Self:
        """Learns the bounds that are quantiles, one per feature.

        Raises:
            DataError: If there are no records, no numbers, values that are not finite, or the lower bound
                comes out above the upper one.
        """
        if self.lower_quantile is None and self.upper_quantile is None:
            return self
        numbers = finite_numbers(x, self)
        lower = None if self.lower_quantile is None else np.quantile(numbers, self.lower_quantile, axis=0)
        upper = None if self.upper_quantile is None else np.quantile(numbers, self.upper_quantile, axis=0)
        fitted = replace(self, lower=lower, upper=upper)
        low, high = fitted._bounds()
        if low is not None and high is not None and np.any(low > high):
            raise DataError(
                f"Clip: the lower bound {np.max(low)} came out above the upper one {np.min(high)}"
            )
        return fitted

    def fit_blocks(self, blocks: Blocks) -> Self:
        """Learns nothing if the bounds are given.

        Raises:
            DataError: If a bound is a quantile, for which all records are needed at once.
        """
        if self.lower_quantile is None and self.upper_quantile is None:
            return self
        raise DataError(
            "Clip cannot be fitted on data that is read in parts by quantiles; give the bounds, low and high"
        )

    def __call__(self, x: Array) -> Array:
        """Gives values of the same shape, float32 for float32 and float64 otherwise; nan stays nan."""
        low, high = self._bounds()
        numbers = _floats(x, self)
        for bound in (self.lower, self.upper):
            if bound is not None:
                check_record_shape(x, bound.shape, self)
        result: Array = np.clip(numbers, low, high).astype(numbers.dtype)
        return result

    def invert(self, y: Array) -> Array:
        """Gives the values as they are."""
        return y

    def _bounds(self) -> tuple[Any, Any]:
        for quantile, learnt in ((self.lower_quantile, self.lower), (self.upper_quantile, self.upper)):
            if quantile is not None and learnt is None:
                raise DataError("Clip was applied before it was fitted")
        low = self.low if self.lower_quantile is None else self.lower
        return low, self.high if self.upper_quantile is None else self.upper


def _floats(x: Array, op: Operator) -> Any:
    if x.dtype.kind not in "biuf":
        raise DataError(f"{type(op).__name__} takes numbers, not {x.dtype}")
    return x if x.dtype == np.float32 else x.astype(np.float64)
