"""Distributions that a regression predicts, by name: their likelihood, CRPS, quantiles, deviation and draws.

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
from trainwright.base.random import stream, uniform
from trainwright.base.tree import Array
from trainwright.validation import mixture, probabilistic
from trainwright.validation.student import student_central, student_norm, student_reach
from trainwright.validation.weights import Floats, settle_weight, weighted_mean

_normal_quantile = np.frompyfunc(NormalDist().inv_cdf, 1, 1)  # NumPy has none

# By which arrays, besides `y`, outputs tell their distribution.
ARRAYS = ("variance", "scale", "df", "mixing", "means", "variances")


@dataclass(frozen=True, slots=True, eq=False)
class Family(ABC):
    """What a model says about targets, as distributions.

    Args:
        centre: The means, shape of the targets.
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
    def inside(self, y: Array, *, level: float) -> Floats:
        """Gives 1 for each target within the central interval of a probability, otherwise 0; nan where unknown."""

    @abstractmethod
    def quantile(self, level: float) -> Floats:
        """Gives what targets do not exceed with a probability, shape of the targets."""

    @abstractmethod
    def std(self) -> Floats:
        """Gives the standard deviations, shape of the targets."""

    @abstractmethod
    def draw(self, count: int, *, seed: int) -> Floats:
        """Draws targets, shape `(count, records, outputs, ...)`; the same for the same seed."""

    def inside_terms(self, y: Array, *, level: float) -> Floats:
        """Gives the share of outputs within the central interval of a probability, for each record."""
        if not 0.0 < level < 1.0:
            raise ValueError(f"level {level} is not between 0 and 1")
        return _over_outputs(self.inside(y, level=level))

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
class Symmetric(Family):
    """Distributions whose centre is their median too; every array has the shape of the targets."""

    @abstractmethod
    def reach(self, level: float | Floats) -> Floats:
        """Gives how far the central interval of a probability reaches to either side."""

    def inside(self, y: Array, *, level: float) -> Floats:
        """Gives 1 for each target within the central interval of a probability, otherwise 0."""
        away = np.abs(_like(y, self.centre) - self.centre)
        reach = self.reach(level)
        with np.errstate(invalid="ignore"):
            return np.where(np.isnan(reach) | np.isnan(away), np.nan, away <= reach)

    def quantile(self, level: float | Floats) -> Floats:
        """Gives what targets do not exceed with a probability."""
        outward = 2.0 * np.asarray(level, dtype=np.float64) - 1.0
        found: Floats = self.centre + np.sign(outward) * self.reach(np.abs(outward))
        return found

    def draw(self, count: int, *, seed: int) -> Floats:
        """Draws targets by their quantiles."""
        return self.quantile(_levels(seed, "target", (count, *self.centre.shape)))


@dataclass(frozen=True, slots=True, eq=False)
class Normal(Symmetric):
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

    def reach(self, level: float | Floats) -> Floats:
        """Gives how far the central interval of a probability reaches to either side."""
        with np.errstate(invalid="ignore"):
            reach: Floats = np.asarray(_normal_quantile((1 + level) / 2), np.float64) * np.sqrt(self.variance)
        return reach

    def std(self) -> Floats:
        """Gives the standard deviations."""
        with np.errstate(invalid="ignore"):
            return np.sqrt(self.variance)


@dataclass(frozen=True, slots=True, eq=False)
class Laplace(Symmetric):
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

    def reach(self, level: float | Floats) -> Floats:
        """Gives how far the central interval of a probability reaches to either side."""
        return -self.scale * np.log1p(-np.asarray(level, dtype=np.float64))

    def std(self) -> Floats:
        """Gives the standard deviations."""
        return math.sqrt(2.0) * self.scale


