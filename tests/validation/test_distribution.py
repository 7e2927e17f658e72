import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from trainwright.validation import distribution as ours
from trainwright.validation.confusion import tally_classes

RNG = np.random.default_rng(17)
Y = RNG.normal(size=(200, 2)) * [1, 10]
GUESS = Y + RNG.normal(size=(200, 2)) * [0.5, 9]
WEIGHT = RNG.exponential(size=200)


def test_shares_of_classes_are_counted():
    logits, y = RNG.normal(size=(200, 3)), RNG.integers(0, 3, 200)
    found = ours.class_distribution(tally_classes(logits, y, weight=WEIGHT))
    rows = [np.bincount(one, weights=WEIGHT, minlength=3) / WEIGHT.sum() for one in (y, logits.argmax(1))]
    np.testing.assert_allclose(found, rows)


def test_histograms_share_their_edges_and_hold_every_weight():
    edges, sums = ours.value_distribution(GUESS, Y, weight=WEIGHT, bins=8)
    for output in range(2):
        both = np.concatenate([Y[:, output], GUESS[:, output]])
        np.testing.assert_allclose(edges[output], np.linspace(both.min(), both.max(), 9))
        expected = np.histogram(GUESS[:, output], edges[output], weights=WEIGHT)[0]
        np.testing.assert_allclose(sums[output, 1], expected)
    np.testing.assert_allclose(sums.sum(axis=2), WEIGHT.sum())


def test_the_quantile_confusion_agrees_with_pandas_and_scikit_learn():
    edges, table = ours.quantile_confusion(GUESS, Y, weight=WEIGHT, bins=4)
    for output in range(2):
        bounds = [-np.inf, *edges[output], np.inf]
        true, said = (pd.cut(one[:, output], bounds, labels=False) for one in (Y, GUESS))
        expected = metrics.confusion_matrix(true, said, labels=range(4), sample_weight=WEIGHT)
        np.testing.assert_allclose(table[output], expected)
        shares = table[output].sum(axis=1) / WEIGHT.sum()
        np.testing.assert_allclose(shares, 0.25, atol=WEIGHT.max() / WEIGHT.sum())


def test_a_perfect_prediction_lies_on_the_diagonal():
    _, table = ours.quantile_confusion(Y[:, 0], Y[:, 0], bins=5)
    np.testing.assert_array_equal(table[0], np.diag([40.0] * 5))


def test_nan_gives_nan_and_a_record_of_weight_zero_does_not_count():
    broken, weight = GUESS.copy(), np.ones(200)
    broken[3, 1], weight[3] = np.nan, 0.0
    assert np.isnan(ours.quantile_confusion(broken, Y)[1]).all(axis=(1, 2)).tolist() == [False, True]
    assert np.isnan(ours.value_distribution(broken, Y)[1]).all(axis=(1, 2)).tolist() == [False, True]
    rest = np.arange(200) != 3
    for score in (ours.quantile_confusion, ours.value_distribution):
        for mine, expected in zip(score(broken, Y, weight=weight), score(GUESS[rest], Y[rest]), strict=True):
            np.testing.assert_allclose(mine, expected)


def test_one_bin_is_no_confusion():
    with pytest.raises(ValueError, match="bins"):
        ours.quantile_confusion(Y, Y, bins=1)
