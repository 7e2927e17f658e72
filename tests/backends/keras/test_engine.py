"""What is Keras' own business stays within bounds: its engine, its folder, its settings, its loop."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from backends.keras.engine import ENGINE, NAME, make_backend
from contracts.learner import END, PER_EPOCH, EverySteps, LearnerContract, assert_equal_bits, go_on
from trainwright.backends.keras.backend import KerasOnJax, KerasOnTorch
from trainwright.backends.keras.engine import engine_in_force, engine_wished, own_engine
from trainwright.base.errors import BackendError
from trainwright.building import build_model, count_parameters
from trainwright.models.assemble import build_blueprint
from trainwright.spec.model import ModelSpec
from trainwright.train.learner import Answer, Resolved

keras = own_engine(ENGINE, threads=1)
SPEC = ModelSpec(
    architecture="mlp", input_dim=3, output_dim=2, hidden_dims=[8], normalization="batch", dropout=0.5
)
X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


def numbers(value):
    """Gives a variable or a tensor as an array."""
    from trainwright.backends.keras.engine import engine_module

    return engine_module().to_array(keras.ops.convert_to_tensor(value))


class Making(LearnerContract):
    backend = NAME

    def make_backend(self):
        return make_backend()


@pytest.fixture
def make():
    return Making().learner


def test_it_is_fit_that_trains(make, monkeypatch):
    learner, feed = make()

    def broken(*_, **__):
        raise RuntimeError("fit is broken")

    monkeypatch.setattr(keras.Model, "fit", broken)
    with pytest.raises(RuntimeError, match="fit is broken"):
        learner.train(feed, EverySteps(1), go_on)


def test_one_fit_makes_all_steps(make, monkeypatch):
    learner, feed = make()
    fit, calls = keras.Model.fit, []
    monkeypatch.setattr(
        keras.Model, "fit", lambda self, *args, **more: (calls.append(more), fit(self, *args, **more))[1]
    )
    learner.train(feed, EverySteps(4), go_on)
    assert learner.step == END and [one["steps_per_epoch"] for one in calls] == [END]


def test_what_is_told_in_a_fit_is_current(make):
    (told, feed), (alone, _) = make(), make()
    heard = {}
    told.train(feed, EverySteps(1), lambda one: heard.setdefault(one.step, one.state()) and Answer())
    for step in (1, 5, PER_EPOCH, END):
        alone.train(feed, EverySteps(END, end=step), go_on)
        assert_equal_bits(heard[step], alone.state())


def test_an_error_of_who_is_told_is_not_swallowed(make):
    learner, feed = make()

    def tell(one):
        raise KeyError("heard")

    with pytest.raises(KeyError, match="heard"):
        learner.train(feed, EverySteps(2), tell)
    assert learner.step == 2


def test_a_fit_that_keras_was_told_to_cut_is_an_error(make):
    learner, feed = make()
    keras.config.set_max_steps_per_epoch(5)
    try:
        with (
            pytest.warns(UserWarning, match="Limiting steps_per_epoch to 5"),
            pytest.raises(BackendError, match=rf"fit ended at step 5 of {END}; unset KERAS_MAX_STEPS"),
        ):
            learner.train(feed, EverySteps(PER_EPOCH), go_on)
    finally:
        keras.config.set_max_steps_per_epoch(None)


def test_keras_own_settings_change_nothing(make):
    options = {
        "model": {"architecture": "cnn", "hidden_dims": [4], "normalization": "batch", "dropout": 0.2},
        "shape": (2, 9),
        "optimizer": {"name": "adam", "lr": 1e-2},
    }
    (plain, feed), states = make(**options), []
    plain.train(feed, EverySteps(4, end=4), go_on)
    states.append([plain.state(), plain.predict(feed.arrays["x"])])
    keras.config.set_floatx("float16")
    keras.config.set_dtype_policy("mixed_float16")
    keras.config.set_image_data_format("channels_first")
    keras.config.set_epsilon(0.1)
    try:
        keras.utils.set_random_seed(5)
        other, _ = make(**options)
        other.train(feed, EverySteps(4, end=4), go_on)
        states.append([other.state(), other.predict(feed.arrays["x"])])
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
        keras.config.set_image_data_format("channels_last")
        keras.config.set_epsilon(1e-7)
    assert_equal_bits(*states)


def test_the_other_engine_is_refused_with_the_cure():
    other, backend = ("torch", KerasOnTorch) if ENGINE == "jax" else ("jax", KerasOnJax)
    assert engine_in_force() == engine_wished() == ENGINE
    text = rf"imported with {ENGINE} and cannot change to {other}; .*KERAS_BACKEND={other}.*train\.backend: {NAME}"
    with pytest.raises(BackendError, match=text):
        backend().module(build_blueprint(SPEC))


FRESH = """
import json, os, sys
import numpy as np
from trainwright.building import build_model
from trainwright.spec.model import ModelSpec
before = dict(os.environ)
model = build_model(ModelSpec(architecture="mlp", input_dim=3, output_dim=2), backend=sys.argv[1])
model(np.zeros((2, 3), dtype="float32"))
import keras
for one in ("XLA_FLAGS", "NPROC"):
    before.pop(one, None), os.environ.pop(one, None)
