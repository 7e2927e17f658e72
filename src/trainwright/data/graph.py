"""Nodes of one graph, and graphs that are records themselves: where an array of records could stand, they can."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainwright.base.bounds import unfolds_too_far
from trainwright.base.digest import digest_array, digest_json
from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.data.frame import Frame, join_frames

Numbers = NDArray[np.int64]
Features = Array | Frame
LARGEST = 2**24  # node numbers within a graph travel as float32, which holds integers up to here


@dataclass(frozen=True, eq=False)
class Graph:
    """One graph.

    Args:
        features: Of the nodes, shape `(nodes, features)`.
        arrows: Pairs (from, to) of node numbers, each once, sorted by `to`, then `from`; shape `(arrows, 2)`.
    """

    features: Features
    arrows: Numbers

    def __len__(self) -> int:
        return len(self.features)

    def digest(self) -> str:
        """Names the features and the arrows."""
        return digest_json([_digest(self.features), digest_array(self.arrows)])


@dataclass(frozen=True, eq=False)
class Nodes:
    """Some nodes of one graph, or pairs of its nodes, each a record.

    Args:
        graph: The whole of it.
        numbers: Which nodes, shape `(records,)`, or which pairs of nodes, shape `(records, 2)`.

    Example:
        >>> graph = Graph(np.eye(3), make_arrows(np.array([[0, 1]]), 3))
        >>> some = Nodes(graph, np.arange(3))[np.array([2, 0])]
        >>> some.numbers.tolist(), some.shape
        ([2, 0], (2, 3))
    """

    graph: Graph
    numbers: Numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, chosen: Any) -> "Nodes":
        return Nodes(self.graph, self.numbers[chosen])

    @property
    def values(self) -> Features:
        """Gives the features of all nodes of the graph."""
        return self.graph.features

    @property
    def shape(self) -> tuple[int, int]:
        """Gives the numbers of records and of features of a node."""
        return len(self), self.graph.features.shape[1]

    @property
    def size(self) -> int:
        """Counts the features of the records."""
        return len(self) * self.shape[1]

    def rows(self) -> Features:
        """Gives the features of the nodes of the records, of each node of a pair once, shape `(nodes, features)`."""
        numbers = self.numbers if self.numbers.ndim == 1 else np.unique(self.numbers)
        found: Features = self.graph.features[numbers]
        return found

    def digest(self) -> str:
        """Names the graph and the records."""
        return digest_json([self.graph.digest(), digest_array(self.numbers)])


@dataclass(frozen=True, eq=False)
class Graphs:
    """Graphs one after another, each a record.

    Args:
        values: Features of all nodes, shape `(nodes, features)`.
        nodes: How many nodes each graph has, shape `(records,)`.
        arrows: Pairs (from, to), numbered within their graph, in the order of the graphs; shape `(arrows, 2)`.
        lengths: How many arrows each graph has, shape `(records,)`.

    Example:
        >>> both = Graphs(np.eye(3), np.array([1, 2]), np.array([[0, 1], [1, 0]]), np.array([0, 2]))
        >>> second = both[np.array([1])]
        >>> second.values.tolist(), second.arrows.tolist(), both.shape
        ([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[0, 1], [1, 0]], (2, 3))
    """

    values: Features
    nodes: Numbers
    arrows: Numbers
    lengths: Numbers

    def __len__(self) -> int:
        return len(self.nodes)

    def __getitem__(self, chosen: Any) -> "Graphs":
        places = _places(self.nodes, chosen)
        return Graphs(
            self.values[places],
            self.nodes[chosen],
            self.arrows[_places(self.lengths, chosen)],
            self.lengths[chosen],
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Gives the numbers of graphs and of features of a node."""
        return len(self), self.values.shape[1]

    @property
    def size(self) -> int:
        """Counts the features of all nodes."""
        return self.values.size

    @property
    def largest(self) -> int:
        """Gives the number of nodes of the largest graph."""
        return int(self.nodes.max())

    def slots(self, largest: int) -> int:
        """Gives how many arrows each node must carry so that the graph with the most arrows has room.

        Args:
            largest: How many nodes carry them.
        """
        return max(1, -(-int(self.lengths.max()) // largest))

    def digest(self) -> str:
        """Names the features, the arrows and where each graph ends."""
        parts = (self.nodes, self.arrows, self.lengths)
        return digest_json([_digest(self.values), *(digest_array(one) for one in parts)])


@dataclass(frozen=True, eq=False)
class EncodedGraph:
    """One graph as a network takes it.

    Args:
        features: After preprocessing, float32 of shape `(nodes, features)`.
        source: Where each arrow begins, int32 of shape `(arrows,)`.
        target: Where it ends; sorted.
    """

    features: Array
    source: Array
    target: Array

    def tree(self) -> dict[str, Any]:
        """Gives arrays that are kept with a version; features that are mostly zero without their zeros."""
        rows, columns = np.nonzero(self.features)
        kept: dict[str, Any] = {"source": self.source, "target": self.target}
        if 3 * len(rows) >= self.features.size:
            return kept | {"features": self.features}
        return kept | {
            "shape": list(self.features.shape),
            "row": rows.astype(np.int32),
            "column": columns.astype(np.int32),
            "value": self.features[rows, columns],
        }

    @classmethod
    def from_tree(cls, tree: Mapping[str, Any]) -> "EncodedGraph":
        """Makes the graph that `tree` gave.

        Raises:
            DataError: If the arrays do not make a graph.
        """
        try:
            features = tree["features"] if "features" in tree else _unfold(tree)
            graph, count = cls(features, tree["source"], tree["target"]), len(features)
            ends: list[Any] = [graph.source, graph.target]
            inside = all(((one >= 0) & (one < count)).all() for one in ends)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise DataError(f"what is kept of the graph is no graph: {error}") from error
        if features.ndim != 2 or graph.source.shape != graph.target.shape or not inside:
            raise DataError("what is kept of the graph is no graph: an arrow leads nowhere")
        return graph

    def same_as(self, other: "EncodedGraph") -> bool:
        """Says whether another graph has the same features and arrows."""
        pairs = zip(
            (self.features, self.source, self.target),
            (other.features, other.source, other.target),
            strict=True,
        )
        return all(np.array_equal(one, two) for one, two in pairs)


def check_pairs(pairs: Array, count: int, *, at: str = "") -> Numbers:
    """Gives pairs of node numbers.

    Args:
        pairs: Shape `(pairs, 2)`.
        count: How many nodes there are.
        at: With which messages begin.

    Raises:
        DataError: If these are no pairs, or name nodes that are not there.
    """
    numbers: Any = pairs
    if numbers.ndim != 2 or numbers.shape[1] != 2 or numbers.dtype.kind not in "iu":
        raise DataError(
            f"{at}edges are pairs of node numbers, integers of shape (edges, 2), not {numbers.dtype} of shape "
            f"{numbers.shape}"
        )
    outside = np.argwhere((numbers < 0) | (numbers >= count))
    if len(outside):
        edge, end = outside[0].tolist()
        raise DataError(
            f"{at}edge {edge} names node {numbers[edge, end]}, nodes are counted from 0 to {count - 1}"
        )
    found: Numbers = numbers.astype(np.int64)
    return found


def make_arrows(pairs: Array, count: int, *, directed: bool = False, at: str = "") -> Numbers:
    """Gives the arrows of a graph: each once, without those from a node to itself, sorted by target, then source.

    Args:
        pairs: Of node numbers, shape `(edges, 2)`.
        count: How many nodes there are.
        directed: Whether a pair leads one way only.
        at: With which messages begin.

    Raises:
        DataError: If these are no pairs, or name nodes that are not there.

    Example:
        >>> make_arrows(np.array([[0, 1], [1, 0], [2, 2]]), 3).tolist()
        [[1, 0], [0, 1]]
    """
    found = check_pairs(pairs, count, at=at)
    if not directed:
        found = np.concatenate([found, found[:, ::-1]])
    found = np.unique(found[found[:, 0] != found[:, 1]][:, ::-1], axis=0)  # sorted by target, then by source
    arrows: Numbers = np.ascontiguousarray(found[:, ::-1])
    return arrows


def split_graphs(features: Features, owner: Array, arrows: Numbers, *, at: str = "") -> Graphs:
    """Cuts nodes and arrows into graphs, in the order of their numbers.

    Args:
        features: Of all nodes.
        owner: The graph of each node, from 0, shape `(nodes,)`; nodes of one graph need not lie together.
        arrows: Of all graphs, by the number of the node over all.
        at: With which messages begin.

    Raises:
        DataError: If a graph has no nodes, or an arrow leads from one graph to another.
    """
    numbers: Any = owner
    if numbers.shape != (len(features),) or numbers.dtype.kind not in "iu":
        raise DataError(
            f"{at}it holds the graph of each node ({len(features)}), not {numbers.dtype} of shape {numbers.shape}"
        )
    nodes = np.bincount(numbers - min(0, int(numbers.min()))).astype(np.int64)
    if numbers.min() < 0 or (nodes == 0).any():
        raise DataError(
            f"{at}graphs are numbered from 0 without a gap, and each has a node; these numbers go from "
            f"{numbers.min()} to {numbers.max()}, and {len(np.unique(numbers))} of them occur"
        )
    if nodes.max() > LARGEST:
        raise DataError(
            f"{at}a graph of {nodes.max()} nodes is too large for a record; make its nodes the records"
        )
    crossing = np.flatnonzero(numbers[arrows[:, 0]] != numbers[arrows[:, 1]])
    if len(crossing):
        one, other = arrows[crossing[0]].tolist()
        raise DataError(
            f"{at}an edge leads from node {one} of graph {numbers[one]} to node {other} of graph {numbers[other]}"
        )
    order = np.argsort(numbers, kind="stable")
    within = np.empty(len(numbers), dtype=np.int64)
    within[order] = np.arange(len(numbers)) - np.repeat(np.cumsum(nodes) - nodes, nodes)
    holders = numbers[arrows[:, 1]]
    ranks = np.lexsort((within[arrows[:, 0]], within[arrows[:, 1]], holders))
    lengths = np.bincount(holders, minlength=len(nodes)).astype(np.int64)
    return Graphs(features[order], nodes, within[arrows[ranks]], lengths)


def join_graphs(parts: list[Graphs]) -> Graphs:
    """Puts graphs one after another.

    Raises:
        DataError: If their nodes have different features.
    """
    first = parts[0]
    if any(one.values.shape[1:] != first.values.shape[1:] for one in parts):
        shapes = sorted({one.values.shape[1] for one in parts})
        raise DataError(
            f"the nodes of these graphs have {' or '.join(map(str, shapes))} features, not as many"
        )
    values: Any = first.values
    for one in parts[1:]:
        if isinstance(values, Frame) and isinstance(one.values, Frame):
            values = join_frames(values, one.values)
        else:
            values = np.concatenate([values, one.values])
    return Graphs(
        values,
        *(np.concatenate([getattr(one, name) for one in parts]) for name in ("nodes", "arrows", "lengths")),
    )


def pad_graphs(graphs: Graphs, values: Array, *, largest: int, slots: int) -> Array:
    """Pads graphs to one number of nodes, and puts features, mask and arrows side by side.

    Args:
        graphs: Which nodes and arrows belong together.
        values: Features of all nodes after preprocessing, shape `(nodes, features)`.
        largest: Nodes of a record.
        slots: Arrows that each node of a record carries; which node carries which means nothing.

    Returns:
        float32 of shape `(records, largest, features + 1 + 2 * slots)`: the features of a node, 1 where there is a
        node, and the pairs (from, to) of its arrows, -1 where there is none.

    Example:
        >>> one = Graphs(np.ones((2, 1)), np.array([2]), np.array([[1, 0], [0, 1]]), np.array([2]))
        >>> pad_graphs(one, one.values, largest=3, slots=1)[0]
        array([[ 1.,  1.,  1.,  0.],
               [ 1.,  1.,  0.,  1.],
               [ 0.,  0., -1., -1.]], dtype=float32)
    """
    width = values.shape[1]
    padded = np.zeros((len(graphs), largest, width + 1 + 2 * slots), dtype=np.float32)
    there = np.arange(largest) < graphs.nodes[:, None]
    padded[:, :, :width][there] = values
    padded[:, :, width] = there
    pairs = np.full((len(graphs), largest * slots, 2), -1, dtype=np.float32)
    pairs[np.arange(largest * slots) < graphs.lengths[:, None]] = graphs.arrows
    padded[:, :, width + 1 :] = pairs.reshape(len(graphs), largest, 2 * slots)
    return padded


def _places(lengths: Numbers, chosen: Any) -> Numbers:
    """Gives the places of all items of some records, when the items lie one record after another."""
    begins = (np.cumsum(lengths) - lengths)[chosen]
    own = lengths[chosen]
    within = np.arange(int(own.sum())) - np.repeat(np.cumsum(own) - own, own)
    places: Numbers = np.repeat(begins, own) + within
    return places


def _digest(features: Features) -> str:
    return features.digest() if isinstance(features, Frame) else digest_array(features)


def _unfold(tree: Mapping[str, Any]) -> Array:
    shape = tuple(tree["shape"])
    if unfolds_too_far(4 * int(np.prod(shape, dtype=object)), tree["value"].nbytes):
        raise DataError(f"what is kept of the graph would unfold to features of shape {shape}")
    features = np.zeros(shape, dtype=np.float32)
    features[tree["row"], tree["column"]] = tree["value"]
    return features
