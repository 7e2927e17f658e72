"""Graphs from a file to a report, through the command line: nodes of one graph, tables of nodes, many graphs."""

import numpy as np
import pytest

from trainwright.base.errors import DataError
from trainwright.data.inputs import read_inputs
from trainwright.experiment import resume_run, run_experiment
from trainwright.model_op import load_model
from trainwright.registration import register_data
from trainwright.reproduce import reproduce_version
from trainwright.spec.data import DataSpec
from trainwright.spec.read import check_tree
from trainwright.store.registry import Registry
from trainwright.store.store import Store

KINDS = {"nodes": "node", "tables": "node", "pairs": "pair", "graphs": "graph"}
TRAIN = {"epochs": 4, "batch_size": 64, "optimizer": {"name": "adam", "lr": 0.02}}


def people(count=60, seed=0):
    """Three groups, mostly with edges inside."""
    numbers = np.random.default_rng(seed)
    group = np.arange(count) % 3
    x = numbers.normal(size=(count, 4)) + np.eye(3, 4)[group]
    know = numbers.random((count, count)) < np.where(group[:, None] == group, 0.3, 0.02)
    return x, np.argwhere(np.triu(know, 1)), group


@pytest.fixture
def nodes(tmp_path):
    x, edges, y = people()
    np.savez(tmp_path / "people.npz", x=x, edges=edges, y=y)
    data = {"path": "people.npz", "graph": {}, "split": {"val": 0.3, "test": 0.3}}
    return {"name": "people", "data": data, "model": {"architecture": "gnn", "task_type": "classification"}}


@pytest.fixture
def pairs(tmp_path):
    x, edges, group = people()
    numbers = np.random.default_rng(4)
    who = numbers.integers(0, 60, (80, 2))
    alike = (group[who[:, 0]] == group[who[:, 1]]).astype(int)
    np.savez(tmp_path / "people.npz", x=x, edges=edges, who=who, y=alike)
    data = {"path": "people.npz", "graph": {"pairs": "who"}, "split": {"val": 0.3, "test": 0.3}}
    return {"name": "people", "data": data, "model": {"architecture": "gnn", "task_type": "classification"}}


@pytest.fixture
def tables(tmp_path):
    x, edges, y = people()
    rows = [
        f"p{n},{a[0]:.4f},{a[1]:.4f},{'ab'[n % 2]},{'xyz'[k]}"
        for n, (a, k) in enumerate(zip(x, y, strict=True))
    ]
    (tmp_path / "people.csv").write_text("name,one,two,kind,y\n" + "\n".join(rows) + "\n")
    (tmp_path / "edges.csv").write_text("a,b\n" + "".join(f"p{a},p{b}\n" for a, b in edges))
    graph = {"edges": "edges.csv", "nodes": "name"}
    data = {"path": "people.csv", "target": "y", "graph": graph, "split": {"val": 0.3, "test": 0.3}}
    return {"name": "people", "data": data, "model": {"architecture": "gnn", "convolution": "sage"}}


@pytest.fixture
def graphs(tmp_path):
    numbers = np.random.default_rng(0)
    sizes = numbers.integers(3, 7, 40)
    first = np.cumsum(sizes) - sizes
    edges = np.concatenate([f + numbers.integers(0, n, (n, 2)) for f, n in zip(first, sizes, strict=True)])
    of = np.repeat(np.arange(40), sizes)
    np.savez(
        tmp_path / "many.npz", x=numbers.normal(size=(len(of), 3)), edges=edges, of=of, y=sizes.astype(float)
    )
    data = {"path": "many.npz", "graph": {"graphs": "of"}, "split": {"val": 0.3, "test": 0.3}}
    return {
        "name": "many",
        "data": data,
        "model": {"architecture": "gnn", "task_type": "regression", "normalization": "batch"},
    }


def run(tree, folder, backend, **train):
    spec = check_tree({**tree, "train": {**TRAIN, "backend": backend, **train}})
    return run_experiment(spec, folder=folder, home=folder / "store")


