"""Both networks are one function: every architecture with every kind of record."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("equinox")

import jax
import jax.numpy as jnp

from backends.making import make_blueprint, make_weights
from models.shapes import MODELS, RAGGED, make_records
from trainwright.backends.equinox import network as equinox
from trainwright.backends.torch.network import Network
from trainwright.models.blueprint import Kind

TRAINED = [
    "mlp of an image",
    "residual mlp",
    "residual cnn with batch norm",
    "ragged cnn",
    "ragged transformer",
    "ragged transformer behind a convolution",
    "transformer of image patches",
    "transformer of tokens",
    "transformer of columns",
    "unet of an image",
    "unet of a sequence",
    "transformer with dropout",
    "reconstruction",
    "nt_xent",
    "gcn of nodes",
    "residual sage of nodes",
    "gat of nodes",
    "gin of nodes with batch norm",
    "gcn of pairs",
    "sage of arrows",
    "gcn of graphs",
    "gat of graphs",
    "gin of graphs with batch norm",
    "gcn of nodes with dropout",
    "gin of graphs with dropout",
]
EXTRA = {
    "reconstruction": {
        "architecture": "cnn",
        "input_shape": [2, 6],
        "task_type": "embedding",
        "hidden_dims": [4],
    },
    "transformer with dropout": {
        "architecture": "transformer",
        "input_shape": [6],
        "output_dim": 2,
        "hidden_dims": [8],
        "dropout": 0.4,
    },
    "gcn of nodes with dropout": {**MODELS["gcn of nodes"], "dropout": 0.4},
    "gin of graphs with dropout": {**MODELS["gin of graphs with batch norm"], "dropout": 0.3},
    "nt_xent": {"architecture": "mlp", "input_shape": [6], "task_type": "embedding", "hidden_dims": [8]},
}
EVALUATE = jax.jit(lambda network, x: network(x)[0])  # one compilation instead of one per operation


def both(model, **options):
    blueprint = make_blueprint(model, **options)
    weights = make_weights(blueprint)
    theirs = equinox.make_network(blueprint, weights, seed=3)
    return Network(blueprint, weights, seed=3), theirs


def close(left, right):
    left, right = np.asarray(left), np.asarray(right)
    assert left.shape == right.shape
    return np.abs(left - right).max() <= 1e-5 * np.abs(left).max()


@pytest.mark.parametrize("name", MODELS)
def test_both_backends_give_the_same_outputs(name):
    model = MODELS[name]
    ours, theirs = both(model)
    x = make_records(model)
    with torch.inference_mode():
        left = ours(torch.from_numpy(x.copy()), training=False).numpy()
    right = EVALUATE(theirs, jnp.asarray(x))

    assert left.shape == (len(x), *ours.blueprint.output_shape)
    assert np.isfinite(left).all() and left.std(0).min() > 1e-6  # the records are told apart
    assert close(left, right)


@pytest.mark.parametrize("name", TRAINED)
def test_both_backends_make_the_same_step_of_descent(name):
    model = MODELS.get(name) or EXTRA[name]
    ours, theirs = both(model, loss=name if name in EXTRA else None)
    x = make_records(model)

    with torch.no_grad():
        shape = ours(torch.from_numpy(x.copy()), training=True).shape
    ours, theirs = both(model, loss=name if name in EXTRA else None)  # running statistics as before
    target = np.random.default_rng(5).normal(size=shape).astype(np.float32)

    loss = (ours(torch.from_numpy(x.copy()), training=True) - torch.from_numpy(target)).square().mean()
    left = torch.autograd.grad(loss, ours.trained)

    def objective(trained):
        network = equinox.Network(
            trained, theirs.running, theirs.keys, theirs.blueprint, theirs.still, theirs.constants
        )
        outputs, running = network(jnp.asarray(x), position=(0, 0))
        return jnp.square(outputs - target).mean(), running

    gradients, running = jax.jit(jax.grad(objective, has_aux=True))(theirs.trained)
    names = [n for n, one in ours.blueprint.parameters.items() if one.trained]
    assert any(float(one.abs().max()) > 1e-4 for one in left)
    for parameter, mine in zip(names, left, strict=True):
        before = ours.tensors[parameter].detach().numpy()
        yours = equinox.turn(parameter, np.asarray(gradients[parameter]))
        assert close(before - 0.1 * mine.numpy(), before - 0.1 * yours), parameter
    for parameter, value in running.items():
        assert close(ours.tensors[parameter].numpy(), value), parameter


@pytest.mark.parametrize("names", [list(MODELS), TRAINED])
def test_every_kind_of_layer_is_among_the_models(names):
    models = [MODELS.get(name) or EXTRA[name] for name in names]
    seen = {layer.kind for model in models for layer in make_blueprint(model).layers}
    assert set(Kind.__args__) - seen <= {"dropout", "own"}  # of training; a network of the user's own


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.get("ragged")])
def test_padding_changes_nothing(name):
    model = MODELS[name]
    x = make_records(model)[:3]  # lengths 1, 3 and 5
    dirty = x.copy()
    dirty[:, :-1] += 9.0 * (x[:, -1:] == 0)
    for network in both(model):
        left, right = (run(network, records) for records in (x, dirty))
        np.testing.assert_array_equal(left, right)
    if model["architecture"] == "cnn":
        (wide, _), (narrow, _) = both(model), both({**model, "input_shape": [RAGGED[0], 8]})
        np.testing.assert_allclose(run(narrow, x[:, :, :8]), run(wide, x), rtol=1e-5, atol=1e-6)


def test_padding_tokens_change_nothing_and_other_tokens_do():
    model = MODELS["transformer of tokens"]
    x = make_records(model)[:3]  # lengths 1, 2 and 3
    network, _ = both(model)
    short = make_blueprint({**model, "input_shape": [4]})
    weights = network.arrays()
    weights["position.table"] = weights["position.table"][:4]
    np.testing.assert_allclose(run(Network(short, weights), x[:, :4]), run(network, x), rtol=1e-5, atol=1e-6)
    changed = x.copy()
    changed[:, 0] = changed[:, 0] % 10 + 1
    assert np.abs(run(network, changed) - run(network, x)).min(1).max() > 1e-6


@pytest.mark.parametrize("name", ["ragged cnn", "ragged transformer", "transformer of tokens"])
def test_a_record_of_padding_only_is_finite(name):
    model = MODELS[name]
    x = make_records(model)
    x[0] = 0.0
    for network in both(model):
        assert np.isfinite(run(network, x)).all()


def test_a_code_that_no_column_has_is_the_unknown_one():
    model = MODELS["transformer of columns"]
    x = make_records(model)
    unknown, strange = x.copy(), x.copy()
    unknown[:, 1], strange[:, 1] = 0, [3, 99, -1, np.nan, np.inf, 4]
    for network in both(model):
        np.testing.assert_array_equal(run(network, unknown), run(network, strange))
        assert not np.array_equal(run(network, unknown), run(network, x))


def test_a_token_that_is_not_in_the_vocabulary_never_passes_for_another():
    model = MODELS["transformer of tokens"]
    ours, theirs = both(model)
    for wrong in (11, -1):
        x = make_records(model)
        x[2, 0] = wrong
        with pytest.raises(IndexError):
            run(ours, x)
        assert np.isnan(run(theirs, x)[2]).all() and np.isfinite(run(theirs, x)[:2]).all()


@pytest.mark.parametrize(
    ("option", "base"),
    [
        ({"residual": True}, "mlp"),
        ({"residual": True}, "cnn of a sequence"),
        ({"residual": True}, "cnn of an image"),
        ({"activation": "softplus"}, "mlp"),
        ({"activation": "mish"}, "mlp"),
        ({"activation": "relu"}, "transformer of patches"),
        ({"normalization": "layer"}, "mlp"),
        ({"normalization": "layer"}, "cnn of a sequence"),
        ({"kernel_size": 5}, "unet of an image"),
        ({"kernel_size": 7}, "transformer behind a convolution"),
        ({"stride": 1}, "transformer behind a convolution"),
        ({"patch_size": 2}, "transformer of patches"),
        ({"heads": 2}, "transformer of patches"),
        ({"feedforward_factor": 2}, "transformer of patches"),
        ({"ragged": True}, "cnn of a sequence"),
        ({"ragged": True}, "transformer of patches"),
        ({"input": "image"}, "cnn of a sequence"),
        ({"categories": [0, 3, 0, 0, 0]}, "transformer of numeric columns"),
        ({"upscale": 2}, "unet of an image"),
        ({"vocabulary_size": 12}, "transformer of tokens"),
        ({"convolution": "sage"}, "gcn of graphs"),
        ({"convolution": "gin"}, "gcn of nodes"),
        ({"pooling": "mean"}, "gcn of graphs"),
        ({"pooling": "sum"}, "gcn of graphs"),
        ({"heads": 8}, "gat of nodes"),
        ({"residual": True}, "gcn of graphs"),
        ({"normalization": "layer"}, "gcn of nodes"),
    ],
    ids=str,
)
def test_an_option_that_is_given_is_not_ignored(option, base):
    model, x = MODELS[base], make_records(MODELS[base])
    plain, other = both(model)[0], both({**model, **option})[0]
    left, right = run(plain, x), run(other, x)

    if "vocabulary_size" in option:
        assert other.tensors["embed.table"].shape[0] == 12
    else:
        assert left.shape != right.shape or np.abs(left - right).max() > 1e-5


def run(network, x):
    if isinstance(network, Network):
        with torch.inference_mode():
            return network(torch.from_numpy(x.copy()), training=False).numpy()
    return np.asarray(EVALUATE(network, jnp.asarray(x)))


@pytest.mark.parametrize("loss", ["reconstruction", "nt_xent"])
def test_training_layers_follow_in_training_and_on_demand(loss):
    model = EXTRA[loss]
    ours, theirs = both(model, loss=loss)
    x = make_records(model)
    tensor = torch.from_numpy(x)
    expected = x.shape if loss == "reconstruction" else (len(x), 16)
    with torch.no_grad():
        whole = ours.whole(tensor).numpy()
        assert ours(tensor, training=False).shape == (len(x), 16)
        np.testing.assert_array_equal(whole, ours(tensor, training=True).numpy())
    assert whole.shape == expected and close(whole, theirs.whole(jnp.asarray(x)))


def test_predicting_needs_no_weights_of_training_layers():
    weights = make_weights(make_blueprint(EXTRA["reconstruction"], loss="reconstruction"))
    trained = make_blueprint(EXTRA["reconstruction"], loss="reconstruction")
    assert any(name.startswith("decoder") for name in trained.parameters)
    plain = make_blueprint(EXTRA["nt_xent"])
    assert not any(name.startswith(("decoder", "projection")) for name in plain.parameters)
    network = Network(trained, weights)
    assert run(network, make_records(EXTRA["reconstruction"])).shape == (6, 16)


@pytest.mark.parametrize(
    "name",
    [
        "transformer of tokens",
        pytest.param("transformer of columns", marks=pytest.mark.slow),
        pytest.param("ragged cnn", marks=pytest.mark.slow),
    ],
)
def test_both_learners_train_to_the_same_weights(name):
    from contracts.learner import EverySteps, go_on
    from trainwright.backends.equinox.backend import EquinoxBackend
    from trainwright.backends.torch.backend import TorchBackend
    from trainwright.models.task import ModelTask
    from trainwright.spec.train import SGD, TrainSpec
    from trainwright.train.feed import ArrayFeed
    from trainwright.train.learner import Resolved

    x = make_records(MODELS[name], 12)
    feed = ArrayFeed({"x": x, "y": np.arange(12) % 3}, batch_size=4, seed=0)
    blueprint, trained = make_blueprint(MODELS[name]), []
    for kind, backend in (("torch", TorchBackend()), ("equinox", EquinoxBackend())):
        spec = TrainSpec(
            backend=kind, batch_size=4, loss="cross_entropy", optimizer=SGD(name="sgd", lr=0.1, momentum=0.9)
        )
        learner = backend.prepare(ModelTask(blueprint, spec, 1), feed, seed=7, run_on=Resolved())
        start = learner.weights()
        for parameter, value in blueprint.initial(7).items():
            np.testing.assert_array_equal(start[parameter], value)
        learner.train(feed, EverySteps(3, end=3), go_on)
        trained.append(learner.weights())
    for parameter, value in trained[0].items():
        assert not np.array_equal(value, start[parameter]), parameter
        assert close(value, trained[1][parameter]), parameter
