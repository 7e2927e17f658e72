import time

import numpy as np
import pytest
from scipy import stats

from trainwright.base.errors import DataError
from trainwright.validation.bootstrap import (
    bootstrap_interval,
    bootstrap_intervals,
    mean_score,
    measured_score,
)


@pytest.mark.parametrize("right, n", [(80, 100), (5, 40), (990, 1000), (0, 30), (30, 30)])
def test_the_interval_of_a_share_is_that_of_the_binomial(right, n):
    """Resampled hits are binomial with the share that was seen, so the quantiles are known."""
    values = np.repeat([1.0, 0.0], [right, n - right])
    found = bootstrap_interval(mean_score(values), n, draws=20_000, seed=3)
    expected = stats.binom.ppf([0.025, 0.975], n, right / n) / n
    np.testing.assert_allclose(found, expected, atol=1.01 / n)


def test_the_interval_of_a_mean_has_the_width_of_its_standard_error():
    values = np.random.default_rng(0).normal(size=400)
    low, high = bootstrap_interval(mean_score(values), 400, level=0.6827, draws=20_000)
    assert (high - low) / 2 == pytest.approx(values.std() / np.sqrt(400), rel=0.03)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """The exact coverage of the percentile interval is a sum over binomial outcomes."""
    n, p = 100, 0.7
    rng = np.random.default_rng(8)
    hits = 0
    for trial in range(400):
        values = (rng.random(n) < p).astype(float)
        low, high = bootstrap_interval(mean_score(values), n, draws=500, seed=trial)
        hits += low <= p <= high
    k = np.arange(n + 1)
    inside = (stats.binom.ppf(0.025, n, k / n) <= p * n) & (p * n <= stats.binom.ppf(0.975, n, k / n))
    exact = stats.binom.pmf(k, n, p)[inside].sum()
    assert hits / 400 == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 400))


def test_every_record_is_drawn_alike():
    drawn = np.zeros(7)

    def score(counts):
        nonlocal drawn
        assert (counts.sum(axis=1) == 7).all()
        drawn += counts.sum(axis=0)
        return counts[:, 0]

    bootstrap_interval(score, 7, draws=20_000)
    assert stats.chisquare(drawn).pvalue > 1e-4


def test_draws_in_different_blocks_differ():
    seen = []
    bootstrap_interval(lambda counts: seen.append(counts.copy()) or counts[:, 0], 2**19, draws=6)
    assert len(seen) == 3
    assert len({counts.tobytes() for block in seen for counts in block}) == 6


def test_weights_count_with_the_record():
    values, weight = np.array([1.0, 0.0, 1.0]), np.array([2.0, 1.0, 0.0])
    counts = np.array([[1.0, 1.0, 1.0], [0.0, 3.0, 0.0], [1.0, 2.0, 0.0]])
    np.testing.assert_allclose(mean_score(values, weight)(counts), [2 / 3, 0.0, 0.5])


def test_the_seed_decides_and_nothing_else():
    values = np.random.default_rng(0).random(50)
    first, again, other = (bootstrap_interval(mean_score(values), 50, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_a_wider_level_gives_a_wider_interval():
    score = mean_score(np.random.default_rng(0).random(50))
    (a, b), (c, d) = (bootstrap_interval(score, 50, level=level) for level in (0.99, 0.5))
    assert a < c < d < b


def test_a_thousand_draws_of_a_thousand_records_are_quick():
    score = mean_score((np.arange(1000) % 5 > 0).astype(float))
    bootstrap_interval(score, 1000)
    begin = time.process_time()
    bootstrap_interval(score, 1000)
    assert (
        time.process_time() - begin < 1.0
    )  # 0.04 to 0.07 s measured; only another order of growth shall fail


def test_no_records_are_refused():
    with pytest.raises(DataError, match="no records"):
        bootstrap_interval(mean_score(np.ones(1)), 0)


@pytest.mark.parametrize("wrong", [{"level": 1.0}, {"level": 0.0}, {"draws": 0}])
def test_wrong_arguments_are_mistakes_of_the_caller(wrong):
    with pytest.raises(ValueError):
        bootstrap_interval(mean_score(np.ones(3)), 3, **wrong)


def test_any_measure_of_weights_gives_the_interval_of_its_fast_form():
    rng = np.random.default_rng(4)
    values, weight = rng.random(60), rng.random(60)
    slow = measured_score(lambda mass: float(np.average(values, weights=mass)), weight, 60)
    found = bootstrap_intervals({"slow": slow, "fast": mean_score(values, weight)}, 60, draws=200)
    np.testing.assert_allclose(found["slow"], found["fast"], rtol=1e-12)


def test_a_draw_that_weighs_nothing_has_no_score():
    score = measured_score(lambda mass: float(mass.max()), np.array([0.0, 1.0]), 2)
    assert score(np.array([[2.0, 0.0], [0.0, 2.0]])).tolist() == pytest.approx([np.nan, 2.0], nan_ok=True)


def test_a_nan_of_weight_zero_does_not_spoil_a_mean():
    assert mean_score(np.array([np.nan, 3.0]), np.array([0.0, 1.0]))(np.ones((1, 2))).tolist() == [3.0]


def test_draws_without_a_score_are_left_out_while_they_are_few():
    values = np.linspace(0.0, 1.0, 30)
    for positives, drawn in ((5, True), (1, False)):  # a draw lacks them all with probability .004, and .36
        positive = np.arange(30) < positives

        def score(counts, positive=positive):
            lacking = counts[:, positive].sum(axis=1) == 0
            return np.where(lacking, np.nan, mean_score(values)(counts))

        found = bootstrap_interval(score, 30)
        if drawn:
            np.testing.assert_allclose(found, bootstrap_interval(mean_score(values), 30), atol=0.01)
        else:
            assert np.isnan(found).all()
