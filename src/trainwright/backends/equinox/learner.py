"""A spec-built model in training as a chain of compiled stretches."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np

from trainwright.backends.equinox.network import Network, make_network, put, turn
from trainwright.backends.equinox.program import Parts, Programs, Training, programs_of
from trainwright.base.errors import BackendError
from trainwright.base.tree import Array, Tree
from trainwright.models.blueprint import MANY, records_at_once
from trainwright.models.task import ModelTask
from trainwright.train.feed import Batch, Feed
from trainwright.train.groups import ParameterOptions, frozen_layers, settle_groups
from trainwright.train.stepping import Stepping

_evaluate = jax.jit(lambda network, x: network(x)[0])
_evaluate_whole = jax.jit(lambda network, x: network.whole(x))


def predict(network: Network, x: Array, *, batch_size: int | None, whole: bool = False) -> Array:
    """Predicts in batches of one fixed size; the last one is filled up, so that there is one compilation.

    Args:
        network: It is not changed.
        x: Inputs after preprocessing, shape `(records, ...)`.
        batch_size: Records at once; as the blueprint says unless given.
        whole: Whether the layers that are there for training alone come after the others.

    Returns:
        What the network gives, shape `(records, outputs, ...)`.
    """
    size = batch_size or records_at_once(network.blueprint.layers)
    if batch_size is None and network.blueprint.reads_one_graph and len(x):
        # One graph is computed whole, whatever is asked of it: once for all its records.
        size = MANY * -(-len(x) // MANY)
    call = _evaluate_whole if whole else _evaluate
    parts = []
    for i in range(0, len(x), size):
        piece = x[i : i + size]
        missing = size - len(piece)
        filled = np.pad(piece, [(0, missing), *[(0, 0)] * (x.ndim - 1)]) if missing else piece
        parts.append(np.asarray(call(network, put(filled)))[: len(piece)])
    shape = network.blueprint.input_shape if whole else network.blueprint.output_shape
    return np.concatenate(parts) if parts else np.empty((0, *shape), dtype=np.float32)


class EquinoxLearner(Stepping):
    """A spec-built model in training.

    Args:
        task: What is trained.
        feed: Which records make a step; resident arrays are put on the device once.
        seed: Of initial values and dropout.
    """

    backend = "equinox"

    def __init__(self, task: ModelTask, feed: Feed, *, seed: int) -> None:
        super().__init__(task.train, steps=task.epochs * feed.steps_per_epoch)
        self.task = task
        self._seed = seed
        names = [name for name, one in task.blueprint.parameters.items() if one.trained]
        options = settle_groups(task.train.groups, names, optimizer=task.train.optimizer)
        self._still = frozen_layers(options)
        self._programs = self._find_programs(options)
        self._training = self._programs.begin(self._network(task.blueprint.initial(seed)))
        self._plan: tuple[int, Any] = (-1, None)
        self._data = self._resident(feed)

    def predict(self, x: Tree, *, batch_size: int | None = None) -> dict[str, Array]:
        """Predicts in evaluation mode, by the averaged weights if there are any; leaves the state untouched."""
        rows: Any = x  # an array, or rows that are read as they are sliced
        network = self._training.network
        served = eqx.tree_at(lambda one: one.trained, network, self._served())
        found = self.task.decode(predict(served, rows, batch_size=batch_size))
        if self.task.reconstructs:
            found["reconstruction"] = predict(served, rows, batch_size=batch_size, whole=True)
        return found

    def weights(self) -> dict[str, Array]:
        """Gives the weights as copies, by neutral name and in neutral layout; averaged ones if there are any."""
        return self._neutral(self._served() | self._training.network.running)

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Takes weights, the average too; the optimizer is left as it is."""
        network = self._network(weights)
        self._training = Training(network, self._training.moments, self._programs.averaged(network))

    def _arrays(self) -> dict[str, Any]:
        training = self._training
        found: dict[str, Any] = {
            "weights": self._neutral(training.network.trained | training.network.running),
            "optimizer": [np.array(leaf) for leaf in jax.tree.leaves(training.moments)],
        }
        return found if training.average is None else found | {"ema": self._neutral(training.average)}

    def _load_arrays(self, kept: Any) -> None:
        leaves, shape = jax.tree.flatten(self._training.moments)
        if len(kept["optimizer"]) != len(leaves):
            raise BackendError(
                f"equinox: the state has {len(kept['optimizer'])} optimizer arrays, {len(leaves)} are needed"
            )
        moments = jax.tree.unflatten(shape, [put(leaf) for leaf in kept["optimizer"]])
        average = self._training.average
        if average is not None:
            average = {name: put(turn(name, np.asarray(kept["ema"][name]))) for name in average}
        self._training = Training(self._network(kept["weights"]), moments, average)

    def _find_programs(self, options: Mapping[str, ParameterOptions]) -> Programs:
        return programs_of(self.task, options)

    def _resident(self, feed: Feed) -> Any:
        """Puts the records on the device; None where steps are made one by one."""
        if feed.arrays is None or self.task.blueprint.has_convolutions:
            return None
        return tuple(put(feed.arrays[name]) if name in feed.arrays else None for name in ("x", "y", "weight"))

    def _network(self, weights: Mapping[str, Array]) -> Network:
        return make_network(self.task.blueprint, weights, seed=self._seed, still=self._still)

    def _served(self) -> dict[str, jax.Array]:
        """Gives the arrays that are evaluated."""
        return self._training.network.trained | (self._training.average or {})

    def _neutral(self, arrays: Mapping[str, jax.Array]) -> dict[str, Array]:
        return {n: turn(n, np.array(arrays[n])) for n in self.task.blueprint.parameters if n in arrays}

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
                scaled = put((scales[:full] * self.rate_scale).astype(np.float32))
                self._training, losses = self._programs.stretch(
                    self._training, self._data, order, scaled, inside, until, offset
                )
                self._add_each(np.asarray(losses)[inside:until])
                self.step = offset + until
            else:
                rate = float(scales[inside]) * self.rate_scale
                batch = feed.batch(self.step)
                parts = self._parts(batch)
                self._training, loss = self._programs.single(self._training, parts, self.step, rate)
                self._add_each(np.asarray(loss)[None])
                self.step += 1

    def _plan_of(self, feed: Feed, offset: int) -> Any:
        """Gives the epoch's full steps as a matrix of records, its rates, and how many steps are full."""
        if self._plan[0] == offset:
            return self._plan[1]
        per_epoch = feed.steps_per_epoch
        scales = self._rates(offset, offset + per_epoch, per_epoch=per_epoch)
        order, full = None, 0
        if self._data is not None:
            size = len(feed.indices(offset))
            full = per_epoch if len(feed.indices(offset + per_epoch - 1)) == size else per_epoch - 1
            rows = feed.span(offset, offset + full)
            order = put(rows.reshape(full, size).astype(np.int32)) if full else None
        self._plan = (offset, (order, scales, full))
        return self._plan[1]

    def _parts(self, batch: Batch) -> Parts:
        size = self.task.train.batch_size
        return [
            (
                put(batch.x[i : i + size]),
                put(batch.y[i : i + size]),
                None if batch.weight is None else put(batch.weight[i : i + size]),
            )
            for i in range(0, len(batch.x), size)
        ]

    def _add_each(self, losses: Array) -> None:
        for step, (loss, mass) in enumerate(losses.tolist(), self.step + 1):
            self._add(loss, mass, step=step)
