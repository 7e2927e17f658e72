"""The workloads of the speed comparison, and who trains them; run by `training_speed.py`, each in its own process.

Every contender starts from the same initial weights, sees the same records in the same order and validates after each
epoch (one forward pass over the validation records, and the loss), so the final loss must agree; a contender that
trains something else is found out. CPU seconds of the whole process (all threads) are
counted from the end of the first epoch to the end of the last.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from trainwright.models.assemble import build_blueprint
from trainwright.spec.model import ModelSpec
from trainwright.train.feed import ArrayFeed

WORKLOADS = {
    "mlp128": {"model": {"architecture": "mlp", "hidden_dims": [128, 128]}, "batch": 256, "epochs": 8},
    "mlp64": {"model": {"architecture": "mlp", "hidden_dims": [64, 64]}, "batch": 32, "epochs": 6},
    "cnn": {"model": {"architecture": "cnn", "hidden_dims": [16, 32, 64]}, "batch": 64, "epochs": 3},
}
LR, DECAY, SEED = 1e-3, 1e-2, 0


class Work:
    def __init__(self, name):
        self.name = name
        self.batch, self.epochs = WORKLOADS[name]["batch"], WORKLOADS[name]["epochs"]
        numbers = np.random.default_rng(0)
        if name == "cnn":
            self.x = numbers.normal(size=(6400, 1, 28, 28)).astype(np.float32)
            self.y = (np.abs(self.x[:, 0, :14]).mean((1, 2)) * 40).astype(np.int64) % 10
            self.val = (self.x[:1000], self.y[:1000])
            self.loss = "cross_entropy"
        else:
            x = numbers.normal(size=(60_000, 32)).astype(np.float32)
            y = (np.sin(x[:, :1]) + 0.5 * x[:, 1:2]).astype(np.float32)
            self.x, self.y, self.val = x[:50_000], y[:50_000], (x[50_000:], y[50_000:])
            self.loss = "mse"
        outputs = 10 if name == "cnn" else 1
        shape = list(self.x.shape[1:])
        self.spec = ModelSpec(input_shape=shape, output_dim=outputs, **WORKLOADS[name]["model"])
        self.plan = build_blueprint(self.spec)
        self.weights = self.plan.initial(SEED)
        self.feed = ArrayFeed({"x": self.x, "y": self.y}, batch_size=self.batch, seed=SEED)
        self.steps = self.feed.steps_per_epoch

    def order(self, epoch):
        return np.concatenate([self.feed.indices(epoch * self.steps + n) for n in range(self.steps)])


class Watch:
    """Notes CPU seconds at each epoch's end, and the loss of the last."""

    def __init__(self, work):
        self.work, self.times, self.loss = work, [], float("nan")

    def epoch(self, loss):
        self.times.append(time.process_time())
        self.loss = float(loss)

    def result(self):
        seconds = self.times[-1] - self.times[0]
        return {
            "samples_per_cpu_second": len(self.work.x) * (len(self.times) - 1) / seconds,
            "final_loss": self.loss,
        }


def torch_network(work):
    import torch
    from torch import nn

    torch.set_num_threads(1)
    layers, widths = [], WORKLOADS[work.name]["model"]["hidden_dims"]
    if work.name == "cnn":
        for inner, outer in zip([1, *widths], widths, strict=False):
            layers += [nn.Conv2d(inner, outer, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 10)]
    else:
        for inner, outer in zip([32, *widths], widths, strict=False):
            layers += [nn.Linear(inner, outer), nn.ReLU()]
        layers += [nn.Linear(widths[-1], 1)]
    net = nn.Sequential(*layers)
    with torch.no_grad():
        for parameter, values in zip(net.parameters(), work.weights.values(), strict=True):
            parameter.copy_(torch.from_numpy(values))
    return net


def torch_loss(work):
    import torch.nn.functional as F

    return F.cross_entropy if work.name == "cnn" else F.mse_loss


def torch_validation(work, net, loss_of):
    import torch

    x, y = (torch.from_numpy(array) for array in work.val)

    def validate():
        with torch.no_grad():
            return loss_of(net(x), y).item()

    return validate


def dataloader(work, watch):
    import torch
    from torch.utils.data import DataLoader, Sampler, TensorDataset

    net, loss_of = torch_network(work), torch_loss(work)
    optimizer = torch.optim.AdamW(net.parameters(), lr=LR, weight_decay=DECAY)

    class Same(Sampler):
        epoch = 0

        def __len__(self):
            return len(work.x)

        def __iter__(self):
            self.epoch += 1
            return iter(work.order(self.epoch - 1).tolist())

    data = TensorDataset(torch.from_numpy(work.x), torch.from_numpy(work.y))
    loader = DataLoader(data, batch_size=work.batch, sampler=Same())
    validate = torch_validation(work, net, loss_of)
    for _ in range(work.epochs):
        total = 0.0
        for x, y in loader:
            loss = loss_of(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x)
        validate()
        watch.epoch(total / len(work.x))


