"""What a spec says of graphs: what is decided by the data, and what cannot work."""

import pytest

from trainwright.base.errors import SpecError
from trainwright.models.assemble import build_blueprint
from trainwright.spec.data import DataSpec
from trainwright.spec.experiment import Experiment
from trainwright.spec.faults import find_faults
from trainwright.spec.model import ModelSpec
from trainwright.spec.model_settle import settle_model

GNN = {"architecture": "gnn"}
NODE = {"graph": "node", "node_features": 5, "input_shape": (1,)}
PAIR = {**NODE, "graph": "pair", "input_shape": (2,)}
GRAPH = {"graph": "graph", "node_features": 5, "input_shape": (9, 10)}


def settle(model, facts):
    return settle_model(ModelSpec(**model), **{"output_shape": (3,), "task_type": "classification", **facts})


@pytest.mark.parametrize(
    ("model", "facts", "decided"),
    [
        (
            {},
            NODE,
            {"input": "node", "convolution": "gcn", "pooling": None, "node_features": 5, "heads": None},
        ),
        ({}, GRAPH, {"input": "graph", "convolution": "gin", "pooling": "sum", "heads": None}),
        ({}, PAIR, {"input": "pair", "convolution": "gcn", "pooling": None}),
        ({}, {**PAIR, "graph": "arrow"}, {"input": "arrow"}),
        ({"convolution": "sage"}, GRAPH, {"convolution": "sage", "pooling": "mean"}),
        ({"convolution": "gin", "pooling": "max"}, GRAPH, {"pooling": "max"}),
        ({"convolution": "gat"}, NODE, {"heads": 8}),
        ({"convolution": "gat", "hidden_dims": [12, 18]}, NODE, {"heads": 6}),
        ({"convolution": "gat", "heads": 4}, NODE, {"heads": 4}),
        ({"preset": "medium"}, NODE, {"normalization": "batch", "residual": True, "kernel_size": None}),
    ],
    ids=str,
)
def test_what_is_open_is_decided_by_what_a_record_is(model, facts, decided):
    settled = settle(GNN | model, facts)
    tree = settled.tree()
    assert {name: tree[name] for name in decided} == decided
    assert "auto" not in tree.values()
    assert settle_model(settled) == settled


@pytest.mark.parametrize(
    ("model", "facts", "text"),
    [
        ({"input": "graph"}, NODE, "model.input: 'graph' contradicts the data, where each record is a node"),
        ({"node_features": 4}, NODE, "model.node_features: 4 contradicts the data, whose nodes have 5"),
        ({}, {"input_shape": (1,)}, "model.input: it is not known"),
        ({"input": "node"}, {"input_shape": (1,)}, "model.node_features: it is not known"),
        ({"input": "node"}, {**NODE, "input_shape": (2, 3)}, r"model.input_shape: 'node' has \[1\]"),
        ({}, {**GRAPH, "input_shape": (3,)}, "model.input_shape: 'graph' has two axes"),
        ({"pooling": "max"}, PAIR, "pooling: it has no meaning for input 'pair'"),
        ({"hidden_dims": []}, PAIR, "hidden_dims: it has no layers"),
        ({"pooling": "max"}, NODE, "pooling: it has no meaning for input 'node'"),
        ({"hidden_dims": []}, GRAPH, "hidden_dims: it has no layers"),
        ({"heads": 2}, NODE, "heads: it has no meaning for convolution 'gcn'"),
    ],
    ids=str,
)
def test_what_contradicts_the_data_is_refused_with_the_reason(model, facts, text):
    with pytest.raises(SpecError, match=text):
        settle(GNN | model, facts)


