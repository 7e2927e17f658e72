"""What each kind of layer is in torch: a function of the present tensor, the mode, and what was kept."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from trainwright.backends.torch.graphs import MAKERS as GRAPH_MAKERS
from trainwright.models.blueprint import Kind, Layer

Kept = dict[str, Tensor]  # by name; the mask of ragged records, 1 or 0, has shape (records, 1, length)
Step = Callable[[Tensor, bool, Kept], Tensor]
Tensors = Mapping[str, Tensor]
Options = Mapping[str, Any]
EPS = 1e-5  # of normalisations

# In place where the gradient needs the result only; no layer before an activation needs its own result.
ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh_,
    "elu": F.elu,
    "leaky_relu": F.leaky_relu,
    "sigmoid": torch.sigmoid_,
    "softplus": F.softplus,
    "mish": F.mish,
}


def make_step(layer: Layer, tensors: Tensors) -> Step:
    """Makes the function of any layer but a dropout, over tensors by parameter name."""
    return _MAKERS[layer.kind](layer.name, layer.options, tensors)


def _dense(name: str, options: Options, tensors: Tensors) -> Step:
    weight, bias = tensors[f"{name}.weight"], tensors.get(f"{name}.bias")
    linear = F.linear
    return lambda x, _, __: linear(x, weight, bias)


def _conv(name: str, options: Options, tensors: Tensors) -> Step:
    weight, bias = tensors[f"{name}.weight"], tensors.get(f"{name}.bias")
    padding, stride = options["padding"], options["stride"]
    if options["axes"] == 1:
        return lambda x, _, __: F.conv1d(x, weight, bias, stride=stride, padding=padding)
    # `to` changes the strides even of one channel, where `contiguous` sees nothing to do; torch chooses the
    # faster channels-last kernels by the strides.
    layout = torch.channels_last
    return lambda x, _, __: F.conv2d(x.to(memory_format=layout), weight, bias, stride=stride, padding=padding)


def _batch_norm(name: str, options: Options, tensors: Tensors) -> Step:
    scale, shift = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    mean, var = tensors[f"{name}.running_mean"], tensors[f"{name}.running_var"]

    def normalise(x: Tensor, training: bool, kept: Kept) -> Tensor:
        if training and x.numel() == x.shape[1]:
            # One value per channel: torch refuses it. Its deviation is zero, and so is what is left of it.
            with torch.no_grad():
                mean.lerp_(x.detach().flatten(), 0.1)
                var.mul_(0.9)
            view = (1, -1, *[1] * (x.dim() - 2))
            return (x - x) * scale.view(view) + shift.view(view)
        return F.batch_norm(x, mean, var, scale, shift, training, 0.1, EPS)

    return normalise


def _layer_norm(name: str, options: Options, tensors: Tensors) -> Step:
    scale, shift = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    width = scale.shape
    if options["axis"] == -1:
        return lambda x, _, __: F.layer_norm(x, width, scale, shift, EPS)
    return lambda x, _, __: F.layer_norm(x.movedim(1, -1), width, scale, shift, EPS).movedim(-1, 1)


def _activation(name: str, options: Options, tensors: Tensors) -> Step:
    function = ACTIVATIONS[options["function"]]
    return lambda x, _, __: function(x)


def _max_pool(name: str, options: Options, tensors: Tensors) -> Step:
    pool = F.max_pool1d if options["axes"] == 1 else F.max_pool2d
    if not options["masked"]:
        return lambda x, _, __: pool(x, 2)

    def masked(x: Tensor, training: bool, kept: Kept) -> Tensor:
        hidden = x.masked_fill(kept["mask"] == 0, float("-inf"))
        pooled = pool(hidden, 2, ceil_mode=True)
        return pooled.masked_fill(_halved(kept["mask"]) == 0, 0.0)

    return masked


def _halved(mask: Tensor) -> Tensor:
    return F.max_pool1d(mask, 2, ceil_mode=True)


def _halve_mask(name: str, options: Options, tensors: Tensors) -> Step:
    def halve(x: Tensor, training: bool, kept: Kept) -> Tensor:
        kept["mask"] = _halved(kept["mask"])
        return x

    return halve


def _split_mask(name: str, options: Options, tensors: Tensors) -> Step:
    def split(x: Tensor, training: bool, kept: Kept) -> Tensor:
        kept["mask"] = x[:, -1:]
        return x[:, :-1]

    return split


def _mean(name: str, options: Options, tensors: Tensors) -> Step:
    if not options["masked"]:
        return lambda x, _, __: x.mean(tuple(range(2, x.dim())))
    return lambda x, _, kept: (x * kept["mask"]).sum(2) / kept["mask"].sum(2).clamp(min=1)


def _keep(name: str, options: Options, tensors: Tensors) -> Step:
    def keep(x: Tensor, training: bool, kept: Kept) -> Tensor:
        kept[name] = x
        return x

    return keep


def _take(name: str, options: Options, tensors: Tensors) -> Step:
    of = options["of"]
    return lambda _, __, kept: kept.pop(of)


def _add(name: str, options: Options, tensors: Tensors) -> Step:
    of = options["of"]
    return lambda x, _, kept: x + kept.pop(of)


def _concat(name: str, options: Options, tensors: Tensors) -> Step:
    of = options["of"]
    return lambda x, _, kept: torch.cat((x, kept.pop(of)), 1)


def _reshape(name: str, options: Options, tensors: Tensors) -> Step:
    shape = tuple(options["shape"])
    return lambda x, _, __: x.reshape(-1, *shape)


def _pad(name: str, options: Options, tensors: Tensors) -> Step:
    amounts = list(enumerate(options["amounts"], 2))

    def pad(x: Tensor, training: bool, kept: Kept) -> Tensor:
        for axis, amount in amounts:
            last = x.narrow(axis, x.shape[axis] - 1, 1)
            x = torch.cat((x, *[last] * amount), axis)
        return x

    return pad


def _crop(name: str, options: Options, tensors: Tensors) -> Step:
    window = (..., *[slice(length) for length in options["shape"]])
    return lambda x, _, __: x[window]


def _upsample(name: str, options: Options, tensors: Tensors) -> Step:
    return lambda x, _, __: F.interpolate(x, scale_factor=2, mode="nearest")


def _patches(name: str, options: Options, tensors: Tensors) -> Step:
    size, masked = options["size"], options["masked"]

    def cut(x: Tensor, training: bool, kept: Kept) -> Tensor:
        missing = [-length % size for length in x.shape[2:]]
        if any(missing):
            # `F.pad` takes the amounts of the last axis first.
            x = F.pad(x, [part for amount in reversed(missing) for part in (0, amount)])
        if masked:
            kept["mask"] = F.max_pool1d(kept["mask"], size, ceil_mode=True)
        records, channels = x.shape[:2]
        if x.dim() == 3:
            return x.reshape(records, channels, -1, size).transpose(1, 2).flatten(2)
        height, width = x.shape[2] // size, x.shape[3] // size
        pieces = x.reshape(records, channels, height, size, width, size).permute(0, 2, 4, 1, 3, 5)
        return pieces.reshape(records, height * width, -1)

    return cut


def _tokens(name: str, options: Options, tensors: Tensors) -> Step:
    stride, masked = options["stride"], options["masked"]

    def turn(x: Tensor, training: bool, kept: Kept) -> Tensor:
        if masked:
            kept["mask"] = kept["mask"][:, :, ::stride]
        return x.flatten(2).transpose(1, 2)

    return turn


LookUp = Callable[[Tensor, Tensor], Tensor]  # ids and a table of rows


def embed(name: str, options: Options, tensors: Tensors, *, look_up: LookUp = F.embedding) -> Step:
    """Makes the layer of token ids, which says by the mask which of them are padding."""
    table = tensors[f"{name}.table"]

    def look(x: Tensor, training: bool, kept: Kept) -> Tensor:
        ids = x.long()
        kept["mask"] = (ids != 0)[:, None].to(table.dtype)
        return look_up(ids, table)

    return look


def _scale(values: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return values * scale + shift


def embed_columns(
    name: str,
    options: Options,
    tensors: Tensors,
    *,
    scaled: Callable[[Tensor, Tensor, Tensor], Tensor] = _scale,
    look_up: LookUp = F.embedding,
) -> Step:
    """Makes the layer that gives each column of a table a vector."""
    counts: list[int] = options["categories"]
    numeric = [column for column, count in enumerate(counts) if not count]
    coded = [column for column, count in enumerate(counts) if count]
    sizes = torch.tensor([counts[column] for column in coded], dtype=torch.int64)
    offsets = sizes.cumsum(0) - sizes
    scale, shift = tensors.get(f"{name}.scale"), tensors.get(f"{name}.shift")
    table = tensors.get(f"{name}.table")

    def turn(x: Tensor, training: bool, kept: Kept) -> Tensor:
        parts = []
        if scale is not None and shift is not None:
            values = x[:, numeric] if coded else x
            parts.append(scaled(values[:, :, None], scale, shift))
        if table is not None:
            codes = x[:, coded]
            # What is no code of its column is the unknown one, 0.
            known = (codes >= 0) & (codes < sizes.to(x.device))
            ids = torch.where(known, codes, 0).long() + offsets.to(x.device)
            parts.append(look_up(ids, table))
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    return turn


def _position(name: str, options: Options, tensors: Tensors) -> Step:
    table = tensors[f"{name}.table"]
    return lambda x, _, __: x + table


def _class_token(name: str, options: Options, tensors: Tensors) -> Step:
    vector = tensors[f"{name}.vector"]
    return lambda x, _, __: torch.cat((vector.expand(len(x), 1, -1), x), 1)


def attention(
    name: str, options: Options, tensors: Tensors, *, linear: Callable[..., Tensor] = F.linear
) -> Step:
    """Makes the layer in which tokens attend to one another; `linear` is that of its four products."""
    heads, masked = options["heads"], options["masked"]
    query, key, value, out = (tensors[f"{name}.{part}.weight"] for part in ("query", "key", "value", "out"))
    query_bias, value_bias, out_bias = (tensors[f"{name}.{part}.bias"] for part in ("query", "value", "out"))
    width = query.shape[-1]
    scale = (width // heads) ** -0.5

    def attend(x: Tensor, training: bool, kept: Kept) -> Tensor:
        def split(y: Tensor) -> Tensor:
            return y.unflatten(2, (heads, width // heads)).transpose(1, 2)

        scores = split(linear(x, query, query_bias) * scale) @ split(linear(x, key)).transpose(2, 3)
        if masked:
            # Finite: a record of padding only spreads its attention evenly instead of becoming NaN.
            scores = scores.masked_fill(kept["mask"][:, :, None] == 0, torch.finfo(scores.dtype).min)
        mixed = scores.softmax(-1) @ split(linear(x, value, value_bias))
        return linear(mixed.transpose(1, 2).flatten(2), out, out_bias)

    return attend


def _token_mean(name: str, options: Options, tensors: Tensors) -> Step:
    if not options["masked"]:
        return lambda x, _, __: x.mean(1)

    def mean(x: Tensor, training: bool, kept: Kept) -> Tensor:
        mask = kept["mask"].transpose(1, 2)
        return (x * mask).sum(1) / mask.sum(1).clamp(min=1)

    return mean


def _unit(name: str, options: Options, tensors: Tensors) -> Step:
    return lambda x, _, __: x * torch.rsqrt(x.square().sum(1, keepdim=True).clamp(min=1e-24))


_MAKERS: Mapping[Kind, Callable[[str, Options, Tensors], Step]] = {
    "reshape": _reshape,
    "flatten": lambda *_: lambda x, _, __: x.flatten(1),
    "pad": _pad,
    "crop": _crop,
    "upsample": _upsample,
    "dense": _dense,
    "conv": _conv,
    "batch_norm": _batch_norm,
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
    "mask": lambda *_: lambda x, _, kept: x * kept["mask"],
    "halve_mask": _halve_mask,
    "patches": _patches,
    "tokens": _tokens,
    "embed": embed,
    "embed_columns": embed_columns,
    "position": _position,
    "class_token": _class_token,
    "attention": attention,
    "token_mean": _token_mean,
    "first_token": lambda *_: lambda x, _, __: x[:, 0],
    **GRAPH_MAKERS,
}
