"""A loss of a spec finds its function, whatever the framework: here NumPy and a few functions."""

from types import SimpleNamespace

import numpy as np
import pytest

from trainwright.models.objective import Objective
from trainwright.models.task import ModelTask
from trainwright.spec.train import TrainSpec

X = np.arange(12.0).reshape(3, 2, 2)


def mean(each, weight):
    return np.average(each, weights=weight)


LOSSES = SimpleNamespace(
    mean=mean,
    total=np.sum,
    reshape=np.reshape,
    class_mass=lambda class_weights, y, weight: float(np.array(class_weights)[y].sum()),
    mse=lambda outputs, y, weight: mean(np.square(outputs - y).mean(1), weight),
    huber=lambda outputs, y, weight, *, delta: ("huber", delta),
    quantile=lambda outputs, y, weight, *, levels: ("quantile", levels),
    cross_entropy=lambda outputs, y, weight, *, label_smoothing, class_weights: (
        label_smoothing,
        class_weights,
    ),
)


def objective_of(loss):
    plan = SimpleNamespace(output_shape=(2,))
    task = ModelTask(plan, TrainSpec.model_validate({"loss": loss}), 1, quantiles=(0.1, 0.5))
    return Objective(task, LOSSES, library="numpy")


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        ({"name": "huber", "delta": 0.3}, ("huber", 0.3)),
        ("huber", ("huber", 1.0)),
        ("quantile", ("quantile", (0.1, 0.5))),
        ({"name": "cross_entropy", "label_smoothing": 0.2}, (0.2, None)),
    ],
)
def test_a_loss_is_called_with_its_options(loss, found):
    assert objective_of(loss)(X, X, X, None) == found


def test_a_sum_adds_its_losses_and_a_rebuilt_input_is_compared_with_the_input():
    outputs, y = np.ones((3, 2)), np.zeros((3, 2))
    twice = {"name": "composite", "losses": [{"loss": "mse", "weight": 2.0}, {"loss": "mse", "weight": 0.5}]}
    assert objective_of(twice)(outputs, X, y, None) == 2.5
    assert objective_of("reconstruction")(X + 1, X, y, None) == 1.0


def test_an_own_loss_has_a_method_of_the_library():
    own = {"name": "own", "use": "backends.own_losses:Asymmetric", "args": {"steep": 3.0}}
    outputs, weight = np.array([[1.0], [-1.0], [0.0]]), np.array([1.0, 1.0, 2.0])
    assert objective_of(own)(outputs, X, np.zeros((3, 1)), weight) == pytest.approx((1 + 3) / 4)


def test_a_batch_weighs_its_records_or_their_classes():
    y, weight = np.array([0, 1, 1]), np.array([1.0, 2.0, 4.0])
    plain = objective_of("mse")
    assert plain.mass(X, y, None) == 3 and plain.mass(X, y, weight) == 7
    weighed = objective_of({"name": "cross_entropy", "class_weights": [1.0, 5.0]})
    assert weighed.mass(X, y, None) == 11