@dataclass(frozen=True, slots=True, eq=False)
class StudentT(Symmetric):
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

    def reach(self, level: float | Floats) -> Floats:
        """Gives how far the central interval of a probability reaches to either side."""
        return self.scale * student_reach(level, self.df)

    def std(self) -> Floats:
        """Gives the standard deviations."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.scale * np.sqrt(self.df / (self.df - 2))

    def draw(self, count: int, *, seed: int) -> Floats:
        r"""Draws targets: :math:`\sqrt{\nu (u^{-2/\nu} - 1)} \cos 2 \pi v` of two uniform numbers is Student's t.

        Source:
            Bailey, Polar generation of random variates with the t-distribution, 1994, equation 2.
        """
        u, v = (_levels(seed, what, (count, *self.centre.shape)) for what in ("size", "target"))
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.sqrt(self.df * np.expm1(-2 / self.df * np.log(u)))
        return self.centre + self.scale * far * np.cos(2 * math.pi * v)


@dataclass(frozen=True, slots=True, eq=False)
class Mixture(Family):
    """Mixtures of normal distributions; the targets of a record have their component in common.

    Args:
        centre: Means, shape `(records, outputs, ...)`.
        mixing: What each component has of the probability, shape `(records, components, ...)`.
        means: Of the components, shape `(records, components, outputs, ...)`.
        variances: Shape of `means`, in squared units.
    """

    told: ClassVar[str] = "a mixture of normal distributions"
    mixing: Floats
    means: Floats
    variances: Floats

    def nll_terms(self, y: Array) -> Floats:
        """Gives the negative log-likelihood of all targets of each record over their number."""
        return _over_outputs(mixture.nll_terms(*self._parts(), _like(y, self.centre)))

    def crps_terms(self, y: Array) -> Floats:
        """Gives the CRPS of each record, of each target by itself."""
        return _over_outputs(mixture.crps_terms(*self._parts(), _like(y, self.centre)))

    def inside(self, y: Array, *, level: float) -> Floats:
        """Gives 1 for each target within the central interval of a probability, otherwise 0."""
        below = mixture.cdf(*self._parts(), _like(y, self.centre))
        with np.errstate(invalid="ignore"):
            return np.where(np.isnan(below), np.nan, np.abs(2 * below - 1) <= level)

    def quantile(self, level: float) -> Floats:
        """Gives what targets do not exceed with a probability."""
        return mixture.quantile(*self._parts(), level)

    def std(self) -> Floats:
        """Gives the standard deviations, what the components disagree about among them."""
        with np.errstate(invalid="ignore"):
            away = np.square(self.means - self.centre[:, None])
            found: Floats = np.sqrt((self.mixing[:, :, None] * (self.variances + away)).sum(axis=1))
        return found

    def draw(self, count: int, *, seed: int) -> Floats:
        """Draws the component of each record, then its targets."""
        upto = np.cumsum(self.mixing, axis=1)
        levels = _levels(seed, "component", (count, *self.mixing[:, 0].shape))
        targets = _levels(seed, "target", (count, *self.centre.shape))
        drawn = []
        for pick, level in zip(levels, targets, strict=True):
            number = np.minimum((upto < pick[:, None] * upto[:, -1:]).sum(axis=1), upto.shape[1] - 1)
            index = number[:, None, None]
            mean, variance = (
                np.take_along_axis(one, index, axis=1)[:, 0] for one in (self.means, self.variances)
            )
            with np.errstate(invalid="ignore"):
                drawn.append(mean + np.sqrt(variance) * np.asarray(_normal_quantile(level), np.float64))
        return np.stack(drawn)

    def _parts(self) -> tuple[Floats, Floats, Floats]:
        return self.mixing, self.means, self.variances


def family_of(outputs: Mapping[str, Array]) -> Family | None:
    """Gives the distributions that outputs describe, by the names of their arrays; None of a point or quantiles.

    Args:
        outputs: `y` with `variance`; or with `scale`; or with `scale` and `df`, shapes of `y`; or with `mixing`,
            `means` and `variances`, as `Mixture` has them.

    Raises:
        DataError: If the shapes do not belong together.

    Example:
        >>> one = np.ones((2, 1))
        >>> type(family_of({"y": one, "scale": one})).__name__
        'Laplace'
    """
    y = outputs["y"]
    if "mixing" in outputs:
        return _mixture_of(y, *(outputs[name] for name in ("mixing", "means", "variances")))
    taken = {name: _spread(outputs[name], y) for name in ("variance", "scale", "df") if name in outputs}
    centre = y.astype(np.float64)
    if "variance" in taken:
        return Normal(centre, taken["variance"])
    if "df" in taken:
        return StudentT(centre, taken["scale"], taken["df"])
    return Laplace(centre, taken["scale"]) if "scale" in taken else None


def _mixture_of(y: Array, mixing: Array, means: Array, variances: Array) -> Mixture:
    shape = (len(y), mixing.shape[1], *y.shape[1:])
    if mixing.shape != shape[:2] + shape[3:] or means.shape != shape:
        raise DataError(
            f"components of shape {means.shape} and their shares of shape {mixing.shape} do not belong to "
            f"predictions of shape {y.shape}"
        )
    centre, shares, centres = (one.astype(np.float64) for one in (y, mixing, means))
    return Mixture(centre, shares, centres, _spread(variances, means))


def _levels(seed: int, what: str, shape: tuple[int, ...]) -> Floats:
    """Draws probabilities; none is 0 or 1, where quantiles are infinite."""
    drawn = uniform(stream(seed, "predicted", what), math.prod(shape)).reshape(shape)
    return drawn.astype(np.float64) + 2.0**-25


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
