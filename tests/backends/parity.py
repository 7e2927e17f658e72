"""One model on every backend: outputs before and after the first step, from the same initial weights."""

import itertools
from dataclasses import dataclass

import numpy as np

from trainwright.backends import CATALOG
from trainwright.conversion import draw_probes
from trainwright.models.assemble import build_blueprint
from trainwright.models.task import ModelTask
from trainwright.spec.build import find
from trainwright.spec.losses import FITTING, HEADS
from trainwright.spec.model import ModelSpec
from trainwright.spec.model_settle import settle_model
from trainwright.spec.train import TrainSpec
from trainwright.train.feed import ArrayFeed, Batch
from trainwright.train.learner import Answer, Resolved

RECORDS = 12
BACKENDS = tuple(sorted(CATALOG))
PAIRS = tuple(itertools.combinations(BACKENDS, 2))
OPTIMIZERS = ("sgd", "adam", "adamw")
ARCHITECTURES = {
    "mlp": {"input_shape": [5]},
    "cnn": {"input_shape": [2, 12]},
    "transformer": {"input_shape": [2, 12], "patch_size": 3, "heads": 2},
    "unet": {"input_shape": [2, 12]},
}
OWN = {"name": "own", "use": "backends.own_losses:Asymmetric"}
SUM = {"name": "composite", "losses": [{"loss": "mse", "weight": 0.7}, {"loss": OWN, "weight": 0.3}]}
TASKS = {**FITTING, "regression": (*FITTING["regression"], "own", "composite")}


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Args:
        architecture: Of the model.
        task: What it predicts.
        loss: By its name.
    """

    architecture: str
    task: str
    loss: str


def fits(case):
    """Says whether an architecture has a task: a unet one with places, all others one without."""
    if case.architecture == "unet":
        return case.task in ("segmentation", "regression")
    return case.task != "segmentation"


CASES = tuple(
    case
    for architecture in ARCHITECTURES
    for task, losses in TASKS.items()
    for loss in losses
    if fits(case := Case(architecture, task, loss))
)


class TwoViews:
    """A feed that shows every record twice, the second time a little shifted."""

    def __init__(self, feed):
        self.feed, self.arrays = feed, None
        self.steps_per_epoch, self.records, self.seed = feed.steps_per_epoch, feed.records, feed.seed
        self.indices, self.span = feed.indices, feed.span

    def batch(self, step):
        batch = self.feed.batch(step)
        x = np.stack([batch.x, batch.x + np.float32(0.3)], axis=1)
        return Batch(x=x, y=batch.y, weight=batch.weight, ids=batch.ids)


class Once:
    """One step."""

    end = 1

    def next(self, step):
        return 1


def targets_of(case, shape):
    """Draws targets of a task; `shape` is that of the raw output of one target each."""
    numbers = np.random.default_rng(2)
    space = shape[1:]
    if case.task in ("classification", "embedding"):
        return np.arange(RECORDS) % 3
    if case.task == "segmentation":
        return numbers.integers(0, 3, (RECORDS, *space))
    if case.task == "multi_label":
        return (numbers.uniform(size=(RECORDS, 3)) < 0.4).astype(np.float32)
    return numbers.normal(size=(RECORDS, 2, *space)).astype(np.float32)


def outputs_of(case, optimizer, backend):
    """Gives the outputs of a model before and after its first step on a backend."""
    model = {
        "architecture": case.architecture,
        "task_type": case.task,
        "hidden_dims": [8, 8],
        "output_dim": {"regression": 2, "embedding": 4}.get(case.task, 3),
        "head": HEADS.get(case.loss, "point") if case.task == "regression" else "point",
        **ARCHITECTURES[case.architecture],
    }
    if model["head"] == "quantiles":
        model["quantiles"] = [0.1, 0.5, 0.9]
    spec = settle_model(ModelSpec.model_validate(model))
    blueprint = build_blueprint(spec, loss=case.loss)
    loss = {"own": OWN, "composite": SUM}.get(case.loss, case.loss)
    train = TrainSpec.model_validate(
        {
            "backend": backend,
            "epochs": 1,
            "batch_size": RECORDS,
            "loss": loss,
            "optimizer": {"name": optimizer, "lr": 1e-3},
        }
    )
    x = draw_probes(spec, count=RECORDS)
    y = targets_of(case, blueprint.output_shape)
    weight = np.linspace(0.5, 2.0, RECORDS).astype(np.float32)
    feed = ArrayFeed({"x": x, "y": y, "weight": weight}, batch_size=RECORDS, seed=1)
    if case.loss == "nt_xent":
        feed = TwoViews(feed)
    task = ModelTask(blueprint, train, 1, quantiles=tuple(spec.quantiles or ()), kind=case.task)
    made = find(backend, CATALOG, where="backend")()
    learner = made.prepare(task, feed, seed=4, run_on=Resolved())
    before = learner.predict(x)
    learner.train(feed, Once(), lambda one: Answer())
    return before, learner.predict(x)


def differ(left, right):
    """Gives the largest difference of an output over the largest output."""
    largest = 0.0
    for name, array in left.items():
        one, other = array.astype(np.float64), right[name].astype(np.float64)
        largest = max(largest, np.abs(one - other).max() / np.abs(one).max())
    return largest
