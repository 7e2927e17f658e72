import numpy as np
import pytest
from scipy.special import expit
from sklearn import metrics

from trainwright.base.errors import DataError
from trainwright.validation import confusion
from trainwright.validation import multilabel as ours

RNG = np.random.default_rng(11)
LOGITS = RNG.normal(size=(300, 4)).round(1)
Y = (RNG.random((300, 4)) < [0.5, 0.2, 0.7, 0.4]).astype(np.float32)
WEIGHT = RNG.exponential(size=300)
CASES = {
    "plain": (LOGITS, Y, None),
    "weighted": (LOGITS, Y, WEIGHT),
    "booleans": (LOGITS.astype(np.float32), Y.astype(bool), WEIGHT),
    "an absent label": (LOGITS, Y * [1, 1, 0, 1], WEIGHT),
    "a single record": (LOGITS[:1], Y[:1], None),
}
table = pytest.mark.parametrize(("logits", "y", "weight"), CASES.values(), ids=CASES)


@table
def test_decisions_agree_with_scikit_learn(logits, y, weight):
    said = (logits > 0).astype(int)
    expected = metrics.accuracy_score(y, said, sample_weight=weight)
    assert ours.subset_accuracy(logits, y, weight=weight) == pytest.approx(expected)
    expected = metrics.hamming_loss(y, said, sample_weight=weight)
    assert ours.hamming_loss(logits, y, weight=weight) == pytest.approx(expected)
    tally = ours.tally_labels(logits, y, weight=weight)
    for average in ("micro", "weighted"):
        expected = metrics.f1_score(y, said, average=average, sample_weight=weight, zero_division=0)
        assert float(confusion.f1(tally, average)) == pytest.approx(expected)
    each = metrics.f1_score(y, said, average=None, sample_weight=weight, zero_division=np.nan)
    np.testing.assert_allclose(confusion.dice(tally), each, rtol=1e-10)
    # A label neither there nor predicted is left out, where scikit-learn counts it as 0.
    assert float(confusion.f1(tally)) == pytest.approx(np.nanmean(each))


@table
def test_the_loss_agrees_with_scikit_learn(logits, y, weight):
    expected = [
        metrics.log_loss(y[:, one], expit(logits[:, one].astype(float)), labels=[0, 1], sample_weight=weight)
        for one in range(4)
    ]
    found = ours.binary_cross_entropy(logits, y, weight=weight)
    assert found == pytest.approx(np.mean(expected), rel=1e-9)


@pytest.mark.parametrize("average", ["macro", "weighted"])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_areas_agree_with_scikit_learn(weight, average):
    expected = metrics.roc_auc_score(Y, LOGITS, average=average, sample_weight=weight)
    assert ours.label_areas(LOGITS, Y, weight=weight, average=average) == pytest.approx(expected)
    expected = metrics.average_precision_score(Y, LOGITS, average=average, sample_weight=weight)
    found = ours.label_areas(LOGITS, Y, weight=weight, average=average, under="precision_recall")
    assert found == pytest.approx(expected)


def test_a_label_without_a_curve_is_left_out():
    y = Y * [1, 1, 0, 1]
    expected = metrics.roc_auc_score(y[:, [0, 1, 3]], LOGITS[:, [0, 1, 3]])
    assert ours.label_areas(LOGITS, y) == pytest.approx(expected)


def test_a_certain_logit_costs_nothing_or_everything():
    sure = np.array([[np.inf, -np.inf]])
    assert ours.binary_cross_entropy(sure, np.array([[1, 0]])) == 0.0
    assert ours.binary_cross_entropy(sure, np.array([[1, 1]])) == np.inf


SCORES = [
    ours.binary_cross_entropy,
    ours.subset_accuracy,
    ours.hamming_loss,
    ours.label_areas,
    lambda *args, **more: float(confusion.f1(ours.tally_labels(*args, **more))),
]


@pytest.mark.parametrize("score", SCORES)
def test_nan_comes_out_of_nan_unless_it_weighs_nothing(score):
    broken, weight = LOGITS.copy(), np.ones(300)
    broken[5, 2], weight[5] = np.nan, 0.0
    assert np.isnan(score(broken, Y))
    rest = np.arange(300) != 5
    assert score(broken, Y, weight=weight) == pytest.approx(score(LOGITS[rest], Y[rest]), rel=1e-10)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    ("logits", "y", "weight", "says"),
    [
        (LOGITS, Y[:, :3], None, "records, labels"),
        (LOGITS[:, 0], Y[:, 0], None, "records, labels"),
        (LOGITS, Y + 1, None, "0 or 1"),
        (LOGITS, Y * np.nan, None, "0 or 1"),
        (LOGITS, Y, WEIGHT[1:], "weights have shape"),
    ],
)
def test_what_does_not_belong_together_is_refused(score, logits, y, weight, says):
    with pytest.raises(DataError, match=says):
        score(logits, y, weight=weight)
