"""Small random graphs for tests, one and many."""

import numpy as np

from trainwright.data.graph import EncodedGraph, Graphs, make_arrows, pad_graphs
from trainwright.models.gnn import graph_constants

NODES, FEATURES = 9, 5
LARGEST, SLOTS = 6, 3


def random_pairs(numbers, nodes, edges):
    return numbers.integers(0, nodes, (edges, 2))


def make_graph(nodes=NODES, features=FEATURES, edges=14, seed=0, directed=False):
    """One graph; its last node has no edges."""
    numbers = np.random.default_rng(seed)
    arrows = make_arrows(random_pairs(numbers, nodes - 1, edges), nodes, directed=directed)
    x = numbers.normal(size=(nodes, features)).astype(np.float32)
    return EncodedGraph(x, *np.ascontiguousarray(arrows.T, dtype=np.int32))


def make_constants(convolution, graph=None):
    return graph_constants(graph or make_graph(), convolution)


def make_graphs(count=6, features=FEATURES, seed=0):
    """Graphs of 2 to 6 nodes; the first one has no edges."""
    numbers = np.random.default_rng(seed)
    nodes, arrows = np.array([2 + number % (LARGEST - 1) for number in range(count)]), []
    for number, size in enumerate(nodes):
        pairs = random_pairs(numbers, size, 0 if number == 0 else size)
        arrows.append(make_arrows(pairs, size, directed=number % 2 == 1))
    lengths = np.array([len(one) for one in arrows])
    values = numbers.normal(size=(nodes.sum(), features)).astype(np.float32)
    return Graphs(values, nodes, np.concatenate(arrows), lengths)


def pad(graphs, largest=LARGEST, slots=SLOTS):
    return pad_graphs(graphs, graphs.values, largest=largest, slots=slots)
