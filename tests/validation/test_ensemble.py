import numpy as np
import pytest
from scipy import integrate, special, stats
from scipy.spatial.distance import jensenshannon

from trainwright.base.errors import DataError
from trainwright.validation.classification import cross_entropy
from trainwright.validation.ensemble import mix_classes, mix_gaussians, mix_labels
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


LOGITS = RNG.normal(0, 3, size=(5, 9, 4))


def test_classes_are_mixed_as_probabilities_and_disagreement_is_the_mutual_information():
    """Against SciPy: softmax, and the entropy of the mean less the mean of the entropies."""
    chances = special.softmax(LOGITS, axis=2)
    mixed = mix_classes(LOGITS)
    np.testing.assert_allclose(np.exp(mixed.logits), chances.mean(0), rtol=1e-12)
    whole = stats.entropy(chances.mean(0), axis=1) - stats.entropy(chances, axis=2).mean(0)
    np.testing.assert_allclose(mixed.disagreement, whole, rtol=1e-9)
    assert (whole > 0).all() and (whole < np.log(5)).all()


def test_of_two_members_it_is_the_squared_jensen_shannon_distance():
    first, second = special.softmax(LOGITS[:2], axis=2)
    found = mix_classes(LOGITS[:2]).disagreement
    np.testing.assert_allclose(found, jensenshannon(first, second, axis=1) ** 2, rtol=1e-9)


@pytest.mark.parametrize("members", [2, 3, 10])
def test_members_that_are_sure_of_different_classes_disagree_by_the_logarithm_of_their_number(members):
    logits = 1e4 * np.eye(members)[:, None, :]  # the others have a probability of nothing
    assert mix_classes(logits).disagreement[0] == pytest.approx(np.log(members), rel=1e-12)
    with np.errstate(divide="ignore"):
        assert mix_classes(np.log(np.eye(members))[:, None]).disagreement[0] == pytest.approx(np.log(members))


def test_members_that_are_unsure_alike_do_not_disagree():
    same = np.stack([LOGITS[0] + shift for shift in (0.0, 100.0, -3.0)])  # the same probabilities
    mixed = mix_classes(same)
    assert 0 <= mixed.disagreement.max() < 1e-12
    np.testing.assert_allclose(mixed.logits, special.log_softmax(LOGITS[0], axis=1), atol=1e-12)


def test_the_mixture_is_never_worse_than_its_members_are_on_average():
    """The logarithm is concave (Jensen)."""
    y = np.arange(9) % 4
    alone = [cross_entropy(one, y) for one in LOGITS]
    assert cross_entropy(mix_classes(LOGITS).logits, y) < np.mean(alone)


def test_places_of_a_grid_are_mixed_one_by_one():
    grid = RNG.normal(size=(3, 2, 4, 5, 6))  # members, records, classes, height, width
    mixed = mix_classes(grid)
    assert mixed.logits.shape == (2, 4, 5, 6) and mixed.disagreement.shape == (2, 5, 6)
    one = mix_classes(grid[:, :, :, 3, 1])
    np.testing.assert_array_equal(mixed.logits[:, :, 3, 1], one.logits)
    np.testing.assert_array_equal(mixed.disagreement[:, 3, 1], one.disagreement)


def test_a_label_is_mixed_as_two_classes():
    labels = RNG.normal(0, 3, size=(4, 6, 3))
    mixed = mix_labels(labels)
    np.testing.assert_allclose(special.expit(mixed.logits), special.expit(labels).mean(0), rtol=1e-12)
    for label in range(3):
        pair = np.stack([labels[:, :, label], np.zeros((4, 6))], axis=2)
        np.testing.assert_allclose(
            mixed.disagreement[:, label], mix_classes(pair).disagreement, rtol=1e-9, atol=1e-15
        )
    assert mix_labels(np.array([[[1e4]], [[-1e4]]])).disagreement[0, 0] == pytest.approx(np.log(2))


@pytest.mark.parametrize("mix", [mix_classes, mix_labels])
def test_nan_in_one_member_is_nan(mix):
    spoilt = LOGITS.copy()
    spoilt[2, 1, 0] = np.nan
    mixed = mix(spoilt)
    assert np.isnan(mixed.logits[1, 0]) and np.isnan(mixed.disagreement[1]).any()
    assert np.isfinite(np.delete(mixed.logits, 1, axis=0)).all()


@pytest.mark.parametrize(
    ("mix", "shape"), [(mix_classes, (3, 4)), (mix_classes, (0, 3, 4)), (mix_labels, (3, 4))]
)
def test_what_is_no_stack_of_members_is_refused(mix, shape):
    with pytest.raises(DataError, match=r"are not \(members, records"):
        mix(np.zeros(shape))
