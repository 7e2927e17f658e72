import numpy as np
import pytest

from models.graphs import make_graph, make_graphs
from trainwright.base.errors import DataError
from trainwright.data.frame import Frame
from trainwright.data.graph import (
    EncodedGraph,
    Graph,
    Graphs,
    Nodes,
    join_graphs,
    make_arrows,
    pad_graphs,
    split_graphs,
)

PAIRS = np.array([[0, 1], [2, 1], [1, 0], [3, 3], [2, 1]])


@pytest.mark.parametrize(
    ("directed", "wanted"),
    [
        (
            False,
            [[1, 0], [0, 1], [2, 1], [1, 2]],
        ),  # both ways, each once, no node to itself, by where they end
        (True, [[1, 0], [0, 1], [2, 1]]),
    ],
)
def test_arrows_are_each_there_once_and_in_one_order(directed, wanted):
    assert make_arrows(PAIRS, 4, directed=directed).tolist() == wanted
    assert make_arrows(PAIRS[::-1].astype(np.int16), 4, directed=directed).tolist() == wanted


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        (np.array([[0, 4]]), "edge 0 names node 4, nodes are counted from 0 to 3"),
        (np.array([[0, 1], [-1, 2]]), "edge 1 names node -1"),
        (np.array([0, 1]), r"integers of shape \(edges, 2\), not int64 of shape \(2,\)"),
        (np.array([[0.0, 1.0]]), "not float64"),
    ],
)
def test_what_are_no_edges_is_refused(pairs, says):
    with pytest.raises(DataError, match=says):
        make_arrows(pairs, 4)


def test_nodes_are_taken_and_named_by_their_graph_and_their_numbers():
    graph = Graph(np.arange(8.0).reshape(4, 2), make_arrows(PAIRS, 4))
    nodes = Nodes(graph, np.arange(4))
    some = nodes[np.array([3, 1])]
    assert some.rows().tolist() == [[6, 7], [2, 3]] and some.shape == (2, 2) and len(some) == 2
    assert some.graph is graph and some.size == 4
    other = Nodes(Graph(graph.features, make_arrows(PAIRS[:1], 4)), np.arange(4))
    assert len({nodes.digest(), some.digest(), other.digest()}) == 3
    assert nodes.digest() == Nodes(Graph(graph.features.copy(), graph.arrows.copy()), np.arange(4)).digest()


def test_graphs_are_cut_taken_and_joined_again():
    owner = np.array([1, 0, 1, 0, 2])  # nodes of one graph need not lie together
    features = np.arange(5.0)[:, None]
    arrows = make_arrows(np.array([[0, 2], [1, 3]]), 5)
    graphs = split_graphs(features, owner, arrows)
    assert graphs.values[:, 0].tolist() == [1, 3, 0, 2, 4]
    assert graphs.nodes.tolist() == [2, 2, 1] and graphs.lengths.tolist() == [2, 2, 0]
    assert graphs.arrows.tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]
    parts = [graphs[np.array([number])] for number in (2, 0, 1)]
    back = join_graphs(parts)[np.array([1, 2, 0])]
    assert back.digest() == graphs.digest()
    assert graphs[np.array([1, 0, 2])].digest() != graphs.digest()
    frames = Graphs(Frame({"a": features[:, 0]}), graphs.nodes, graphs.arrows, graphs.lengths)
    assert join_graphs([frames, frames]).values.columns["a"].tolist() == [*features[:, 0], *features[:, 0]]
    with pytest.raises(DataError, match="1 or 2 features"):
        join_graphs([graphs, Graphs(np.ones((1, 2)), np.array([1]), np.empty((0, 2), int), np.array([0]))])


@pytest.mark.parametrize(
    ("owner", "pairs", "says"),
    [
        ([0, 0, 2], [], "without a gap"),
        ([0, -1, 1], [], "without a gap"),
        ([0, 1], [], r"the graph of each node \(3\)"),
        ([0.0, 1.0, 1.0], [], "not float64"),
        ([0, 1, 1], [[0, 2]], "leads from node 2 of graph 1 to node 0 of graph 0"),
    ],
)
def test_nodes_that_make_no_graphs_are_refused(owner, pairs, says):
    arrows = make_arrows(np.array(pairs, dtype=int).reshape(-1, 2), 3)
    with pytest.raises(DataError, match=says):
        split_graphs(np.ones((3, 1)), np.array(owner), arrows)


def test_padding_keeps_every_feature_and_every_arrow():
    graphs = make_graphs()
    padded = pad_graphs(graphs, graphs.values, largest=8, slots=4)
    width = graphs.values.shape[1]
    for number in range(len(graphs)):
        one, record = graphs[np.array([number])], padded[number]
        there = record[:, width] == 1
        assert there.sum() == one.nodes[0] and there[: one.nodes[0]].all()
        np.testing.assert_array_equal(record[there, :width], one.values)
        pairs = record[:, width + 1 :].reshape(-1, 2)
        np.testing.assert_array_equal(pairs[pairs[:, 0] >= 0], one.arrows)
        assert (record[~there, :width] == 0).all()


@pytest.mark.parametrize("zeros", [False, True])
def test_a_graph_comes_back_from_what_is_kept_of_it(zeros):
    graph = make_graph()
    if zeros:
        graph.features[:, 1:] = 0
    tree = graph.tree()
    assert ("value" in tree) == zeros
    assert EncodedGraph.from_tree(tree).same_as(graph)
    other = make_graph()
    other.features[0, 0] += 1
    assert not graph.same_as(other) and not graph.same_as(make_graph(seed=1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": np.array([99], dtype=np.int32), "source": np.array([0], dtype=np.int32)},
        {"target": np.array([0], dtype=np.int32), "source": np.array([0, 1], dtype=np.int32)},
        {"row": np.array([99])},
        {"shape": [2**40, 2**40]},
        {"shape": [3]},
    ],
)
def test_a_record_of_a_graph_that_was_tampered_with_is_refused(wrong):
    graph = make_graph()
    graph.features[1:] = 0
    with pytest.raises(DataError, match="what is kept of the graph"):
        EncodedGraph.from_tree(graph.tree() | wrong)
    with pytest.raises(DataError, match="what is kept of the graph"):
        EncodedGraph.from_tree({name: one for name, one in graph.tree().items() if name not in wrong})
