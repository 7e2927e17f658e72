"""The layers of a graph network over the nodes of one graph, or over many small graphs."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from trainwright.base.tree import Array
from trainwright.data.graph import EncodedGraph
from trainwright.models.design import Design
from trainwright.models.draft import Draft


def draw_gnn(draft: Draft, design: Design) -> None:
    """Draws convolutions over edges; then one more for the answer of each node, or a dense layer for a pair or graph.

    Source:
        Kipf and Welling, Semi-Supervised Classification with Graph Convolutional Networks, 2017 (`gcn`); Hamilton et
        al., Inductive Representation Learning on Large Graphs, 2017 (`sage`, its mean); Velickovic et al., Graph
        Attention Networks, 2018 (`gat`); Xu et al., How Powerful are Graph Neural Networks?, 2019 (`gin`).
    """
    nodes = design.input != "graph"
    options = {"features": design.node_features, "convolution": design.convolution}
    if nodes:
        draft.add("nodes", "nodes", **options)
        draft.shape = (design.node_features,)
    else:
        draft.add("graphs", "graphs", **options)
        draft.shape = (draft.shape[0], design.node_features)
    for number, width in enumerate(design.hidden_dims):
        _draw_stage(draft, design, number=number, width=width)
    draft.drop("dropout_output", design.dropout, shared=nodes)
    if design.input == "node":
        _convolve(draft, design, name="output", width=design.outputs, heads=1, bias=True)
        draft.add("pick", "pick")
        return
    if nodes:
        draft.add("join_pair", "join", ordered=design.input == "arrow")
        draft.shape = (2 * draft.shape[-1],)
    else:
        draft.add("pool_nodes", "pool", how=design.pooling)
        draft.shape = (draft.shape[-1],)
    draft.dense("output", design.outputs, bias=True)


def graph_constants(graph: EncodedGraph, convolution: str) -> dict[str, Array]:
    """Gives what a network over the nodes of one graph reads of it.

    Returns:
        `graph.features`, `graph.source`, `graph.target` and what `weigh_arrows` gives, `graph.weight` and `graph.own`.
    """
    weight, own = weigh_arrows(graph.source, graph.target, len(graph.features), convolution=convolution)
    return {
        "graph.features": graph.features,
        "graph.source": graph.source,
        "graph.target": graph.target,
        "graph.weight": weight,
        "graph.own": own,
    }


def weigh_arrows(source: Array, target: Array, count: int, *, convolution: str) -> tuple[Array, Array]:
    r"""Gives how much of a node arrives at the end of each arrow, and how much of a node stays where it is.

    With :math:`d` the number of arrows that arrive at a node: for `gcn`
    :math:`1/\sqrt{(d_i + 1)(d_j + 1)}` and :math:`1/(d_i + 1)`; for `sage` :math:`1/d_i` and 0; otherwise 1 and 0.

    Args:
        source: Where each arrow begins, shape `(arrows,)`.
        target: Where it ends.
        count: How many nodes there are.
        convolution: Of the network.

    Returns:
        Two float32 arrays of shapes `(arrows,)` and `(nodes,)`.

    Example:
        >>> weigh_arrows(np.array([1, 2]), np.array([0, 0]), 3, convolution="sage")[0]
        array([0.5, 0.5], dtype=float32)
    """
    arrive: Any = np.bincount(target, minlength=count).astype(np.float64)
    if convolution == "gcn":
        root = 1 / np.sqrt(arrive + 1)
        weight, own = root[source] * root[target], root * root
    elif convolution == "sage":
        weight, own = 1 / arrive[target], np.zeros(count)
    else:
        weight, own = np.ones(len(target)), np.zeros(count)
    return weight.astype(np.float32), own.astype(np.float32)


def _draw_stage(draft: Draft, design: Design, *, number: int, width: int) -> None:
    before, nodes = draft.shape, design.input != "graph"
    bias = design.normalization != "batch"
    if design.residual:
        draft.add("keep", f"skip_{number}")
    draft.drop(f"dropout_{number}", design.dropout, shared=nodes)
    _convolve(draft, design, name=f"graph_{number}", width=width, heads=max(1, design.heads), bias=bias)
    _finish(draft, design, f"{number}")
    if design.convolution == "gin":
        draft.dense(f"graph_{number}_out", width, bias=bias)
        _finish(draft, design, f"{number}_out")
    if design.residual and before != draft.shape:
        after, draft.shape = draft.shape, before
        draft.add("keep", f"block_{number}")
        draft.add("take", f"take_{number}", of=f"skip_{number}")
        draft.dense(f"project_{number}", width, bias=False)
        draft.add("add", f"add_{number}", of=f"block_{number}")
        draft.shape = after
    elif design.residual:
        draft.add("add", f"add_{number}", of=f"skip_{number}")


def _finish(draft: Draft, design: Design, name: str) -> None:
    draft.normalise(f"norm_{name}", design.normalization, axis=-1)
    draft.activate(f"activation_{name}", design.activation)


def _convolve(draft: Draft, design: Design, *, name: str, width: int, heads: int, bias: bool) -> None:
    """Adds a convolution over the edges, with values uniform within 1/sqrt(fan in)."""
    how: Any = design.convolution
    options: Mapping[str, Any] = {"bias": bias} | ({"heads": heads} if how == "gat" else {})
    draft.add(how, name, **options)
    bound = 1 / math.sqrt(draft.shape[-1])
    draft.uniform(f"{name}.weight", (width, draft.shape[-1]), bound=bound)
    if how == "sage":
        draft.uniform(f"{name}.own.weight", (width, draft.shape[-1]), bound=bound)
    if how == "gat":
        for end in ("source", "target"):
            draft.uniform(f"{name}.{end}", (heads, width // heads), bound=1 / math.sqrt(width // heads))
    if how == "gin":
        draft.constant(f"{name}.epsilon", (1,), 0.0)
    if bias:
        draft.uniform(f"{name}.bias", (width,), bound=bound)
    draft.shape = (*draft.shape[:-1], width)
