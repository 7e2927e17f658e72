"""Losses in Keras' operations, judged by the formulas that judge those of the other backends."""

import numpy as np
import pytest

from backends.keras.engine import ENGINE
from trainwright.backends.keras.engine import own_engine

own_engine(ENGINE, threads=1)
pytest.importorskip("torch")
pytest.importorskip("equinox")

from keras import ops

from backends.test_losses import CASES, CLASSES, OUTPUTS, WEIGHT, N, X, by_torch, draw, task_of
from trainwright.backends.keras import loss as keras_loss
from trainwright.backends.keras.engine import engine_module
from trainwright.base.errors import BackendError
from trainwright.models.objective import Objective


def measure(loss, outputs, x, y, weight):
    """Gives loss, gradient of the outputs, mass."""
    objective = Objective(task_of(loss), keras_loss, library="keras")
    y = y if y.dtype.kind == "f" else y.astype(np.int32)
    rest = [None if one is None else ops.convert_to_tensor(one) for one in (x, y, weight)]
    tensor = ops.copy(ops.convert_to_tensor(outputs))
    if ENGINE == "torch":
        tensor.requires_grad_()
    value, _, gradients = engine_module().differentiate(
        lambda arrays: (objective(arrays["outputs"], *rest), None), {"outputs": tensor}
    )
    return float(value), np.asarray(gradients["outputs"]), float(objective.mass(*rest))


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", CASES)
def test_a_loss_is_what_its_formula_says(name, weight):
    loss, _, y, reference = CASES[name]
    outputs = OUTPUTS[name]
    ones = np.ones(N) if weight is None else weight.astype(float)
    exact = reference(outputs.astype(float), X.astype(float), y, ones)
    value, gradient, mass = measure(loss, outputs, X, y, weight)
    assert value == pytest.approx(exact, rel=2e-6)
    _, wanted, heavy = by_torch(loss, outputs, X, y, weight)
    assert mass == pytest.approx(heavy, rel=1e-6)
    np.testing.assert_allclose(gradient, wanted, rtol=0, atol=1e-6 * max(1.0, np.abs(wanted).max()))


@pytest.mark.parametrize("name", CASES)
def test_a_batch_whose_records_weigh_nothing_changes_nothing(name):
    loss, _, y, _ = CASES[name]
    value, gradient, mass = measure(loss, OUTPUTS[name], X, y, np.zeros(N, dtype=np.float32))
    assert (value, mass) == (0.0, 0.0) and not gradient.any()


@pytest.mark.parametrize("loss", ["supervised_contrastive", "triplet", "nt_xent"])
def test_an_embedding_of_zeros_and_twins_and_a_lonely_record_have_finite_gradients(loss):
    outputs = np.zeros((2 * N if loss == "nt_xent" else N, 3), dtype=np.float32)
    outputs[2:4] = 1.0
    value, gradient, _ = measure(loss, outputs, X, CLASSES, None)
    assert np.isfinite(value) and np.isfinite(gradient).all()
    value, gradient, mass = measure(loss, draw(2 if loss == "nt_xent" else 1, 3), X[:1], CLASSES[:1], None)
    assert value == pytest.approx(0.0, abs=1e-6) and not gradient.any() and mass == 1


def test_the_views_of_a_record_become_neighbouring_rows():
    objective = Objective(task_of("nt_xent"), keras_loss, library="keras")
    rows = engine_module().to_array(objective.enter(ops.convert_to_tensor(X)))
    np.testing.assert_array_equal(rows, X.reshape(2 * N, 6))
    with pytest.raises(BackendError, match=r"two views, not \(6, 2\)"):
        objective.enter(ops.convert_to_tensor(X.transpose(0, 2, 1).copy()))
