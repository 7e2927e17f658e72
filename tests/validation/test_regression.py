import numpy as np
import pytest
import torch
from sklearn import metrics

from trainwright.base.errors import DataError
from trainwright.validation import regression as ours

RNG = np.random.default_rng(6)
Y = RNG.normal(size=(200, 3)) * np.array([1.0, 50.0, 1e-3])
GUESS = Y + RNG.normal(size=(200, 3)) * np.array([0.3, 60.0, 1e-4])
WEIGHT = RNG.exponential(size=200)

CASES = {
    "one output": (GUESS[:, 0], Y[:, 0], None),
    "weighted": (GUESS[:, 0], Y[:, 0], WEIGHT),
    "several outputs": (GUESS, Y, WEIGHT),
    "a constant output": (GUESS, np.where([True, True, False], Y, 7.0), None),
    "a constant met exactly": (np.ones(5), np.ones(5), None),
    "float32": (GUESS.astype(np.float32), Y.astype(np.float32), WEIGHT),
    "integers": (np.array([1, 2, 3]), np.array([3, 2, 4]), None),
}
table = pytest.mark.parametrize(("guess", "y", "weight"), CASES.values(), ids=CASES)
PAIRS = [
    (ours.mse, metrics.mean_squared_error),
    (ours.rmse, metrics.root_mean_squared_error),
    (ours.mae, metrics.mean_absolute_error),
    (ours.r2, metrics.r2_score),
    (ours.mape, metrics.mean_absolute_percentage_error),
]


@table
@pytest.mark.parametrize(("mine", "theirs"), PAIRS)
def test_scores_agree_with_scikit_learn(mine, theirs, guess, y, weight):
    expected = theirs(y.astype(np.float64), guess.astype(np.float64), sample_weight=weight)
    assert mine(guess, y, weight=weight) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("score", [pair[0] for pair in PAIRS])
def test_a_column_of_one_output_is_the_same_as_a_row(score):
    assert score(GUESS[:, :1], Y[:, 0]) == score(GUESS[:, 0], Y[:, :1]) == score(GUESS[:, 0], Y[:, 0])


@pytest.mark.parametrize("score", [*(pair[0] for pair in PAIRS), ours.residual_quantiles])
def test_a_whole_weight_is_a_repeated_record(score):
    times = RNG.integers(0, 4, size=200)
    repeated = np.repeat(np.arange(200), times)
    np.testing.assert_allclose(score(GUESS, Y, weight=times), score(GUESS[repeated], Y[repeated]), rtol=1e-10)


def test_a_constant_output_scores_zero_even_where_its_weighted_mean_is_rounded():
    # scikit-learn's r2_score gives -1e29 here.
    assert ours.r2(GUESS[:, 0], np.full(200, 7.1), weight=WEIGHT) == 0.0
    assert ours.r2(np.full(200, 7.1), np.full(200, 7.1), weight=WEIGHT) == 1.0


def test_one_record_has_an_error_but_no_variance():
    one, two = np.array([1.0]), np.array([3.0])
    assert (ours.mse(one, two), ours.rmse(one, two), ours.mae(one, two)) == (4.0, 2.0, 2.0)
    assert np.isnan(ours.r2(one, two))


@pytest.mark.parametrize("score", [pair[0] for pair in PAIRS])
def test_a_nan_prediction_makes_the_score_nan(score):
    guess = GUESS.copy()
    guess[3, 1] = np.nan
    assert np.isnan(score(guess, Y))


def test_a_diverged_prediction_is_infinitely_wrong():
    assert ours.mse(np.array([1e200, 0.0]), np.zeros(2)) == np.inf
    assert ours.mae(np.array([np.inf, 0.0]), np.zeros(2)) == np.inf


def test_residual_quantiles_are_those_of_the_sorted_residuals():
    residual = np.arange(1.0, 101.0)
    order = RNG.permutation(100)
    found = ours.residual_quantiles(residual[order], np.zeros(100), levels=[0.05, 0.5, 0.95, 1.0])
    assert found[:, 0].tolist() == [5.0, 50.0, 95.0, 100.0]


@pytest.mark.parametrize("score", [*(pair[0] for pair in PAIRS), ours.residual_quantiles])
@pytest.mark.parametrize(
    ("guess", "y", "weight", "says"),
    [
        (GUESS, Y[:, :2], None, "do not belong"),
        (GUESS, Y[:-1], None, "do not belong"),
        (GUESS[:, 0], Y[:1].T, None, "do not belong"),
        (GUESS[:0], Y[:0], None, "no records"),
        (GUESS, Y, WEIGHT[:, None], "weights have shape"),
        (GUESS, Y, -WEIGHT, "not negative"),
        (GUESS[:, 0], np.full(200, "a"), None, "are numbers"),
    ],
)
def test_what_does_not_belong_together_is_refused(score, guess, y, weight, says):
    with pytest.raises(DataError, match=says):
        score(guess, y, weight=weight)


@pytest.mark.parametrize("delta", [0.5, 1.0, 20.0])
def test_the_huber_loss_agrees_with_torch(delta):
    tensors = [torch.from_numpy(one) for one in (GUESS, Y)]
    expected = torch.nn.functional.huber_loss(*tensors, delta=delta, reduction="none").mean(1).numpy()
    found = ours.huber(GUESS, Y, delta=delta, weight=WEIGHT)
    assert found == pytest.approx(np.average(expected, weights=WEIGHT), rel=1e-12)
    assert np.isnan(ours.huber(GUESS * np.nan, Y))
