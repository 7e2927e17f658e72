"""Distributions of a regression, judged by SciPy."""

import numpy as np
import pytest
from scipy import integrate, special, stats

from trainwright.base.errors import DataError
from trainwright.validation.families import Laplace, Mixture, Normal, StudentT, family_of
from trainwright.validation.student import student_central, student_norm, student_reach

numbers = np.random.default_rng(0)
SHAPE = (40, 3)
CENTRE, SCALE = numbers.normal(size=SHAPE), numbers.uniform(0.2, 3.0, SHAPE)
DF = np.exp(numbers.uniform(np.log(1.2), np.log(300.0), SHAPE))
Y = CENTRE + SCALE * numbers.standard_t(3.0, size=SHAPE)
WEIGHT = numbers.uniform(0.0, 2.0, len(Y))
OUTPUTS = {
    "normal": {"y": CENTRE, "variance": SCALE**2},
    "laplace": {"y": CENTRE, "scale": SCALE},
    "student_t": {"y": CENTRE, "scale": SCALE, "df": DF},
}
THEIRS = {
    "normal": stats.norm(CENTRE, SCALE),
    "laplace": stats.laplace(CENTRE, SCALE),
    "student_t": stats.t(DF, CENTRE, SCALE),
}
every = pytest.mark.parametrize("name", OUTPUTS)


@every
def test_the_likelihood_is_that_of_scipy(name):
    found = family_of(OUTPUTS[name]).nll_terms(Y)
    np.testing.assert_allclose(found, -THEIRS[name].logpdf(Y).mean(1), rtol=1e-10)


@every
def test_the_crps_is_the_integral_of_its_definition(name):
    few = {key: one[:4, :1] for key, one in OUTPUTS[name].items()}
    found = family_of(few).crps_terms(Y[:4, :1])
    for row in range(4):
        centre, scale = CENTRE[row, 0], SCALE[row, 0]
        cdf = {
            "normal": lambda t, c=centre, s=scale: stats.norm.cdf(t, c, s),
            "laplace": lambda t, c=centre, s=scale: stats.laplace.cdf(t, c, s),
            "student_t": lambda t, c=centre, s=scale, v=DF[row, 0]: stats.t.cdf(t, v, c, s),
        }[name]
        y = Y[row, 0]
        below = integrate.quad(lambda t, f=cdf: f(t) ** 2, -np.inf, y, limit=500)[0]
        above = integrate.quad(lambda t, f=cdf: (1 - f(t)) ** 2, y, np.inf, limit=500)[0]
        assert found[row] == pytest.approx(below + above, rel=1e-6)


@every
@pytest.mark.parametrize("level", [0.1, 0.5, 0.9, 0.95, 0.999])
def test_central_intervals_are_those_of_scipy(name, level):
    family, (low, high) = family_of(OUTPUTS[name]), THEIRS[name].interval(level)
    np.testing.assert_allclose(family.quantile((1 + level) / 2), high, rtol=1e-9)
    np.testing.assert_allclose(family.quantile((1 - level) / 2), low, rtol=1e-9)
    inside = ((low <= Y) & (high >= Y)).mean(1)
    np.testing.assert_array_equal(family.inside_terms(Y, level=level), inside)


@every
def test_standard_deviations_are_those_of_scipy(name):
    kept = (DF > 2) if name == "student_t" else np.ones(SHAPE, dtype=bool)
    np.testing.assert_allclose(family_of(OUTPUTS[name]).std()[kept], THEIRS[name].std()[kept], rtol=1e-12)


@every
def test_scores_are_weighted_by_record(name):
    found = family_of(OUTPUTS[name]).scores(Y, weight=WEIGHT)
    low, high = THEIRS[name].interval(0.9)
    assert found["nll"] == pytest.approx(np.average(-THEIRS[name].logpdf(Y).mean(1), weights=WEIGHT))
    inside = ((low <= Y) & (high >= Y)).mean(1)
    assert found["coverage_90"] == pytest.approx(np.average(inside, weights=WEIGHT))
    assert list(found) == ["nll", "crps", "coverage_90"]


@every
def test_what_is_no_spread_has_no_good_score(name):
    spread = "variance" if name == "normal" else "scale"
    for odd in (np.nan, -1.0):
        broken = {**OUTPUTS[name], spread: np.where(np.arange(3) == 1, odd, OUTPUTS[name][spread])}
        family = family_of(broken)
        for terms in (family.nll_terms(Y), family.crps_terms(Y), family.inside_terms(Y, level=0.5)):
            assert np.isnan(terms).all()
        assert np.isnan(family.std()[:, 1]).all() and not np.isnan(family.std()[:, 0]).all()


@every
def test_draws_are_those_of_the_distribution(name):
    few = {key: np.tile(one[:3, :1], 2) for key, one in OUTPUTS[name].items()}
    family = family_of(few)
    drawn = family.draw(4000, seed=5)
    assert drawn.shape == (4000, 3, 2) and len(np.unique(drawn)) > 0.99 * drawn.size
    np.testing.assert_array_equal(drawn, family.draw(4000, seed=5))
    for record in range(3):
        centre, scale, df = (one[record, 0] for one in (CENTRE, SCALE, DF))
        theirs = {"normal": stats.norm(centre, scale), "laplace": stats.laplace(centre, scale)}
        said = theirs.get(name, stats.t(df, centre, scale))
        for output in range(2):
            assert stats.kstest(drawn[:, record, output], said.cdf).pvalue > 1e-3
        assert abs(stats.spearmanr(drawn[:, record])[0]) < 0.05


