"""Keras and torch compute the same: every architecture and task, before and after the first step."""

import numpy as np
import pytest

from backends.keras.engine import ENGINE, NAME, make_backend
from backends.making import make_weights
from contracts.learner import VARIANTS, EverySteps, LearnerContract, go_on
from models.shapes import IMAGE, MODELS, RAGGED, SEQUENCE, make_records
from trainwright.models.assemble import build_blueprint
from trainwright.models.task import ModelTask
from trainwright.spec.model import ModelSpec
from trainwright.spec.train import SGD, Adam, AdamW, TrainSpec
from trainwright.train.feed import ArrayFeed, Batch
from trainwright.train.learner import Resolved

pytest.importorskip("torch")

from trainwright.backends.torch.backend import TorchBackend

RECORDS = 12
OPTIMIZERS = {
    "sgd": SGD(name="sgd", lr=1e-3, momentum=0.9),
    "adam": Adam(name="adam", lr=1e-3, weight_decay=0.01),
    "adamw": AdamW(name="adamw", lr=1e-3),
}
SMALL = {"hidden_dims": [8, 8], "output_dim": 3}
ARCHITECTURES = {
    "mlp": {"architecture": "mlp", "input_shape": [5], "dropout": 0.3, **SMALL},
    "cnn": {"architecture": "cnn", "input_shape": SEQUENCE, "normalization": "batch", **SMALL},
    "transformer": {"architecture": "transformer", "input_shape": SEQUENCE, "patch_size": 4, **SMALL},
    "ragged": {"architecture": "cnn", "input_shape": RAGGED, "ragged": True, **SMALL},
    "unet": {"architecture": "unet", "input_shape": IMAGE, "hidden_dims": [4, 6], "output_dim": 3},
}
CLASSES = np.arange(RECORDS) % 3
TASKS = {
    "classification": ({}, {"name": "cross_entropy", "label_smoothing": 0.1}),
    "shares": (
        {},
        {
            "name": "composite",
            "losses": [
                {"loss": {"name": "cross_entropy", "label_smoothing": 0.1}},
                {"loss": {"name": "kl", "temperature": 2.0}},
            ],
        },
    ),
    "multi_label": ({}, "binary_cross_entropy"),
    "regression": ({}, "huber"),
    "mean_variance": ({"task_type": "regression", "head": "mean_variance"}, "gaussian_nll"),
    "mixture": ({"task_type": "regression", "head": "mixture", "components": 2}, "mixture_nll"),
    "quantiles": ({"task_type": "regression", "head": "quantiles"}, "quantile"),
    "embedding": ({"task_type": "embedding", "output_dim": 6}, "supervised_contrastive"),
    "triplets": ({"task_type": "embedding", "output_dim": 6}, "triplet"),
    "autoencoder": ({"task_type": "embedding", "output_dim": 6}, "reconstruction"),
    "views": ({"task_type": "embedding", "output_dim": 6}, "nt_xent"),
    "segmentation": ({"task_type": "segmentation"}, "cross_entropy"),
}
CASES = {name: (model, None) for name, model in MODELS.items() if model["architecture"] != "gnn"} | {
    f"{architecture}, {task}": (ARCHITECTURES[architecture] | options, loss)
    for architecture in ARCHITECTURES
    for task, (options, loss) in TASKS.items()
    if (architecture == "unet") == (task == "segmentation")
    and (architecture != "ragged" or task == "regression")
}
# On JAX each case is compiled, which takes seconds: a few of them, and the rest is slow.
QUICK_ON_JAX = {
    "residual cnn with batch norm": "adam",
    "ragged transformer": "adamw",
    "unet of a sequence": "sgd",
}
PAIRS = [
    pytest.param(
        case, rule, marks=[] if ENGINE == "torch" or QUICK_ON_JAX.get(case) == rule else pytest.mark.slow
    )
    for case in CASES
    for rule in OPTIMIZERS
]


class Views:
    """A feed that shows every record twice, the second time a little shifted."""

    def __init__(self, feed):
        self.feed, self.arrays = feed, None
        self.steps_per_epoch, self.records, self.seed = feed.steps_per_epoch, feed.records, feed.seed
        self.indices, self.span = feed.indices, feed.span

    def batch(self, step):
        found = self.feed.batch(step)
        x = np.stack([found.x, found.x + np.float32(0.1)], axis=1)
        return Batch(x=x, y=found.y, weight=found.weight, ids=found.ids)


