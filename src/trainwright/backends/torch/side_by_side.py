"""The networks of several members side by side.

Records of all members are one batch, member after member, so a layer without parameters is that of a lone network.
Parameters have the members as a first axis; the layers that have some are written here.

A member's bits must not depend on how many there are. Products, sums and normalisations of torch keep to that; a
function of each element does not always: what is left over behind whole vectors is computed by other code, and whose
elements these are depends on the number of all. So there the number is filled up.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from trainwright.backends.torch.layers import (
    ACTIVATIONS,
    EPS,
    Kept,
    Options,
    Step,
    Tensors,
    attention,
    embed,
    embed_columns,
    make_step,
)
from trainwright.backends.torch.network import Network
from trainwright.base.errors import BackendError
from trainwright.base.random import Stream, at, drop_limit, keep_above, stream
from trainwright.models.blueprint import Blueprint, Kind, Layer

WHOLE = 64  # elements: a multiple of the vectors that any processor of today takes at once


class SideBySide(Network):
    """Networks of one plan, called as one.

    Args:
        blueprint: The plan; the rates of its dropouts are not read.
        tensors: By name, with the members as a first axis.
        seeds: Of each member's dropouts.
        rates: Of each member's dropouts, by name.
        still: Layers that are always in evaluation.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        tensors: Mapping[str, Tensor],
        *,
        seeds: Sequence[int],
        rates: Sequence[Mapping[str, float]],
        still: frozenset[str],
    ) -> None:
        self._seeds = seeds
        self._rates = rates
        self._link(blueprint, dict(tensors), 0, still=still)

    def _layer(self, layer: Layer) -> Step:
        maker = _MAKERS.get(layer.kind)
        if maker is not None:
            return maker(layer.name, layer.options, self.tensors)
        if any(name.startswith(f"{layer.name}.") for name in self.tensors):
            raise BackendError(f"torch: {layer.kind} has no members side by side; leave train.vectorised out")
        return make_step(layer, self.tensors)

    def _dropout(self, layer: Layer, seed: int) -> Step:
        keys = [stream(one, "dropout", layer.name) for one in self._seeds]
        rates = [one[layer.name] for one in self._rates]
        limits = torch.tensor([drop_limit(rate) for rate in rates], dtype=torch.int32)[:, None]
        factors = torch.tensor([1 / (1 - rate) for rate in rates], dtype=torch.float64)[:, None]
        numbers: dict[int, Tensor] = {}

        def drop(x: Tensor, training: bool, kept: Kept) -> Tensor:
            if not training:
                return x
            step, first = self.position
            each = x.reshape(len(keys), -1)
            count = each.shape[1]
            if count not in numbers:
                numbers[count] = torch.arange(count, dtype=torch.int32)
            index = numbers[count]
            if first:
                index = index + first * math.prod(x.shape[1:])
            halves = zip(*(at(one, step) for one in keys), strict=True)
            now = Stream(*(torch.tensor(half, dtype=torch.int32)[:, None] for half in halves))
            return (each * keep_above(now, index, limits) * factors.to(x.dtype)).view(x.shape)

        return drop


def filled_up(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Applies a function of each element to whole vectors of elements alone."""
    missing = -x.numel() % WHOLE
    if not missing:
        return function(x)
    return function(F.pad(x.flatten(), (0, missing)))[: x.numel()].view(x.shape)


def by_member(x: Tensor, members: int) -> Tensor:
    """Splits the first axis, records of all members, into members and records."""
    return x.unflatten(0, (members, -1))


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Gives the products of each member.

    Args:
        x: Shape `(members * records, ..., in)`.
        weight: Shape `(members, out, in)`.
        bias: Shape `(members, out)`.
    """
    rows = x.reshape(len(weight), -1, x.shape[-1])
    if bias is None:
        found = torch.bmm(rows, weight.transpose(1, 2))
    else:
        found = torch.baddbmm(bias[:, None], rows, weight.transpose(1, 2))
    return found.view(*x.shape[:-1], -1)


def _dense(name: str, options: Options, tensors: Tensors) -> Step:
    weight, bias = tensors[f"{name}.weight"], tensors.get(f"{name}.bias")
    return lambda x, _, __: _linear(x, weight, bias)


def _activation(name: str, options: Options, tensors: Tensors) -> Step:
    function = ACTIVATIONS[options["function"]]
    return lambda x, _, __: filled_up(function, x)


def _batch_norm(name: str, options: Options, tensors: Tensors) -> Step:
    scale, shift = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    mean, var = tensors[f"{name}.running_mean"], tensors[f"{name}.running_var"]

    # Not torch's own: it would take members for channels, and computes the last ones by other code.
    def normalise(x: Tensor, training: bool, kept: Kept) -> Tensor:
        each = by_member(x, len(scale))
        centre, spread = mean[:, None], var[:, None]
        if training:
            centre = each.mean(1, keepdim=True)
            spread = (each - centre).square().mean(1, keepdim=True)
            count = each.shape[1]
            with torch.no_grad():
                mean.mul_(0.9).add_(centre[:, 0] * 0.1)
                var.mul_(0.9).add_(spread[:, 0] * (0.1 * count / max(count - 1, 1)))
        found = (each - centre) * ((spread + EPS).rsqrt() * scale[:, None]) + shift[:, None]
        return found.flatten(0, 1)

    return normalise


def _layer_norm(name: str, options: Options, tensors: Tensors) -> Step:
    scale, shift = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    width = scale.shape[1:]

    def normalise(x: Tensor, training: bool, kept: Kept) -> Tensor:
        rows = F.layer_norm(x, width, eps=EPS).reshape(len(scale), -1, *width)
        return (rows * scale[:, None] + shift[:, None]).view(x.shape)

    return normalise


def _scale(values: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return (by_member(values, len(scale)) * scale[:, None] + shift[:, None]).flatten(0, 1)


def _look_up(ids: Tensor, table: Tensor) -> Tensor:
    """Gives rows of each member's own table, shape `(members, rows, width)`."""
    members, rows = table.shape[:2]
    first = torch.arange(members).mul_(rows).view(-1, *[1] * ids.dim())
    return F.embedding((by_member(ids, members) + first).flatten(0, 1), table.flatten(0, 1))


def _position(name: str, options: Options, tensors: Tensors) -> Step:
    table = tensors[f"{name}.table"]
    return lambda x, _, __: (by_member(x, len(table)) + table[:, None]).flatten(0, 1)


def _class_token(name: str, options: Options, tensors: Tensors) -> Step:
    vector = tensors[f"{name}.vector"]

    def put(x: Tensor, training: bool, kept: Kept) -> Tensor:
        each = by_member(x, len(vector))
        first = vector.flatten(1)[:, None, None].expand(-1, each.shape[1], 1, -1)
        return torch.cat((first, each), 2).flatten(0, 1)

    return put


_MAKERS: Mapping[Kind, Callable[..., Step]] = {
    "dense": _dense,
    "activation": _activation,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "embed": partial(embed, look_up=_look_up),
    "embed_columns": partial(embed_columns, scaled=_scale, look_up=_look_up),
    "position": _position,
    "class_token": _class_token,
    "attention": partial(attention, linear=_linear),
}