MIXING = numbers.dirichlet(np.ones(3), len(Y))
MEANS, VARIANCES = numbers.normal(size=(len(Y), 3, 3)), numbers.exponential(size=(len(Y), 3, 3)) + 0.05
MIDDLE = (MIXING[:, :, None] * MEANS).sum(1)
MIXED = {"y": MIDDLE, "mixing": MIXING, "means": MEANS, "variances": VARIANCES}


def test_a_mixture_has_the_moments_and_the_likelihood_of_its_density():
    family = family_of(MIXED)
    density = (MIXING * stats.norm.pdf(Y[:, None], MEANS, np.sqrt(VARIANCES)).prod(2)).sum(1)
    np.testing.assert_allclose(family.nll_terms(Y), -np.log(density) / 3, rtol=1e-10)
    second = (MIXING[:, :, None] * (VARIANCES + MEANS**2)).sum(1) - MIDDLE**2
    np.testing.assert_allclose(family.std(), np.sqrt(second), rtol=1e-9)


def test_a_mixture_is_scored_by_the_distributions_of_its_targets():
    family = family_of(MIXED)
    below = (MIXING[:, :, None] * stats.norm.cdf(Y[:, None], MEANS, np.sqrt(VARIANCES))).sum(1)
    for level in (0.1, 0.5, 0.9):
        inside = ((1 - level) / 2 <= below) & (below <= (1 + level) / 2)
        np.testing.assert_array_equal(family.inside_terms(Y, level=level), inside.mean(1))
        low, high = family.quantile((1 - level) / 2), family.quantile((1 + level) / 2)
        np.testing.assert_array_equal((low <= Y) & (high >= Y), inside)
    assert family.scores(Y)["crps"] == pytest.approx(family.crps_terms(Y).mean())


def test_draws_of_a_mixture_have_a_component_in_common():
    """A record's targets are both low or both high, never one of each."""
    means = np.array([[[-5.0, -5.0], [5.0, 5.0]]])
    family = family_of(
        {
            "y": np.zeros((1, 2)),
            "mixing": np.array([[0.3, 0.7]]),
            "means": means,
            "variances": np.ones((1, 2, 2)),
        }
    )
    drawn = family.draw(5000, seed=1)[:, 0]
    high = drawn > 0
    assert (high[:, 0] == high[:, 1]).all() and high[:, 0].mean() == pytest.approx(0.7, abs=0.02)
    for side, centre in ((high[:, 0], 5.0), (~high[:, 0], -5.0)):
        assert stats.kstest(drawn[side, 1], stats.norm(centre).cdf).pvalue > 1e-3
        assert abs(np.corrcoef(drawn[side].T)[0, 1]) < 0.06


def test_a_mixture_of_places_is_one_of_each_place():
    whole = {name: np.stack([one, one[::-1]], axis=-1) for name, one in MIXED.items()}
    true = np.stack([Y, Y[::-1]], axis=-1)
    family, each = family_of(whole), family_of(MIXED)
    for terms in ("nll_terms", "crps_terms"):
        once = getattr(each, terms)(Y)
        np.testing.assert_allclose(getattr(family, terms)(true), (once + once[::-1]) / 2)
    assert family.draw(2, seed=0).shape == (2, *true.shape)


def test_a_mixture_that_is_none_has_no_good_score():
    for name, odd in (("variances", -1.0), ("means", np.nan), ("mixing", np.nan)):
        broken = MIXED[name].copy()
        broken[0, 1] = odd
        family = family_of(MIXED | {name: broken})
        for terms in (family.nll_terms(Y), family.crps_terms(Y), family.inside_terms(Y, level=0.5)):
            assert np.isnan(terms[0]).all() and not np.isnan(terms[1:]).any()
        assert np.isnan(family.std()[0]).all() and np.isnan(family.quantile(0.3)[0]).all()


def test_outputs_tell_their_family():
    kinds = {name: type(family_of(one)) for name, one in OUTPUTS.items()}
    assert kinds == {"normal": Normal, "laplace": Laplace, "student_t": StudentT}
    assert type(family_of(MIXED)) is Mixture
    assert family_of({"y": CENTRE, "quantiles": CENTRE[:, None]}) is None


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(DataError, match="does not belong to predictions"):
        family_of({"y": CENTRE, "scale": SCALE[:, :2]})
    for name in ("mixing", "means", "variances"):
        with pytest.raises(DataError, match="not belong to"):
            family_of(MIXED | {name: MIXED[name][:, :2]})
    for name, one in OUTPUTS.items():
        with pytest.raises(DataError, match="do not belong"):
            family_of(one).nll_terms(Y[:, :2])
        assert name


@pytest.mark.parametrize("df", [0.5, 1.0, 2.001, 7.5, 100.0, 3e4, 1e7])
def test_students_functions_are_those_of_scipy_for_any_degrees_of_freedom(df):
    z = np.array([0.0, 1e-8, 0.01, 0.7, 1.0, 3.0, 40.0, 1e8])
    many = np.full_like(z, df)
    theirs = special.betainc(0.5, df / 2, z**2 / (df + z**2))
    np.testing.assert_allclose(student_central(z, many)[:-1], theirs[:-1], rtol=1e-8)
    np.testing.assert_allclose(student_central(z, many), 2 * stats.t.cdf(z, df) - 1, rtol=1e-8, atol=1e-8)
    assert student_norm(many)[0] == pytest.approx(-stats.t.logpdf(0.0, df), rel=1e-8)
    for level in (0.01, 0.5, 0.95, 0.9999):
        assert student_reach(level, many)[0] == pytest.approx(stats.t.interval(level, df)[1], rel=1e-8)
    assert np.isnan(student_reach(0.5, np.array([np.nan, 3.0]))).tolist() == [True, False]