@pytest.mark.parametrize(
    ("model", "line"),
    [
        ({"architecture": "mlp", "input": "node"}, "input: 'node' has edges, which architecture 'mlp'"),
        ({"architecture": "mlp", "convolution": "gcn"}, "convolution: it has no meaning for architecture"),
        ({"architecture": "cnn", "pooling": "max"}, "pooling: it has no meaning for architecture 'cnn'"),
        ({**GNN, "input": "image"}, "input: architecture 'gnn' reads nodes and graphs, not 'image'"),
        ({**GNN, "input": "vector"}, "input: architecture 'gnn' reads nodes and graphs"),
        ({**GNN, "ragged": True}, "ragged: architecture 'gnn' has no masks"),
        ({**GNN, "convolution": "gin", "heads": 2}, "heads: it has no meaning for convolution 'gin'"),
        ({**GNN, "convolution": "gat", "heads": 4, "hidden_dims": [6]}, "heads: 4 does not divide"),
        ({**GNN, "task_type": "segmentation"}, "architecture: 'gnn' gives one answer per record"),
        ({**GNN, "kernel_size": 3}, "kernel_size: it has no meaning for architecture 'gnn'"),
    ],
    ids=str,
)
def test_what_cannot_work_is_a_fault_of_the_model(model, line):
    (found,) = [str(fault) for fault in find_faults(model, ModelSpec)]
    assert found.startswith(line)


@pytest.mark.parametrize(
    ("model", "data", "line"),
    [
        (GNN, {}, "data.graph: architecture 'gnn' needs edges"),
        ({"architecture": "mlp"}, {"graph": {}}, "model.architecture: architecture 'mlp' does not see edges"),
        (GNN, {"graph": {}, "augment": [{"use": "GaussianNoise"}]}, "data.augment: it does not go with"),
        (GNN, {"graph": {}, "in_memory": False}, "data.in_memory: it does not go with data.graph"),
        (GNN, {"graph": {}, "max_length": 3}, "data.max_length: it does not go with data.graph"),
        (GNN, {"graph": {}, "test": {"path": "b.npz"}}, "data.test: it does not go with data.graph; name"),
        (GNN, {"graph": {"ends": ["a"]}}, "data.graph.ends: an edge has two ends"),
        (GNN, {"graph": {"pairs": "p", "graphs": "g"}}, "data.graph.pairs: with `graphs` each graph is"),
        (GNN, {"graph": {"ends": ["a", "a"]}}, "data.graph.ends: an edge has two ends"),
        (
            GNN,
            {"graph": {}, "split": {"method": "given", "train": [0], "val": "rest"}},
            "data.split.val: 'rest' is for train",
        ),
    ],
    ids=str,
)
def test_what_cannot_work_is_a_fault_of_the_experiment(model, data, line):
    tree = {"name": "a", "data": {"path": "a.npz", **data}, "model": model}
    (found,) = [str(fault) for fault in find_faults(tree, Experiment)]
    assert found.startswith(line)


def test_the_edges_of_a_registered_dataset_come_with_its_name():
    assert not find_faults({"name": "a", "data": {"dataset": "b"}, "model": GNN}, Experiment)
    assert DataSpec(path="a.npz").graph is None


def test_what_cannot_be_rebuilt_is_no_reconstruction():
    spec = ModelSpec(**GNN, input="node", input_shape=[1], node_features=3, task_type="embedding")
    with pytest.raises(SpecError, match="the edges of a graph are no quantities"):
        build_blueprint(spec, loss="reconstruction")


@pytest.mark.parametrize(
    ("model", "count"),
    [
        ({"convolution": "gcn"}, (5 * 4 + 4) + (4 * 3 + 3)),
        ({"convolution": "sage"}, (2 * 5 * 4 + 4) + (2 * 4 * 3 + 3)),
        ({"convolution": "gat", "heads": 2}, (5 * 4 + 2 * 4 + 4) + (4 * 3 + 2 * 3 + 3)),
        ({"convolution": "gin"}, (5 * 4 + 4 + 1) + (4 * 4 + 4) + (4 * 3 + 3 + 1)),
        # No bias before a batch normalisation.
        ({"convolution": "gin", "normalization": "batch"}, (5 * 4 + 1 + 8) + (4 * 4 + 8) + (4 * 3 + 3 + 1)),
        ({"convolution": "gcn", "residual": True}, (5 * 4 + 4) + 5 * 4 + (4 * 3 + 3)),
    ],
    ids=str,
)
def test_the_parameters_are_those_of_the_formula(model, count):
    spec = ModelSpec(
        **GNN, input="node", input_shape=[1], node_features=5, hidden_dims=[4], output_dim=3, **model
    )
    assert build_blueprint(spec).count_parameters() == count
