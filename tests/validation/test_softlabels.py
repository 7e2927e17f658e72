"""Scores against probabilities of classes, judged by SciPy and by classes that were drawn from them."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import softmax

from trainwright.base.errors import DataError
from trainwright.validation.calibration import brier
from trainwright.validation.classification import accuracy, cross_entropy
from trainwright.validation.softlabels import (
    agreement,
    agreement_terms,
    kl,
    kl_terms,
    spread_classes,
    spread_counts,
)

RNG = np.random.default_rng(3)
N, K = 50, 4
LOGITS = RNG.normal(size=(N, K))
SHARES = RNG.dirichlet(np.full(K, 0.5), N)
SHARES[0] = [0, 1, 0, 0]
WEIGHT = RNG.uniform(0.5, 2, N)


def test_the_divergence_is_that_of_scipy():
    theirs = stats.entropy(SHARES, softmax(LOGITS, axis=1), axis=1)
    np.testing.assert_allclose(kl_terms(LOGITS, SHARES), theirs, rtol=1e-10)
    assert kl(LOGITS, SHARES, weight=WEIGHT) == pytest.approx(np.average(theirs, weights=WEIGHT))
    assert kl(np.log(SHARES[1:]), SHARES[1:]) == pytest.approx(0.0, abs=1e-12)


def test_a_certain_class_has_the_divergence_of_its_likelihood():
    y = RNG.integers(0, K, N)
    np.testing.assert_allclose(kl_terms(LOGITS, y), kl_terms(LOGITS, np.eye(K)[y]), rtol=1e-12)
    assert kl(LOGITS, y) == pytest.approx(cross_entropy(LOGITS, y))
    assert agreement(LOGITS, y) == pytest.approx(accuracy(LOGITS, y))


def test_the_most_probable_class_is_agreed_on_or_not():
    found = agreement_terms(LOGITS, SHARES)
    np.testing.assert_array_equal(found, LOGITS.argmax(1) == SHARES.argmax(1))
    assert agreement(LOGITS, SHARES, weight=WEIGHT) == pytest.approx(np.average(found, weights=WEIGHT))


@pytest.mark.parametrize("score", [cross_entropy, accuracy, brier])
def test_a_score_is_the_mean_over_what_the_class_may_be(score):
    """Draws a class of each record from its probabilities, many times."""
    ours = score(
        *spread_classes(LOGITS, SHARES, weight=WEIGHT)[:2],
        weight=spread_classes(LOGITS, SHARES, weight=WEIGHT)[2],
    )
    drawn = [
        score(LOGITS, (RNG.random((N, 1)) > SHARES.cumsum(1)).sum(1).clip(0, K - 1), weight=WEIGHT)
        for _ in range(3000)
    ]
    assert abs(np.mean(drawn) - ours) < 4 * np.std(drawn) / np.sqrt(len(drawn))


def test_the_cross_entropy_is_the_divergence_and_the_entropy():
    logits, y, weight = spread_classes(LOGITS, SHARES)
    entropy = stats.entropy(SHARES, axis=1).mean()
    assert cross_entropy(logits, y, weight=weight) == pytest.approx(kl(LOGITS, SHARES) + entropy)


def test_class_numbers_are_left_as_they_are():
    y = np.zeros(N, dtype=int)
    logits, classes, weight = spread_classes(LOGITS, y, weight=WEIGHT)
    assert logits is LOGITS and classes is y and weight is WEIGHT


def test_a_record_is_drawn_with_all_its_classes():
    spread = spread_counts(2)
    counts = np.array([[2.0, 0.0], [1.0, 1.0]])
    assert spread(counts).tolist() == [[2.0, 2.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]
    assert spread(counts) is spread(counts) and spread(counts + 1)[0, 0] == 3.0


def test_a_logit_that_is_nan_has_no_good_score():
    broken = LOGITS.copy()
    broken[0, 3] = np.nan  # a class of probability zero
    assert np.isnan([kl(broken, SHARES), agreement(broken, SHARES)]).all()
    assert np.isnan(agreement(broken, SHARES.argmax(1)))


@pytest.mark.parametrize("score", [kl, agreement, spread_classes])
def test_what_does_not_belong_together_is_refused(score):
    with pytest.raises(DataError, match="do not belong to logits"):
        score(LOGITS, SHARES[:, :2])
