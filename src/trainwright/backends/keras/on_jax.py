"""Keras' steps on JAX: each shape of a step is compiled once per task."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from trainwright.backends.keras.network import run_layers
from trainwright.backends.keras.program import Program
from trainwright.base.random import Stream
from trainwright.base.tree import Array
from trainwright.models.blueprint import Layer
from trainwright.train.learner import Resolved


def working(run_on: Resolved) -> AbstractContextManager[None]:
    """Works on the CPU; JAX has its threads for good, see `own_engine`."""
    del run_on
    on_cpu: AbstractContextManager[None] = jax.default_device(jax.devices("cpu")[0])
    return on_cpu


def drawing(keys: Stream, step: Any, first: int) -> AbstractContextManager[None]:
    """Does nothing: JAX has no generator."""
    del keys, step, first
    return nullcontext()


def to_array(value: Any) -> Array:
    """Gives a copy as an array."""
    return np.array(value)


def differentiate(function: Callable[[Any], Any], arrays: Any) -> tuple[Any, Any, Any]:
    """Gives the loss, what else the function gives, and the gradients."""
    (loss, more), gradients = jax.value_and_grad(function, has_aux=True)(arrays)
    return loss, more, gradients


def prepare_program(program: Program) -> Callable[..., Any]:
    """Gives what compiles the step for an order of the variables, once for each order."""
    return cache(partial(_compile, program))


def _compile(
    program: Program,
    free_names: tuple[str, ...],
    rest_names: tuple[str, ...],
    places: tuple[tuple[str, str, int], ...],
) -> Callable[..., Any]:
    """Compiles the step for lists, as `fit` has them: to sort dictionaries in each step would cost more."""

    def step(free: Any, rest: Any, moments: Any, *more: Any) -> Any:
        by_slot: dict[str, Any] = {slot: {} for slot in program.first}
        for slot, name, place in places:
            by_slot[slot][name] = moments[place]
        named = dict(zip(free_names, free, strict=True)), dict(zip(rest_names, rest, strict=True))
        trained, running, moved, loss, mass = program.step(*named, by_slot, *more)
        after = list(moments)
        for slot, name, place in places:
            after[place] = moved[slot][name]
        return [trained[n] for n in free_names], [running[n] for n in rest_names], after, loss, mass

    # The memory of weights and moments is used up and used again.
    return jax.jit(step, donate_argnums=(0, 1, 2))


def make_train_function(model: Any) -> Callable[[Any, Any], Any]:
    """Makes what `fit` calls for each step."""
    keys = {name: Stream(jnp.int32(one.first), jnp.int32(one.second)) for name, one in model.keys.items()}
    step = model.step(model.free_names, model.rest_names, model.places)

    def make_step(state: Any, ticks: Any) -> Any:
        del ticks
        weights, rest, moments, metrics = state
        count, numbers = model.position()
        weights, rest, moments, loss, mass = step(
            weights,
            rest,
            moments,
            next(model.source),
            keys,
            np.int32(count),
            np.array(numbers, dtype=np.float32),
        )
        model.heard.append((loss, mass))
        return {}, (weights, rest, moments, metrics)

    return make_step


_EVALUATORS: dict[str, Callable[..., Any]] = {}


def evaluate(layers: Sequence[Layer], arrays: Any, x: Any, *, size: int) -> Any:
    """Gives what layers make of at most `size` records; they are filled up, so that there is one compilation."""
    call = _EVALUATORS.setdefault(repr(layers), jax.jit(partial(_evaluate, layers)))
    missing = size - len(x)
    filled = np.pad(x, [(0, missing), *[(0, 0)] * (x.ndim - 1)]) if missing else x
    return np.asarray(call(arrays, filled))[: len(x)]


def _evaluate(layers: Sequence[Layer], arrays: Any, x: Any) -> Any:
    return run_layers(layers, arrays, x)[0]
