from typing import ClassVar

import numpy as np
import pytest

pytest.importorskip("equinox")

import jax

from contracts.learner import VARIANTS, EverySteps, LearnerContract, go_on
from trainwright.backends.equinox.backend import EquinoxBackend
from trainwright.backends.equinox.threads import own_threads
from trainwright.base.errors import BackendError


class TestEquinox(LearnerContract):
    backend = "equinox"
    lacks: ClassVar[dict[str, str]] = {
        "lbfgs": "equinox has no 'lbfgs'",
        "lbfgs without line search": "equinox has no 'lbfgs'",
        "bfloat16": "equinox has no 'bfloat16'",
        "float16": "equinox has no 'float16'",
    }

    def make_backend(self):
        return EquinoxBackend()

    def test_a_stretch_is_compiled_once_however_it_is_cut(self, make):
        (whole, feed), (cut, _) = make(seed=1), make(seed=2)
        whole.train(feed, EverySteps(6), go_on)
        compiled = whole._programs._stretch._cache_size()
        cut.train(feed, EverySteps(1), go_on)
        assert cut._programs._stretch._cache_size() == compiled

    @pytest.mark.parametrize(
        "variant",
        ["sgd with momentum", "adam", "rmsprop, centered, with momentum", "adagrad", "clipping by value"],
    )
    def test_a_rule_begins_as_optax_begins_it(self, make, variant):
        learner, _ = make(seed=1, **VARIANTS[variant])
        programs, moments = learner._programs, learner._training.moments
        wanted = programs.optimizer.init(programs.free(learner._training.network))
        assert jax.tree.structure(moments) == jax.tree.structure(wanted)
        for found, other in zip(jax.tree.leaves(moments), jax.tree.leaves(wanted), strict=True):
            assert (found.dtype, found.weak_type) == (other.dtype, other.weak_type)
            np.testing.assert_array_equal(found, other)

    def test_nothing_is_compiled_before_the_first_step(self, make, caplog):
        # Sizes that no other test has, because a compilation is kept.
        model, optimizer = {"hidden_dims": [13, 17], "dropout": 0.5}, VARIANTS["adagrad"]["optimizer"]
        with jax.log_compiles():
            learner, feed = make(seed=1, model=model, optimizer=optimizer)
            assert not [one for one in caplog.messages if "Compiling" in one]
            learner.train(feed, EverySteps(1, end=1), go_on)
        assert [one for one in caplog.messages if "Compiling" in one]

    def test_it_trains_without_compiling_for_who_looks_for_a_mistake(self, make):
        (compiled, feed), (eager, _) = make(seed=1, weights=True), make(seed=1, weights=True)
        compiled.train(feed, EverySteps(2, end=2), go_on)
        with jax.disable_jit():
            eager.train(feed, EverySteps(2, end=2), go_on)
        for name, array in compiled.weights().items():
            np.testing.assert_allclose(eager.weights()[name], array, atol=1e-5)

    def test_jax_s_threads_cannot_change_once_it_is_imported(self):
        with pytest.raises(BackendError, match="NPROC=7"):
            own_threads(7)


@pytest.mark.parametrize(
    "variant",
    [
        "rmsprop",
        "rmsprop, centered, with momentum",
        "adagrad",
        "groups",
        "frozen",
        "frozen norm",
        "ema",
        "ema without warm-up",
        "clipping by value",
        "constant with warm-up",
    ],
)
def test_both_backends_train_alike_with_an_option(variant):
    pytest.importorskip("torch")
    from trainwright.backends.torch.backend import TorchBackend

    class Torch(LearnerContract):
        backend = "torch"

        def make_backend(self):
            return TorchBackend()

    (ours, feed), (theirs, _) = (one.learner(3, **VARIANTS[variant]) for one in (TestEquinox(), Torch()))
    for learner in (ours, theirs):
        learner.train(feed, EverySteps(2, end=8), go_on)
    expected = theirs.weights()
    for name, array in ours.weights().items():
        np.testing.assert_allclose(array, expected[name], atol=2e-4, err_msg=name)


@pytest.mark.parametrize(
    ("model", "batch"),
    [
        (
            {"architecture": "mlp", "hidden_dims": [7, 5], "normalization": "batch"},
            15,
        ),  # the second step has one record
        ({"architecture": "mlp", "hidden_dims": [7]}, 16),
        ({"architecture": "mlp", "hidden_dims": [7, 5], "normalization": "batch"}, 16),
        ({"architecture": "cnn", "hidden_dims": [4, 6], "normalization": "batch"}, 16),
        ({"architecture": "cnn", "hidden_dims": [4], "kernel_size": 5}, 16),
        ({"architecture": "cnn", "hidden_dims": [4, 3], "input_shape": [2, 6, 5]}, 16),
        *[
            ({"architecture": "mlp", "hidden_dims": [5], "activation": name}, 16)
            for name in ("gelu", "silu", "tanh", "elu", "leaky_relu", "sigmoid", "identity")
        ],
        ({"architecture": "mlp", "hidden_dims": [7], "dropout": 0.5}, 16),
    ],
    ids=str,
)
def test_both_backends_make_the_same_step_from_the_same_values(model, batch):
    pytest.importorskip("torch")
    from trainwright.backends.torch.backend import TorchBackend
    from trainwright.models.assemble import build_blueprint
    from trainwright.models.task import ModelTask
    from trainwright.spec.model import ModelSpec
    from trainwright.spec.train import SGD, AdamW, TrainSpec
    from trainwright.train.feed import ArrayFeed
    from trainwright.train.learner import Resolved

    spec = ModelSpec(**{"input_shape": [12], "output_dim": 3, **model})
    numbers = np.random.default_rng(1)
    x = numbers.normal(size=(16, *spec.input_shape)).astype(np.float32)
    arrays = {"x": x, "y": numbers.integers(0, 3, 16)}
    feed = ArrayFeed(arrays, batch_size=batch, seed=0)
    # Adam's second step magnifies what is left of gradients that are zero, so two steps go by plain descent.
    optimizer = AdamW(name="adamw", lr=1e-3) if batch == 16 else SGD(name="sgd", lr=1e-2)
    learners = []
    for name, backend in (("torch", TorchBackend()), ("equinox", EquinoxBackend())):
        train = TrainSpec(backend=name, batch_size=batch, loss="cross_entropy", optimizer=optimizer)
        learners.append(
            backend.prepare(ModelTask(build_blueprint(spec), train, 1), feed, seed=7, run_on=Resolved())
        )
    for when in ("before", "after"):
        left, right = (learner.predict(x)["logits"] for learner in learners)
        scale = np.abs(left).max()
        assert np.abs(left - right).max() <= 1e-5 * scale, when
        for learner in learners:
            learner.train(feed, EverySteps(1, end=-(-16 // batch)), go_on)
