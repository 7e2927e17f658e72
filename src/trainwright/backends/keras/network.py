"""A blueprint as a `keras.Model`, and as the pure function that it is."""

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from keras import ops

from trainwright.backends.keras.layers import FUNCTIONS, Kept, batch_norm
from trainwright.backends.keras.own import FLOAT, Keys, Place, call_own
from trainwright.base.random import Stream, at, keep_mask, stream
from trainwright.base.tree import Array
from trainwright.models.blueprint import Blueprint, Layer


def run_layers(
    layers: Iterable[Layer],
    arrays: Mapping[str, Any],
    x: Any,
    *,
    place: Place | None = None,
    keys: Keys | None = None,
    still: frozenset[str] = frozenset(),
) -> tuple[Any, dict[str, Any]]:
    """Gives what layers make of records, and the running statistics afterwards.

    Args:
        layers: In order.
        arrays: Parameters and running statistics by neutral name and in neutral layout.
        x: Shape `(records, ...)`.
        place: In training.
        keys: Where the draws of the dropout layers come from.
        still: Layers whose parameters are frozen: their running statistics are used in training and stay.
    """
    running = {name: one for name, one in arrays.items() if ".running_" in name}
    kept: Kept = {}
    for layer in layers:
        if layer.kind == "batch_norm":
            training = place is not None and layer.name not in still
            x = batch_norm(x, layer.name, arrays, running, training=training)
        elif layer.kind == "own":
            x, moved = call_own(layer, arrays, x, place=place, keys=keys, still=still)
            running.update(moved)
        elif layer.kind != "dropout":
            x = FUNCTIONS[layer.kind](x, layer.name, layer.options, arrays, kept)
        elif place is not None and keys is not None:
            x = _drop(x, layer.options["rate"], keys[layer.name], place)
    return x, running


def _drop(x: Any, rate: float, keys: Stream, place: Place) -> Any:
    step, first = place
    shape = ops.shape(x)  # of a graph of TensorFlow, with a tensor as the number of records
    index = ops.reshape(ops.arange(math.prod(shape), dtype="int32"), shape) + first * math.prod(shape[1:])
    return x * ops.cast(keep_mask(at(keys, step), index, rate), FLOAT) * (1 / (1 - rate))


def dropout_keys(layers: Iterable[Layer], seed: int) -> dict[str, Stream]:
    """Names the streams of the dropout layers, and of the draws of networks of the user's own."""
    return {one.name: stream(seed, "dropout", one.name) for one in layers if one.kind in ("dropout", "own")}


class Part(keras.layers.Layer):
    """The arrays of one layer of a blueprint."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, dtype=FLOAT)
        self.built = True

    def hold(self, name: str, array: Array, *, trained: bool) -> Any:
        """Adds an array as a variable."""
        return self.add_weight(
            shape=array.shape,
            dtype=FLOAT,
            trainable=trained,
            name=name,
            initializer=lambda *_, **__: own_copy(array),
        )


def own_copy(array: Array) -> Any:
    """Gives an array as a tensor that shares no memory with it."""
    return ops.convert_to_tensor(np.array(array, dtype=np.float32))


class Network(keras.Model):
    """A network with the values of given arrays; training layers are no part of what it computes.

    Args:
        blueprint: The plan.
        weights: Neutral arrays by name; they are copied.
        seed: Of dropout. Each call in training mode is a further step of dropout.
        frozen: Names of parameters that are not trained.

    Attributes:
        blueprint: The plan.
        by_name: Its variables by neutral name, in neutral layout, in the order of the blueprint.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        weights: Mapping[str, Array],
        *,
        seed: int = 0,
        frozen: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(dtype=FLOAT)
        self.blueprint = blueprint
        # Not as dictionaries: Keras would look into them for variables, and find each one twice.
        self.keys = MappingProxyType(dropout_keys(blueprint.layers, seed))
        by_name: dict[str, Any] = {}
        parts: dict[str, Part] = {}
        for name, one in blueprint.parameters.items():
            layer, _, rest = name.partition(".")
            if layer not in parts:
                parts[layer] = Part(layer)
            trained = one.trained and name not in frozen
            by_name[name] = parts[layer].hold(rest.replace(".", "_"), weights[name], trained=trained)
        self.by_name = MappingProxyType(by_name)
        self.parts = list(parts.values())
        self.steps = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="steps"
        )
        self.built = True

    def call(self, x: Any, training: bool | None = False) -> Any:
        """Gives the raw outputs, shape `(records, *output_shape)`."""
        arrays = {name: variable.value for name, variable in self.by_name.items()}
        place = (ops.convert_to_tensor(self.steps.value), 0) if training else None
        outputs, running = run_layers(self.blueprint.layers, arrays, x, place=place, keys=self.keys)
        if training:
            self.steps.assign(self.steps.value + 1)
            for name, value in running.items():
                self.by_name[name].assign(value)
        return outputs

    def load(self, weights: Mapping[str, Array]) -> None:
        """Takes values for all arrays."""
        found = {name: weights[name] for name in self.by_name}
        for name, variable in self.by_name.items():
            variable.assign(own_copy(found[name]))
