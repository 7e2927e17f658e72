import numpy as np
import pytest

from trainwright.base.errors import DataError
from trainwright.data.dataset import open_dataset
from trainwright.data.graph import Graphs, Nodes
from trainwright.data.graph_source import graphs_of
from trainwright.data.inputs import InputSchema, read_inputs, take_inputs
from trainwright.data.prepare import Preparation, fit_preparation
from trainwright.ops import CATALOG
from trainwright.spec.data import DataSpec, GraphSpec

NODES = {
    "x": np.arange(12.0).reshape(6, 2),
    "edges": np.array([[0, 1], [1, 2], [3, 4], [4, 5]]),
    "y": np.array([0, 1, 0, 1, 0, 1]),
}
MANY = {**NODES, "of": np.array([0, 0, 0, 1, 1, 1]), "y": np.array([0.5, 1.5])}
SPLIT = {"method": "given", "train": [0, 1, 2, 3], "val": [4, 5]}


def open_with(folder, arrays, **spec):
    np.savez(folder / "a.npz", **arrays)
    return open_dataset(
        DataSpec(**{"path": "a.npz", "graph": {}, "split": SPLIT, **spec}), folder=folder, task_type="auto"
    )


def test_each_node_is_a_record_of_one_graph(tmp_path):
    found = open_with(tmp_path, NODES)
    part = found.part("val")
    assert isinstance(part.x, Nodes) and part.x.numbers.tolist() == [4, 5] and part.y.tolist() == [0, 1]
    assert len(part.x.graph.arrows) == 8
    assert len(open_with(tmp_path, NODES, graph={"directed": True}).records.x.graph.arrows) == 4
    assert found.recipe["graph"] == {
        "edges": "edges",
        "ends": None,
        "nodes": None,
        "graphs": None,
        "pairs": None,
        "directed": False,
    }
    moved = {**NODES, "edges": NODES["edges"][:3]}
    assert open_with(tmp_path, moved).content_digest != found.content_digest


def test_each_graph_is_a_record_with_a_target_of_its_own(tmp_path):
    split = {"method": "given", "train": [0], "val": [1]}
    found = open_with(tmp_path, MANY, graph={"graphs": "of"}, split=split)
    part = found.part("val")
    assert isinstance(part.x, Graphs) and part.y.tolist() == [1.5]
    assert part.x.values.tolist() == NODES["x"][3:].tolist()
    assert part.x.arrows.tolist() == [[1, 0], [0, 1], [2, 1], [1, 2]]


@pytest.mark.parametrize(
    ("arrays", "spec", "says"),
    [
        (NODES, {"graph": {"edges": "edge"}}, "data.graph.edges: no array 'edge' in a.npz, nearest: 'edges'"),
        (NODES, {"graph": {"graphs": "of"}}, "data.graph.graphs: no array 'of'"),
        (MANY, {"graph": {}}, "data.target: 'y' has shape"),
        ({**NODES, "edges": NODES["edges"] + 3}, {}, "data.graph.edges: edge 2 names node 6"),
        (
            {**MANY, "of": np.zeros(5, int)},
            {"graph": {"graphs": "of"}},
            "data.graph.graphs: it holds the graph",
        ),
        ({**NODES, "x": np.zeros((6, 2, 2))}, {}, "data.features: the features of nodes are a matrix"),
        ({**NODES, "x": np.full((6, 2), np.nan)}, {}, "data.features: the array 'x' holds nan in record 0"),
    ],
)
def test_what_does_not_belong_together_is_refused(tmp_path, arrays, spec, says):
    with pytest.raises(DataError, match=says):
        open_with(tmp_path, arrays, **spec)


NODE_ROWS = "name,group,a,b,y\nn0,g2,3,u,0\nn1,g1,9,v,1\nn2,g2,2,u,0\nn3,g1,5,v,1\nn4,g1,4,u,1\nn5,g2,8,v,0\n"
EDGE_ROWS = "from,to,since\nn0,n2,1990\nn1,n3,1991\nn4,n3,1992\n"
TABLE = {"path": "nodes.csv", "target": "y"}


def open_tables(folder, graph, *, nodes=NODE_ROWS, edges=EDGE_ROWS, **spec):
    (folder / "nodes.csv").write_text(nodes)
    (folder / "edges.csv").write_text(edges)
    return open_dataset(
        DataSpec(**{**TABLE, "graph": {"edges": "edges.csv", **graph}, "split": SPLIT, **spec}),
        folder=folder,
        task_type="classification",
    )


