import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn import metrics

from trainwright.base.errors import DataError
from trainwright.validation import confusion
from trainwright.validation import segmentation as ours
from trainwright.validation.space import spread_weight, to_places

RNG = np.random.default_rng(12)
LOGITS = RNG.normal(size=(6, 3, 5, 4)).round(1)
Y = RNG.integers(0, 3, size=(6, 5, 4))
WEIGHT = RNG.exponential(size=6)
CASES = {
    "plain": (LOGITS, Y, None),
    "weighted": (LOGITS, Y, WEIGHT),
    "one axis": (LOGITS[..., 0], Y[..., 0], WEIGHT),
    "an absent class": (LOGITS - np.array([0, 99, 0])[:, None, None], np.where(Y == 1, 2, Y), WEIGHT),
    "a single image": (LOGITS[:1], Y[:1], None),
}
table = pytest.mark.parametrize(("logits", "y", "weight"), CASES.values(), ids=CASES)


@table
def test_scores_agree_with_scikit_learn_on_flat_pixels(logits, y, weight):
    true, said = y.ravel(), logits.argmax(1).ravel()
    masses = np.repeat(np.ones(len(y)) if weight is None else weight, y[0].size)
    tally = ours.tally_places(logits, y, weight=weight)
    iou = metrics.jaccard_score(true, said, average="macro", sample_weight=masses)
    assert float(confusion.mean_iou(tally)) == pytest.approx(iou)
    dice = metrics.f1_score(true, said, average="macro", sample_weight=masses)
    assert float(confusion.mean_dice(tally)) == pytest.approx(dice)
    right = metrics.accuracy_score(true, said, sample_weight=masses)
    assert float(confusion.accuracy(tally)) == pytest.approx(right)
    logs = np.take_along_axis(log_softmax(logits, axis=1), y[:, None], axis=1)
    expected = np.average(-logs.ravel(), weights=masses)
    assert ours.place_cross_entropy(logits, y, weight=weight) == pytest.approx(expected)


def test_records_are_tallied_by_themselves():
    found = ours.tally_records(LOGITS, Y)
    for one in range(6):
        alone = ours.tally_places(LOGITS[one : one + 1], Y[one : one + 1])
        for mine, expected in zip(found, alone, strict=True):
            np.testing.assert_array_equal(mine[one], expected)


def test_a_nan_makes_the_scores_nan_unless_its_image_weighs_nothing():
    broken, weight = LOGITS.copy(), np.ones(6)
    broken[2, 1, 0, 0], weight[2] = np.nan, 0.0
    assert np.isnan(confusion.mean_iou(ours.tally_places(broken, Y)))
    assert np.isnan(ours.place_cross_entropy(broken, Y))
    rest = np.arange(6) != 2
    for mine, expected in zip(
        ours.tally_places(broken, Y, weight=weight), ours.tally_places(LOGITS[rest], Y[rest]), strict=True
    ):
        np.testing.assert_allclose(mine, expected)
    assert ours.place_cross_entropy(broken, Y, weight=weight) == pytest.approx(
        ours.place_cross_entropy(LOGITS[rest], Y[rest])
    )


def test_places_follow_their_records():
    values = np.arange(24).reshape(2, 3, 2, 2)
    places = to_places(values)
    assert places[0].tolist() == values[0, :, 0, 0].tolist()
    assert places[5].tolist() == values[1, :, 0, 1].tolist()
    assert spread_weight(np.array([1.0, 2.0]), values).tolist() == [1.0] * 4 + [2.0] * 4
    assert spread_weight(None, values) is None


@pytest.mark.parametrize("score", [ours.tally_places, ours.place_cross_entropy])
@pytest.mark.parametrize(
    ("logits", "y", "weight", "says"),
    [
        (LOGITS, Y[:, :4], None, "one per place"),
        (LOGITS, Y.astype(float), None, "integers"),
        (LOGITS, Y + 1, None, "go from"),
        (LOGITS[:, :, 0, 0], Y[:, 0, 0], None, "space"),
        (LOGITS, Y, WEIGHT[1:], "weights have shape"),
        (LOGITS[:0], Y[:0], None, "space|no records"),
    ],
)
def test_what_does_not_belong_together_is_refused(score, logits, y, weight, says):
    with pytest.raises(DataError, match=says):
        score(logits, y, weight=weight)
