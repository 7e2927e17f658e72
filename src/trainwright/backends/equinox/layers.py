"""What each kind of layer is in JAX: a pure function of the present array and of what was kept."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from trainwright.models.blueprint import Kind

Arrays = Mapping[str, jax.Array]
Options = Mapping[str, Any]
Kept = dict[str, jax.Array]  # by name; the mask of ragged records, 1 or 0, has shape (records, 1, length)
Function = Callable[[jax.Array, str, Options, Arrays, Kept], jax.Array]

MOMENTUM, EPS = 0.1, 1e-5  # of normalisations, as torch defines them

ACTIVATIONS: Mapping[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "silu": jax.nn.silu,
    "tanh": jnp.tanh,
    "elu": jax.nn.elu,
    "leaky_relu": jax.nn.leaky_relu,
    "sigmoid": jax.nn.sigmoid,
    "softplus": jax.nn.softplus,
    "mish": jax.nn.mish,
}


def channels(values: jax.Array, x: jax.Array) -> jax.Array:
    """Shapes one value per channel so that it meets the second axis of `x`."""
    return values.reshape(1, -1, *(1,) * (x.ndim - 2))


def batch_norm(
    x: jax.Array, name: str, arrays: Arrays, running: dict[str, jax.Array], *, training: bool
) -> jax.Array:
    """Normalises by the batch in training, and moves the running statistics; otherwise by these."""
    mean, var = running[f"{name}.running_mean"], running[f"{name}.running_var"]
    if training:
        over = (0, *range(2, x.ndim))
        mean_now, var_now = x.mean(over), x.var(over)
        count = math.prod(x.shape[axis] for axis in over)
        unbiased = var_now * (count / max(count - 1, 1))
        running[f"{name}.running_mean"] = (1 - MOMENTUM) * mean + MOMENTUM * mean_now
        running[f"{name}.running_var"] = (1 - MOMENTUM) * var + MOMENTUM * unbiased
        mean, var = mean_now, var_now
    scale, shift = arrays[f"{name}.weight"], arrays[f"{name}.bias"]
    return (x - channels(mean, x)) * channels(scale * jax.lax.rsqrt(var + EPS), x) + channels(shift, x)


def _times(x: jax.Array, weight: jax.Array) -> jax.Array:
    """Multiplies the last axis as one matrix, which XLA does a tenth faster than with more axes in front."""
    return (x.reshape(-1, x.shape[-1]) @ weight).reshape(*x.shape[:-1], weight.shape[1])


def _dense(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    x = _times(x, arrays[f"{name}.weight"])
    return x + arrays[f"{name}.bias"] if options["bias"] else x


def _conv(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    axes, pad, stride = options["axes"], options["padding"], options["stride"]
    weight = arrays[f"{name}.weight"]
    x = jax.lax.conv_general_dilated(x, weight, (stride,) * axes, [(pad, pad)] * axes)
    return x + channels(arrays[f"{name}.bias"], x) if options["bias"] else x


def _layer_norm(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    axis = options["axis"]
    scale, shift = arrays[f"{name}.weight"], arrays[f"{name}.bias"]
    if axis == 1:
        scale, shift = channels(scale, x), channels(shift, x)
    mean, var = x.mean(axis, keepdims=True), x.var(axis, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(var + EPS) * scale + shift


def _activation(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    return ACTIVATIONS[options["function"]](x)


def _max_pool(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    window = (1, 1) + (2,) * options["axes"]
    if not options["masked"]:
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
    hidden = jnp.where(kept["mask"] == 0, -jnp.inf, x)
    pooled = jax.lax.reduce_window(hidden, -jnp.inf, jax.lax.max, window, window, _whole(x.shape[2], 2))
    return jnp.where(_shrunk(kept["mask"], 2) == 0, 0.0, pooled)


def _whole(length: int, size: int) -> list[tuple[int, int]]:
    """Gives the padding of the last of three axes that fills up the last window."""
    return [(0, 0), (0, 0), (0, -length % size)]


def _shrunk(mask: jax.Array, size: int) -> jax.Array:
    window = (1, 1, size)
    return jax.lax.reduce_window(mask, -jnp.inf, jax.lax.max, window, window, _whole(mask.shape[2], size))


def _halve_mask(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    kept["mask"] = _shrunk(kept["mask"], 2)
    return x


def _split_mask(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    kept["mask"] = x[:, -1:]
    return x[:, :-1]


def _mask(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    return x * kept["mask"]


def _mean(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    if not options["masked"]:
        return x.reshape(*x.shape[:2], -1).mean(2)
    return (x * kept["mask"]).sum(2) / jnp.maximum(kept["mask"].sum(2), 1)


def _keep(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    kept[name] = x
    return x


def _take(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    return kept.pop(options["of"])


def _add(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    return x + kept.pop(options["of"])


def _concat(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    return jnp.concatenate((x, kept.pop(options["of"])), 1)


def _reshape(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    return x.reshape(-1, *options["shape"])


def _flatten(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    return x.reshape(x.shape[0], -1)


def _pad(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    return jnp.pad(x, [(0, 0), (0, 0), *((0, amount) for amount in options["amounts"])], mode="edge")


def _crop(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    return x[(..., *[slice(length) for length in options["shape"]])]


def _upsample(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    for axis in range(2, 2 + options["axes"]):
        x = jnp.repeat(x, 2, axis=axis)
    return x


def _patches(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    size = options["size"]
    x = jnp.pad(x, [(0, 0), (0, 0), *((0, -length % size) for length in x.shape[2:])])
    if options["masked"]:
        kept["mask"] = _shrunk(kept["mask"], size)
    records, depth = x.shape[:2]
    if x.ndim == 3:
        return x.reshape(records, depth, -1, size).swapaxes(1, 2).reshape(records, -1, depth * size)
    height, width = x.shape[2] // size, x.shape[3] // size
    pieces = x.reshape(records, depth, height, size, width, size).transpose(0, 2, 4, 1, 3, 5)
    return pieces.reshape(records, height * width, -1)


def _tokens(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    if options["masked"]:
        kept["mask"] = kept["mask"][:, :, :: options["stride"]]
    return x.reshape(*x.shape[:2], -1).swapaxes(1, 2)


def _embed(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    table = arrays[f"{name}.table"]
    ids = x.astype(jnp.int32)
    kept["mask"] = (ids != 0)[:, None].astype(table.dtype)
    # JAX would take the nearest row for an id that is not in the table; NaN does not pass for a good score.
    ids = jnp.where(ids < 0, table.shape[0], ids)
    return table.at[ids].get(mode="fill", fill_value=jnp.nan)


def _embed_columns(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    counts: list[int] = options["categories"]
    numeric = [column for column, count in enumerate(counts) if not count]
    coded = [column for column, count in enumerate(counts) if count]
    parts = []
    if numeric:
        values = x[:, jnp.array(numeric)] if coded else x
        parts.append(values[:, :, None] * arrays[f"{name}.scale"] + arrays[f"{name}.shift"])
    if coded:
        sizes = jnp.array([counts[column] for column in coded])
        codes = x[:, jnp.array(coded)]
        # What is no code of its column is the unknown one, 0.
        known = (codes >= 0) & (codes < sizes)
        ids = jnp.where(known, codes, 0).astype(jnp.int32) + jnp.cumsum(sizes) - sizes
        parts.append(arrays[f"{name}.table"][ids])
    return jnp.concatenate(parts, 1)


def _position(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    return x + arrays[f"{name}.table"]


def _class_token(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    vector = arrays[f"{name}.vector"]
    return jnp.concatenate((jnp.broadcast_to(vector, (x.shape[0], 1, vector.shape[0])), x), 1)


def _attention(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    heads, width = options["heads"], x.shape[2]

    def project(part: str) -> jax.Array:
        y = _times(x, arrays[f"{name}.{part}.weight"])
        y = y if part == "key" else y + arrays[f"{name}.{part}.bias"]
        return y.reshape(*y.shape[:2], heads, width // heads).swapaxes(1, 2)

    scores = (project("query") * (width // heads) ** -0.5) @ project("key").swapaxes(2, 3)
    if options["masked"]:
        # Finite: a record of padding only spreads its attention evenly instead of becoming NaN.
        scores = jnp.where(kept["mask"][:, :, None] == 0, jnp.finfo(scores.dtype).min, scores)
    mixed = jax.nn.softmax(scores, axis=-1) @ project("value")
    joined = mixed.swapaxes(1, 2).reshape(x.shape)
    return _times(joined, arrays[f"{name}.out.weight"]) + arrays[f"{name}.out.bias"]


def _token_mean(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    if not options["masked"]:
        return x.mean(1)
    mask = kept["mask"].swapaxes(1, 2)
    return (x * mask).sum(1) / jnp.maximum(mask.sum(1), 1)


def _first_token(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    return x[:, 0]


def _unit(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.maximum(jnp.square(x).sum(1, keepdims=True), 1e-24))


FUNCTIONS: Mapping[Kind, Function] = {
    "reshape": _reshape,
    "flatten": _flatten,
    "pad": _pad,
    "crop": _crop,
    "upsample": _upsample,
    "dense": _dense,
    "conv": _conv,
    "layer_norm": _layer_norm,
    "activation": _activation,
    "max_pool": _max_pool,
    "mean": _mean,
    "unit": _unit,
    "keep": _keep,
    "take": _take,
    "add": _add,
    "concat": _concat,
    "split_mask": _split_mask,
    "mask": _mask,
    "halve_mask": _halve_mask,
    "patches": _patches,
    "tokens": _tokens,
    "embed": _embed,
    "embed_columns": _embed_columns,
    "position": _position,
    "class_token": _class_token,
    "attention": _attention,
    "token_mean": _token_mean,
    "first_token": _first_token,
}