def test_nodes_are_rows_of_a_table_and_edges_of_another(tmp_path):
    found = open_tables(tmp_path, {"nodes": "name"})
    nodes = found.records.x
    assert found.features == ("group", "a", "b")
    assert isinstance(nodes, Nodes) and nodes.rows().columns["b"].tolist() == list("uvuvuv")
    assert nodes.graph.arrows.tolist() == [[2, 0], [3, 1], [0, 2], [1, 3], [4, 3], [3, 4]]
    turned = open_tables(tmp_path, {"nodes": "name", "ends": ["to", "from"], "directed": True})
    assert turned.records.x.graph.arrows.tolist() == [[2, 0], [3, 1], [3, 4]]
    by_row = EDGE_ROWS.replace("n", "")
    rows = open_tables(tmp_path, {}, edges=by_row).records.x
    assert rows.graph.arrows.tolist() == nodes.graph.arrows.tolist()
    numbered = open_tables(tmp_path, {"nodes": "a"}, edges="from,to\n3,2\n9,5\n4,5\n")
    assert numbered.features == ("group", "b")  # a name of nodes is no feature, not even a number
    assert numbered.records.x.graph.arrows.tolist() == nodes.graph.arrows.tolist()


def test_parquet_does_as_well(tmp_path):
    import pyarrow.csv as arrow_csv
    import pyarrow.parquet as parquet

    plain = open_tables(tmp_path, {"nodes": "name"})
    for name in ("nodes", "edges"):
        parquet.write_table(arrow_csv.read_csv(tmp_path / f"{name}.csv"), tmp_path / f"{name}.parquet")
    graph = {"edges": "edges.parquet", "nodes": "name"}
    found = open_tables(tmp_path, graph, path="nodes.parquet")
    assert found.content_digest == plain.content_digest


def test_rows_of_one_graph_make_one_record(tmp_path):
    more = "n6,g3,7,u,1\n"
    split = {"method": "given", "train": [0, 1], "val": [2]}
    found = open_tables(tmp_path, {"nodes": "name", "graphs": "group"}, nodes=NODE_ROWS + more, split=split)
    graphs = found.records.x
    assert (
        isinstance(graphs, Graphs)
        and graphs.nodes.tolist() == [3, 3, 1]
        and found.records.y.tolist() == [1, 0, 1]
    )
    assert graphs.values.columns["a"].tolist() == [9, 5, 4, 3, 2, 8, 7] and found.features == ("a", "b")
    assert graphs.arrows.tolist() == [[1, 0], [0, 1], [2, 1], [1, 2], [1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("graph", "change", "says"),
    [
        ({"edges": "edge.csv"}, {}, r"data.graph.edges: there is no file 'edge.csv'.*nearest: 'edges.csv'"),
        ({"edges": "a.npz"}, {}, "data.graph.edges: a.npz is no table"),
        ({"nodes": "nam"}, {}, "data.graph.nodes: no column 'nam' in nodes.csv, nearest: 'name'"),
        ({"nodes": "name", "ends": ["from", "into"]}, {}, "data.graph.ends: no column 'into'"),
        ({}, {}, "data.graph.edges: edges.csv names nodes by <U2, not by their row; say data.graph.nodes"),
        ({"nodes": "group"}, {}, "data.graph.nodes: 'g1' names 3 nodes"),
        ({"nodes": "a"}, {}, "data.graph.ends: 'from' and the names of the nodes are not both text"),
        ({"nodes": "name"}, {"edges": "from,to\nn0,n9\n"}, "row 0 of edges.csv names the node 'n9'"),
        ({"nodes": "name"}, {"edges": "from\nn0\n"}, "edges.csv has one column; an edge has two ends"),
        (
            {"nodes": "name", "graphs": "b"},
            {},
            "data.target: it differs among the nodes of one graph, in row 4",
        ),
        (
            {"nodes": "name"},
            {"nodes": NODE_ROWS.replace("n1,g1,9", "n1,g1,"), "missing": "drop"},
            "data.missing: 1 nodes lack a value, and a node cannot be left out",
        ),
    ],
)
def test_tables_that_make_no_graph_are_refused(tmp_path, graph, change, says):
    np.savez(tmp_path / "a.npz", **NODES)
    with pytest.raises(DataError, match=says):
        open_tables(tmp_path, graph, **change)


def test_what_holds_no_graph_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((3, 2)))
    with pytest.raises(DataError, match=r"data.graph: a.npy holds no graph"):
        open_dataset(DataSpec(path="a.npy", target=None, graph={}), folder=tmp_path)
    with pytest.raises(
        DataError, match=r"data.graph.nodes: a.npz holds arrays of node numbers; leave it out"
    ):
        open_with(tmp_path, NODES, graph={"nodes": "y"})