def make_target(loss, spec, blueprint, numbers):
    space = blueprint.output_shape[1:]
    if loss in ("cross_entropy", "supervised_contrastive", "triplet", "reconstruction", "nt_xent"):
        return numbers.integers(0, 3, (RECORDS, *space)) if space else CLASSES
    if loss == "composite":
        return numbers.dirichlet(np.ones(3), RECORDS).astype(np.float32)
    if loss == "binary_cross_entropy":
        return numbers.integers(0, 2, (RECORDS, 3)).astype(np.float32)
    return numbers.normal(size=(RECORDS, spec.output_dim, *space)).astype(np.float32)


def both(model, loss, optimizer):
    """Prepares torch's learner and Keras' of one task, from the same values."""
    if model.get("head") == "quantiles":
        model = {**model, "quantiles": [0.1, 0.5, 0.9]}
    spec, numbers = ModelSpec(**model), np.random.default_rng(3)
    loss = loss or {"mean_variance": "gaussian_nll", "quantiles": "quantile"}.get(model.get("head"))
    loss = loss or ("triplet" if model.get("task_type") == "embedding" else "cross_entropy")
    name = loss if isinstance(loss, str) else loss["name"]
    blueprint = build_blueprint(spec, loss=name)
    x = make_records(model, RECORDS)
    arrays = {"x": x, "y": make_target(name, spec, blueprint, numbers)}
    arrays["weight"] = numbers.uniform(0.5, 2.0, RECORDS).astype(np.float32)
    feed = ArrayFeed(arrays, batch_size=RECORDS, seed=1)
    feed = Views(feed) if name == "nt_xent" else feed
    learners = []
    for kind, backend in (("torch", TorchBackend()), (NAME, make_backend())):
        train = TrainSpec.model_validate(
            {"backend": kind, "loss": loss, "optimizer": optimizer, "batch_size": RECORDS}
        )
        task = ModelTask(
            blueprint, train, 1, quantiles=tuple(spec.quantiles or ()), components=spec.components
        )
        learners.append(backend.prepare(task, feed, seed=7, run_on=Resolved()))
        for parameter, value in blueprint.initial(7).items():
            np.testing.assert_array_equal(learners[-1].weights()[parameter], value)
        learners[-1].load_weights(make_weights(blueprint))
    return *learners, feed, x


def assert_close(left, right):
    assert left.keys() == right.keys()
    for name, array in left.items():
        assert array.shape == right[name].shape and array.dtype == right[name].dtype
        assert np.abs(array - right[name]).max() <= 1e-5 * np.abs(array).max(), name


@pytest.mark.parametrize(("case", "rule"), PAIRS)
def test_keras_and_torch_agree_before_and_after_the_first_step(case, rule):
    theirs, ours, feed, x = both(*CASES[case], OPTIMIZERS[rule])
    before = theirs.predict(x)
    assert_close(before, ours.predict(x))
    for learner in (theirs, ours):
        learner.train(feed, EverySteps(1, end=1), go_on)
    after = theirs.predict(x)
    assert any(np.abs(after[name] - before[name]).max() > 1e-5 * np.abs(before[name]).max() for name in after)
    assert_close(after, ours.predict(x))
    assert ours.sums["loss"] == pytest.approx(theirs.sums["loss"], rel=1e-5)


@pytest.mark.parametrize(
    "variant", [name for name in VARIANTS if not any(word in name for word in ("lbfgs", "float16"))]
)
def test_keras_and_torch_train_alike_with_an_option(variant):
    class Torch(LearnerContract):
        backend = "torch"

        def make_backend(self):
            return TorchBackend()

    class Keras(Torch):
        backend = NAME

        def make_backend(self):
            return make_backend()

    (ours, feed), (theirs, _) = (one().learner(3, **VARIANTS[variant]) for one in (Keras, Torch))
    for learner in (ours, theirs):
        learner.train(feed, EverySteps(2, end=8), go_on)
    expected = theirs.weights()
    for name, array in ours.weights().items():
        np.testing.assert_allclose(array, expected[name], atol=2e-4, err_msg=name)
    state, wanted = ours.state()["optimizer"], theirs.state()["optimizer"]
    assert {slot: list(found) for slot, found in state.items()} == {
        slot: list(found) for slot, found in wanted.items()
    }
