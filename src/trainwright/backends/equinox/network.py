"""A blueprint as an Equinox module."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from trainwright.backends.equinox.graphs import node_norm
from trainwright.backends.equinox.layers import FUNCTIONS, Kept, batch_norm
from trainwright.base.random import Stream, at, drop_limit, keep_above, keep_mask, stream
from trainwright.base.tree import Array
from trainwright.models.blueprint import Blueprint, Layer


class Network(eqx.Module):
    """A network as a pure function of its trained arrays and its running statistics.

    Args:
        trained: Arrays that training changes, by name; dense weights are (in, out) here.
        running: Running statistics, by name.
        keys: Streams of the dropout layers, by name; arrays, so that all seeds share one compiled program.
        blueprint: The plan.
        still: Layers whose parameters are frozen: their running statistics are used in training and stay.
        constants: What the blueprint says of its graph, by name.
        drops: Limit and factor of each dropout, by name, where they are no constants of the program because members
            of a company differ in them; None where the rates of the plan hold.
    """

    trained: dict[str, jax.Array]
    running: dict[str, jax.Array]
    keys: dict[str, Stream]
    blueprint: Blueprint = eqx.field(static=True)
    still: frozenset[str] = eqx.field(static=True, default=frozenset())
    constants: dict[str, jax.Array] = eqx.field(default_factory=dict)
    drops: dict[str, tuple[jax.Array, jax.Array]] | None = None

    def __call__(
        self, x: jax.Array, *, position: tuple[Any, Any] | None = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Gives the raw outputs, shape `(records, *output_shape)`, and the running statistics afterwards.

        Args:
            x: Inputs, shape `(records, ...)`.
            position: In training, `(step, first)`: the step and the batch's offset within the step's records. The
                outputs are then what the training layers make of them.
        """
        layers = self.blueprint.layers
        if position is not None:
            layers = layers + self.blueprint.training_layers
        return self._run(layers, x, position)

    def whole(self, x: jax.Array) -> jax.Array:
        """Gives what the training layers make of the outputs, in evaluation mode: what a loss is measured on."""
        return self._run(self.blueprint.layers + self.blueprint.training_layers, x, None)[0]

    def _run(
        self, layers: Iterable[Layer], x: jax.Array, position: tuple[Any, Any] | None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        running = dict(self.running)
        kept: Kept = {}
        arrays = self.trained | self.constants
        for layer in layers:
            if layer.kind == "batch_norm":
                training = position is not None and layer.name not in self.still
                x = batch_norm(x, layer.name, self.trained, running, training=training)
            elif layer.kind == "node_norm":
                training = position is not None and layer.name not in self.still
                x = node_norm(x, layer.name, self.trained, running, kept.get("mask"), training=training)
            elif layer.kind != "dropout":
                x = FUNCTIONS[layer.kind](x, layer.name, layer.options, arrays, kept)
            elif position is not None:
                step, first = position
                # What all records of a step share is dropped alike for each of its batches.
                place = (step, 0) if layer.options.get("shared") else (step, first)
                x = self._drop(layer.name, x, layer.options["rate"], place)
        return x, running

    def _drop(self, name: str, x: jax.Array, rate: float, position: tuple[Any, Any]) -> jax.Array:
        step, first = position
        index = jnp.arange(x.size, dtype=jnp.int32).reshape(x.shape) + first * math.prod(x.shape[1:])
        keys = at(self.keys[name], jnp.int32(step))
        if self.drops is None:
            return x * keep_mask(keys, index, rate) * (1 / (1 - rate))
        limit, factor = self.drops[name]
        return x * keep_above(keys, index, limit) * factor


def dropouts(blueprint: Blueprint) -> dict[str, float]:
    """Gives the rate of each dropout, by name."""
    return {one.name: one.options["rate"] for one in blueprint.layers if one.kind == "dropout"}


def spell_drops(rates: Mapping[str, float], *, dtype: Any) -> dict[str, tuple[jax.Array, jax.Array]]:
    """Gives limit and factor of each dropout as arrays."""
    return {
        name: (jnp.int32(drop_limit(rate)), jnp.asarray(1 / (1 - rate), dtype=dtype))
        for name, rate in rates.items()
    }


def turn(name: str, array: Array) -> Array:
    """Turns dense weights between the neutral (out, in) and the (in, out) that XLA multiplies a tenth faster."""
    dense = array.ndim == 2 and name.endswith(".weight")  # tables stay as they are
    return np.ascontiguousarray(array.T) if dense else array


def put(array: Any) -> jax.Array:
    """Puts a copy of an array on the device; `jnp.array` compiles a program for each shape to do so.

    Programs take arrays of the device only: with JAX_DISABLE_JIT, others would stay NumPy's within them.
    """
    return jax.device_put(np.asarray(array), may_alias=False)


def _key(half: Any) -> jax.Array:
    return put(np.asarray(half).astype(np.int32))


def make_network(
    blueprint: Blueprint, weights: Mapping[str, Array], *, seed: int, still: frozenset[str] = frozenset()
) -> Network:
    """Makes a network with given values; the layers in `still` are frozen."""
    arrays = {name: put(turn(name, np.asarray(weights[name]))) for name in blueprint.parameters}
    trained = {name: arrays[name] for name, one in blueprint.parameters.items() if one.trained}
    running = {name: arrays[name] for name, one in blueprint.parameters.items() if not one.trained}
    streams = {name: stream(seed, "dropout", name) for name in dropouts(blueprint)}
    keys = {
        name: Stream(*(put(np.asarray(key).astype(np.int32)) for key in (one.first, one.second)))
        for name, one in streams.items()
    }
    constants = {name: put(array) for name, array in blueprint.constants.items()}
    return Network(trained, running, keys, blueprint, still, constants)
