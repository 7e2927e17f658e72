"""Nothing in a checkpoint is idle: whoever leaves an item out is told, whoever forgets what it was ends elsewhere."""

from copy import deepcopy

import numpy as np
import pytest

from stories.options import TORCH_ONLY, TRAINING, write_data
from train.resuming import Experimenting
from trainwright.base.errors import TrainwrightError
from trainwright.base.tensors import load_tree

pytest.importorskip("torch")

OPTIONS = {
    "train.epochs": 4,
    "data.weight": "w",
    "train.schedule": {"name": "plateau", "metric": "val/loss", "patience": 1, "factor": 0.5, "mode": "max"},
    "train.ema": {"decay": 0.9},
    "train.accumulate": 2,
    "train.batch_size": 8,
}
GRADIENTS = {"train.clip_norm": 0.5, "train.groups": [{"match": "*.bias", "lr_scale": 0.5}]}


def use(name, **args):
    return {"use": name, "args": args}


RUNS = {
    "adamw, bfloat16": {**OPTIONS, **GRADIENTS, "train.precision": "bfloat16"},
    "adamw, float16": {**OPTIONS, "train.precision": "float16"},
    "rmsprop": {**OPTIONS, **GRADIENTS, **TRAINING["rmsprop"]},
    "adagrad": {**OPTIONS, **GRADIENTS, **TRAINING["adagrad"]},
    "sgd": {**OPTIONS, **GRADIENTS, **TRAINING["sgd"]},
    "lbfgs": {**OPTIONS, **TORCH_ONLY["lbfgs"], "train.batch_size": 8},
    "early stopping": {
        "train.epochs": 6,
        "train.callbacks": [use("EarlyStopping", metric="train/loss", mode="max", patience=3)],
    },
    "time limit": {"train.epochs": 4, "train.callbacks": [use("TimeLimit", seconds=17)]},
    "patient plateau": {**OPTIONS, "train.schedule": {**OPTIONS["train.schedule"], "patience": 2}},
}
K = 12  # in the middle of the third epoch of five steps
# Items without an effect of their own, each with its reason.
IDLE = {
    (
        "learner",
        "rate_scale",
    ): "the loop sets it after a resume; only a learner without a loop goes on with it",
}
# Items that may be at K what they are at the beginning; each is another in one of the runs or in a test of its own.
AS_BEGUN = {("stopped",), ("diverged",), ("learner", "rate_scale")}
AS_BEGUN |= {("rate_scale", "waited"), ("rate_scale", "value"), ("rate_scale", "best")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("data")
    write_data(place)
    return place


def paths(tree, path=()):
    """Yields the path of each leaf; an empty dict or list is one."""
    if isinstance(tree, dict) and tree:
        for key in sorted(tree):
            yield from paths(tree[key], (*path, key))
    elif isinstance(tree, list) and tree:
        for number, item in enumerate(tree):
            yield from paths(item, (*path, number))
    else:
        yield path


def place(tree, path):
    for key in path[:-1]:
        tree = tree[key]
    return tree, path[-1]


def same(one, other):
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and np.array_equal(one, other, equal_nan=True)
    return type(one) is type(other) and (one == other or (one != one and other != other))


class Walk:
    """A run, one of its checkpoints, and what comes of it."""

    def __init__(self, experiment, k):
        self.experiment, self.k = experiment, k
        self.kept = load_tree(experiment.run.states[k])
        self.fresh = experiment.fresh_state()
        self.right = self.end(self.kept)

    def end(self, state):
        return self.experiment.train(state)[1]

    def without(self, path):
        """Says whether leaving an item out is noticed: by an error, or by another end."""
        broken = deepcopy(self.kept)
        node, key = place(broken, path)
        del node[key]
        try:
            return self.end(broken) != self.right
        except TrainwrightError as error:
            return "state" in str(error) or "checkpoint" in str(error)

    def forgotten(self, path):
        """Says whether an item as it is at the beginning leads to another end; None if it is as it was then."""
        broken = deepcopy(self.kept)
        node, key = place(broken, path)
        try:
            fresh, there = place(self.fresh, path)
            value = fresh[there]
        except LookupError:
            return None  # it grew meanwhile; that it is there at all is for `without`
        if same(node[key], value):
            return None
        node[key] = value
        try:
            return self.end(broken) != self.right
        except TrainwrightError:
            return True


@pytest.mark.parametrize("name", RUNS)
def test_every_item_of_a_checkpoint_matters(folder, name, monkeypatch):
    # So that some steps overflow, and the scale grows again, within a short run.
    monkeypatch.setattr("trainwright.backends.torch.scaler.FIRST", 2.0**24)
    monkeypatch.setattr("trainwright.backends.torch.scaler.GROWTH_INTERVAL", 4)
    experiment = Experimenting(RUNS[name], folder)
    assert experiment.whole["step"] - 1 > K
    walk = Walk(experiment, K)
    every = [path for path in paths(walk.kept) if "seen" not in path]
    assert len(every) > 20
    unnoticed = [path for path in every if not walk.without(path)]
    assert unnoticed == [], "these may be missing, and nobody says so"
    effects = {path: walk.forgotten(path) for path in every}
    without_effect = [path for path, effect in effects.items() if effect is False and path not in IDLE]
    assert without_effect == [], "these are kept, and change nothing"
    unchanged = {path for path, effect in effects.items() if effect is None}
    # There are no metrics at the beginning: leaving one out is forgetting it. A callback's name is no state.
    unchanged -= {
        path for path in every if path[0] == "metrics" or (path[0] == "callbacks" and len(path) < 4)
    }
    assert unchanged <= AS_BEGUN
    if "schedule" in str(RUNS[name]):
        assert effects["rate_scale", "best"]
        assert effects["rate_scale", "waited" if name == "patient plateau" else "value"]


def test_a_run_that_has_stopped_does_not_go_on_though_it_was_killed_before_it_was_finished(folder):
    experiment = Experimenting(RUNS["time limit"], folder)
    walk = Walk(experiment, experiment.whole["step"])
    assert walk.right["outcome"] == experiment.whole["outcome"] and walk.kept["stopped"]
    assert walk.without(("stopped",)) and walk.forgotten(("stopped",))


def test_a_loss_that_is_not_finite_is_warned_of_once_in_the_life_of_a_run(folder):
    wild = {
        "train.optimizer": {"name": "sgd", "lr": 1e30},
        "model": {"architecture": "mlp", "hidden_dims": [8], "dropout": 0.0},
    }
    experiment = Experimenting(wild, folder)
    (warning,) = experiment.whole["warnings"]
    assert warning.startswith("the loss of step 2 is not a finite number") and "StopOnNaN" in warning
    after = Walk(experiment, 3)
    assert after.right["warnings"] == [] and Walk(experiment, 1).right["warnings"] == [warning]
    assert after.without(("diverged",)) and after.forgotten(("diverged",))
