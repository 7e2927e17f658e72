"""Keras' steps on TensorFlow: each shape of a step is one graph, and variables keep their places."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import tensorflow as tf

from trainwright.backends.keras.network import run_layers
from trainwright.backends.keras.program import Program
from trainwright.base.random import Stream
from trainwright.base.tree import Array
from trainwright.models.blueprint import Layer
from trainwright.train.learner import Resolved


def working(run_on: Resolved) -> AbstractContextManager[None]:
    """Works on the CPU; TensorFlow has its threads for good, see `own_engine`."""
    del run_on
    on_cpu: AbstractContextManager[None] = tf.device("/CPU:0")
    return on_cpu


def drawing(keys: Stream, step: Any, first: int) -> AbstractContextManager[None]:
    """Does nothing: what layers of Keras draw on TensorFlow is a function of their seeds."""
    del keys, step, first
    return nullcontext()


def to_array(value: Any) -> Array:
    """Gives a copy as an array."""
    return np.array(value.numpy())


def differentiate(function: Callable[[Any], Any], arrays: Any) -> tuple[Any, Any, Any]:
    """Gives the loss, what else the function gives, and the gradients."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(list(arrays.values()))
        loss, more = function(arrays)
    found = tape.gradient(loss, arrays, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    # The gradient of a table that rows were taken from says which rows, and cannot be multiplied.
    return loss, more, {name: tf.convert_to_tensor(one) for name, one in found.items()}


def prepare_program(program: Program) -> Callable[..., Any]:
    """Makes a graph of the step."""
    return tf.function(program.step, autograph=False)


def make_train_function(model: Any) -> Callable[[Any], Any]:
    """Makes what `fit` calls for each step."""
    keys = {name: Stream(tf.constant(one.first), tf.constant(one.second)) for name, one in model.keys.items()}
    free = {name: model.by_name[name] for name in model.free_names}
    rest = {name: model.by_name[name] for name in model.rest_names if name in model.by_name}
    moments = model.moments.by_slot

    def values(found: Any) -> Any:
        return {name: tf.convert_to_tensor(one.value) for name, one in found.items()}

    def make_step(tick: Any) -> dict[str, Any]:
        del tick
        count, numbers = model.position()
        *after, loss, mass = model.step(
            values(free),
            values(rest),
            {slot: values(found) for slot, found in moments.items()},
            next(model.source),
            keys,
            np.int32(count),
            np.array(numbers, dtype=np.float32),
        )
        model.heard.append((loss, mass))
        for found, new in ((free, after[0]), (rest, after[1]), *((moments[s], after[2][s]) for s in moments)):
            for name, one in found.items():
                one.value.assign(new[name])
        return {}

    return make_step


_EVALUATORS: dict[str, Callable[..., Any]] = {}


def evaluate(layers: Sequence[Layer], arrays: Any, x: Any, *, size: int) -> Any:
    """Gives what layers make of at most `size` records; they are filled up, so that there is one graph."""
    key = repr(layers)
    if key not in _EVALUATORS:
        _EVALUATORS[key] = tf.function(lambda a, x: run_layers(layers, a, x)[0], autograph=False)
    missing = size - len(x)
    filled = np.pad(x, [(0, missing), *[(0, 0)] * (x.ndim - 1)]) if missing else x
    held = {name: tf.convert_to_tensor(one) for name, one in arrays.items()}
    return _EVALUATORS[key](held, np.ascontiguousarray(filled)).numpy()[: len(x)]
