import numpy as np
import pytest
import torch
from scipy import integrate, stats
from sklearn import metrics

from trainwright.base.errors import DataError
from trainwright.validation import probabilistic as ours
from trainwright.validation.unit import invert_quantiles, invert_variance

RNG = np.random.default_rng(14)
MEAN = RNG.normal(size=(60, 2))
VARIANCE = RNG.exponential(size=(60, 2)) + 0.05
Y = MEAN + RNG.normal(size=(60, 2)) * np.sqrt(VARIANCE)
WEIGHT = RNG.exponential(size=60)
LEVELS = [0.1, 0.5, 0.9]
QUANTILES = MEAN[:, None] + np.array([-1.2, 0.0, 1.2])[:, None] * np.sqrt(VARIANCE)[:, None]


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_the_likelihood_agrees_with_scipy_and_torch(weight):
    terms = -stats.norm.logpdf(Y, MEAN, np.sqrt(VARIANCE)).mean(1)
    assert ours.gaussian_nll(MEAN, VARIANCE, Y, weight=weight) == pytest.approx(
        np.average(terms, weights=weight)
    )
    if weight is None:
        tensors = [torch.from_numpy(one) for one in (MEAN, Y, VARIANCE)]
        expected = torch.nn.functional.gaussian_nll_loss(*tensors, full=True).item()
        assert ours.gaussian_nll(MEAN, VARIANCE, Y) == pytest.approx(expected)


def test_the_crps_agrees_with_the_integral_that_defines_it():
    """Gneiting & Raftery 2007, equation 20: the integral of (F(x) - [y <= x])^2."""
    found = ours.gaussian_crps_terms(MEAN[:5, :1], VARIANCE[:5, :1], Y[:5, :1])
    for one in range(5):
        centre, spread, true = MEAN[one, 0], np.sqrt(VARIANCE[one, 0]), Y[one, 0]
        below, _ = integrate.quad(
            lambda x, m=centre, s=spread: stats.norm.cdf(x, m, s) ** 2, centre - 12 * spread, true
        )
        above, _ = integrate.quad(
            lambda x, m=centre, s=spread: stats.norm.sf(x, m, s) ** 2, true, centre + 12 * spread
        )
        assert found[one] == pytest.approx(below + above, rel=1e-6)


def test_the_crps_agrees_with_mean_distances_of_draws():
    """Equation 21: E|X - y| - E|X - X'| / 2."""
    draws = RNG.normal(1.0, 2.0, size=(2, 400_000))
    expected = np.abs(draws[0] - 0.3).mean() - np.abs(draws[0] - draws[1]).mean() / 2
    assert ours.gaussian_crps(np.array([1.0]), np.array([4.0]), np.array([0.3])) == pytest.approx(
        expected, rel=0.02
    )


def test_the_crps_of_a_certain_prediction_is_the_absolute_error():
    assert ours.gaussian_crps(MEAN, 0 * VARIANCE, Y) == pytest.approx(metrics.mean_absolute_error(Y, MEAN))


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_coverage_agrees_with_scipy_intervals(level):
    low, high = stats.norm.interval(level, MEAN, np.sqrt(VARIANCE))
    expected = np.average(((low <= Y) & (high >= Y)).mean(1), weights=WEIGHT)
    assert ours.interval_coverage(MEAN, VARIANCE, Y, level=level, weight=WEIGHT) == pytest.approx(expected)


def test_the_right_variance_covers_as_often_as_it_says():
    noise = RNG.normal(size=40_000) * 3
    zero, variance = np.zeros(40_000), np.full(40_000, 9.0)
    for level in (0.5, 0.9):
        assert ours.interval_coverage(zero, variance, noise, level=level) == pytest.approx(level, abs=0.01)
    assert ours.interval_coverage(zero, variance / 9, noise) < 0.5


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_the_pinball_loss_agrees_with_scikit_learn(weight):
    expected = [
        metrics.mean_pinball_loss(Y, QUANTILES[:, one], alpha=level, sample_weight=weight)
        for one, level in enumerate(LEVELS)
    ]
    assert ours.pinball(QUANTILES, Y, levels=LEVELS, weight=weight) == pytest.approx(np.mean(expected))


def test_coverage_of_quantiles_is_counted():
    found = ours.quantile_coverage(QUANTILES, Y, levels=LEVELS, weight=WEIGHT)
    expected = [np.average((QUANTILES[:, one] >= Y).mean(1), weights=WEIGHT) for one in range(3)]
    np.testing.assert_allclose(found, expected)
    between = ((QUANTILES[:, 0] <= Y) & (QUANTILES[:, 2] >= Y)).mean(1)
    np.testing.assert_allclose(ours.between_terms(QUANTILES, Y), between)
    assert ours.nominal_coverage(LEVELS) == "coverage_80"


@pytest.mark.parametrize("where", ["mean", "variance", "negative", "target"])
def test_nan_and_a_negative_variance_never_score(where):
    mean, variance, y = MEAN.copy(), VARIANCE.copy(), Y.copy()
    {"mean": mean, "variance": variance, "negative": variance, "target": y}[where][3, 1] = (
        -1.0 if where == "negative" else np.nan
    )
    weight = (np.arange(60) != 3).astype(float)
    for score in (ours.gaussian_nll, ours.gaussian_crps, ours.interval_coverage):
        assert np.isnan(score(mean, variance, y))
        rest = np.arange(60) != 3
        assert score(mean, variance, y, weight=weight) == pytest.approx(
            score(MEAN[rest], VARIANCE[rest], Y[rest])
        )


def test_a_nan_quantile_never_scores():
    broken = QUANTILES.copy()
    broken[3, 2, 0] = np.nan
    assert np.isnan(ours.pinball(broken, Y, levels=LEVELS))
    assert np.isnan(ours.quantile_coverage(broken, Y, levels=LEVELS)).tolist() == [False, False, True]
    assert np.isnan(ours.between_terms(broken, Y)[3])


@pytest.mark.parametrize("slope", [3.0, -2.0])
def test_a_spread_goes_back_to_the_unit_of_the_target(slope):
    def invert(y):
        return slope * y + np.array([5.0, 7.0])

    again = invert_variance(VARIANCE.astype(np.float32), invert)
    np.testing.assert_allclose(again, slope**2 * VARIANCE, rtol=1e-6)
    # The coverage does not depend on the unit.
    assert ours.interval_coverage(invert(MEAN), slope**2 * VARIANCE, invert(Y)) == pytest.approx(
        ours.interval_coverage(MEAN, VARIANCE, Y)
    )
    turned = invert_quantiles(QUANTILES, invert)
    assert (np.diff(turned, axis=1) >= 0).all()
    np.testing.assert_allclose(turned[:, 1], invert(QUANTILES[:, 1]))
    np.testing.assert_allclose(ours.between_terms(turned, invert(Y)), ours.between_terms(QUANTILES, Y))


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(DataError, match="do not belong"):
        ours.gaussian_nll(MEAN, VARIANCE[:, :1], Y)
    with pytest.raises(DataError, match="levels"):
        ours.pinball(QUANTILES, Y, levels=[0.1, 0.9])
    with pytest.raises(ValueError, match="between 0 and 1"):
        ours.pinball(QUANTILES, Y, levels=[0.0, 0.5, 0.9])
    with pytest.raises(ValueError, match="level"):
        ours.interval_coverage(MEAN, VARIANCE, Y, level=1.0)
    with pytest.raises(DataError, match="weights"):
        ours.gaussian_crps(MEAN, VARIANCE, Y, weight=-WEIGHT)
