import numpy as np
import pytest
from scipy import integrate, stats

from trainwright.validation.mixture import cdf, crps_terms, nll_terms, quantile

RNG = np.random.default_rng(5)
MEANS = RNG.normal(size=(4, 7, 2))
VARIANCES = RNG.exponential(size=(4, 7, 2)) + 0.1
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
