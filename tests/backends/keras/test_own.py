"""Networks of a user's own: what they are called, where their draws come from, and what is refused."""

import random

import numpy as np
import pytest

from backends.keras.engine import ENGINE, NAME, make_backend
from backends.keras.test_own_contract import TestOwn as Contract
from contracts.learner import EverySteps, go_on
from trainwright.backends.keras.engine import engine_module, own_engine
from trainwright.base.errors import BackendError, SpecError
from trainwright.building import build_model, count_parameters, lay_out
from trainwright.models.task import ModelTask
from trainwright.spec.model import ModelSpec
from trainwright.spec.train import TrainSpec
from trainwright.train.feed import ArrayFeed
from trainwright.train.learner import Resolved

keras = own_engine(ENGINE, threads=1)
X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


def own(name, *, input_shape=(3,), output_dim=2, **args):
    return ModelSpec(
        architecture="own",
        use=f"backends.keras.own_networks:{name}",
        args=args,
        input_shape=list(input_shape),
        output_dim=output_dim,
    )


def numbers(value):
    return engine_module().to_array(keras.ops.convert_to_tensor(value))


class TestResuming:
    def test_a_learner_resumed_at_any_step_ends_in_the_same_weights_and_sums(self):
        contract = Contract()
        contract.test_a_learner_resumed_at_any_step_ends_in_the_same_weights_and_sums(
            contract.learner, "all at once"
        )


@pytest.mark.parametrize("name", ["Sequence", "Subclass", "Functional"])
def test_arrays_have_the_names_of_the_layers_however_often_it_was_built(name):
    keras.layers.Dense(2)  # what a user has made before does not count
    for _ in range(2):
        parameters = lay_out(own(name), backend=NAME).parameters
        assert {array: (one.shape, one.trained) for array, one in parameters.items()} == {
            "dense.kernel": ((3, 4), True),
            "dense.bias": ((4,), True),
            "batch_normalization.gamma": ((4,), True),
            "batch_normalization.beta": ((4,), True),
            "batch_normalization.moving_mean": ((4,), False),
            "batch_normalization.moving_variance": ((4,), False),
            "output.kernel": ((4, 2), True),
            "output.bias": ((2,), True),
        }
    assert keras.layers.Dense(2).name != "dense"
    assert count_parameters(own(name)) == 12 + 4 + 8 + 10


def test_initial_values_are_those_of_its_initializers_by_the_seed_and_no_generator_notices():
    random.seed(5)
    np.random.seed(5)
    expected = random.random(), np.random.random()
    random.seed(5)
    np.random.seed(5)
    one, same, other = (build_model(own("Functional"), backend=NAME, seed=seed) for seed in (1, 1, 2))
    assert (random.random(), np.random.random()) == expected
    one, same, other = ({name: numbers(v) for name, v in m.by_name.items()} for m in (one, same, other))
    for name, value in one.items():
        np.testing.assert_array_equal(value, same[name])
    assert not np.array_equal(one["dense.kernel"], other["dense.kernel"])
    limit = (6 / (3 + 4)) ** 0.5  # Keras draws kernels by Glorot and Bengio
    assert 0.3 * limit < np.abs(one["dense.kernel"]).max() <= limit and not one["dense.bias"].any()
    assert (one["batch_normalization.moving_variance"] == 1).all()


def test_the_network_computes_what_keras_computes():
    learner, feed = learner_of(own("Functional", dropout=0.0))
    learner.train(feed, EverySteps(3), go_on)
    weights = learner.weights()
    alone = learner.model  # the same network as a plain model of Keras, with the weights of the learner
    from backends.keras.own_networks import Functional

    plain = Functional(dropout=0.0).keras((3,), 2)
    for name, layer in (("dense", 1), ("batch_normalization", 2), ("output", -1)):
        held = [value for key, value in weights.items() if key.startswith(f"{name}.")]
        plain.layers[layer].set_weights(held)
    np.testing.assert_allclose(learner.predict(X)["logits"], numbers(plain(X)), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(numbers(alone(X)), numbers(plain(X)), rtol=1e-6, atol=1e-6)


def learner_of(spec, seed=3, **train):
    train = {"backend": NAME, "loss": "cross_entropy", "batch_size": 2, "epochs": 2, **train}
    spec_of_train = TrainSpec.model_validate(train)
    feed = ArrayFeed({"x": X, "y": np.arange(6) % 2}, batch_size=2, seed=1)
    task = ModelTask(lay_out(spec, backend=NAME), spec_of_train, 2)
    return make_backend().prepare(task, feed, seed=seed, run_on=Resolved()), feed


@pytest.mark.parametrize("kind", ["Dropout", "SpatialDropout1D", "GaussianNoise"])
def test_what_a_layer_draws_depends_on_the_seed_of_the_run_and_the_step_alone(kind):
    def losses(seed):
        learner, feed = learner_of(own("Drawing", kind=kind), seed, optimizer={"name": "sgd", "lr": 1e-30})
        heard = []
        learner.train(feed, EverySteps(1), lambda one: heard.append(one.sums["loss"]) or go_on(one))
        first = [heard[n][0] - (heard[n - 1][0] if n % 3 else 0.0) for n in range(6)]
        assert sorted(np.diff(learner.weights()["constant.bias"]).tolist()) == [0.0]
        return first

    one, again = losses(3), losses(3)
    assert one == again
    assert losses(4) != one
    assert len(set(one)) == 6  # another draw at each step


@pytest.mark.parametrize(
    ("name", "args", "said"),
    [
        ("Nothing", {}, r"keras\(\) gave NoneType, not a keras\.Model"),
        ("Wide", {}, r"for 2 records of shape \(3,\) it gives \(2, 3\); it has to give .*\(2, 2\)"),
        ("Two", {}, r"it gives list; it has to give"),
        ("Regularized", {}, r"layers add losses of their own, .*train\.optimizer\.weight_decay"),
        ("Activity", {}, r"layers add losses of their own"),
        ("Counts", {}, r"its arrays have to be float32, not counts\.count \(int32\)"),
        ("Twins", {}, r"two of its arrays are called 'twin\.kernel'"),
        ("Global", {}, r"changes a variable that is none of its own"),
        ("Frozen", {}, r"every parameter is frozen; leave a layer"),
    ],
)
def test_a_network_that_cannot_be_trained_and_kept_is_refused(name, args, said):
    with pytest.raises(BackendError, match=rf"model\.use: backends\.keras\.own_networks:{name}: .*{said}"):
        lay_out(own(name, **args), backend=NAME)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("TorchOnly", r"TorchOnly has no method `keras`; it needs keras\(input_shape, outputs\)$"),
        ("function", r"model\.use: .*is not a class with keras"),
        ("Missing", r"model\.use: .*cannot be imported"),
    ],
)
def test_what_is_no_code_of_a_network_is_refused(name, said):
    with pytest.raises(SpecError, match=said):
        lay_out(own(name), backend=NAME)


@pytest.mark.parametrize("at", ["method", "first call", "later"])
def test_an_error_says_that_the_network_raised_it(at):
    with pytest.raises(ValueError, match="of my own") as caught:
        learner_of(own("Raises", at=at))[0].predict(X)
    assert [one for one in caught.value.__notes__ if "raised in" in one] == [
        "trainwright: raised in model: backends.keras.own_networks:Raises.keras"
    ]


def test_an_argument_that_does_not_fit_names_the_nearest():
    with pytest.raises(
        SpecError, match=r"model\.args: .*unexpected keyword argument 'wdith', nearest: 'width'"
    ):
        lay_out(own("Functional", wdith=3), backend=NAME)
