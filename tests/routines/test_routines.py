"""Routines against scikit-learn, with record weights."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn import metrics

from trainwright.routines.classification import ClassificationScores
from trainwright.routines.period import read_period
from trainwright.routines.regression import RegressionScores
from trainwright.train.clock import Epochs, Steps
from trainwright.train.routine import Examples, View

numbers = np.random.default_rng(0)
WEIGHT = numbers.uniform(0.1, 3, 50).astype(np.float32)


def look(outputs, y, invert=lambda values: values, looked=None):
    learner = SimpleNamespace(predict=lambda x: outputs)
    return View(
        learner,
        {"val": Examples(np.zeros((50, 1)), y, WEIGHT)},
        invert=invert,
        look=lambda split: looked.append(split) if looked is not None else None,
    )


def test_a_classifier_is_measured_by_record_weight():
    logits, y = numbers.normal(size=(50, 3)).astype(np.float32), numbers.integers(0, 3, 50)
    found = ClassificationScores()(look({"logits": logits}, y)).scores
    odds = np.exp(logits.astype(float))
    chances = odds / odds.sum(1, keepdims=True)
    assert found["val/loss"] == pytest.approx(metrics.log_loss(y, chances, sample_weight=WEIGHT), rel=1e-6)
    chosen = logits.argmax(1)
    assert found["val/accuracy"] == pytest.approx(metrics.accuracy_score(y, chosen, sample_weight=WEIGHT))
    assert found["val/macro_f1"] == pytest.approx(
        metrics.f1_score(y, chosen, average="macro", sample_weight=WEIGHT)
    )
    assert set(found) == set(ClassificationScores().names(None))


def test_a_regression_is_measured_in_the_unit_of_its_target():
    prediction, y = numbers.normal(size=(50, 1)), numbers.normal(size=(50, 1))
    found = RegressionScores()(look({"y": prediction}, y, invert=lambda values: 10 * values + 3)).scores
    root = metrics.root_mean_squared_error(10 * y, 10 * prediction, sample_weight=WEIGHT)
    assert found["val/rmse"] == pytest.approx(root)
    assert found["val/loss"] == pytest.approx(metrics.mean_squared_error(y, prediction, sample_weight=WEIGHT))
    assert set(found) == set(RegressionScores().names(None))


def test_a_view_looks_once_and_tells():
    looked = []
    view = look({"logits": np.zeros((50, 3), np.float32)}, numbers.integers(0, 3, 50), looked=looked)
    ClassificationScores()(view)
    ClassificationScores()(view)
    assert looked == ["val"]


@pytest.mark.parametrize(
    ("epochs", "steps", "period"), [(None, None, Epochs(1)), (3, None, Epochs(3)), (None, 7, Steps(7))]
)
def test_a_cadence_is_read(epochs, steps, period):
    assert read_period(epochs, steps) == period


@pytest.mark.parametrize("wrong", [(1, 1), (0, None), (None, 2.5), (True, None)])
def test_a_wrong_cadence_is_refused(wrong):
    with pytest.raises(ValueError, match="every_n"):
        read_period(*wrong)
