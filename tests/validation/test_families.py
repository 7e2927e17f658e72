"""Distributions of a regression, judged by SciPy."""

import numpy as np
import pytest
from scipy import integrate, special, stats

from trainwright.base.errors import DataError
from trainwright.validation.families import Laplace, Normal, StudentT, family_of
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
    np.testing.assert_allclose(family.centre + family.reach(level), high, rtol=1e-9)
    np.testing.assert_allclose(family.centre - family.reach(level), low, rtol=1e-9)
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


def test_outputs_tell_their_family():
    kinds = {name: type(family_of(one)) for name, one in OUTPUTS.items()}
    assert kinds == {"normal": Normal, "laplace": Laplace, "student_t": StudentT}
    assert family_of({"y": CENTRE, "quantiles": CENTRE[:, None]}) is None


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(DataError, match="does not belong to predictions"):
        family_of({"y": CENTRE, "scale": SCALE[:, :2]})
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