print(json.dumps([
    keras.config.backend(), keras.config.floatx(), sorted({"torch", "jax", "tensorflow"} & {*sys.modules}),
    dict(os.environ) == before or [before, dict(os.environ)],
]))
"""


@pytest.mark.parametrize(
    ("asked", "variable", "wanted"),
    [(NAME, "tensorflow", ENGINE), ("keras", ENGINE, ENGINE)],
)
def test_a_fresh_process_imports_one_engine_and_keeps_no_file(tmp_path, asked, variable, wanted):
    home = tmp_path / "home"
    (home / ".keras").mkdir(parents=True)
    (home / ".keras" / "keras.json").write_text('{"floatx": "float64", "backend": "numpy"}')
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KERAS")}
    environment |= {"HOME": str(home), "KERAS_BACKEND": variable, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", "-c", FRESH, asked]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [wanted, "float32", [wanted], True]
    assert [one.name for one in (home / ".keras").iterdir()] == ["keras.json"]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["home"] and len([*home.iterdir()]) == 1


def test_a_keras_model_has_the_initial_values_of_its_seed_and_counts_its_parameters():
    model = build_model(SPEC, backend="keras", seed=4)
    assert isinstance(model, keras.Model)
    initial = build_blueprint(SPEC).initial(4)
    assert list(model.by_name) == list(initial)
    for name, array in initial.items():
        np.testing.assert_array_equal(numbers(model.by_name[name]), array)
    trained = sum(int(np.prod(one.shape)) for one in model.trainable_variables)
    assert trained == count_parameters(model) == count_parameters(SPEC)


def test_a_keras_model_is_the_function_of_torch_s():
    torch = pytest.importorskip("torch")
    theirs = build_model(SPEC, seed=2).eval()
    ours = build_model(SPEC, backend=NAME, seed=2)
    np.testing.assert_allclose(
        numbers(ours(X)), theirs(torch.from_numpy(X)).detach().numpy(), rtol=1e-5, atol=1e-6
    )
    # In training, too: the first call has the dropout of step 0, and moves the running statistics.
    found = numbers(ours(X, training=True))
    np.testing.assert_allclose(
        found, theirs.train()(torch.from_numpy(X)).detach().numpy(), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        numbers(ours.by_name["norm_0.running_var"]), theirs.get_buffer("norm_0.running_var"), rtol=1e-5
    )
    assert not np.array_equal(numbers(ours(X, training=True)), found)


# Keras on torch makes arrays of tensors in the way of NumPy 1.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_keras_model_is_compiled_fitted_and_saved_like_any_other(tmp_path):
    model = build_model(SPEC, backend=NAME)
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="mse")
    history = model.fit(X, X[:, :2], epochs=60, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]
    model.save_weights(tmp_path / "model.weights.h5")
    other = build_model(SPEC, backend=NAME, seed=9)
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(numbers(other(X)), numbers(model(X)))


def test_an_id_that_is_not_in_the_table_never_passes_for_another():
    from models.shapes import MODELS, make_records

    model = MODELS["transformer of tokens"]
    plan = build_blueprint(ModelSpec(**model))
    predict = make_backend().predictor(plan, plan.initial(0), output="logits", run_on=Resolved())
    for wrong in (11, -1):
        x = make_records(model)
        x[2, 0] = wrong
        found = predict(x)["logits"]
        assert np.isnan(found[2]).all() and np.isfinite(found[:2]).all()


@pytest.mark.skipif(ENGINE != "jax", reason="only JAX compiles")
def test_a_step_is_compiled_once_per_shape_however_it_is_cut(make):
    (whole, feed), (cut, _) = make(seed=1), make(seed=2)
    whole.train(feed, EverySteps(END), go_on)
    step = step_of(whole.model)
    compiled = step._cache_size()
    assert compiled == 2  # the full steps, and the ragged one
    cut.train(feed, EverySteps(1), go_on)
    assert step_of(cut.model) is step and step._cache_size() == compiled


def step_of(model):
    return model.step(model.free_names, model.rest_names, model.places)


@pytest.mark.skipif(ENGINE != "torch", reason="torch's threads can be given back")
def test_torch_s_threads_are_owned_and_given_back(make):
    import torch

    before, heard = torch.get_num_threads(), []
    learner, feed = make()
    torch.set_num_threads(2)
    learner.train(feed, EverySteps(3), lambda one: heard.append(torch.get_num_threads()) or go_on(one))
    assert set(heard) == {1} and torch.get_num_threads() == 2
    torch.set_num_threads(before)
