import numpy as np
import pytest
from scipy import integrate, stats

from trainwright.base.errors import DataError
from trainwright.validation.mixture import mix_gaussians
from trainwright.validation.probabilistic import gaussian_nll

RNG = np.random.default_rng(5)
MEANS = RNG.normal(size=(4, 7, 2))
VARIANCES = RNG.exponential(size=(4, 7, 2)) + 0.1


def test_the_moments_are_those_of_the_mixture_density():
    """Against the integrals of x p(x) and (x - m)^2 p(x) over the density itself."""
    mean, variance = mix_gaussians(MEANS, VARIANCES)
    for record, output in ((0, 0), (3, 1)):
        centres, deviations = MEANS[:, record, output], np.sqrt(VARIANCES[:, record, output])

        def density(x, centres=centres, deviations=deviations):
            return stats.norm.pdf(x, centres, deviations).mean()

        first, _ = integrate.quad(lambda x, p=density: x * p(x), -20, 20, limit=200)
        second, _ = integrate.quad(lambda x, p=density, m=first: (x - m) ** 2 * p(x), -20, 20, limit=200)
        assert mean[record, output] == pytest.approx(first, abs=1e-7)
        assert variance[record, output] == pytest.approx(second, rel=1e-6)


def test_it_is_the_formula_of_the_paper():
    mean, variance = mix_gaussians(MEANS, VARIANCES)
    np.testing.assert_allclose(mean, MEANS.mean(0), rtol=1e-12)
    np.testing.assert_allclose(variance, (VARIANCES + MEANS**2).mean(0) - MEANS.mean(0) ** 2, rtol=1e-12)


def test_large_means_lose_no_digits():
    """In float64, `mean(m^2) - m*^2` of these is nothing but rounding."""
    means = 1e9 + np.array([[-1.0], [1.0]])
    assert mix_gaussians(means, np.zeros((2, 1)))[1].tolist() == [1.0]


def test_float32_members_are_summed_in_float64():
    mean, variance = mix_gaussians(MEANS.astype(np.float32), VARIANCES.astype(np.float32))
    assert mean.dtype == variance.dtype == np.float64


def test_one_member_and_equal_members_are_their_own_mixture():
    for members in (1, 3):
        mean, variance = mix_gaussians(np.stack([MEANS[0]] * members), np.stack([VARIANCES[0]] * members))
        np.testing.assert_allclose(mean, MEANS[0], rtol=1e-15)
        np.testing.assert_allclose(variance, VARIANCES[0], rtol=1e-14)


def test_disagreement_costs_a_sure_ensemble_less_than_its_members():
    """Each is sure and wrong; the mixture is right and says how unsure: N(0, 1.01) at 0."""
    means, variances = np.array([[-1.0], [1.0]]), np.full((2, 1), 0.01)
    found = gaussian_nll(*mix_gaussians(means, variances), np.zeros(1))
    assert found == pytest.approx(0.5 * np.log(2 * np.pi * 1.01))
    assert found < gaussian_nll(means[0], variances[0], np.zeros(1)) - 40


@pytest.mark.parametrize("spoilt", ["means", "variances", "a negative variance"])
def test_nan_or_a_negative_variance_in_one_member_never_gives_a_good_score(spoilt):
    means, variances = MEANS.copy(), VARIANCES.copy()
    (means if spoilt == "means" else variances)[2, 1, 0] = (
        -1e-3 if spoilt == "a negative variance" else np.nan
    )
    mean, variance = mix_gaussians(means, variances)
    assert np.isnan(variance[1, 0]) and np.isfinite(np.delete(variance.ravel(), 2)).all()
    assert np.isnan(gaussian_nll(mean, variance, MEANS[0]))


@pytest.mark.parametrize(
    ("means", "variances"),
    [
        ((4, 7, 2), (4, 7)),  # would broadcast to nonsense
        ((4, 7), (3, 7)),  # a member without its variance
        ((0, 7), (0, 7)),  # no member
        ((7,), (7,)),  # one member, not stacked
    ],
)
def test_what_is_no_mixture_is_refused(means, variances):
    with pytest.raises(DataError, match="first axis"):
        mix_gaussians(np.zeros(means), np.ones(variances))
