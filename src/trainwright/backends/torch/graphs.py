"""The layers of graph networks in torch; the present tensor has shape (graphs, nodes, width).

What an arrow brings is gathered where it begins and added up where it ends, by torch's own kernels: `torch_geometric`
without its compiled extensions does the same (docs/decisions/0022).
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from trainwright.base.errors import BackendError
from trainwright.models.blueprint import Kind

Kept = dict[str, Tensor]
Step = Callable[[Tensor, bool, Kept], Tensor]
Tensors = Mapping[str, Tensor]
Options = Mapping[str, Any]
MOMENTUM, EPS = 0.1, 1e-5  # of batch normalisation
SLOPE = 0.2  # of the leaky relu of attention


def _nodes(name: str, options: Options, tensors: Tensors) -> Step:
    if "graph.features" not in tensors:
        raise BackendError(
            "a network over the nodes of a graph needs the graph; load a trained version instead"
        )
    # Whole: all that the later layers ask for is the same at every step.
    given = {
        "source": tensors["graph.source"].long(),
        "target": tensors["graph.target"].long(),
        "weight": tensors["graph.weight"],
        "own": tensors["graph.own"],
    }
    features = tensors["graph.features"][None]

    def enter(x: Tensor, training: bool, kept: Kept) -> Tensor:
        kept.update(given)
        kept["numbers"] = x
        return features

    return enter


def _graphs(name: str, options: Options, tensors: Tensors) -> Step:
    width, convolution = options["features"], options["convolution"]

    def enter(x: Tensor, training: bool, kept: Kept) -> Tensor:
        records, largest = x.shape[:2]
        pairs = x[:, :, width + 1 :].reshape(records, -1, 2).long()
        there = (pairs[:, :, 0] >= 0).flatten()
        first = torch.arange(records, device=x.device)[:, None] * largest
        kept["mask"] = x[:, :, width : width + 1]
        # A pair that is not there leads from the record's first node to itself and weighs nothing.
        source, target = ((pairs[:, :, end].clamp(min=0) + first).flatten() for end in (0, 1))
        weight, count = there.to(x.dtype), records * largest
        arrive = weight.new_zeros(count).index_add(0, target, weight)
        kept["source"], kept["target"] = source, target
        if convolution == "gcn":
            root = torch.rsqrt(arrive + 1)
            weight, kept["own"] = weight * root[source] * root[target], root * root
        elif convolution == "sage":
            weight = weight / arrive.clamp(min=1)[target]
        kept["weight"] = weight
        return x[:, :, :width]

    return enter


def gather(x: Tensor, kept: Kept) -> Tensor:
    """Adds up what the arrows bring to each node.

    Args:
        x: Shape `(graphs, nodes, width)`.
        kept: Where the arrows begin and end, and what they weigh.
    """
    flat = x.reshape(-1, x.shape[-1])
    brought = flat.index_select(0, kept["source"]) * kept["weight"][:, None]
    return torch.zeros_like(flat).index_add(0, kept["target"], brought.to(flat.dtype)).view(x.shape)


def _gcn(name: str, options: Options, tensors: Tensors) -> Step:
    weight, bias = tensors[f"{name}.weight"], tensors.get(f"{name}.bias")

    def convolve(x: Tensor, training: bool, kept: Kept) -> Tensor:
        x = F.linear(x, weight)
        mixed = gather(x, kept) + x * kept["own"].view(*x.shape[:2], 1)
        return mixed if bias is None else mixed + bias

    return convolve


def _sage(name: str, options: Options, tensors: Tensors) -> Step:
    weight, own, bias = (tensors.get(f"{name}.{part}") for part in ("weight", "own.weight", "bias"))
    assert weight is not None and own is not None
    return lambda x, _, kept: F.linear(x, own, bias) + gather(F.linear(x, weight), kept)


def _gin(name: str, options: Options, tensors: Tensors) -> Step:
    weight, epsilon, bias = (
        tensors[f"{name}.weight"],
        tensors[f"{name}.epsilon"],
        tensors.get(f"{name}.bias"),
    )

    def convolve(x: Tensor, training: bool, kept: Kept) -> Tensor:
        x = F.linear(x, weight)
        mixed = (1 + epsilon) * x + gather(x, kept)
        return mixed if bias is None else mixed + bias

    return convolve


def _gat(name: str, options: Options, tensors: Tensors) -> Step:
    weight, bias = tensors[f"{name}.weight"], tensors.get(f"{name}.bias")
    begin, end = tensors[f"{name}.source"], tensors[f"{name}.target"]
    heads = options["heads"]

    def attend(x: Tensor, training: bool, kept: Kept) -> Tensor:
        source, target, there = kept["source"], kept["target"], kept["weight"][:, None]
        values = F.linear(x, weight).reshape(-1, heads, weight.shape[0] // heads)
        gives, takes = (values * begin).sum(-1), (values * end).sum(-1)  # (nodes, heads)
        own = F.leaky_relu(gives + takes, SLOPE)
        scores = F.leaky_relu(gives[source] + takes[target], SLOPE)
        with torch.no_grad():  # what is taken off all scores of a node changes no share
            index = target[:, None].expand(-1, heads)
            highest = own.scatter_reduce(0, index, scores.masked_fill(there == 0, float("-inf")), "amax")
        own = (own - highest).exp()
        # Not there: no number above the highest, whose exponential could be infinite.
        scores = (scores - highest[target]).masked_fill(there == 0, float("-inf")).exp()
        total = own.index_add(0, target, scores.to(own.dtype))
        brought = values[source] * scores[:, :, None]
        mixed = (values * own[:, :, None]).index_add(0, target, brought.to(values.dtype)) / total[:, :, None]
        joined = mixed.reshape(*x.shape[:2], -1)
        return joined if bias is None else joined + bias

    return attend


def _node_norm(name: str, options: Options, tensors: Tensors) -> Step:
    scale, shift = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    mean, var = tensors[f"{name}.running_mean"], tensors[f"{name}.running_var"]

    def normalise(x: Tensor, training: bool, kept: Kept) -> Tensor:
        if not training:
            return (x - mean) * torch.rsqrt(var + EPS) * scale + shift
        mask = kept.get("mask")
        if mask is None:
            count: Any = x.shape[0] * x.shape[1]
            now = x.mean((0, 1))
            spread = (x - now).square().mean((0, 1))
            rest: Any = max(count - 1, 1)
        else:
            count = mask.sum()
            now = (x * mask).sum((0, 1)) / count
            spread = ((x - now).square() * mask).sum((0, 1)) / count
            rest = (count - 1).clamp(min=1)
        with torch.no_grad():
            mean.lerp_(now.detach(), MOMENTUM)
            var.lerp_(spread.detach() * (count / rest), MOMENTUM)
        return (x - now) * torch.rsqrt(spread + EPS) * scale + shift

    return normalise


def _pool_nodes(name: str, options: Options, tensors: Tensors) -> Step:
    how = options["how"]

    def pool(x: Tensor, training: bool, kept: Kept) -> Tensor:
        mask = kept["mask"]
        if how == "max":
            return x.masked_fill(mask == 0, float("-inf")).amax(1)
        total = (x * mask).sum(1)
        return total if how == "sum" else total / mask.sum(1)

    return pool


def _pick(name: str, options: Options, tensors: Tensors) -> Step:
    return lambda x, _, kept: x[0].index_select(0, kept["numbers"][:, 0].long())


def _join_pair(name: str, options: Options, tensors: Tensors) -> Step:
    ordered = options["ordered"]

    def join(x: Tensor, training: bool, kept: Kept) -> Tensor:
        one, other = (x[0].index_select(0, kept["numbers"][:, end].long()) for end in (0, 1))
        return torch.cat((one, other) if ordered else (one * other, (one - other).abs()), 1)

    return join


MAKERS: Mapping[Kind, Callable[[str, Options, Tensors], Step]] = {
    "nodes": _nodes,
    "graphs": _graphs,
    "gcn": _gcn,
    "sage": _sage,
    "gat": _gat,
    "gin": _gin,
    "node_norm": _node_norm,
    "pool_nodes": _pool_nodes,
    "pick": _pick,
    "join_pair": _join_pair,
}
