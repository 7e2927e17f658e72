"""The layers of graph networks in JAX, by segment sums; the present array has shape (graphs, nodes, width)."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from trainwright.base.errors import BackendError
from trainwright.models.blueprint import Kind

Arrays = Mapping[str, jax.Array]
Options = Mapping[str, Any]
Kept = dict[str, jax.Array]
Function = Callable[[jax.Array, str, Options, Arrays, Kept], jax.Array]
MOMENTUM, EPS = 0.1, 1e-5  # of batch normalisation
SLOPE = 0.2  # of the leaky relu of attention


def _nodes(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    if "graph.features" not in arrays:
        raise BackendError(
            "a network over the nodes of a graph needs the graph; load a trained version instead"
        )
    kept |= {part: arrays[f"graph.{part}"] for part in ("source", "target", "weight", "own")}
    kept["numbers"] = x
    return arrays["graph.features"][None]


def _graphs(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    width, convolution = options["features"], options["convolution"]
    records, largest = x.shape[:2]
    pairs = x[:, :, width + 1 :].reshape(records, -1, 2).astype(jnp.int32)
    there = (pairs[:, :, 0] >= 0).reshape(-1)
    first = jnp.arange(records, dtype=jnp.int32)[:, None] * largest
    kept["mask"] = x[:, :, width : width + 1]
    # A pair that is not there leads from the record's first node to itself and weighs nothing.
    source, target = ((jnp.maximum(pairs[:, :, end], 0) + first).reshape(-1) for end in (0, 1))
    weight, count = there.astype(x.dtype), records * largest
    arrive = jax.ops.segment_sum(weight, target, num_segments=count)
    kept["source"], kept["target"] = source, target
    if convolution == "gcn":
        root = jax.lax.rsqrt(arrive + 1)
        weight, kept["own"] = weight * root[source] * root[target], root * root
    elif convolution == "sage":
        weight = weight / jnp.maximum(arrive, 1)[target]
    kept["weight"] = weight
    return x[:, :, :width]


def gather(x: jax.Array, kept: Kept) -> jax.Array:
    """Adds up what the arrows bring to each node.

    Args:
        x: Shape `(graphs, nodes, width)`.
        kept: Where the arrows begin and end, and what they weigh.
    """
    flat = x.reshape(-1, x.shape[-1])
    brought = flat[kept["source"]] * kept["weight"][:, None]
    return jax.ops.segment_sum(brought, kept["target"], num_segments=len(flat)).reshape(x.shape)


def _gcn(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    x = x @ arrays[f"{name}.weight"]
    mixed = gather(x, kept) + x * kept["own"].reshape(*x.shape[:2], 1)
    return mixed + arrays[f"{name}.bias"] if options["bias"] else mixed


def _sage(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    mixed = x @ arrays[f"{name}.own.weight"] + gather(x @ arrays[f"{name}.weight"], kept)
    return mixed + arrays[f"{name}.bias"] if options["bias"] else mixed


def _gin(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    x = x @ arrays[f"{name}.weight"]
    mixed = (1 + arrays[f"{name}.epsilon"]) * x + gather(x, kept)
    return mixed + arrays[f"{name}.bias"] if options["bias"] else mixed


def _gat(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    source, target, there = kept["source"], kept["target"], kept["weight"][:, None]
    heads = options["heads"]
    values = x @ arrays[f"{name}.weight"]
    values = values.reshape(-1, heads, values.shape[-1] // heads)
    gives, takes = (
        (values * arrays[f"{name}.{end}"]).sum(-1) for end in ("source", "target")
    )  # (nodes, heads)
    own = jax.nn.leaky_relu(gives + takes, SLOPE)
    scores = jax.nn.leaky_relu(gives[source] + takes[target], SLOPE)
    scores = jnp.where(there == 0, -jnp.inf, scores)
    # What is taken off all scores of a node changes no share.
    count = len(values)
    highest = jnp.maximum(own, jax.ops.segment_max(scores, target, num_segments=count))
    highest = jax.lax.stop_gradient(highest)
    own, scores = jnp.exp(own - highest), jnp.exp(scores - highest[target])
    total = own + jax.ops.segment_sum(scores, target, num_segments=count)
    brought = jax.ops.segment_sum(values[source] * scores[:, :, None], target, num_segments=count)
    mixed = (values * own[:, :, None] + brought) / total[:, :, None]
    joined = mixed.reshape(*x.shape[:2], -1)
    return joined + arrays[f"{name}.bias"] if options["bias"] else joined


def node_norm(
    x: jax.Array,
    name: str,
    arrays: Arrays,
    running: dict[str, jax.Array],
    mask: jax.Array | None,
    *,
    training: bool,
) -> jax.Array:
    """Normalises by all nodes of the batch in training, and moves the running statistics; otherwise by these.

    Args:
        x: Shape `(graphs, nodes, width)`.
        name: Of the layer.
        arrays: Scale and shift.
        running: The statistics; changed in place.
        mask: 1 where there is a node, shape `(graphs, nodes, 1)`; None where all are.
        training: Whether by the batch.
    """
    mean, var = running[f"{name}.running_mean"], running[f"{name}.running_var"]
    if training:
        weight = jnp.ones((*x.shape[:2], 1), dtype=x.dtype) if mask is None else mask
        count = weight.sum()
        mean_now = (x * weight).sum((0, 1)) / count
        var_now = (jnp.square(x - mean_now) * weight).sum((0, 1)) / count
        unbiased = var_now * (count / jnp.maximum(count - 1, 1))
        running[f"{name}.running_mean"] = (1 - MOMENTUM) * mean + MOMENTUM * mean_now
        running[f"{name}.running_var"] = (1 - MOMENTUM) * var + MOMENTUM * unbiased
        mean, var = mean_now, var_now
    return (x - mean) * jax.lax.rsqrt(var + EPS) * arrays[f"{name}.weight"] + arrays[f"{name}.bias"]


def _pool_nodes(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    mask = kept["mask"]
    if options["how"] == "max":
        return jnp.where(mask == 0, -jnp.inf, x).max(1)
    total = (x * mask).sum(1)
    # The last batch is filled up with records of no nodes.
    return total if options["how"] == "sum" else total / jnp.maximum(mask.sum(1), 1)


def _pick(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    return x[0][kept["numbers"][:, 0]]


def _join_pair(x: jax.Array, name: str, options: Options, arrays: Arrays, kept: Kept) -> jax.Array:
    one, other = (x[0][kept["numbers"][:, end]] for end in (0, 1))
    return jnp.concatenate((one, other) if options["ordered"] else (one * other, jnp.abs(one - other)), 1)


FUNCTIONS: Mapping[Kind, Function] = {
    "nodes": _nodes,
    "graphs": _graphs,
    "gcn": _gcn,
    "sage": _sage,
    "gat": _gat,
    "gin": _gin,
    "pool_nodes": _pool_nodes,
    "pick": _pick,
    "join_pair": _join_pair,
}
