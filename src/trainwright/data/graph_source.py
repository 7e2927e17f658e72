"""From a file to nodes with edges between them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.data.graph import Graph, Graphs, Nodes, join_graphs, make_arrows, split_graphs
from trainwright.data.npy import list_npz, read_npz
from trainwright.data.roles import Raw, Roles, nearest
from trainwright.data.sequences import Sequences
from trainwright.data.source import read_source
from trainwright.spec.data import GraphSpec


def read_graph(path: Path, roles: Roles, graph: GraphSpec) -> Raw:
    """Reads nodes and the edges between them.

    Args:
        path: An .npz file.
        roles: Which array plays which part.
        graph: Which arrays hold the edges and, where each graph is a record, the graph of each node.

    Raises:
        DataError: If the file or one of its parts is not there, or they do not belong together.
    """
    at = roles.at("graph")
    if path.is_dir() or path.suffix.lower() != ".npz":
        raise DataError(
            f"{at}{path.name} is no .npz file; graphs are read from arrays of features and of edges in one"
        )
    raw = read_source(path, roles)
    if isinstance(raw.x, Sequences | Nodes | Graphs) or len(raw.x.shape) != 2:
        found = "sequences" if isinstance(raw.x, Sequences) else f"of shape {raw.x.shape}"
        raise DataError(f"{roles.at('features')}the features of nodes are a matrix, these are {found}")
    inner = at.removesuffix(": ")
    dot = f"{inner}." if inner else ""
    pairs = _array(path, graph.edges, at=f"{dot}edges: ")
    arrows = make_arrows(pairs, len(raw.x), directed=graph.directed, at=f"{dot}edges: ")
    if graph.graphs is None:
        return replace(raw, x=Nodes(Graph(raw.x, arrows), np.arange(len(raw.x))))
    owner = _array(path, graph.graphs, at=f"{dot}graphs: ")
    return replace(raw, x=split_graphs(raw.x, owner, arrows, at=f"{dot}graphs: "))


def graphs_of(value: Any, *, directed: bool) -> Graphs:
    """Takes graphs that are in memory.

    Args:
        value: A sequence of pairs: features of the nodes, shape `(nodes, features)`, and pairs of node numbers, shape
            `(edges, 2)`.
        directed: Whether a pair leads one way only.

    Raises:
        DataError: If one is no graph.

    Example:
        >>> graphs_of([(np.ones((3, 2)), [[0, 1], [1, 2]])], directed=False).lengths.tolist()
        [4]
    """
    made = []
    for number, one in enumerate(value):
        try:
            features, pairs = one
            nodes, edges = np.asarray(features), np.asarray(pairs)
        except (TypeError, ValueError) as error:
            raise DataError(f"graph {number} is no pair of features and edges: {error}") from error
        if nodes.ndim != 2 or len(nodes) == 0 or nodes.dtype.kind not in "biuf":
            raise DataError(f"graph {number}: the features of its nodes are a matrix, not {nodes.shape}")
        edges = edges.reshape(-1, 2).astype(np.int64) if edges.size == 0 else edges
        arrows = make_arrows(edges, len(nodes), directed=directed, at=f"graph {number}: ")
        made.append(Graphs(nodes, np.array([len(nodes)]), arrows, np.array([len(arrows)])))
    if not made:
        raise DataError("there are no graphs")
    return join_graphs(made)


def _array(path: Path, name: str, *, at: str) -> Array:
    known = list_npz(path)
    if name not in known:
        raise DataError(f"{at}no array {name!r} in {path.name}, {nearest(name, known)}")
    return read_npz(path, [name])[name]
