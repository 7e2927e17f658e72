"""What each kind of layer is in Keras' operations: a pure function of the present array and of what was kept.

They run on every engine of Keras; what plain operators say is said by them, because they cost less.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from keras import ops

from trainwright.models.blueprint import Kind

Arrays = Mapping[str, Any]
Options = Mapping[str, Any]
Kept = dict[str, Any]  # by name; the mask of ragged records, 1 or 0, has shape (records, 1, length)
Function = Callable[[Any, str, Options, Arrays, Kept], Any]

MOMENTUM, EPS = 0.1, 1e-5  # of normalisations, as torch defines them
LOWEST = -3.4028234663852886e38  # of float32

ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {
    "relu": ops.relu,
    "gelu": lambda x: ops.gelu(x, approximate=False),
    "silu": ops.silu,
    "tanh": ops.tanh,
    "elu": ops.elu,
    "leaky_relu": lambda x: ops.leaky_relu(x, negative_slope=0.01),
    "sigmoid": ops.sigmoid,
    "softplus": ops.softplus,
    "mish": lambda x: x * ops.tanh(ops.softplus(x)),
}


def channels(values: Any, x: Any) -> Any:
    """Shapes one value per channel so that it meets the second axis of `x`."""
    return values if len(x.shape) == 2 else ops.reshape(values, (1, -1, *(1,) * (len(x.shape) - 2)))


def batch_norm(x: Any, name: str, arrays: Arrays, running: dict[str, Any], *, training: bool) -> Any:
    """Normalises by the batch in training, and moves the running statistics; otherwise by these."""
    mean, var = running[f"{name}.running_mean"], running[f"{name}.running_var"]
    if training:
        over = (0, *range(2, len(x.shape)))
        mean_now = ops.mean(x, over)
        var_now = ops.mean(ops.square(x - channels(mean_now, x)), over)
        unbiased = ops.stop_gradient(var_now) * _unbias(math.prod(ops.shape(x)[axis] for axis in over))
        running[f"{name}.running_mean"] = (1 - MOMENTUM) * mean + MOMENTUM * ops.stop_gradient(mean_now)
        running[f"{name}.running_var"] = (1 - MOMENTUM) * var + MOMENTUM * unbiased
        mean, var = mean_now, var_now
    scale, shift = arrays[f"{name}.weight"], arrays[f"{name}.bias"]
    return (x - channels(mean, x)) * channels(scale * ops.rsqrt(var + EPS), x) + channels(shift, x)


def _unbias(count: Any) -> Any:
    """Gives what makes the mean of `count` squares unbiased; in a graph of TensorFlow that is a tensor."""
    if not isinstance(count, int):
        count = ops.cast(count, "float32")
        return count / ops.maximum(count - 1, 1)
    return count / max(count - 1, 1)


def _linear(x: Any, weight: Any) -> Any:
    return ops.matmul(x, ops.transpose(weight))


def _dense(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    x = _linear(x, arrays[f"{name}.weight"])
    return x + arrays[f"{name}.bias"] if options["bias"] else x


def _conv(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    axes, pad, stride = options["axes"], options["padding"], options["stride"]
    weight = ops.transpose(arrays[f"{name}.weight"], (*range(2, 2 + axes), 1, 0))
    how = "same"
    if stride != 1:  # where "same" would not pad both sides alike
        x, how = ops.pad(x, [(0, 0), (0, 0), *[(pad, pad)] * axes]), "valid"
    x = ops.conv(x, weight, strides=stride, padding=how, data_format="channels_first")
    return x + channels(arrays[f"{name}.bias"], x) if options["bias"] else x


def _layer_norm(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    axis = options["axis"]
    scale, shift = arrays[f"{name}.weight"], arrays[f"{name}.bias"]
    if axis == 1:
        scale, shift = channels(scale, x), channels(shift, x)
    x = x - ops.mean(x, axis, keepdims=True)
    return x * ops.rsqrt(ops.mean(ops.square(x), axis, keepdims=True) + EPS) * scale + shift


def _activation(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    return ACTIVATIONS[options["function"]](x)


def _pooled(x: Any, size: int) -> Any:
    return ops.max_pool(x, size, strides=size, padding="valid", data_format="channels_first")


def _max_pool(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    if not options["masked"]:
        return _pooled(x, 2)
    hidden = ops.where(kept["mask"] == 0, -math.inf, x)
    pooled = _pooled(_whole(hidden, 2, -math.inf), 2)
    return ops.where(_shrunk(kept["mask"], 2) == 0, 0.0, pooled)


def _whole(x: Any, size: int, value: float) -> Any:
    """Fills up the last window of the last of three axes."""
    missing = -x.shape[2] % size
    return ops.pad(x, [(0, 0), (0, 0), (0, missing)], constant_values=value) if missing else x


def _shrunk(mask: Any, size: int) -> Any:
    return _pooled(_whole(mask, size, 0.0), size)


def _halve_mask(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    kept["mask"] = _shrunk(kept["mask"], 2)
    return x


def _split_mask(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    kept["mask"] = x[:, -1:]
    return x[:, :-1]


def _mask(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    return x * kept["mask"]


def _mean(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    if not options["masked"]:
        return ops.mean(x, tuple(range(2, len(x.shape))))
    return ops.sum(x * kept["mask"], 2) / ops.maximum(ops.sum(kept["mask"], 2), 1.0)


def _keep(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    kept[name] = x
    return x


def _take(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    return kept.pop(options["of"])


def _add(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    return x + kept.pop(options["of"])


def _concat(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    return ops.concatenate((x, kept.pop(options["of"])), 1)


def _reshape(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    return ops.reshape(x, (-1, *options["shape"]))


def _flatten(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    return ops.reshape(x, (-1, math.prod(x.shape[1:])))


def _pad(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    for axis, amount in enumerate(options["amounts"], 2):
        last = x[(slice(None),) * axis + (slice(-1, None),)]
        x = ops.concatenate((x, *[last] * amount), axis)
    return x


def _crop(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    return x[(..., *[slice(length) for length in options["shape"]])]


def _upsample(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    for axis in range(2, 2 + options["axes"]):
        x = ops.repeat(x, 2, axis=axis)
    return x


def _patches(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    size, depth = options["size"], x.shape[1]
    x = ops.pad(x, [(0, 0), (0, 0), *((0, -length % size) for length in x.shape[2:])])
    if options["masked"]:
        kept["mask"] = _shrunk(kept["mask"], size)
    if len(x.shape) == 3:
        pieces = ops.swapaxes(ops.reshape(x, (-1, depth, x.shape[2] // size, size)), 1, 2)
        return ops.reshape(pieces, (-1, x.shape[2] // size, depth * size))
    height, width = x.shape[2] // size, x.shape[3] // size
    pieces = ops.reshape(x, (-1, depth, height, size, width, size))
    pieces = ops.transpose(pieces, (0, 2, 4, 1, 3, 5))
    return ops.reshape(pieces, (-1, height * width, depth * size * size))


def _tokens(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    if options["masked"]:
        kept["mask"] = kept["mask"][:, :, :: options["stride"]]
    return ops.swapaxes(ops.reshape(x, (-1, x.shape[1], math.prod(x.shape[2:]))), 1, 2)


def _embed(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    table = arrays[f"{name}.table"]
    ids = ops.cast(x, "int32")
    kept["mask"] = ops.cast(ids != 0, "float32")[:, None]
    # The engines differ in what an id gives that is not in the table; NaN does not pass for a good score.
    known = (ids >= 0) & (ids < table.shape[0])
    rows = ops.take(table, ops.where(known, ids, 0), axis=0)
    return ops.where(known[:, :, None], rows, math.nan)


def _embed_columns(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    counts: list[int] = options["categories"]
    numeric = [column for column, count in enumerate(counts) if not count]
    parts = []
    if numeric:
        values = x if len(numeric) == len(counts) else ops.take(x, numeric, axis=1)
        parts.append(values[:, :, None] * arrays[f"{name}.scale"] + arrays[f"{name}.shift"])
    first, ids = 0, []
    for column, count in enumerate(counts):
        if count:
            code = x[:, column]
            # What is no code of its column is the unknown one, 0.
            known = (code >= 0) & (code < count)
            ids.append(ops.cast(ops.where(known, code, 0.0), "int32") + first)
            first += count
    if ids:
        parts.append(ops.take(arrays[f"{name}.table"], ops.stack(ids, 1), axis=0))
    return ops.concatenate(parts, 1)


def _position(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    return x + arrays[f"{name}.table"]


def _class_token(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    vector = arrays[f"{name}.vector"]
    return ops.concatenate((ops.broadcast_to(vector, (ops.shape(x)[0], 1, vector.shape[0])), x), 1)


def _attention(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    heads, tokens, width = options["heads"], x.shape[1], x.shape[2]

    def project(part: str) -> Any:
        y = _linear(x, arrays[f"{name}.{part}.weight"])
        y = y if part == "key" else y + arrays[f"{name}.{part}.bias"]
        return ops.swapaxes(ops.reshape(y, (-1, tokens, heads, width // heads)), 1, 2)

    query, key = project("query") * (width // heads) ** -0.5, project("key")
    scores = ops.matmul(query, ops.swapaxes(key, 2, 3))
    if options["masked"]:
        # Finite: a record of padding only spreads its attention evenly instead of becoming NaN.
        scores = ops.where(kept["mask"][:, :, None] == 0, LOWEST, scores)
    mixed = ops.matmul(ops.softmax(scores, axis=-1), project("value"))
    joined = ops.reshape(ops.swapaxes(mixed, 1, 2), (-1, tokens, width))
    return _linear(joined, arrays[f"{name}.out.weight"]) + arrays[f"{name}.out.bias"]


def _token_mean(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    if not options["masked"]:
        return ops.mean(x, 1)
    mask = ops.swapaxes(kept["mask"], 1, 2)
    return ops.sum(x * mask, 1) / ops.maximum(ops.sum(mask, 1), 1.0)


def _first_token(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    return x[:, 0]


def _unit(x: Any, name: str, options: Options, arrays: Arrays, kept: Kept) -> Any:
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), 1, keepdims=True), 1e-24))


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
