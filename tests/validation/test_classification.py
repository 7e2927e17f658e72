import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn import metrics

from trainwright.base.errors import DataError
from trainwright.validation import classification as ours

RNG = np.random.default_rng(5)
LOGITS = RNG.normal(size=(300, 4)).round(1)  # rounded, so that there are ties
Y = RNG.integers(0, 4, size=300)
WEIGHT = RNG.exponential(size=300)
ABSENT = np.where(Y == 2, 1, Y)  # a class that never occurs

CASES = {
    "plain": (LOGITS, Y, None),
    "weighted": (LOGITS, Y, WEIGHT),
    "float32": (LOGITS.astype(np.float32), Y.astype(np.int32), WEIGHT.astype(np.float32)),
    "absent class": (LOGITS, ABSENT, WEIGHT),
    "neither there nor predicted": (LOGITS - np.array([0, 0, 99, 0]), ABSENT, WEIGHT),
    "all ties": (np.zeros((300, 4)), Y, WEIGHT),
    "a single record": (LOGITS[:1], Y[:1], None),
    "huge": (LOGITS * 1e4, Y, None),
}
table = pytest.mark.parametrize(("logits", "y", "weight"), CASES.values(), ids=CASES)


@table
def test_accuracy_agrees_with_scikit_learn(logits, y, weight):
    expected = metrics.accuracy_score(y, logits.argmax(1), sample_weight=weight)
    assert ours.accuracy(logits, y, weight=weight) == pytest.approx(expected, rel=1e-12)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:A single label was found")
@table
def test_balanced_accuracy_agrees_with_scikit_learn(logits, y, weight):
    expected = metrics.balanced_accuracy_score(y, logits.argmax(1), sample_weight=weight)
    assert ours.balanced_accuracy(logits, y, weight=weight) == pytest.approx(expected, rel=1e-12)


@table
def test_macro_f1_agrees_with_scikit_learn(logits, y, weight):
    expected = metrics.f1_score(y, logits.argmax(1), average="macro", sample_weight=weight, zero_division=0)
    assert ours.macro_f1(logits, y, weight=weight) == pytest.approx(expected, rel=1e-12)


@table
def test_the_confusion_matrix_agrees_with_scikit_learn(logits, y, weight):
    labels = range(logits.shape[1])
    expected = metrics.confusion_matrix(y, logits.argmax(1), labels=labels, sample_weight=weight)
    np.testing.assert_allclose(ours.confusion_matrix(logits, y, weight=weight), expected, rtol=1e-12)


@table
def test_the_cross_entropy_agrees_with_scipy(logits, y, weight):
    losses = -log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(y)), y]
    assert ours.cross_entropy(logits, y, weight=weight) == pytest.approx(
        np.average(losses, weights=weight), rel=1e-12
    )


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_the_cross_entropy_agrees_with_scikit_learn(weight):
    expected = metrics.log_loss(Y, softmax(LOGITS, axis=1), sample_weight=weight)
    assert ours.cross_entropy(LOGITS, Y, weight=weight) == pytest.approx(expected, rel=1e-10)


def test_probabilities_are_the_softmax():
    np.testing.assert_allclose(ours.probabilities(LOGITS), softmax(LOGITS, axis=1), rtol=1e-12)


def test_the_cross_entropy_of_float32_logits_is_summed_in_float64():
    logits = np.tile(np.float32([[0.0, 17.0]]), (100_000, 1))
    exact = np.log1p(np.exp(-17.0))
    assert ours.cross_entropy(logits, np.ones(100_000, dtype=int)) == pytest.approx(exact, rel=1e-7)


SCORES = [ours.accuracy, ours.balanced_accuracy, ours.macro_f1, ours.cross_entropy]


@pytest.mark.parametrize("score", SCORES)
def test_a_whole_weight_is_a_repeated_record(score):
    times = RNG.integers(0, 4, size=300)
    repeated = np.repeat(np.arange(300), times)
    assert score(LOGITS, Y, weight=times) == pytest.approx(score(LOGITS[repeated], Y[repeated]), rel=1e-12)


@pytest.mark.parametrize("score", SCORES)
def test_a_nan_logit_makes_the_score_nan(score):
    broken = LOGITS.copy()
    broken[7, 1] = np.nan
    assert np.isnan(score(broken, Y))


@pytest.mark.parametrize("score", SCORES)
def test_a_record_of_weight_zero_does_not_count_even_if_it_is_nan(score):
    broken, weight = LOGITS.copy(), np.ones(300)
    broken[7], weight[7] = np.nan, 0.0
    rest = np.arange(300) != 7
    assert score(broken, Y, weight=weight) == pytest.approx(score(LOGITS[rest], Y[rest]), rel=1e-12)


def test_a_class_ruled_out_by_minus_infinity_costs_nothing_or_everything():
    logits = np.array([[0.0, -np.inf]])
    assert ours.cross_entropy(logits, np.array([0])) == 0.0
    assert ours.cross_entropy(logits, np.array([1])) == np.inf


@pytest.mark.parametrize("score", [*SCORES, ours.confusion_matrix])
@pytest.mark.parametrize(
    ("logits", "y", "weight", "says"),
    [
        (LOGITS, Y[:-1], None, "one per record"),
        (LOGITS, Y[:, None], None, "one per record"),
        (LOGITS, Y.astype(float), None, "integers"),
        (LOGITS, Y + 1, None, "go from 1 to 4"),
        (LOGITS, Y - 1, None, "go from -1"),
        (LOGITS[:, 0], Y, None, "records, classes"),
        (LOGITS[:0], Y[:0], None, "no records"),
        (LOGITS, Y, WEIGHT[:-1], "weights have shape"),
        (LOGITS, Y, -WEIGHT, "not negative"),
        (LOGITS, Y, WEIGHT * 0, "not all zero"),
        (LOGITS, Y, WEIGHT * np.nan, "finite"),
    ],
)
def test_what_does_not_belong_together_is_refused(score, logits, y, weight, says):
    with pytest.raises(DataError, match=says):
        score(logits, y, weight=weight)


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_top_k_accuracy_agrees_with_scikit_learn(k, weight):
    logits = RNG.normal(size=(300, 4))
    expected = metrics.top_k_accuracy_score(Y, logits, k=k, sample_weight=weight, labels=range(4))
    assert ours.top_k_accuracy(logits, Y, k=k, weight=weight) == pytest.approx(expected, rel=1e-12)


def test_the_first_of_the_top_is_the_prediction_also_where_there_are_ties():
    for logits in (LOGITS, np.zeros((300, 4))):
        assert ours.top_k_accuracy(logits, Y, k=1) == ours.accuracy(logits, Y)
    assert ours.top_k_accuracy(np.zeros((4, 4)), np.arange(4), k=3) == 0.75
    assert ours.top_k_accuracy(LOGITS, Y, k=4) == 1.0


def test_a_nan_is_not_among_the_top_unless_it_weighs_nothing():
    broken, weight = LOGITS.copy(), np.ones(300)
    broken[7, 1], weight[7] = np.nan, 0.0
    assert np.isnan(ours.top_k_accuracy(broken, Y, k=4))
    assert ours.top_k_accuracy(broken, Y, k=4, weight=weight) == 1.0
    with pytest.raises(ValueError, match="k 0"):
        ours.top_k_accuracy(LOGITS, Y, k=0)
