"""An operator that gives each column a known distribution."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import erfc, sqrt
from statistics import NormalDist
from typing import ClassVar, Literal, Self

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.ops.groups import Statistics, check_record_shape, finite_numbers, refuse_infinite
from trainwright.ops.operator import Operator

_TAIL = 1e-7  # the normal distribution has no finite value for the probabilities 0 and 1


@dataclass(frozen=True, eq=False)
class Quantile(Operator):
    r"""Spreads the values of each feature evenly, or normally, whatever their distribution was.

    .. math:: y = \hat F(x), \qquad y = \Phi^{-1}(\hat F(x))

    where :math:`\hat F` interpolates between empirical quantiles. Where several of them are equal, the mean
    of their levels is taken. What lies outside of the records it was fitted on goes to the ends: 0 and 1, or
    about -5.2 and 5.2. Between the ends it can be undone up to the rounding to float32.

    Args:
        distribution: What comes out, `uniform` on (0, 1) or the standard `normal` one.
        n_quantiles: How many quantiles are kept per feature; at most as many as there are records.
        quantiles: Learnt by `fit`, shape `(quantiles, ...)`, the further axes those of one record.

    Raises:
        DataError: If it is applied before it was fitted, or to records of another shape.

    Example:
        >>> x = np.array([1.0, 10.0, 100.0, 1000.0, 10000.0])
        >>> Quantile().fit(x)(np.array([1.0, 55.0, 1e9]))
        array([0.   , 0.375, 1.   ], dtype=float32)

    Source:
        As scikit-learn's QuantileTransformer, https://scikit-learn.org, without its subsampling.
    """

    distribution: Literal["uniform", "normal"] = "uniform"
    n_quantiles: int = 1000
    quantiles: Statistics | None = None

    catalog_name: ClassVar[str | None] = "Quantile"
    increasing: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.distribution not in ("uniform", "normal"):
            raise ValueError(f"distribution is `uniform` or `normal`, not {self.distribution!r}")
        if self.n_quantiles < 2:
            raise ValueError(f"n_quantiles is at least 2, not {self.n_quantiles}")
        if self.quantiles is not None:
            found = np.asarray(self.quantiles, dtype=np.float64)
            if found.ndim == 0 or (np.diff(found, axis=0) < 0).any():
                raise ValueError("quantiles do not increase")
            object.__setattr__(self, "quantiles", found)

    def fit(self, x: Array) -> Self:
        """Learns the quantiles.

        Raises:
            DataError: If there are no records, no numbers, or values that are not finite.
        """
        ordered = np.sort(finite_numbers(x, self), axis=0)
        count, last = min(self.n_quantiles, len(x)), len(x) - 1
        # Places among the records in whole numbers: rounded ones would pull ties apart, as np.quantile does.
        below, rest = np.divmod(np.arange(count) * last, max(1, count - 1))
        way = (rest / max(1, count - 1)).reshape(-1, *[1] * (x.ndim - 1))
        lower, upper = ordered[below], ordered[np.minimum(below + 1, last)]
        with np.errstate(over="ignore", invalid="ignore"):
            quantiles = lower + way * (upper - lower)
        refuse_infinite(self, quantiles)
        # Interpolation rounds: neighbours may be out of order by the last bit.
        return replace(self, quantiles=np.maximum.accumulate(quantiles, axis=0))

    def __call__(self, x: Array) -> Array:
        """Gives float32 values of the same shape; what is not finite becomes nan."""
        if x.dtype.kind not in "biuf":
            raise DataError(f"Quantile takes numbers, not {x.dtype}")
        check_record_shape(x, self._learnt().shape[1:], self)
        found = self._by_column(x, _level)
        if self.distribution == "normal":
            found = _each(NormalDist().inv_cdf, np.clip(found, _TAIL, 1.0 - _TAIL))
        result: Array = found.astype(np.float32)
        return result

    def invert(self, y: Array) -> Array:
        """Gives back float64 values in the unit of `x`; also of `(records, quantiles, ...)`."""
        check_record_shape(y, self._learnt().shape[1:], self, quantiles=True)
        if self.distribution == "normal":
            level = _each(lambda z: 0.5 * erfc(-z / sqrt(2.0)), y.astype(np.float64))
            # A little more than the tail, because float32 has rounded its end.
            level = np.where(level < 1.001 * _TAIL, 0.0, level)
            y = np.where(level > 1.0 - 1.001 * _TAIL, 1.0, level)
        return self._by_column(y, lambda level, known, levels: np.interp(level, levels, known))

    def _learnt(self) -> Statistics:
        if self.quantiles is None:
            raise DataError("Quantile was applied before it was fitted")
        return self.quantiles

    def _by_column(
        self, x: Array, change: Callable[[Statistics, Statistics, Statistics], Statistics]
    ) -> Statistics:
        known = self._learnt().reshape(len(self._learnt()), -1)
        levels = np.linspace(0.0, 1.0, len(known))
        columns = x.astype(np.float64).reshape(-1, known.shape[1])
        changed = [change(columns[:, one], known[:, one], levels) for one in range(known.shape[1])]
        return np.stack(changed, axis=1).reshape(x.shape)


def _level(values: Statistics, known: Statistics, levels: Statistics) -> Statistics:
    """Gives the mean of the lowest and the highest level at which a value lies."""
    highest = np.interp(values, known, levels)
    lowest = -np.interp(-values, -known[::-1], -levels[::-1])
    found = 0.5 * (highest + lowest)
    found = np.where(values >= known[-1], 1.0, found)
    found = np.where(values <= known[0], 0.0, found)
    return np.where(np.isfinite(values), found, np.nan)


def _each(function: Callable[[float], float], values: Statistics) -> Statistics:
    return np.fromiter(map(function, values.ravel().tolist()), np.float64, values.size).reshape(values.shape)
