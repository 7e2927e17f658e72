"""Training steps as compiled programs: one for a stretch of full steps, one for a step of any other shape."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from trainwright.backends.equinox import loss as losses
from trainwright.backends.equinox.network import Network, put
from trainwright.base.blame import raised_in
from trainwright.base.errors import BackendError
from trainwright.models.objective import TINY, Objective, Terms
from trainwright.models.task import ModelTask
from trainwright.spec.optimizer import SGD, Adagrad, Adam, AdamW, OwnOptimizer, RMSprop
from trainwright.spec.own_code import make_own_optimizer
from trainwright.spec.train import TrainSpec
from trainwright.train.groups import ParameterOptions

Parts = list[tuple[jax.Array, jax.Array, jax.Array | None]]  # x, y, weight of each batch of a step


Gradients = dict[str, jax.Array]


def make_optimizer(
    train: TrainSpec, decays: Mapping[str, Any], *, decaying: bool = False, rate: Any = 1.0
) -> optax.GradientTransformation:
    """Makes the update rule for a rate of one; the program multiplies by the rate of the step.

    Args:
        train: The resolved training spec.
        decays: The weight decay of each parameter that is not frozen: numbers, or traced ones.
        decaying: Whether the decay has its place also where it is zero, because it may be another one of a member.
        rate: Of the step, for code of the user's own only: what that gives is added as it is.
    """
    spec = train.optimizer
    decay = _add_decay(decays) if decaying or any(decays.values()) else []
    chain: list[optax.GradientTransformation] = []
    if train.clip_value is not None:
        chain.append(optax.clip(train.clip_value))
    if train.clip_norm is not None:
        chain.append(optax.clip_by_global_norm(train.clip_norm))
    match spec:
        case SGD():
            chain += [*decay, *_momentum(spec.momentum, nesterov=spec.nesterov)]
        case Adam():
            chain += [*decay, optax.scale_by_adam(spec.beta1, spec.beta2, spec.eps)]
        case AdamW():
            chain += [optax.scale_by_adam(spec.beta1, spec.beta2, spec.eps), *decay]
        case RMSprop():
            scale = optax.scale_by_stddev if spec.centered else optax.scale_by_rms
            chain += [*decay, scale(spec.alpha, spec.eps, eps_in_sqrt=False), *_momentum(spec.momentum)]
        case Adagrad():
            chain += [*decay, _scale_by_sum(spec)]
        case OwnOptimizer():
            chain.append(_own(spec, rate))
        case _:
            raise BackendError(f"train.optimizer: equinox has no {spec.name!r}")
    return optax.chain(*chain) if chain else optax.identity()


def _add_decay(decays: Mapping[str, Any]) -> list[optax.GradientTransformation]:
    def add(updates: Gradients, weights: Gradients) -> Gradients:
        return {name: update + decays[name] * weights[name] for name, update in updates.items()}

    return [optax.stateless(add)]


def _own(spec: OwnOptimizer, rate: Any) -> optax.GradientTransformation:
    made = make_own_optimizer(spec)(rate)
    if not isinstance(made, optax.GradientTransformation):
        raise BackendError(
            f"train.optimizer: {spec.use!r} gave a {type(made).__name__}; `optax` gives a GradientTransformation"
        )
    return made


def _momentum(momentum: float, *, nesterov: bool = False) -> list[optax.GradientTransformation]:
    return [optax.trace(momentum, nesterov=nesterov)] if momentum else []


def _scale_by_sum(spec: Adagrad) -> optax.GradientTransformation:
    """Divides by the root of the sum of squares, eps outside the root; Optax's own has it inside."""

    def begin(weights: Gradients) -> Gradients:
        return jax.tree.map(lambda one: jnp.full_like(one, spec.initial_accumulator), weights)

    def update(updates: Gradients, sums: Gradients, weights: Any = None) -> tuple[Gradients, Gradients]:
        sums = jax.tree.map(lambda total, one: total + one * one, sums, updates)
        return jax.tree.map(lambda one, total: one / (jnp.sqrt(total) + spec.eps), updates, sums), sums

    return optax.GradientTransformation(begin, update)