PAIRS = {**NODES, "who": np.array([[0, 5], [1, 1], [2, 4]]), "y": np.array([0.5, 1.5, 2.5])}
THREE = {"method": "given", "train": [0, 2], "val": [1]}


def test_each_pair_of_nodes_is_a_record(tmp_path):
    found = open_with(
        tmp_path, PAIRS, graph={"pairs": "who"}, split=THREE, operators=[{"use": "Standardize"}]
    )
    part = found.part("train")
    assert part.x.numbers.tolist() == [[0, 5], [2, 4]] and part.y.tolist() == [0.5, 2.5]
    assert part.x.rows().tolist() == NODES["x"][[0, 2, 4, 5]].tolist() and part.x.shape == (2, 2)
    spec = DataSpec(path="a.npz", graph={"pairs": "who"}, operators=[{"use": "Standardize"}])
    fitted = fit_preparation(found, spec, catalog=CATALOG)
    assert fitted.encode(part).x.tolist() == [[0, 5], [2, 4]]
    np.testing.assert_allclose(fitted.inputs.steps[0].mean, NODES["x"][[0, 2, 4, 5]].mean(0))
    schema = InputSchema("x", (2,), "y", "regression", graph=GraphSpec(pairs="who"))
    assert read_inputs(tmp_path / "a.npz", schema=schema).x.numbers.tolist() == PAIRS["who"].tolist()
    assert take_inputs([[3, 1]], schema=schema).tolist() == [[3, 1]]
    for wrong in ([3], [[1, 2, 3]], [[0.5, 1.0]], [[-1, 2]]):
        with pytest.raises(DataError, match="pairs of nodes of the graph that lies with the model"):
            take_inputs(wrong, schema=schema)
    with pytest.raises(DataError, match=r"data.graph.pairs: edge 0 names node 9"):
        open_with(tmp_path, {**PAIRS, "who": PAIRS["who"] + 9}, graph={"pairs": "who"}, split=THREE)


def test_pairs_are_rows_of_a_table_with_a_target_of_their_own(tmp_path):
    (tmp_path / "who.csv").write_text("from,to,how,w\nn0,n5,u,1\nn1,n1,v,2\nn2,n4,u,3\n")
    graph = {"nodes": "name", "pairs": "who.csv"}
    found = open_tables(
        tmp_path, graph, target="how", weight="w", split={**THREE, "train": [0, 1], "val": [2]}
    )
    assert found.records.x.numbers.tolist() == [[0, 5], [1, 1], [2, 4]]
    assert found.records.y.tolist() == ["u", "v", "u"] and found.records.weight.tolist() == [1, 2, 3]
    assert found.features == ("group", "a", "b", "y") and found.target == "how"
    (tmp_path / "who.csv").write_text("from,to,how\nn0,n9,u\n")
    with pytest.raises(DataError, match=r"data.graph.pairs: row 0 of who.csv names the node 'n9'"):
        open_tables(tmp_path, graph, target="how", split={**THREE, "train": [0, 1], "val": [2]})


def test_operators_are_fitted_on_the_nodes_of_train_and_applied_to_all(tmp_path):
    found = open_with(tmp_path, NODES, operators=[{"use": "Standardize"}])
    spec = DataSpec(path="a.npz", graph={}, operators=[{"use": "Standardize"}])
    fitted = fit_preparation(found, spec, catalog=CATALOG)
    encoded = fitted.encode_graph(found.records.x.graph)
    train = NODES["x"][:4]
    np.testing.assert_allclose(encoded.features, (NODES["x"] - train.mean(0)) / train.std(0), rtol=1e-6)
    assert fitted.encode(found.part("val")).x.tolist() == [[4], [5]]
    assert encoded.source.tolist() == [1, 0, 2, 1, 4, 3, 5, 4]
    assert encoded.target.tolist() == [0, 1, 1, 2, 3, 4, 4, 5]


def test_graphs_are_padded_to_the_largest_and_a_larger_one_stays_whole(tmp_path):
    split = {"method": "given", "train": [0], "val": [1]}
    found = open_with(tmp_path, MANY, graph={"graphs": "of"}, split=split)
    fitted = fit_preparation(found, DataSpec(path="a.npz", graph={"graphs": "of"}), catalog=CATALOG)
    assert (fitted.length, fitted.slots) == (3, 2)
    again = Preparation.from_spec(fitted.spec, CATALOG)
    assert (again.length, again.slots) == (3, 2)
    assert fitted.encode(found.records).x.shape == (2, 3, 2 + 1 + 2 * 2)
    large = graphs_of([(np.ones((5, 2)), [[0, n] for n in range(1, 5)])], directed=False)
    records = found.records.take(np.array([0]))
    padded = fitted.encode(type(records)(x=large, y=None, weight=None, ids=np.arange(1))).x
    assert padded.shape == (1, 5, 2 + 1 + 2 * 2) and padded[0, :, 2].all()


