"""Distributions that a regression predicts, by name: their likelihood, CRPS, intervals and standard deviation.

A scale that is negative, or nan anywhere, gives nan.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.validation import probabilistic
from trainwright.validation.student import student_central, student_norm, student_reach
from trainwright.validation.weights import Floats, settle_weight, weighted_mean


@dataclass(frozen=True, slots=True, eq=False)
class Family(ABC):
    """What a model says about targets, as distributions; every array has the shape of the targets.

    Args:
        centre: What is predicted: mean and median.
    """

    told: ClassVar[str]  # for the reader of a report
    centre: Floats

    @abstractmethod
    def nll_terms(self, y: Array) -> Floats:
        """Gives the negative log-likelihood of each record, in nats, the mean over outputs."""

    @abstractmethod
    def crps_terms(self, y: Array) -> Floats:
        """Gives the CRPS of each record, the mean over outputs, in the unit of the target."""

    @abstractmethod
    def reach(self, level: float) -> Floats:
        """Gives how far the central interval of a probability reaches to either side."""

    @abstractmethod
    def std(self) -> Floats:
        """Gives the standard deviations."""

    def inside_terms(self, y: Array, *, level: float) -> Floats:
        """Gives the share of outputs within the central interval of a probability, for each record."""
        if not 0.0 < level < 1.0:
            raise ValueError(f"level {level} is not between 0 and 1")
        away = np.abs(_like(y, self.centre) - self.centre)
        reach = self.reach(level)
        with np.errstate(invalid="ignore"):
            inside = np.where(np.isnan(reach) | np.isnan(away), np.nan, away <= reach)
        return _over_outputs(inside)

    def scores(self, y: Array, *, weight: Array | None = None) -> dict[str, float]:
        """Measures `nll`, `crps` and `coverage_90`: means over records with their weights.

        Raises:
            DataError: If the shapes do not belong together, or the weights are wrong.
        """
        terms = {
            "nll": self.nll_terms(y),
            "crps": self.crps_terms(y),
            "coverage_90": self.inside_terms(y, level=0.9),
        }
        weights = settle_weight(weight, len(self.centre))
        return {name: float(weighted_mean(one, weights)) for name, one in terms.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Normal(Family):
    """Normal distributions.

    Args:
        centre: Means.
        variance: Of the targets, in squared units.
    """

    told: ClassVar[str] = "a normal distribution"
    variance: Floats

    def nll_terms(self, y: Array) -> Floats:
        """Gives the negative log-likelihood of each record."""
        return probabilistic.gaussian_nll_terms(self.centre, self.variance, y)

    def crps_terms(self, y: Array) -> Floats:
        """Gives the CRPS of each record."""
        return probabilistic.gaussian_crps_terms(self.centre, self.variance, y)

    def reach(self, level: float) -> Floats:
        """Gives how far the central interval of a probability reaches to either side."""
        with np.errstate(invalid="ignore"):
            reach: Floats = NormalDist().inv_cdf((1 + level) / 2) * np.sqrt(self.variance)
        return reach

    def std(self) -> Floats:
        """Gives the standard deviations."""
        with np.errstate(invalid="ignore"):
            return np.sqrt(self.variance)


@dataclass(frozen=True, slots=True, eq=False)
class Laplace(Family):
    """Laplace distributions.

    Args:
        centre: Means.
        scale: The mean distances from them.
    """

    told: ClassVar[str] = "a Laplace distribution"
    scale: Floats

    def nll_terms(self, y: Array) -> Floats:
        r"""Gives :math:`\log 2b + |e| / b` of each record."""
        truth = _like(y, self.centre)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return _over_outputs(np.log(2 * self.scale) + np.abs(truth - self.centre) / self.scale)

    def crps_terms(self, y: Array) -> Floats:
        r"""Gives :math:`b (|z| + e^{-|z|} - 3/4)` of each record, :math:`z = e / b`.

        Source:
            Jordan, Krüger & Lerch, Evaluating Probabilistic Forecasts with scoringRules, 2019, appendix A.
        """
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            z = np.abs(_like(y, self.centre) - self.centre) / self.scale
            return _over_outputs(self.scale * (z + np.exp(-z) - 0.75))

    def reach(self, level: float) -> Floats:
        """Gives how far the central interval of a probability reaches to either side."""
        return -self.scale * math.log1p(-level)

    def std(self) -> Floats:
        """Gives the standard deviations."""
        return math.sqrt(2.0) * self.scale


@dataclass(frozen=True, slots=True, eq=False)
class StudentT(Family):
    """Student's t, moved and scaled.

    Args:
        centre: Means.
        scale: What t is multiplied by.
        df: Degrees of freedom, above 1.
    """

    told: ClassVar[str] = "Student's t"
    scale: Floats
    df: Floats

    def nll_terms(self, y: Array) -> Floats:
        """Gives the negative log-likelihood of each record."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            square = np.square((_like(y, self.centre) - self.centre) / self.scale)
            tail = (self.df + 1) / 2 * np.log1p(square / self.df)
            return _over_outputs(np.log(self.scale) + student_norm(self.df) + tail)

    def crps_terms(self, y: Array) -> Floats:
        r"""Gives the CRPS of each record.

        .. math:: s \Big( z (2 F(z) - 1) + \frac{2 f(z) (\nu + z^2)}{\nu - 1} - \frac{2 \sqrt\nu}{\nu - 1}
            \frac{B(1/2, \nu - 1/2)}{B(1/2, \nu/2)^2} \Big)

        Source:
            Jordan, Krüger & Lerch, Evaluating Probabilistic Forecasts with scoringRules, 2019, appendix A.
        """
        df = self.df
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            z = np.abs(_like(y, self.centre) - self.centre) / self.scale
            density = np.exp(-student_norm(df) - (df + 1) / 2 * np.log1p(np.square(z) / df))
            # B(1/2, v - 1/2) / B(1/2, v/2)^2, by what norms two t distributions
            betas = np.exp(student_norm(2 * df - 1) - 2 * student_norm(df)) * df / np.sqrt(2 * df - 1)
            found = z * student_central(z, df) + 2 * density * (df + np.square(z)) / (df - 1)
            return _over_outputs(self.scale * (found - 2 * np.sqrt(df) / (df - 1) * betas))

    def reach(self, level: float) -> Floats:
        """Gives how far the central interval of a probability reaches to either side."""
        return self.scale * student_reach(level, self.df)

    def std(self) -> Floats:
        """Gives the standard deviations."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.scale * np.sqrt(self.df / (self.df - 2))


def family_of(outputs: Mapping[str, Array]) -> Family | None:
    """Gives the distributions that outputs describe, by the names of their arrays; None of a point or quantiles.

    Args:
        outputs: `y` with `variance`; or with `scale`; or with `scale` and `df`. Shapes of `y`.

    Raises:
        DataError: If the shapes do not belong together.

    Example:
        >>> one = np.ones((2, 1))
        >>> type(family_of({"y": one, "scale": one})).__name__
        'Laplace'
    """
    y = outputs["y"]
    taken = {name: _spread(outputs[name], y) for name in ("variance", "scale", "df") if name in outputs}
    centre = y.astype(np.float64)
    if "variance" in taken:
        return Normal(centre, taken["variance"])
    if "df" in taken:
        return StudentT(centre, taken["scale"], taken["df"])
    return Laplace(centre, taken["scale"]) if "scale" in taken else None


def _spread(values: Array, y: Array) -> Floats:
    if values.shape != y.shape:
        raise DataError(f"a spread of shape {values.shape} does not belong to predictions of shape {y.shape}")
    numbers = values.astype(np.float64)
    return np.where(numbers < 0, np.nan, numbers)


def _like(y: Array, centre: Floats) -> Floats:
    if y.size != centre.size or y.size == 0 or len(y) != len(centre):
        raise DataError(f"targets of shape {y.shape} do not belong to predictions of shape {centre.shape}")
    return y.astype(np.float64).reshape(centre.shape)


def _over_outputs(terms: Floats) -> Floats:
    means: Floats = terms.reshape(len(terms), -1).mean(axis=1)
    return means
