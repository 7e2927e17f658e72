import numpy as np
import pytest
from sklearn import metrics

from trainwright.validation import confusion as ours
from trainwright.validation.confusion import Tally, tally_classes, tally_draws

RNG = np.random.default_rng(5)
LOGITS = RNG.normal(size=(300, 4)).round(1)  # rounded, so that there are ties
Y = RNG.integers(0, 4, size=300)
WEIGHT = RNG.exponential(size=300)
ABSENT = np.where(Y == 2, 1, Y)

CASES = {
    "plain": (LOGITS, Y, None),
    "weighted": (LOGITS, Y, WEIGHT),
    "absent class": (LOGITS, ABSENT, WEIGHT),
    "never predicted": (LOGITS - np.array([0, 0, 99, 0]), Y, WEIGHT),
    "neither there nor predicted": (LOGITS - np.array([0, 0, 99, 0]), ABSENT, WEIGHT),
    "all ties": (np.zeros((300, 4)), Y, WEIGHT),
    "a single record": (LOGITS[:1], Y[:1], None),
    "two classes": (LOGITS[:, :2], Y % 2, WEIGHT),
}
table = pytest.mark.parametrize(("logits", "y", "weight"), CASES.values(), ids=CASES)


@table
@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (ours.precision, metrics.precision_score),
        (ours.recall, metrics.recall_score),
        (ours.f1, metrics.f1_score),
    ],
)
def test_averages_agree_with_scikit_learn(mine, theirs, average, logits, y, weight):
    expected = theirs(y, logits.argmax(1), average=average, sample_weight=weight, zero_division=0)
    found = mine(tally_classes(logits, y, weight=weight), average)
    assert float(found) == pytest.approx(expected, rel=1e-12)


@table
def test_scores_of_each_class_agree_with_scikit_learn(logits, y, weight):
    labels = np.arange(logits.shape[1])
    expected = metrics.precision_recall_fscore_support(
        y, logits.argmax(1), labels=labels, sample_weight=weight, zero_division=np.nan
    )
    tally = tally_classes(logits, y, weight=weight)
    np.testing.assert_allclose(ours.class_scores(tally), np.stack(expected, axis=1), rtol=1e-12)
    np.testing.assert_allclose(ours.dice(tally), expected[2], rtol=1e-12)


@table
def test_the_jaccard_index_agrees_with_scikit_learn(logits, y, weight):
    chosen = logits.argmax(1)
    tally = tally_classes(logits, y, weight=weight)
    expected = metrics.jaccard_score(y, chosen, average="macro", sample_weight=weight, zero_division=0)
    assert float(ours.mean_iou(tally)) == pytest.approx(expected, rel=1e-12)
    there = np.unique([*y, *chosen])
    each = metrics.jaccard_score(y, chosen, labels=there, average=None, sample_weight=weight)
    np.testing.assert_allclose(ours.iou(tally)[there], each, rtol=1e-12)
    assert np.isnan(np.delete(ours.iou(tally), there)).all()


@pytest.mark.filterwarnings("ignore:A single label was found")
@table
def test_the_matthews_correlation_agrees_with_scikit_learn(logits, y, weight):
    expected = metrics.matthews_corrcoef(y, logits.argmax(1), sample_weight=weight)
    found = ours.matthews(tally_classes(logits, y, weight=weight))
    assert float(found) == pytest.approx(expected, rel=1e-10, abs=1e-12)


def test_a_constant_prediction_has_no_correlation_even_where_weights_are_rounded():
    tally = tally_classes(np.tile([1.0, 0.0], (300, 1)), Y % 2, weight=WEIGHT * 0.1)
    assert float(ours.matthews(tally)) == 0.0


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:A single label was found")
@table
def test_accuracies_of_a_tally_agree_with_scikit_learn(logits, y, weight):
    tally, chosen = tally_classes(logits, y, weight=weight), logits.argmax(1)
    expected = metrics.accuracy_score(y, chosen, sample_weight=weight)
    assert float(ours.accuracy(tally)) == pytest.approx(expected, rel=1e-12)
    expected = metrics.balanced_accuracy_score(y, chosen, sample_weight=weight)
    assert float(ours.balanced_accuracy(tally)) == pytest.approx(expected, rel=1e-12)


@table
def test_draws_are_tallied_like_repeated_records(logits, y, weight):
    times = RNG.integers(0, 4, size=(5, len(y))) + (len(y) == 1)
    found = tally_draws(logits, y, weight=weight)(times.astype(float))
    for row, count in enumerate(times):
        again = np.repeat(np.arange(len(y)), count)
        part = None if weight is None else weight[again]
        for mine, expected in zip(found, tally_classes(logits[again], y[again], weight=part), strict=True):
            np.testing.assert_allclose(mine[row], expected, rtol=1e-12)


@table
@pytest.mark.parametrize("by", ["none", "true", "pred", "all"])
def test_normalisations_agree_with_scikit_learn(by, logits, y, weight):
    labels = np.arange(logits.shape[1])
    raw = metrics.confusion_matrix(y, logits.argmax(1), labels=labels, sample_weight=weight)
    expected = metrics.confusion_matrix(
        y, logits.argmax(1), labels=labels, sample_weight=weight, normalize=None if by == "none" else by
    )
    np.testing.assert_allclose(ours.normalize_confusion(raw, by), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "score",
    [
        *(ours.accuracy, ours.balanced_accuracy, ours.precision, ours.recall),
        *(ours.f1, ours.matthews, ours.mean_iou, ours.mean_dice),
    ],
)
def test_a_nan_logit_makes_the_score_nan_unless_it_weighs_nothing(score):
    broken = LOGITS.copy()
    broken[7, 1] = np.nan
    assert np.isnan(score(tally_classes(broken, Y)))
    assert np.isnan(score(tally_draws(broken, Y)(np.ones((2, 300))))).all()
    weight, rest = (np.arange(300) != 7).astype(float), np.delete(np.arange(300), 7)
    expected = score(tally_classes(LOGITS[rest], Y[rest]))
    assert score(tally_classes(broken, Y, weight=weight)) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize(
    "wrong", [lambda t: ours.f1(t, "most"), lambda t: ours.normalize_confusion(t.hits, "row")]
)
def test_an_unknown_word_is_a_mistake_of_the_caller(wrong):
    with pytest.raises(ValueError, match="not '"):
        wrong(Tally(np.ones(2), np.ones(2), np.ones(2)))
