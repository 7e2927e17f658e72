import numpy as np
import pytest
from scipy import integrate, stats

from trainwright.base.errors import DataError
from trainwright.validation.mixture import cdf, crps_terms, mix_gaussians, nll_terms, quantile
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


MIXING = RNG.dirichlet(np.ones(4), 7)
PARTS = (MIXING, MEANS.swapaxes(0, 1), VARIANCES.swapaxes(0, 1))
Y = 2 * RNG.normal(size=(7, 2))


def theirs(record, output):
    """Gives the distribution function of one target as SciPy has it."""
    shares, means, variances = (one[record] for one in PARTS)
    return lambda x: float(shares @ stats.norm.cdf(x, means[:, output], np.sqrt(variances[:, output])))


def test_the_crps_of_components_is_the_integral_of_its_definition():
    found = crps_terms(*PARTS, Y)
    for record in range(7):
        for output in range(2):
            below, y = theirs(record, output), Y[record, output]
            left = integrate.quad(lambda x, f=below: f(x) ** 2, -40, y, limit=500)[0]
            right = integrate.quad(lambda x, f=below: (1 - f(x)) ** 2, y, 40, limit=500)[0]
            assert found[record, output] == pytest.approx(left + right, rel=1e-7)


@pytest.mark.parametrize("level", [1e-6, 0.025, 0.3, 0.5, 0.975, 1 - 1e-6])
def test_quantiles_of_components_invert_their_distribution_function(level):
    found = quantile(*PARTS, level)
    for record in range(7):
        for output in range(2):
            assert theirs(record, output)(found[record, output]) == pytest.approx(level, rel=1e-9)
    np.testing.assert_allclose(cdf(*PARTS, found), level, rtol=1e-9)


def test_quantiles_are_found_between_components_that_are_far_apart():
    """Where the density is zero, Newton's method leads nowhere."""
    far = (np.array([[0.6, 0.4]]), np.array([[[-1e4], [1e4]]]), np.array([[[1e-6], [1.0]]]))
    for level, wanted in ((0.3, -1e4), (0.599999, -1e4), (0.8, 1e4)):
        assert quantile(*far, level)[0, 0] == pytest.approx(wanted, rel=1e-4)
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile(*far, 1.0)


def test_the_likelihood_of_what_is_far_from_all_components_is_finite():
    far = nll_terms(*PARTS, Y + 1e6)
    assert np.isfinite(far).all() and (far > 1e9).all()


def test_certain_components_are_scored_as_points():
    certain = (np.array([[0.25, 0.75]]), np.array([[[0.0], [4.0]]]), np.zeros((1, 2, 1)))
    # sum p |y - m| - 1/2 sum p p' |m - m'|
    assert crps_terms(*certain, np.array([[1.0]]))[0, 0] == pytest.approx(
        0.25 * 1 + 0.75 * 3 - 0.25 * 0.75 * 4
    )
