import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics
from sklearn.calibration import calibration_curve

from trainwright.base.errors import DataError
from trainwright.validation import calibration as ours

RNG = np.random.default_rng(9)
LOGITS = 2 * RNG.normal(size=(500, 3))
Y = RNG.integers(0, 3, size=500)
WEIGHT = RNG.exponential(size=500)


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("n", [500, 1])
def test_the_brier_score_agrees_with_scikit_learn(classes, weight, n):
    logits, y = LOGITS[:n, :classes], Y[:n] % classes
    part = None if weight is None else weight[:n]
    expected = metrics.brier_score_loss(
        y, softmax(logits, axis=1), labels=list(range(classes)), sample_weight=part
    )
    assert ours.brier(logits, y, weight=part) == pytest.approx(expected, rel=1e-9)


def by_hand(logits, y, weight, bins):
    confidence, right = softmax(logits, axis=1).max(1), logits.argmax(1) == y
    rows = []
    for one in range(bins):
        inside = (confidence > one / bins) & (confidence <= (one + 1) / bins)
        mass = weight[inside].sum()
        with np.errstate(invalid="ignore"):
            rows.append(
                [mass, (weight * confidence)[inside].sum() / mass, (weight * right)[inside].sum() / mass]
            )
    return np.array(rows)


@pytest.mark.parametrize("bins", [1, 4, 15])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_the_reliability_table_agrees_with_one_bin_after_another(bins, weight):
    masses = np.ones(500) if weight is None else weight
    expected = by_hand(LOGITS, Y, masses, bins)
    found = ours.reliability(LOGITS, Y, weight=weight, bins=bins)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    share = expected[:, 0] / masses.sum()
    error = np.nansum(share * np.abs(expected[:, 1] - expected[:, 2]))
    assert ours.expected_calibration_error(LOGITS, Y, weight=weight, bins=bins) == pytest.approx(error)


def test_the_bins_of_two_classes_agree_with_scikit_learn():
    logits = np.stack([np.zeros(500), np.abs(LOGITS[:, 0])], axis=1)
    y = (RNG.random(500) < 0.7).astype(int)
    right, confidence = calibration_curve(y, softmax(logits, axis=1)[:, 1], n_bins=10)
    found = ours.reliability(logits, y, bins=10)
    np.testing.assert_allclose(found[5:, 1:], np.stack([confidence, right], axis=1), rtol=1e-10)
    assert (found[:5, 0] == 0).all()


def test_a_calibrated_model_has_almost_no_error_and_a_sharpened_one_has():
    logits = RNG.normal(size=(20_000, 2))
    y = (RNG.random(20_000) < softmax(logits, axis=1)[:, 1]).astype(int)
    assert ours.expected_calibration_error(logits, y) < 0.02
    assert ours.expected_calibration_error(4 * logits, y) > 0.1


@pytest.mark.parametrize("score", [ours.brier, ours.expected_calibration_error, ours.reliability])
def test_nan_comes_out_of_nan_unless_it_weighs_nothing(score):
    broken, weight = LOGITS.copy(), np.ones(500)
    broken[3, 1], weight[3] = np.nan, 0.0
    assert np.isnan(score(broken, Y)).all()
    rest = np.arange(500) != 3
    np.testing.assert_allclose(score(broken, Y, weight=weight), score(LOGITS[rest], Y[rest]), rtol=1e-12)


def test_a_draw_counts_like_repeated_records():
    times = RNG.integers(0, 3, size=(3, 500))
    found = ours.calibration_score(LOGITS, Y, weight=WEIGHT)(times.astype(float))
    for row, count in enumerate(times):
        again = np.repeat(np.arange(500), count)
        expected = ours.expected_calibration_error(LOGITS[again], Y[again], weight=WEIGHT[again])
        assert found[row] == pytest.approx(expected, rel=1e-10)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="bins"):
        ours.reliability(LOGITS, Y, bins=0)
    with pytest.raises(DataError, match="go from"):
        ours.brier(LOGITS, Y + 1)
