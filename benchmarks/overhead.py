"""Measures our own Python per step, with a model that does nothing.

    python benchmarks/overhead.py

The loop, the feed, the callbacks, the metrics and a checkpoint per epoch are all on; the model, its gradients and the
optimizer are empty. The bare loop makes the same slices of the same tensors. CPU microseconds per step on one pinned
core, the least of five interleaved rounds; the difference is what trainwright adds. The same in Lightning's Trainer:
all of ours in it, beside a LightningModule written by hand, with the same slices.
"""

import logging
import os
import tempfile
import time
from pathlib import Path

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import lightning
import numpy as np
import torch

from trainwright.backends.lightning.learner import LightningLearner
from trainwright.backends.torch.learner import TorchLearner
from trainwright.backends.torch.optimizer import Optimizer
from trainwright.callbacks.checkpoint import Checkpoint
from trainwright.callbacks.stopping import EarlyStopping
from trainwright.models.assemble import build_blueprint
from trainwright.models.task import ModelTask
from trainwright.spec.model import ModelSpec
from trainwright.spec.train import Cosine, TrainSpec
from trainwright.store.datasets import register
from trainwright.store.run import LocalRun
from trainwright.store.store import Store
from trainwright.train.feed import ArrayFeed
from trainwright.train.learner import Resolved
from trainwright.train.loop import TrainingLoop

RECORDS, BATCH, EPOCHS = 320_000, 32, 2
NOTHING = torch.zeros(())  # the loss


class Nothing(TorchLearner):
    """Trains nothing."""

    def _gradients(self, x, y, weight):
        return NOTHING, ()


class NothingInLightning(LightningLearner):
    """Trains nothing in Lightning's Trainer."""

    def _gradients(self, x, y, weight):
        return NOTHING, ()


class ByHand(lightning.LightningModule):
    """Trains nothing, as one would write it."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.total = 0.0

    def training_step(self, batch, batch_idx):
        self.total += len(batch[0])
        return NOTHING

    def configure_optimizers(self):
        return []


class Slices:
    """The batches of an epoch."""

    def __init__(self, arrays):
        self.x, self.y = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"])

    def __len__(self):
        return RECORDS // BATCH

    def __iter__(self):
        order = torch.randperm(RECORDS)
        x, y = self.x[order], self.y[order]
        for i in range(0, RECORDS, BATCH):
            yield x[i : i + BATCH], y[i : i + BATCH]


class NoOptimizer(Optimizer):
    """Changes nothing."""

    def __init__(self):
        pass

    def step(self, gradients, *, lr, number):
        """Does nothing."""

    def state(self):
        """Gives nothing."""
        return {}


def ours(arrays, task, kind):
    feed = ArrayFeed(arrays, batch_size=BATCH, seed=0)
    learner = kind(task, feed, seed=0, run_on=Resolved())
    learner.optimizer = NoOptimizer()
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "store")
        nothing = "0" * 64
        row = register(store, name=None, recipe={}, recipe_digest=nothing, content_digest=nothing, splits={})
        run = LocalRun.begin(
            store,
            name="noop",
            resolved=task.train,
            folder=folder,
            seed=0,
            backend="torch",
            dataset=row.digest,
            operator={},
            environment={},
            best=("val/loss", "min"),
        )
        callbacks = [Checkpoint(), EarlyStopping(patience=100)]
        loop = TrainingLoop(learner, feed, run=run, epochs=EPOCHS, callbacks=callbacks)
        begin = time.process_time()
        loop.fit()
        run.flush()
        seconds = time.process_time() - begin
        run.finish("done")
    return seconds


def bare(arrays):
    x, y = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"])
    begin = time.process_time()
    for _ in range(EPOCHS):
        order = torch.randperm(RECORDS)
        epoch_x, epoch_y = x[order], y[order]
        total = 0.0
        for i in range(0, RECORDS, BATCH):
            batch = epoch_x[i : i + BATCH], epoch_y[i : i + BATCH]
            total += len(batch[0])
    return time.process_time() - begin


def by_hand(arrays):
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=EPOCHS,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module, loader = ByHand(), Slices(arrays)
    begin = time.process_time()
    trainer.fit(module, loader)
    return time.process_time() - begin


def main():
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    numbers = np.random.default_rng(0)
    arrays = {
        "x": numbers.normal(size=(RECORDS, 32)).astype(np.float32),
        "y": numbers.normal(size=(RECORDS, 1)).astype(np.float32),
    }
    plan = build_blueprint(
        ModelSpec(architecture="mlp", input_shape=[32], output_dim=1, hidden_dims=[64, 64])
    )
    train = TrainSpec(backend="torch", batch_size=BATCH, loss="mse", schedule=Cosine(name="cosine"))
    task = ModelTask(plan, train, EPOCHS)
    rounds = [
        (
            ours(arrays, task, Nothing),
            bare(arrays),
            ours(arrays, task, NothingInLightning),
            by_hand(arrays),
        )
        for _ in range(5)
    ]
    steps = EPOCHS * RECORDS // BATCH
    least = [min(one[n] for one in rounds) / steps * 1e6 for n in range(4)]
    for (mine, theirs), peer in ((least[:2], "bare loop"), (least[2:], "Lightning by hand")):
        print(
            f"trainwright {mine:.2f} us/step, {peer} {theirs:.2f} us/step, added {mine - theirs:.2f} us/step"
        )


if __name__ == "__main__":
    main()
