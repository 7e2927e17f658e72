"""Predictions of several models put together."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics

from trainwright.base.errors import DataError
from trainwright.evaluation.predictions import Predictions, join_predictions, judge_predictions

RNG = np.random.default_rng(3)
LOGITS = RNG.normal(size=(40, 3))
Y = np.arange(40) % 3
WEIGHT = RNG.exponential(size=40)


def classified(rows, **changes):
    made = Predictions("classification", {"logits": LOGITS[rows]}, Y[rows], WEIGHT[rows], list("abc"), None)
    return replace(made, **changes)


def test_joined_predictions_are_judged_as_one():
    joined = join_predictions([classified(slice(0, 10)), classified(slice(10, 40))])
    found = judge_predictions(joined)
    said = LOGITS.argmax(1)
    assert found.records == 40
    assert found.scores["accuracy"]["value"] == pytest.approx(
        metrics.accuracy_score(Y, said, sample_weight=WEIGHT)
    )
    f1 = metrics.f1_score(Y, said, average="macro", sample_weight=WEIGHT)
    assert found.scores["macro_f1"]["value"] == pytest.approx(f1)


def test_positions_are_taken_of_all_arrays():
    rows = np.array([5, 2, 2])
    one = classified(slice(None)).take(rows)
    np.testing.assert_array_equal(one.outputs["logits"], LOGITS[rows])
    np.testing.assert_array_equal(one.y, Y[rows])
    np.testing.assert_array_equal(one.weight, WEIGHT[rows])
    bare = replace(classified(slice(None)), y=None, weight=None).take(rows)
    assert bare.y is None and bare.weight is None


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"classes": list("abd")}, "their classes are .*'c'.* and .*'d'"),
        ({"task_type": "multi_label"}, "their task_type are classification and multi_label"),
        ({"levels": [0.5]}, "their levels are None and "),
    ],
)
def test_predictions_of_different_things_are_not_joined(changes, text):
    with pytest.raises(DataError, match=text):
        join_predictions([classified(slice(0, 10)), classified(slice(10, 40), **changes)])


def test_embeddings_of_different_models_are_not_joined():
    one = Predictions("embedding", {"embedding": LOGITS}, Y, None, [], None)
    with pytest.raises(DataError, match="different spaces"):
        join_predictions([one, one])
