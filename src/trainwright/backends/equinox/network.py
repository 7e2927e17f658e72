"""A blueprint as an Equinox module."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from trainwright.base.random import Stream, at, keep_mask
from trainwright.models.blueprint import Blueprint, Layer

MOMENTUM, EPS = 0.1, 1e-5  # of batch normalisation, as torch defines them

ACTIVATIONS: Mapping[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "silu": jax.nn.silu,
    "tanh": jnp.tanh,
    "elu": jax.nn.elu,
    "leaky_relu": jax.nn.leaky_relu,
    "sigmoid": jax.nn.sigmoid,
}


class Network(eqx.Module):
    """A network as a pure function of its trained arrays and its running statistics.

    Args:
        trained: Arrays that training changes, by name; dense weights are (in, out) here.
        running: Running statistics, by name.
        keys: Streams of the dropout layers, by name; arrays, so that all seeds share one compiled program.
        blueprint: The plan.
        still: Layers whose parameters are frozen: their running statistics are used in training and stay.
    """

    trained: dict[str, jax.Array]
    running: dict[str, jax.Array]
    keys: dict[str, Stream]
    blueprint: Blueprint = eqx.field(static=True)
    still: frozenset[str] = eqx.field(static=True, default=frozenset())

    def __call__(
        self, x: jax.Array, *, position: tuple[Any, Any] | None = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Gives the outputs, shape `(records, output_dim)`, and the running statistics afterwards.

        Args:
            x: Inputs, shape `(records, ...)`.
            position: In training, `(step, first)`: the step and the batch's offset within the step's records.
        """
        running = dict(self.running)
        for layer in self.blueprint.layers:
            x = self._apply(layer, x, running, position)
        return x, running

    def _apply(
        self, layer: Layer, x: jax.Array, running: dict[str, jax.Array], position: tuple[Any, Any] | None
    ) -> jax.Array:
        options, name, arrays = layer.options, layer.name, self.trained
        match layer.kind:
            case "dense":
                x = x @ arrays[f"{name}.weight"]
                return x + arrays[f"{name}.bias"] if options["bias"] else x
            case "conv":
                axes, pad = options["axes"], options["padding"]
                weight = arrays[f"{name}.weight"]
                x = jax.lax.conv_general_dilated(x, weight, (1,) * axes, [(pad, pad)] * axes)
                return x + _channels(arrays[f"{name}.bias"], x) if options["bias"] else x
            case "batch_norm":
                training = position is not None and name not in self.still
                return self._normalise(name, x, running, training=training)
            case "activation":
                return ACTIVATIONS[options["function"]](x)
            case "max_pool":
                window = (1, 1) + (2,) * options["axes"]
                return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
            case "mean":
                return x.reshape(*x.shape[:2], -1).mean(2)
            case "dropout":
                return x if position is None else self._drop(name, x, options["rate"], position)
            case "reshape":
                return x.reshape(-1, *options["shape"])
            case "flatten":
                return x.reshape(x.shape[0], -1)

    def _normalise(
        self, name: str, x: jax.Array, running: dict[str, jax.Array], *, training: bool
    ) -> jax.Array:
        mean, var = running[f"{name}.running_mean"], running[f"{name}.running_var"]
        if training:
            over = (0, *range(2, x.ndim))
            mean_now, var_now = x.mean(over), x.var(over)
            count = math.prod(x.shape[axis] for axis in over)
            unbiased = var_now * (count / max(count - 1, 1))
            running[f"{name}.running_mean"] = (1 - MOMENTUM) * mean + MOMENTUM * mean_now
            running[f"{name}.running_var"] = (1 - MOMENTUM) * var + MOMENTUM * unbiased
            mean, var = mean_now, var_now
        scale, shift = self.trained[f"{name}.weight"], self.trained[f"{name}.bias"]
        return (x - _channels(mean, x)) * _channels(scale * jax.lax.rsqrt(var + EPS), x) + _channels(shift, x)

    def _drop(self, name: str, x: jax.Array, rate: float, position: tuple[Any, Any]) -> jax.Array:
        step, first = position
        index = jnp.arange(x.size, dtype=jnp.int32).reshape(x.shape) + first * math.prod(x.shape[1:])
        keep = keep_mask(at(self.keys[name], jnp.int32(step)), index, rate)
        return x * keep * (1 / (1 - rate))


def _channels(values: jax.Array, x: jax.Array) -> jax.Array:
    return values.reshape(1, -1, *(1,) * (x.ndim - 2))
