import numpy as np
import pytest
from sklearn import metrics

from trainwright.base.errors import DataError
from trainwright.validation import ranking as ours
from trainwright.validation.bootstrap import bootstrap_interval, bootstrap_intervals
from trainwright.validation.classification import probabilities

RNG = np.random.default_rng(7)
VALUES = RNG.normal(size=400).round(1)  # many ties
POSITIVE = RNG.random(400) < 0.3
WEIGHT = RNG.exponential(size=400)
LOGITS = RNG.normal(size=(400, 4)).round(1)
Y = RNG.integers(0, 4, size=400)
CASES = {
    "plain": (VALUES, POSITIVE, None),
    "weighted": (VALUES, POSITIVE, WEIGHT),
    "no ties": (RNG.normal(size=400), POSITIVE, WEIGHT),
    "all ties": (np.zeros(400), POSITIVE, WEIGHT),
    "perfect": (POSITIVE * 1.0, POSITIVE, WEIGHT),
    "infinite": (np.where(VALUES > 1, np.inf, VALUES), POSITIVE, WEIGHT),
    "two records": (np.array([0.2, 0.1]), np.array([0, 1]), None),
    "integers": (np.arange(400) // 3, POSITIVE.astype(int), None),
}
table = pytest.mark.parametrize(("values", "positive", "weight"), CASES.values(), ids=CASES)


def finite(values):
    return np.clip(values, -1e9, 1e9)  # scikit-learn refuses infinities; the order is the same


@table
def test_areas_agree_with_scikit_learn(values, positive, weight):
    expected = metrics.roc_auc_score(positive, finite(values), sample_weight=weight)
    assert ours.roc_auc(values, positive, weight=weight) == pytest.approx(expected, rel=1e-10)
    expected = metrics.average_precision_score(positive, finite(values), sample_weight=weight)
    assert ours.average_precision(values, positive, weight=weight) == pytest.approx(expected, rel=1e-10)


@table
def test_curves_agree_with_scikit_learn(values, positive, weight):
    rates = metrics.roc_curve(positive, finite(values), sample_weight=weight, drop_intermediate=False)
    found = ours.roc_curve(values, positive, weight=weight, points=1000)
    np.testing.assert_allclose(found, np.stack(rates[:2], axis=1), rtol=1e-10, atol=1e-12)
    precision, recall, _ = metrics.precision_recall_curve(positive, finite(values), sample_weight=weight)
    found = ours.precision_recall_curve(values, positive, weight=weight, points=1000)
    np.testing.assert_allclose(found, np.stack([recall, precision], axis=1)[::-1], rtol=1e-10, atol=1e-12)


def test_a_thinned_curve_keeps_its_ends_and_lies_on_the_whole_one():
    values = RNG.normal(size=400)
    whole = ours.roc_curve(values, POSITIVE, points=1000)
    thin = ours.roc_curve(values, POSITIVE)
    assert len(thin) == 200
    assert thin[0].tolist() == [0.0, 0.0]
    assert thin[-1].tolist() == [1.0, 1.0]
    assert {tuple(one) for one in thin} <= {tuple(one) for one in whole}


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_one_class_against_the_rest_agrees_with_scikit_learn(average, weight):
    # The same bits on both sides: what is a tie in exact arithmetic may differ in the last one.
    chances = probabilities(LOGITS)
    expected = metrics.roc_auc_score(Y, chances, multi_class="ovr", average=average, sample_weight=weight)
    assert ours.class_roc_auc(LOGITS, Y, weight=weight, average=average) == pytest.approx(expected, rel=1e-10)
    expected = metrics.average_precision_score(Y, chances, average=average, sample_weight=weight)
    found = ours.class_average_precision(LOGITS, Y, weight=weight, average=average)
    assert found == pytest.approx(expected, rel=1e-10)


def test_plain_and_weighted_means_differ_where_classes_do():
    y = np.where(Y == 3, 0, Y) * (RNG.random(400) < 0.5)
    plain, weighted = (ours.class_roc_auc(LOGITS[:, :3], y, average=one) for one in ("macro", "weighted"))
    assert plain != pytest.approx(weighted, abs=1e-4)


def test_of_two_classes_the_second_is_the_positive_one():
    logits, y = LOGITS[:, :2], POSITIVE.astype(int)
    chances = probabilities(logits)[:, 1]
    assert ours.class_roc_auc(logits, y) == pytest.approx(metrics.roc_auc_score(y, chances))
    assert ours.class_average_precision(logits, y) == pytest.approx(
        metrics.average_precision_score(y, chances)
    )


def test_an_absent_class_is_left_out_where_scikit_learn_refuses():
    y = np.where(Y == 2, 1, Y)
    chances = probabilities(LOGITS)
    each = [metrics.roc_auc_score(y == one, chances[:, one]) for one in (0, 1, 3)]
    assert ours.class_roc_auc(LOGITS, y) == pytest.approx(np.mean(each), rel=1e-10)
    with pytest.raises(ValueError, match="Number of classes"):
        metrics.roc_auc_score(y, chances, multi_class="ovr")


@pytest.mark.parametrize("positive", [np.zeros(400, bool), np.ones(400, bool)])
def test_without_both_kinds_there_is_no_roc(positive):
    """Scikit-learn warns and gives nan for the ROC; of no positives it gives a precision of 0, we give nan."""
    assert np.isnan(ours.roc_auc(VALUES, positive))
    assert np.isnan(ours.roc_curve(VALUES, positive)).all()
    assert ours.average_precision(VALUES, positive) == pytest.approx(
        1.0 if positive[0] else np.nan, nan_ok=True
    )


def test_a_single_record_has_no_area():
    assert np.isnan(ours.roc_auc(np.ones(1), np.ones(1)))
    assert np.isnan(ours.class_roc_auc(LOGITS[:1], Y[:1]))


def test_a_nan_makes_the_area_nan_unless_it_weighs_nothing():
    broken, weight = VALUES.copy(), np.ones(400)
    broken[3], weight[3] = np.nan, 0.0
    assert np.isnan(ours.roc_auc(broken, POSITIVE))
    assert np.isnan(ours.average_precision(broken, POSITIVE))
    assert np.isnan(ours.precision_recall_curve(broken, POSITIVE)).all()
    rest = np.arange(400) != 3
    assert ours.roc_auc(broken, POSITIVE, weight=weight) == pytest.approx(
        ours.roc_auc(VALUES[rest], POSITIVE[rest]), rel=1e-12
    )
    logits = LOGITS.copy()
    logits[3, 0] = np.nan
    assert np.isnan(ours.class_roc_auc(logits, Y))


@pytest.mark.parametrize("under", ["roc", "precision_recall"])
def test_a_draw_counts_like_repeated_records(under):
    times = RNG.integers(0, 3, size=(4, 400))
    found = ours.one_vs_rest(LOGITS, Y, weight=WEIGHT, under=under)(times.astype(float))
    whole = {"roc": ours.class_roc_auc, "precision_recall": ours.class_average_precision}[under]
    for row, count in enumerate(times):
        again = np.repeat(np.arange(400), count)
        assert found[row] == pytest.approx(whole(LOGITS[again], Y[again], weight=WEIGHT[again]), rel=1e-10)


def test_the_interval_of_an_area_has_the_width_of_hanley_and_mcneil():
    """Their standard error holds for normal values; 1982, equation 2."""
    n = 300
    positive = np.arange(2 * n) < n
    values = RNG.normal(size=2 * n) + positive
    area = ours.roc_auc(values, positive)
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (n - 1) * (first + second - 2 * area**2)
    low, high = bootstrap_interval(ours.area_score(values, positive), 2 * n, draws=2000, level=0.6827)
    assert (high - low) / 2 == pytest.approx(np.sqrt(spread) / n, rel=0.15)
    assert low < area < high


def test_several_intervals_come_from_the_same_draws():
    scores = {"a": ours.area_score(VALUES, POSITIVE), "b": ours.area_score(-VALUES, POSITIVE)}
    both = bootstrap_intervals(scores, 400, draws=100)
    assert both["a"] == bootstrap_interval(scores["a"], 400, draws=100)
    np.testing.assert_allclose(both["a"], [1 - one for one in both["b"][::-1]])


@pytest.mark.parametrize("score", [ours.roc_auc, ours.average_precision, ours.roc_curve])
@pytest.mark.parametrize(
    ("values", "positive", "weight", "says"),
    [
        (VALUES, POSITIVE[:-1], None, "do not belong"),
        (VALUES[:, None], POSITIVE[:, None], None, "do not belong"),
        (VALUES, POSITIVE * 2, None, "0 and 1"),
        (VALUES, POSITIVE, WEIGHT[1:], "weights have shape"),
        (VALUES[:0], POSITIVE[:0], None, "no records"),
    ],
)
def test_what_does_not_belong_together_is_refused(score, values, positive, weight, says):
    with pytest.raises(DataError, match=says):
        score(values, positive, weight=weight)
