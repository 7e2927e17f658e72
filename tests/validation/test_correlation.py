import numpy as np
import pytest
from scipy import stats

from trainwright.base.errors import DataError
from trainwright.validation import correlation as ours

RNG = np.random.default_rng(13)
Y = RNG.normal(size=200).round(1)  # with ties
GUESS = (Y + RNG.normal(size=200)).round(1)
TIMES = RNG.integers(0, 4, size=200)
PAIRS = [(ours.pearson, stats.pearsonr), (ours.spearman, stats.spearmanr)]


@pytest.mark.parametrize(("mine", "theirs"), PAIRS)
def test_correlations_agree_with_scipy(mine, theirs):
    assert mine(GUESS, Y) == pytest.approx(theirs(GUESS, Y).statistic, rel=1e-12)
    both = mine(np.stack([GUESS, -Y], axis=1), np.stack([Y, Y], axis=1))
    assert both == pytest.approx((theirs(GUESS, Y).statistic - 1) / 2, rel=1e-12)


@pytest.mark.parametrize(("mine", "theirs"), PAIRS)
def test_a_whole_weight_is_a_repeated_record(mine, theirs):
    again = np.repeat(np.arange(200), TIMES)
    expected = theirs(GUESS[again], Y[again]).statistic
    assert mine(GUESS, Y, weight=TIMES) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("mine", [ours.pearson, ours.spearman])
def test_what_is_constant_has_no_correlation(mine):
    assert np.isnan(mine(np.full(200, 0.1), Y))
    assert np.isnan(mine(GUESS, np.full(200, 0.1), weight=RNG.random(200)))
    assert np.isnan(mine(GUESS[:1], Y[:1]))


@pytest.mark.parametrize("mine", [ours.pearson, ours.spearman])
def test_nan_comes_out_of_nan_unless_it_weighs_nothing(mine):
    broken, weight = GUESS.copy(), np.ones(200)
    broken[4], weight[4] = np.nan, 0.0
    assert np.isnan(mine(broken, Y))
    rest = np.arange(200) != 4
    assert mine(broken, Y, weight=weight) == pytest.approx(mine(GUESS[rest], Y[rest]), rel=1e-12)


def test_ranks_ignore_a_rising_function_and_values_do_not():
    assert ours.spearman(np.exp(GUESS), Y) == pytest.approx(ours.spearman(GUESS, Y))
    assert ours.pearson(np.exp(GUESS), Y) != pytest.approx(ours.pearson(GUESS, Y), abs=1e-3)


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(DataError, match="do not belong"):
        ours.spearman(GUESS[1:], Y)