def slicing(work, watch, *, fused=False):
    import torch

    net, loss_of = torch_network(work), torch_loss(work)
    optimizer = torch.optim.AdamW(net.parameters(), lr=LR, weight_decay=DECAY, fused=fused)
    x, y = torch.from_numpy(work.x), torch.from_numpy(work.y)
    validate = torch_validation(work, net, loss_of)
    for epoch in range(work.epochs):
        total = torch.zeros(())
        for chosen in torch.from_numpy(work.order(epoch)).split(work.batch):
            loss = loss_of(net(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(chosen)
        validate()
        watch.epoch(total / len(x))


def slicing_fused(work, watch):
    slicing(work, watch, fused=True)


def lightning(work, watch):
    import logging
    import warnings

    import lightning as L
    import torch
    from torch.utils.data import DataLoader, Sampler, TensorDataset

    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    net, loss_of = torch_network(work), torch_loss(work)

    class Same(Sampler):
        epoch = 0

        def __len__(self):
            return len(work.x)

        def __iter__(self):
            self.epoch += 1
            return iter(work.order(self.epoch - 1).tolist())

    validate = torch_validation(work, net, loss_of)

    class Module(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.net, self.total = net, 0.0

        def training_step(self, batch, _):
            loss = loss_of(self.net(batch[0]), batch[1])
            self.total += loss.item() * len(batch[0])
            return loss

        def on_train_epoch_end(self):
            validate()
            watch.epoch(self.total / len(work.x))
            self.total = 0.0

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=LR, weight_decay=DECAY)

    data = TensorDataset(torch.from_numpy(work.x), torch.from_numpy(work.y))
    trainer = L.Trainer(
        max_epochs=work.epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(), DataLoader(data, batch_size=work.batch, sampler=Same()))


def bare_jax(work, watch):
    import jax
    import jax.numpy as jnp
    import optax

    optimizer = optax.adamw(LR, weight_decay=DECAY)
    weights = {name: jnp.asarray(array) for name, array in work.weights.items()}
    state = optimizer.init(weights)
    x, y = jnp.asarray(work.x), jnp.asarray(work.y)
    names = [f"dense_{n}" for n in range(len(WORKLOADS[work.name]["model"]["hidden_dims"]))]

    def loss_of(weights, x, y):
        for name in names:
            x = jax.nn.relu(x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"])
        return jnp.mean((x @ weights["output.weight"].T + weights["output.bias"] - y) ** 2)

    def step(carry, chosen):
        weights, state = carry
        loss, gradients = jax.value_and_grad(loss_of)(weights, x[chosen], y[chosen])
        updates, state = optimizer.update(gradients, state, weights)
        return (optax.apply_updates(weights, updates), state), loss

    epoch_of = jax.jit(lambda carry, order: jax.lax.scan(step, carry, order), donate_argnums=0)
    last_of = jax.jit(step, donate_argnums=0)
    validate = jax.jit(loss_of)
    val = tuple(jnp.asarray(array) for array in work.val)
    carry, full = (weights, state), len(work.x) // work.batch
    for epoch in range(work.epochs):
        order = work.order(epoch).astype(np.int32)
        carry, losses = epoch_of(carry, order[: full * work.batch].reshape(full, work.batch))
        total = float(losses.sum()) * work.batch
        if full * work.batch < len(order):
            carry, loss = last_of(carry, order[full * work.batch :])
            total += float(loss) * (len(order) - full * work.batch)
        float(validate(carry[0], *val))
        watch.epoch(total / len(work.x))


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
        scores = ClassificationScores() if work.name == "cnn" else RegressionScores()
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


def ours_torch(work, watch):
    ours(work, watch, backend="torch")


def ours_equinox(work, watch):
    ours(work, watch, backend="equinox")


CONTENDERS = {
    "dataloader loop": dataloader,
    "slicing loop": slicing,
    "slicing loop, fused": slicing_fused,
    "Lightning Trainer": lightning,
    "bare JAX loop": bare_jax,
    "trainwright torch": ours_torch,
    "trainwright equinox": ours_equinox,
}

if __name__ == "__main__":
    work = Work(sys.argv[1])
    watch = Watch(work)
    CONTENDERS[sys.argv[2]](work, watch)
    print(json.dumps(watch.result()))
