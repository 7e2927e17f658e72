"""A spec-built model in training as a chain of compiled stretches."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from trainwright.backends.equinox.network import Network
from trainwright.backends.equinox.program import Parts, Training, programs_of
from trainwright.base.errors import BackendError
from trainwright.base.random import Stream, stream
from trainwright.base.tree import Array, Tree
from trainwright.models.blueprint import Blueprint
from trainwright.models.task import ModelTask
from trainwright.train.clock import Clock
from trainwright.train.feed import Batch, Feed
from trainwright.train.learner import Answer, Learner
from trainwright.train.schedule import rates

PREDICT_BATCH = 1024


def turn(array: Array) -> Array:
    """Turns dense weights between the neutral (out, in) and the (in, out) that XLA multiplies a tenth faster."""
    return np.ascontiguousarray(array.T) if array.ndim == 2 else array


def make_network(blueprint: Blueprint, weights: Mapping[str, Array], *, seed: int) -> Network:
    """Makes a network with given values."""
    arrays = {name: jnp.array(turn(np.asarray(weights[name]))) for name in blueprint.parameters}
    trained = {name: arrays[name] for name, one in blueprint.parameters.items() if one.trained}
    running = {name: arrays[name] for name, one in blueprint.parameters.items() if not one.trained}
    streams = {
        one.name: stream(seed, "dropout", one.name) for one in blueprint.layers if one.kind == "dropout"
    }
    keys = {name: Stream(jnp.int32(one.first), jnp.int32(one.second)) for name, one in streams.items()}
    return Network(trained, running, keys, blueprint)


_evaluate = jax.jit(lambda network, x: network(x)[0])


def predict(network: Network, x: Array, *, output: str, batch_size: int | None) -> dict[str, Array]:
    """Predicts in batches of one fixed size; the last one is filled up, so that there is one compilation.

    Args:
        network: It is not changed.
        x: Inputs after preprocessing, shape `(records, ...)`.
        output: Name of the output.
        batch_size: Records at once; 1024 unless given.
    """
    size = batch_size or PREDICT_BATCH
    parts = []
    for i in range(0, len(x), size):
        piece = x[i : i + size]
        missing = size - len(piece)
        filled = np.pad(piece, [(0, missing), *[(0, 0)] * (x.ndim - 1)]) if missing else piece
        parts.append(np.asarray(_evaluate(network, jnp.asarray(filled)))[: len(piece)])
    empty = np.empty((0, network.blueprint.output_dim), dtype=np.float32)
    return {output: np.concatenate(parts) if parts else empty}


class EquinoxLearner:
    """A spec-built model in training.

    Args:
        task: What is trained.
        feed: Which records make a step; resident arrays are put on the device once.
        seed: Of initial values and dropout.
    """

    def __init__(self, task: ModelTask, feed: Feed, *, seed: int) -> None:
        self.task = task
        self.step = 0
        self.rate_scale = 1.0
        self._seed = seed
        self._programs = programs_of(task)
        network = make_network(task.blueprint, task.blueprint.initial(seed), seed=seed)
        self._training = Training(network, self._programs.optimizer.init(network.trained))
        self._output = next(iter(task.outputs))
        self._sum, self._weight = 0.0, 0.0
        self._steps = task.epochs * feed.steps_per_epoch
        self._plan: tuple[int, Any] = (-1, None)
        self._data: Any = None
        if feed.arrays is not None and not task.blueprint.has_convolutions:
            weight = feed.arrays.get("weight")
            x, y = jnp.asarray(feed.arrays["x"]), jnp.asarray(feed.arrays["y"])
            self._data = (x, y, None if weight is None else jnp.asarray(weight))

    @property
    def sums(self) -> Mapping[str, tuple[float, float]]:
        """Gives `(sum, weight)` of the loss over the open epoch."""
        return {"loss": (self._sum, self._weight)}

    def train(self, feed: Feed, clock: Clock, tell: Callable[[Learner], Answer]) -> None:
        """Trains until `clock.end`, tells exactly at each `clock.next`, returns right after a stop."""
        while self.step < clock.end:
            self._advance(feed, clock.next(self.step))
            answer = tell(self)
            self.rate_scale = answer.rate_scale
            if answer.stop is not None:
                return

    def predict(self, x: Tree, *, batch_size: int | None = None) -> dict[str, Array]:
        """Predicts in evaluation mode; leaves the state untouched."""
        rows: Any = x  # an array, or rows that are read as they are sliced
        return predict(self._training.network, rows, output=self._output, batch_size=batch_size)

    def state(self) -> Tree:
        """Gives all that the next step depends on, as a copy."""
        tree: Any = {
            "step": self.step,
            "rate_scale": self.rate_scale,
            "loss_sum": self._sum,
            "loss_weight": self._weight,
            "weights": self.weights(),
            "optimizer": [np.array(leaf) for leaf in jax.tree.leaves(self._training.moments)],
        }
        return tree

    def load_state(self, tree: Tree) -> None:
        """Takes back what `state` gave.

        Raises:
            BackendError: If an item is missing.
        """
        kept: Any = tree
        leaves, shape = jax.tree.flatten(self._training.moments)
        try:
            if len(kept["optimizer"]) != len(leaves):
                raise BackendError(
                    f"equinox: the state has {len(kept['optimizer'])} optimizer arrays, {len(leaves)} are needed"
                )
            self.load_weights(kept["weights"])
            moments = jax.tree.unflatten(shape, [jnp.array(leaf) for leaf in kept["optimizer"]])
            self._training = Training(self._training.network, moments)
            self.step, self.rate_scale = kept["step"], kept["rate_scale"]
            self._sum, self._weight = kept["loss_sum"], kept["loss_weight"]
        except KeyError as error:
            raise BackendError(
                f"equinox: the state lacks {error}; it was not made by this version"
            ) from error

    def weights(self) -> dict[str, Array]:
        """Gives the weights as copies, by neutral name and in neutral layout."""
        network = self._training.network
        both = network.trained | network.running
        return {name: turn(np.array(both[name])) for name in self.task.blueprint.parameters}

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Takes weights; the optimizer is left as it is."""
        network = make_network(self.task.blueprint, weights, seed=self._seed)
        self._training = Training(network, self._training.moments)

    def _advance(self, feed: Feed, due: int) -> None:
        per_epoch = feed.steps_per_epoch
        while self.step < due:
            inside = self.step % per_epoch
            offset = self.step - inside
            if inside == 0:
                self._sum, self._weight = 0.0, 0.0
            order, scales, full = self._plan_of(feed, offset)
            until = min(due - offset, full)
            if self._data is not None and inside < until:
                scaled = jnp.asarray((scales[:full] * self.rate_scale).astype(np.float32))
                self._training, losses = self._programs.stretch(
                    self._training, self._data, order, scaled, inside, until, offset
                )
                self._add(feed, np.asarray(losses)[inside:until].tolist(), offset + inside)
                self.step = offset + until
            else:
                rate = float(scales[inside]) * self.rate_scale
                batch = feed.batch(self.step)
                parts = self._parts(batch)
                self._training, loss = self._programs.single(self._training, parts, self.step, rate)
                self._add_one(float(loss), batch)
                self.step += 1

    def _plan_of(self, feed: Feed, offset: int) -> Any:
        """Gives the epoch's full steps as a matrix of records, its rates, and how many steps are full."""
        if self._plan[0] == offset:
            return self._plan[1]
        train, per_epoch = self.task.train, feed.steps_per_epoch
        scales = rates(
            train.schedule,
            offset,
            offset + per_epoch,
            lr=train.optimizer.lr,
            steps=self._steps,
            per_epoch=per_epoch,
        )
        order, full = None, 0
        if self._data is not None:
            size = len(feed.indices(offset))
            full = per_epoch if len(feed.indices(offset + per_epoch - 1)) == size else per_epoch - 1
            rows = feed.span(offset, offset + full)
            order = jnp.asarray(rows.reshape(full, size).astype(np.int32)) if full else None
        self._plan = (offset, (order, scales, full))
        return self._plan[1]

    def _parts(self, batch: Batch) -> Parts:
        size = self.task.train.batch_size
        return [
            (
                jnp.asarray(batch.x[i : i + size]),
                jnp.asarray(batch.y[i : i + size]),
                None if batch.weight is None else jnp.asarray(batch.weight[i : i + size]),
            )
            for i in range(0, len(batch.x), size)
        ]

    def _add(self, feed: Feed, losses: list[float], first: int) -> None:
        # One addition per step in float64, in the order of the steps: the sum does not depend on the cuts.
        weights = None if feed.arrays is None else feed.arrays.get("weight")
        for number, loss in enumerate(losses, first):
            chosen = feed.indices(number)
            total = float(len(chosen)) if weights is None else float(weights[chosen].sum())
            self._sum += loss * total
            self._weight += total

    def _add_one(self, loss: float, batch: Batch) -> None:
        total = float(len(batch.x)) if batch.weight is None else float(batch.weight.sum())
        self._sum += loss * total
        self._weight += total
