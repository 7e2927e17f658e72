"""From a file to nodes with edges between them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.data.frame import Frame
from trainwright.data.graph import Graph, Graphs, Nodes, check_pairs, join_graphs, make_arrows, split_graphs
from trainwright.data.npy import list_npz, read_npz
from trainwright.data.roles import Raw, Roles, nearest
from trainwright.data.sequences import Sequences
from trainwright.data.source import TABLES, find_file, open_table, read_source
from trainwright.spec.data import ColumnSpec, GraphSpec


def read_graph(path: Path, roles: Roles, graph: GraphSpec) -> Raw:
    """Reads nodes and the edges between them.

    Args:
        path: An .npz file, or the table of the nodes.
        roles: Which array or column plays which part.
        graph: Where the edges are and, where each graph is a record, the graph of each node.

    Raises:
        DataError: If the file or one of its parts is not there, or they do not belong together.
    """
    at = roles.at("graph").removesuffix(": ")
    where = f"{at}." if at else ""
    if path.is_dir() or path.suffix.lower() not in (".npz", *TABLES):
        raise DataError(
            f"{roles.at('graph')}{path.name} holds no graph; bring an .npz file, or a table of the nodes"
        )
    if path.suffix.lower() == ".npz":
        return _read_arrays(path, roles, graph, where)
    return _read_tables(path, roles, graph, where)


def _read_arrays(path: Path, roles: Roles, graph: GraphSpec, where: str) -> Raw:
    for name in ("ends", "nodes"):
        if getattr(graph, name) is not None:
            raise DataError(f"{where}{name}: {path.name} holds arrays of node numbers; leave it out")
    raw = read_source(path, roles)
    if isinstance(raw.x, Sequences | Nodes | Graphs) or len(raw.x.shape) != 2:
        found = "sequences" if isinstance(raw.x, Sequences) else f"of shape {raw.x.shape}"
        raise DataError(f"{roles.at('features')}the features of nodes are a matrix, these are {found}")
    pairs = _array(path, graph.edges, at=f"{where}edges: ")
    arrows = make_arrows(pairs, len(raw.x), directed=graph.directed, at=f"{where}edges: ")
    if graph.pairs is not None:
        chosen = _array(path, graph.pairs, at=f"{where}pairs: ")
        return replace(
            raw, x=Nodes(Graph(raw.x, arrows), check_pairs(chosen, len(raw.x), at=f"{where}pairs: "))
        )
    if graph.graphs is None:
        return replace(raw, x=Nodes(Graph(raw.x, arrows), np.arange(len(raw.x))))
    owner = _array(path, graph.graphs, at=f"{where}graphs: ")
    return replace(raw, x=split_graphs(raw.x, owner, arrows, at=f"{where}graphs: "))


def _read_tables(path: Path, roles: Roles, graph: GraphSpec, where: str) -> Raw:
    from trainwright.data.tabular import read_table

    table = open_table(path, roles)
    names, owner = (
        _column(table, getattr(graph, role), at=f"{where}{role}: ") for role in ("nodes", "graphs")
    )
    of_pairs = roles
    if graph.pairs is not None:  # whose own table has all but the features
        roles = replace(roles, target=None, weight=None, id=None, by=None)
    others = {*roles.targets, roles.weight, roles.id, roles.by}
    own = [name for name in (graph.nodes, graph.graphs) if name is not None and name not in others]
    raw = read_table(replace(table, arrow=table.arrow.drop_columns(own)), roles)
    if not isinstance(raw.x, Frame):
        raise DataError(f"{roles.at('features')}the features of nodes are columns, one value for each node")
    if raw.numbers is not None:
        raise DataError(
            f"{where.replace('graph.', '') or ''}missing: {raw.left_out} nodes lack a value, and a node cannot be "
            "left out, for its edges would lead nowhere; fill the values in"
        )
    pairs = _read_ends(
        open_table(_beside(path, graph.edges, f"{where}edges: ")), graph, names, where, "edges"
    )
    arrows = make_arrows(pairs, len(raw.x), directed=graph.directed, at=f"{where}edges: ")
    if graph.pairs is not None:
        asked = open_table(_beside(path, graph.pairs, f"{where}pairs: "), of_pairs)
        chosen = _read_ends(asked, graph, names, where, "pairs")
        chosen = check_pairs(chosen, len(raw.x), at=f"{where}pairs: ")
        ends = graph.ends or list(asked.columns[:2])
        # Names of nodes are features of no kind; any that reads every name will do.
        plain = [ColumnSpec(name=one, role="feature", kind="categorical") for one in ends]
        said = read_table(asked, replace(of_pairs, features=ends, columns=plain))
        if said.numbers is not None:
            raise DataError(
                f"{where}pairs: {said.left_out} pairs lack a value; leave them out of {asked.name}"
            )
        parts = {name: getattr(said, name) for name in ("y", "weight", "ids", "by", "target")}
        return replace(raw, x=Nodes(Graph(raw.x, arrows), chosen), **parts)
    if owner is None:
        return replace(raw, x=Nodes(Graph(raw.x, arrows), np.arange(len(raw.x))))
    numbers = np.unique(owner, return_inverse=True)[1].reshape(-1)
    of_graphs = {
        role: _one_per_graph(getattr(raw, role), numbers, at=f"{roles.at(said)}")
        for role, said in (("y", "target"), ("weight", "weight"), ("ids", "id"), ("by", "by"))
    }
    return replace(raw, x=split_graphs(raw.x, numbers, arrows, at=f"{where}graphs: "), **of_graphs)


def _beside(path: Path, name: str, at: str) -> Path:
    found = find_file(name, path.parent, at=at)
    if found.suffix.lower() not in TABLES:
        raise DataError(f"{at}{found.name} is no table; known types: {', '.join(TABLES)}")
    return found


def _read_ends(table: Any, graph: GraphSpec, names: Array | None, where: str, role: str) -> Array:
    """Gives pairs of node numbers from a table of edges, or of the pairs that are records."""
    ends = graph.ends or list(table.columns[:2])
    if len(ends) < 2:
        raise DataError(f"{where}{role}: {table.name} has one column; an edge has two ends")
    columns = [_column(table, one, at=f"{where}ends: ") for one in ends]
    if names is None:
        return np.stack([_numbers(one, f"{where}{role}: {table.name}") for one in columns], axis=1)
    known, count = np.unique(names, return_counts=True)
    if len(known) < len(names):
        twice: Any = known[count > 1][0]
        raise DataError(
            f"{where}nodes: {twice.item()!r} names {count[count > 1][0]} nodes; names are different"
        )
    order, found = np.argsort(names, kind="stable"), []
    for name, column in zip(ends, columns, strict=True):
        if (column is not None and column.dtype.kind == "U") != (known.dtype.kind == "U"):
            raise DataError(
                f"{where}ends: {name!r} and the names of the nodes are not both text, or both numbers"
            )
        values: Any = column
        places = np.searchsorted(known, values).clip(max=len(known) - 1)
        absent = np.flatnonzero(known[places] != values)
        if len(absent):
            text = f"row {absent[0]} of {table.name} names the node {values[absent[0]].item()!r}, which is not there"
            raise DataError(f"{where}{role}: {text} ({len(absent)} such ends in {name!r})")
        found.append(order[places])
    return np.stack(found, axis=1)


def _numbers(column: Any, what: str) -> Any:
    whole = column.dtype.kind in "iu" or (column.dtype.kind == "f" and (column == np.rint(column)).all())
    if not whole:
        raise DataError(f"{what} names nodes by {column.dtype}, not by their row; say data.graph.nodes")
    return column.astype(np.int64)


def _one_per_graph(values: Any, owner: Any, *, at: str) -> Any:
    """Gives the value that all nodes of a graph share."""
    if values is None:
        return None
    first = np.unique(owner, return_index=True)[1]
    found = values[first]
    differs = np.flatnonzero((found[owner] != values).reshape(len(values), -1).any(axis=1))
    if len(differs):
        raise DataError(
            f"{at}it differs among the nodes of one graph, in row {differs[0]} of the nodes; each graph has one value"
        )
    return found


def _column(table: Any, name: str | None, *, at: str) -> Any:
    if name is None:
        return None
    if name not in table.columns:
        raise DataError(f"{at}no column {name!r} in {table.name}, {nearest(name, table.columns)}")
    try:
        return table.names(name)
    except DataError as error:
        raise DataError(f"{at}{error}") from error


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
