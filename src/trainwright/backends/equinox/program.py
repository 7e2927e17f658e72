"""Training steps as compiled programs: one for a stretch of full steps, one for a step of any other shape."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from trainwright.backends.equinox.loss import TINY, Objective
from trainwright.backends.equinox.network import Network
from trainwright.models.task import ModelTask
from trainwright.spec.train import SGD, AdamW

Parts = list[tuple[jax.Array, jax.Array, jax.Array | None]]  # x, y, weight of each batch of a step


def make_optimizer(task: ModelTask) -> optax.GradientTransformation:
    """Makes the update rule for a rate of one; the program multiplies by the rate of the step."""
    spec = task.train.optimizer
    chain: list[optax.GradientTransformation] = []
    if task.train.clip_norm is not None:
        chain.append(optax.clip_by_global_norm(task.train.clip_norm))
    if isinstance(spec, SGD):
        if spec.weight_decay:
            chain.append(optax.add_decayed_weights(spec.weight_decay))
        if spec.momentum:
            chain.append(optax.trace(spec.momentum, nesterov=spec.nesterov))
        return optax.chain(*chain) if chain else optax.identity()
    if spec.weight_decay and not isinstance(spec, AdamW):
        chain.append(optax.add_decayed_weights(spec.weight_decay))
    chain.append(optax.scale_by_adam(spec.beta1, spec.beta2, spec.eps))
    if spec.weight_decay and isinstance(spec, AdamW):
        chain.append(optax.add_decayed_weights(spec.weight_decay))
    return optax.chain(*chain)


class Training(eqx.Module):
    """What a step changes.

    Args:
        network: Its trained arrays and running statistics.
        moments: State of the optimizer.
    """

    network: Network
    moments: Any


class Programs:
    """The compiled programs of one task.

    Args:
        task: What is trained.
        batch_size: Records of a batch; a step has `accumulate` of them.
    """

    def __init__(self, task: ModelTask) -> None:
        self.optimizer = make_optimizer(task)
        self._objective = Objective(task)
        self._batch_size = task.train.batch_size
        self._single = jax.jit(self._step, donate_argnums=0)
        self._stretch = jax.jit(self._loop, donate_argnums=0)

    def single(self, training: Training, parts: Parts, step: int, rate: float) -> tuple[Training, jax.Array]:
        """Makes one step of given batches.

        Returns:
            What changed, and the mean loss over all records of the step with what they weigh, shape `(2,)`.
        """
        return self._single(training, parts, jnp.int32(step), jnp.float32(rate))

    def stretch(
        self,
        training: Training,
        data: Any,
        order: jax.Array,
        rates: jax.Array,
        first: int,
        last: int,
        offset: int,
    ) -> tuple[Training, jax.Array]:
        """Makes the steps `first` to `last - 1` of an epoch whose records lie on the device.

        The bounds are traced: one compilation, and equal bits however a run is cut.

        Args:
            training: Is used up.
            data: `(x, y, weight)` of the whole split.
            order: Records of each full step, shape `(steps, records)`.
            rates: Learning rates of the steps, shape `(steps,)`.
            first: First step within the epoch.
            last: One past the last step within the epoch.
            offset: Number of the epoch's first step within the run.

        Returns:
            What changed, and loss and weight of each step of the epoch as of `single`, shape `(steps, 2)`.
        """
        bounds = jnp.array([first, last, offset], dtype=jnp.int32)
        return self._stretch(training, data, order, rates, bounds)

    def _step(self, training: Training, parts: Parts, step: Any, rate: Any) -> tuple[Training, jax.Array]:
        network = training.network

        def objective(
            trained: Any, running: Any, part: Any, first: int
        ) -> tuple[jax.Array, dict[str, jax.Array]]:
            x, y, weight = part
            whole = eqx.tree_at(lambda n: (n.trained, n.running), network, (trained, running))
            outputs, after = whole(self._objective.enter(x), position=(step, first))
            return self._objective(outputs, x, y, weight), after

        totals = [self._objective.mass(*part) for part in parts]
        total = sum(totals[1:], totals[0])
        running, first, loss, gradients = network.running, 0, jnp.zeros(()), None
        for part, records in zip(parts, totals, strict=True):
            find = jax.value_and_grad(
                partial(objective, running=running, part=part, first=first), has_aux=True
            )
            (value, running), found = find(network.trained)
            share = records / jnp.maximum(total, TINY)
            if len(parts) > 1:
                value = value * share
                found = jax.tree.map(lambda g, s=share: g * s, found)
            gradients = found if gradients is None else jax.tree.map(jnp.add, gradients, found)
            loss = loss + value
            first += part[0].shape[0] * self._objective.views
        updates, moments = self.optimizer.update(gradients, training.moments, network.trained)
        trained = jax.tree.map(lambda w, u: w - rate * u, network.trained, updates)
        changed = eqx.tree_at(lambda n: (n.trained, n.running), network, (trained, running))
        return Training(changed, moments), jnp.stack([loss, jnp.float32(total)])

    def _loop(
        self, training: Training, data: Any, order: jax.Array, rates: jax.Array, bounds: jax.Array
    ) -> tuple[Training, jax.Array]:
        x, y, weight = data
        size = self._batch_size

        def body(number: Any, carry: Any) -> Any:
            now, losses = carry
            rows = order[number]
            parts = [
                (x[chosen], y[chosen], None if weight is None else weight[chosen])
                for i in range(0, rows.shape[0], size)
                for chosen in (rows[i : i + size],)
            ]
            now, loss = self._step(now, parts, bounds[2] + number, rates[number])
            return now, losses.at[number].set(loss)

        return jax.lax.fori_loop(bounds[0], bounds[1], body, (training, jnp.zeros((order.shape[0], 2))))


_PROGRAMS: dict[str, Programs] = {}


def programs_of(task: ModelTask) -> Programs:
    """Gives the programs of a task; tasks that differ in nothing a program depends on share one compilation."""
    train = task.train
    key = repr((train.optimizer, train.clip_norm, task.loss, task.quantiles, train.batch_size))
    return _PROGRAMS.setdefault(key, Programs(task))