@pytest.mark.parametrize("backend", ["torch", "equinox"])
@pytest.mark.parametrize("kind", ["nodes", "tables", "pairs", "graphs"])
def test_a_run_is_recorded_judged_repeated_and_predicts_from_the_store_alone(
    request, tmp_path, kind, backend
):
    tree = request.getfixturevalue(kind)
    trained = run(tree, tmp_path, backend)
    assert trained.outcome.kind == "done" and trained.warnings == 0 and trained.scores
    home = tmp_path / "store"
    spec = Registry(Store.open(home)).spec(Registry(Store.open(home)).run(trained.run))
    assert spec["model"]["input"] == KINDS[kind]
    assert spec["model"]["node_features"] == (3 if kind == "graphs" else 4)
    verdict = reproduce_version(f"{tree['name']}@final", home=home)
    assert verdict.word == "identical", verdict.text()

    for file in tmp_path.glob("*.*"):
        file.unlink()
    model = load_model(f"{tree['name']}@final", home=home)
    if kind == "graphs":
        small, large = (np.ones((2, 3)), [[0, 1]]), (np.ones((30, 3)), [[n, n + 1] for n in range(29)])
        found = model([small, large])
        assert found.shape == (2, 1) and np.isfinite(found).all()
        np.testing.assert_allclose(model([small]), found[:1], rtol=1e-5)
    elif kind == "pairs":
        who = np.array([[3, 6], [6, 3], [0, 59]])
        chances = model.outputs(who)["logits"]
        np.testing.assert_allclose(chances[0], chances[1], rtol=1e-5)
        with pytest.raises(DataError, match="there is no node 60"):
            model([[0, 60]])
    else:
        found = model(np.arange(60))
        assert len(np.unique(found)) > 1
        assert (model([7, 3]) == found[[7, 3]]).all()
        with pytest.raises(DataError, match="there is no node 60, they count from 0 to 59"):
            model([60])


@pytest.mark.parametrize("backend", ["torch", "equinox"])
def test_a_resumed_run_ends_in_the_weights_of_a_whole_one(nodes, tmp_path, backend):
    whole = run(nodes, tmp_path, backend, epochs=4)
    short = run({**nodes, "name": "short"}, tmp_path, backend, epochs=2)
    longer = resume_run(f"short@{short.final.number}", home=tmp_path / "store", epochs=4)
    assert longer.final.weights == whole.final.weights


@pytest.mark.parametrize("backend", ["torch", "equinox"])
def test_another_graph_is_predicted_by_its_own_edges(nodes, tmp_path, backend):
    run(nodes, tmp_path, backend)
    model = load_model("people@final", home=tmp_path / "store")
    x, edges, _ = people()

    def ask(edges):
        np.savez(tmp_path / "other.npz", x=x, edges=edges)
        return model.outputs(read_inputs(tmp_path / "other.npz", schema=model.schema).x)["logits"]

    own = model.outputs(np.arange(60))["logits"]
    np.testing.assert_allclose(ask(edges), own, rtol=1e-5, atol=1e-6)
    assert np.abs(ask(edges[:20]) - own).max() > 1e-3


def test_the_edges_are_what_it_learns_from(nodes, tmp_path):
    """With wrong edges the same model is no better than chance on nodes whose features say nothing."""
    x, edges, y = people()
    scores = {}
    for name, some in (("right", edges), ("wrong", np.random.default_rng(3).permutation(edges.ravel()))):
        np.savez(tmp_path / "people.npz", x=np.eye(60), edges=some.reshape(-1, 2), y=y)
        found = run({**nodes, "name": name}, tmp_path, "equinox", epochs=25)
        scores[name] = found.scores["test/accuracy"]["value"]
    assert scores["right"] > 0.8 and scores["wrong"] < 0.6


def test_a_registered_dataset_brings_its_edges(nodes, tmp_path):
    split = {"method": "given", "train": "rest", "val": "val", "test": [0, 1, 2]}
    x, edges, y = people()
    np.savez(tmp_path / "people.npz", x=x, edges=edges, y=y, val=np.arange(60) > 40)
    data = DataSpec(**{**nodes["data"], "split": split})
    home = tmp_path / "store"
    register_data(home, "friends", data, folder=tmp_path, task_type="classification")
    spec = check_tree({**nodes, "data": {"dataset": "friends"}, "train": {**TRAIN, "backend": "equinox"}})
    trained = run_experiment(spec, folder=tmp_path, home=home)
    assert trained.outcome.kind == "done"
    assert Registry(Store.open(home)).spec(Registry(Store.open(home)).run(trained.run))["data"]["graph"]