def _is_plain(leaf: Any) -> bool:
    return not jax.dtypes.issubdtype(jnp.result_type(leaf), jax.dtypes.extended)


class Dials(NamedTuple):
    """The numbers of a program that members of a company differ in, besides rates and dropouts.

    Args:
        decays: Weight decay of each parameter that is not frozen.
        factors: Weights of the terms of the loss; None where it is no sum.
    """

    decays: dict[str, Any]
    factors: Any = None


class Training(eqx.Module):
    """What a step changes.

    Args:
        network: Its trained arrays and running statistics.
        moments: State of the optimizer.
        average: The averaged weights by name; None where none are asked for.
    """

    network: Network
    moments: Any
    average: Gradients | None = None


class Programs:
    """The compiled programs of one task.

    Args:
        task: What is trained.
        options: Of each parameter.
        decaying: As `make_optimizer`.
    """

    def __init__(
        self, task: ModelTask, options: Mapping[str, ParameterOptions], *, decaying: bool = False
    ) -> None:
        train = task.train
        self.options = {name: one for name, one in options.items() if not one.frozen}
        self._decays = {name: float(one.weight_decay) for name, one in self.options.items()}
        self.optimizer = make_optimizer(train, self._decays, decaying=decaying)
        self._train = train
        self._ema = train.ema
        self._objective = Objective(task, losses, library="equinox")
        self._terms = Terms(task, losses, library="equinox")
        self._batch_size = train.batch_size
        self._own = isinstance(train.optimizer, OwnOptimizer)
        self._single = jax.jit(self.step, donate_argnums=0)
        self._stretch = jax.jit(self._loop, donate_argnums=0)

    def begin(self, network: Network) -> Training:
        """Makes the state before the first step."""
        free = self.free(network)
        moments = self._first_moments(free)
        if self._own:
            self._check_own(moments, free)
        return Training(network, moments, self.averaged(network))

    def _first_moments(self, free: Gradients) -> Any:
        """Gives the state of the rule before the first step; Optax would compile a program for each shape."""
        if self._own:
            return self.optimizer.init(free)
        spec = self._train.optimizer
        value = spec.initial_accumulator if isinstance(spec, Adagrad) else 0.0
        shapes = jax.eval_shape(self.optimizer.init, free)
        return jax.tree.map(lambda one: put(np.full(one.shape, value, one.dtype)), shapes)

    def _check_own(self, moments: Any, free: Gradients) -> None:
        """Tries an own rule out, without numbers.

        Raises:
            BackendError: If it does not give an update of each parameter, or its state is not kept as it is.
        """

        def shape_of(tree: Any) -> Any:
            return jax.tree.map(lambda one: (jnp.shape(one), jnp.result_type(one)), tree)

        said = f"train.optimizer: {getattr(self._train.optimizer, 'use', '')!r}"
        odd = [one.dtype for one in jax.tree.leaves(moments) if not _is_plain(one)]
        if odd:
            raise BackendError(
                f"{said} keeps a {odd[0]}, which no checkpoint can hold; keep plain arrays, of a random key "
                "jax.random.key_data"
            )
        try:
            rule = make_optimizer(self._train, self._decays, rate=jnp.float32(self._train.optimizer.lr))
            with raised_in(said):
                updates, after = jax.eval_shape(rule.update, free, moments, free)
            same = (shape_of(updates), shape_of(after)) == (shape_of(free), shape_of(moments))
        except (TypeError, ValueError) as error:
            raise BackendError(
                f"{said} cannot make a step from gradients, state and weights alone: {error}"
            ) from error
        if not same:
            raise BackendError(f"{said} changes the shape of its state, or of the weights, from step to step")

    def free(self, network: Network) -> Gradients:
        """Gives the arrays that a step changes."""
        return {name: network.trained[name] for name in self.options}

    def averaged(self, network: Network) -> Gradients | None:
        """Gives a first average: copies, because a step uses up its arrays."""
        return None if self._ema is None else jax.tree.map(jnp.copy, self.free(network))

    def single(self, training: Training, parts: Parts, step: int, rate: float) -> tuple[Training, jax.Array]:
        """Makes one step of given batches.

        Returns:
            What changed, and the mean loss over all records of the step with what they weigh, shape `(2,)`.
        """
        return self._single(training, parts, np.int32(step), np.float32(rate))

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
        bounds = np.array([first, last, offset], dtype=np.int32)
        return self._stretch(training, data, order, rates, bounds)

    def step(
        self, training: Training, parts: Parts, step: Any, rate: Any, dials: Dials | None = None
    ) -> tuple[Training, jax.Array]:
        """Makes a step; not compiled.

        Args:
            training: What changes.
            parts: The batches.
            step: Its number within the run.
            rate: Of the step.
            dials: What is traced instead of taken from the task, for a company.
        """
        network = training.network
        free = self.free(network)
        optimizer = self.optimizer
        if dials is not None:
            optimizer = make_optimizer(self._train, dials.decays, decaying=True)
        measure: Any = self._objective
        if dials is not None and dials.factors is not None:
            measure = partial(self._terms, factors=dials.factors)

        def objective(
            changing: Any, running: Any, part: Any, first: int
        ) -> tuple[jax.Array, dict[str, jax.Array]]:
            x, y, weight = part
            trained = network.trained | changing
            whole = eqx.tree_at(lambda n: (n.trained, n.running), network, (trained, running))
            outputs, after = whole(self._objective.enter(x), position=(step, first))
            return measure(outputs, x, y, weight), after

        totals = [self._objective.mass(*part) for part in parts]
        total = sum(totals[1:], totals[0])
        running, first, loss, gradients = network.running, 0, jnp.zeros(()), None
        for part, records in zip(parts, totals, strict=True):
            find = jax.value_and_grad(
                partial(objective, running=running, part=part, first=first), has_aux=True
            )
            (value, running), found = find(free)
            share = records / jnp.maximum(total, TINY)
            if len(parts) > 1:
                value = value * share
                found = jax.tree.map(lambda g, s=share: g * s, found)
            gradients = found if gradients is None else jax.tree.map(jnp.add, gradients, found)
            loss = loss + value
            first += part[0].shape[0] * self._objective.views
        if self._own:
            rule = make_optimizer(self._train, self._decays, rate=rate)
            updates, moments = rule.update(gradients, training.moments, free)
            free = {name: one + self.options[name].lr_scale * updates[name] for name, one in free.items()}
        else:
            updates, moments = optimizer.update(gradients, training.moments, free)
            rates = {name: rate * one.lr_scale for name, one in self.options.items()}
            free = {name: weight - rates[name] * updates[name] for name, weight in free.items()}
        trained = network.trained | free
        changed = eqx.tree_at(lambda n: (n.trained, n.running), network, (trained, running))
        return Training(changed, moments, self._average(training.average, free, step)), jnp.stack(
            [loss, jnp.float32(total)]
        )

    def _average(self, average: Gradients | None, free: Gradients, step: Any) -> Gradients | None:
        if average is None or self._ema is None:
            return None
        decay: Any = self._ema.decay
        if self._ema.warmup:
            number = jnp.asarray(step + 1, dtype=jnp.float32)
            decay = jnp.minimum(decay, (1 + number) / (10 + number))
        return {name: old + (1 - decay) * (free[name] - old) for name, old in average.items()}

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
            now, loss = self.step(now, parts, bounds[2] + number, rates[number])
            return now, losses.at[number].set(loss)

        return jax.lax.fori_loop(bounds[0], bounds[1], body, (training, jnp.zeros((order.shape[0], 2))))


_PROGRAMS: dict[str, Programs] = {}


def programs_of(task: ModelTask, options: Mapping[str, ParameterOptions]) -> Programs:
    """Gives the programs of a task; tasks that differ in nothing a program depends on share one compilation."""
    train = task.train
    chosen = (
        train.optimizer,
        train.clip_value,
        train.clip_norm,
        train.ema,
        task.loss,
        task.quantiles,
        train.batch_size,
    )
    key = repr((chosen, list(options.items())))
    return _PROGRAMS.setdefault(key, Programs(task, options))
