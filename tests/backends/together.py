"""One of two processes that train every case of `lightning/test_together.py`; run as a program, the second one."""

import json
import sys
from pathlib import Path

from backends.test_lightning import TestLightning
from contracts.learner import VARIANTS, EverySteps, go_on
from trainwright.backends.lightning.backend import LightningBackend
from trainwright.backends.lightning.place import Place, joined
from trainwright.backends.lightning.shared import SharedLearner
from trainwright.spec.lightning import LightningSpec
from trainwright.spec.losses import CrossEntropy

STEPS = 9  # three epochs of 22 records, 8 in a step, the last one of 6
CNN = {"architecture": "cnn", "hidden_dims": [4, 5], "normalization": "batch", "dropout": 0.2}
CASES = {
    **VARIANTS,
    "convolutions": {"model": CNN, "shape": (9,)},
    "images": {"model": CNN, "shape": (6, 7)},
    "images, accumulated, weighted": {
        "model": CNN,
        "shape": (6, 7),
        "accumulate": 2,
        "batch_size": 2,
        "weights": True,
    },
    "regression": {"task_type": "regression", "weights": True, "model": {"normalization": "layer"}},
    "weights of classes": {
        "loss": CrossEntropy(name="cross_entropy", class_weights=[1.0, 2.0, 0.5]),
        "weights": True,
    },
    "a process without records": {"batch_size": 10, "model": {"normalization": "batch", "dropout": 0.3}},
    "a process without records, plain": {"batch_size": 10, "clip_norm": 0.2},
}
# The steps of a line search hang on the last digits of a loss, also where batches are accumulated in one process.
del CASES["lbfgs"]


class _Backend(LightningBackend):
    def __init__(self, rank):
        self.rank = rank

    def prepare(self, task, feed, **options):
        return SharedLearner(task, feed, rank=self.rank, **options)


class _Making(TestLightning):
    def __init__(self, rank):
        self.rank = rank

    def make_backend(self):
        return _Backend(self.rank)


def train_all(rank, meeting):
    """Gives weights, sums and a digest of what was trained, by case."""
    found = {}
    with joined(Place(rank, 2), Path(meeting)):
        for name, options in CASES.items():
            learner, feed = _Making(rank).learner(lightning=LightningSpec(devices=2), **options)
            learner.fit(feed, EverySteps(4, end=STEPS), go_on)
            found[name] = learner.weights(), dict(learner.sums), learner.kept()[0]
    return found


if __name__ == "__main__":
    print(json.dumps({name: digest for name, (_, _, digest) in train_all(1, sys.argv[1]).items()}))