NODE_SCHEMA = InputSchema("x", (2,), "y", "classification", graph=GraphSpec())
GRAPH_SCHEMA = InputSchema("x", (2,), "y", "regression", graph=GraphSpec(graphs="of"))


def test_nodes_are_asked_for_by_number_or_come_with_their_graph(tmp_path):
    np.savez(tmp_path / "a.npz", **NODES)
    np.save(tmp_path / "n.npy", np.array([4, 0]))
    assert isinstance(read_inputs(tmp_path / "a.npz", schema=NODE_SCHEMA, target="y").x, Nodes)
    assert read_inputs(tmp_path / "n.npy", schema=NODE_SCHEMA).x.tolist() == [4, 0]
    assert take_inputs([2, 1], schema=NODE_SCHEMA).tolist() == [2, 1]
    np.savez(tmp_path / "b.npz", **{**NODES, "x": np.ones((6, 3))})
    with pytest.raises(DataError, match=r"records have shape \(3,\), the model takes \(2,\)"):
        read_inputs(tmp_path / "b.npz", schema=NODE_SCHEMA)
    np.save(tmp_path / "bad.npy", np.array([0.5, 1.0]))
    with pytest.raises(DataError, match=r"bad\.npy: nodes of the graph that lies with the model"):
        read_inputs(tmp_path / "bad.npy", schema=NODE_SCHEMA)
    with pytest.raises(DataError, match="asked for by their numbers"):
        take_inputs([-1], schema=NODE_SCHEMA)
    with pytest.raises(DataError, match=r"n\.npy: each record is a graph"):
        read_inputs(tmp_path / "n.npy", schema=GRAPH_SCHEMA)


def test_graphs_come_from_memory(tmp_path):
    pair = (np.ones((3, 2)), [[0, 1], [1, 2]])
    found = take_inputs([pair, (np.ones((1, 2)), [])], schema=GRAPH_SCHEMA)
    assert found.nodes.tolist() == [3, 1] and found.lengths.tolist() == [4, 0]
    np.savez(tmp_path / "a.npz", **MANY)
    assert isinstance(read_inputs(tmp_path / "a.npz", schema=GRAPH_SCHEMA).x, Graphs)
    for wrong, says in [
        ([(np.ones((3, 3)), [])], "a node has 3 features, the model takes 2"),
        ([(np.ones((3, 2)), [[0, 3]])], "graph 0: edge 0 names node 3"),
        ([np.ones(3)], "graph 0 is no pair"),
        ([(np.ones(3), [])], "graph 0: the features of its nodes are a matrix"),
        ([], "there are no graphs"),
    ]:
        with pytest.raises(DataError, match=says):
            take_inputs(wrong, schema=GRAPH_SCHEMA)


@pytest.mark.parametrize("kind", ["numbers", "mask"])
def test_splits_are_named_by_arrays_of_the_file(tmp_path, kind):
    arrays = {"a": np.array([4, 1]), "b": np.array([5])}
    if kind == "mask":
        arrays = {name: np.isin(np.arange(6), one) for name, one in arrays.items()}
    split = {"method": "given", "train": "rest", "val": "a", "test": "b"}
    found = open_with(tmp_path, {**NODES, **arrays}, split=split)
    assert {name: one.tolist() for name, one in found.splits.items()} == {
        "train": [0, 2, 3],
        "val": [1, 4],
        "test": [5],
    }


@pytest.mark.parametrize(
    ("more", "val", "says"),
    [
        ({}, "v", "data.split.val: no array 'v' in a.npz"),
        ({"v": np.ones(5, bool)}, "v", "data.split.val: 'v' holds bool of shape"),
        ({"v": np.array([0.5])}, "v", "data.split.val: 'v' holds float64"),
        ({"v": np.array([6])}, "v", "data.split.val: there is no record 6"),
        ({}, "v.npy", "data.split.val: there is no .npy file 'v.npy'"),
    ],
)
def test_arrays_that_name_no_records_are_refused(tmp_path, more, val, says):
    with pytest.raises(DataError, match=says):
        open_with(tmp_path, {**NODES, **more}, split={"method": "given", "train": [0, 1], "val": val})


def test_a_word_names_no_array_where_the_data_are_no_arrays(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3,4\n5,7\n")
    split = {"method": "given", "train": [0, 1], "val": "v"}
    with pytest.raises(DataError, match=r"data.split.val: 'v' is no .npy file"):
        open_dataset(DataSpec(path="a.csv", target="y", split=split), folder=tmp_path)
