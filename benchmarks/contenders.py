"""Who trains the workloads: ours, with everything on, and the peers, with nothing on."""

import tempfile
from functools import partial
from pathlib import Path

import peers_jax
import peers_torch
from workloads import DECAY, LR, SEED


def ours(work, watch, *, backend):
    """The whole loop with a real store: callbacks, metrics, validation and a checkpoint in every epoch."""
    from trainwright.backends import CATALOG
    from trainwright.callbacks.checkpoint import Checkpoint
    from trainwright.callbacks.stopping import EarlyStopping
    from trainwright.models.task import ModelTask
    from trainwright.routines.classification import ClassificationScores
    from trainwright.routines.regression import RegressionScores
    from trainwright.spec.build import find
    from trainwright.spec.train import AdamW, TrainSpec
    from trainwright.store.datasets import register
    from trainwright.store.run import LocalRun
    from trainwright.store.store import Store
    from trainwright.train.callback import Callback
    from trainwright.train.learner import Resolved
    from trainwright.train.loop import TrainingLoop
    from trainwright.train.routine import Examples, View

    class Ticks(Callback):
        def on_epoch(self, moment):
            watch.epoch(moment.metrics["train/loss"])

    train = TrainSpec(
        backend=backend,
        batch_size=work.batch,
        loss=work.loss,
        optimizer=AdamW(name="adamw", lr=LR, weight_decay=DECAY),
    )
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "store")
        row = register(
            store, name=None, recipe={}, recipe_digest="0" * 64, content_digest="0" * 64, splits={}
        )
        run = LocalRun.begin(
            store,
            name="bench",
            resolved=train,
            folder=folder,
            seed=SEED,
            backend=backend,
            dataset=row.digest,
            operator={"work": work.name},
            environment={},
            best=("val/loss", "min"),
        )
        run.keep(last=3, best=1)
        made = find(backend, CATALOG, where="train.backend")()
        learner = made.prepare(
            ModelTask(work.plan, train, work.epochs), work.feed, seed=SEED, run_on=Resolved(threads=1)
        )
        scores = RegressionScores() if work.loss == "mse" else ClassificationScores()
        TrainingLoop(
            learner,
            work.feed,
            run=run,
            epochs=work.epochs,
            routines=[scores],
            callbacks=[EarlyStopping(patience=1000), Checkpoint(), Ticks()],
            make_view=lambda one: View(one, {"val": Examples(*work.val)}),
        ).fit()
        run.finish("done")


CONTENDERS = {
    "dataloader loop": peers_torch.dataloader,
    "slicing loop": peers_torch.slicing,
    "slicing loop, fused": partial(peers_torch.slicing, fused=True),
    "Lightning Trainer": peers_torch.lightning,
    "Hugging Face Trainer": peers_torch.hugging_face,
    "skorch": peers_torch.skorch,
    "Keras, JAX": partial(peers_jax.keras, backend="jax"),
    "Keras, torch": partial(peers_jax.keras, backend="torch"),
    "Equinox, step by step": peers_jax.step_by_step,
    "bare JAX loop": peers_jax.bare,
    "trainwright torch": partial(ours, backend="torch"),
    "trainwright equinox": partial(ours, backend="equinox"),
}
# The adapters of frameworks that bring a loop of their own; only `adapters.py` runs them.
ADAPTERS = {
    f"trainwright {name}": partial(ours, backend=name) for name in ("lightning", "keras-jax", "keras-torch")
}
