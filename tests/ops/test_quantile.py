import numpy as np
import pytest
from scipy.stats import kstest, norm, rankdata
from sklearn.preprocessing import QuantileTransformer

from trainwright.base.errors import DataError
from trainwright.ops.quantile import Quantile

RNG = np.random.default_rng(0)
X = np.column_stack(
    [RNG.lognormal(size=3000), RNG.poisson(2.0, size=3000), RNG.normal(1e6, 1e-3, size=3000), np.ones(3000)]
)
OTHER = X[::7] + RNG.normal(size=(429, 4)) * [0.5, 1.0, 1e-3, 1.0]


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize("n_quantiles", [10, 1000])
@pytest.mark.parametrize("x", [X, X[:50, [0, 2, 3, 3]]], ids=["many", "few"])
@pytest.mark.filterwarnings("ignore:n_quantiles")
def test_it_agrees_with_scikit_learn(distribution, n_quantiles, x):
    theirs = QuantileTransformer(
        n_quantiles=n_quantiles, output_distribution=distribution, subsample=None
    ).fit(x)
    ours = Quantile(distribution=distribution, n_quantiles=n_quantiles).fit(x)
    for given in (x, OTHER):
        np.testing.assert_allclose(ours(given), theirs.transform(given), atol=1e-5)
    probes = norm.rvs(size=(200, 4), random_state=1) if distribution == "normal" else RNG.random((200, 4))
    np.testing.assert_allclose(ours.invert(probes), theirs.inverse_transform(probes), rtol=1e-9)


@pytest.mark.parametrize("count", [7, 50, 700, 3000])
def test_ties_get_their_mean_rank(count):
    """With as many quantiles as records; scikit-learn pulls some ties apart here, by rounding."""
    x = X[:count, 1]
    expected = (rankdata(x) - 1) / (count - 1)
    expected[x == x.min()], expected[x == x.max()] = 0.0, 1.0
    np.testing.assert_allclose(Quantile(n_quantiles=5000).fit(x)(x), expected, atol=1e-7)


@pytest.mark.parametrize(("distribution", "expected"), [("uniform", "uniform"), ("normal", "norm")])
def test_any_distribution_becomes_the_one_that_is_asked_for(distribution, expected):
    y = Quantile(distribution=distribution).fit(X[:, 0])(X[:, 0])
    assert kstest(y, expected).statistic < 0.001


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_inverting_gives_the_records_back(distribution):
    """In the tail a probability of the rounding of float32 is a small part of the distance of two quantiles."""
    op = Quantile(distribution=distribution).fit(X)
    np.testing.assert_allclose(op.invert(op(X)), X, rtol=1e-4)
    assert np.array_equal(op.invert(op(X[:5, 1:2].repeat(4, 1) * 0 + 1))[:, 3], np.ones(5))


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_the_ends_are_exactly_the_smallest_and_the_largest_record(distribution):
    op = Quantile(distribution=distribution).fit(X[:, :3])
    ends = np.array([[-9.0], [9.0]]).repeat(3, 1)
    assert np.array_equal(op.invert(ends), [X[:, :3].min(0), X[:, :3].max(0)])
    assert np.array_equal(op.invert(op(X[:, :3]))[X[:, 0].argmax(), 0], X[:, 0].max())


def test_the_number_of_quantiles_is_how_finely_it_looks():
    x = np.arange(101.0) ** 3
    assert Quantile(n_quantiles=2).fit(x)(np.array([500_000.0])) == pytest.approx(0.5)
    assert Quantile(n_quantiles=101).fit(x)(np.array([50.0**3])) == pytest.approx(0.5)


def test_the_unit_of_a_feature_does_not_matter():
    x = X[:, 0]
    assert np.array_equal(Quantile().fit(x * 2.0**-60)(x * 2.0**-60), Quantile().fit(x)(x))


def test_what_is_not_finite_does_not_come_out_as_a_number():
    found = Quantile().fit(X[:, 0])(np.array([np.nan, np.inf, -np.inf]))
    assert np.isnan(found).all()
    assert np.isnan(Quantile(distribution="normal").fit(X[:, 0])(np.array([np.nan]))).all()


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (X[:0], "no records"),
        (np.array([np.nan]), "nan or inf"),
        (np.array(["a"]), "takes numbers"),
        (np.array([1e308, -1e308]), "too large"),
    ],
)
def test_records_that_cannot_be_learnt_from_are_refused(x, says):
    with pytest.raises(DataError, match=says):
        Quantile(n_quantiles=5).fit(np.tile(x, 3) if x.ndim == 1 else x)


def test_applying_before_fitting_or_to_other_records_is_refused():
    for act in (Quantile(), Quantile().invert):
        with pytest.raises(DataError, match="before it was fitted"):
            act(X)
    with pytest.raises(DataError, match="was fitted on"):
        Quantile().fit(X)(X[:, :2])
    with pytest.raises(DataError, match="was fitted on"):
        Quantile().fit(X).invert(X[:, :2])
    with pytest.raises(DataError, match="takes numbers"):
        Quantile().fit(X)(X.astype(str))


@pytest.mark.parametrize(
    "args", [{"distribution": "cauchy"}, {"n_quantiles": 1}, {"quantiles": [2.0, 1.0]}, {"quantiles": 3.0}]
)
def test_arguments_that_make_no_sense_are_refused(args):
    with pytest.raises(ValueError):
        Quantile(**args)


def test_an_empty_batch_stays_empty():
    assert Quantile().fit(X)(X[:0]).shape == (0, 4)
