"""A model of one backend is served by another, and becomes a model of its own there."""

import importlib.util

import numpy as np
import pytest

from stories.conftest import Lab
from trainwright import conversion, predictor
from trainwright.base.errors import BackendError, SpecError, StoreError
from trainwright.conversion import DIFFERENCE, convert_model
from trainwright.experiment import resume_run, run_experiment
from trainwright.model_op import load_model
from trainwright.registering import find_recorded
from trainwright.report.page import render_run
from trainwright.reproduce import reproduce_version
from trainwright.spec.experiment import Experiment
from trainwright.spec.read import read_experiment
from trainwright.store.fsck import check
from trainwright.store.lineage import lineage, prov_json
from trainwright.store.registry import Registry
from trainwright.store.store import Store

pytest.importorskip("torch")
pytest.importorskip("equinox")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("conversion"))
    lab.trained = lab.run()
    lab.made = lab.json("convert", "tiny@best", "--backend", "equinox")
    lab.registry = Registry(Store.open(lab.home))
    return lab


def test_a_conversion_is_a_model_of_its_own_with_the_same_weights(lab):
    source, made = lab.registry.resolve("tiny@best"), lab.registry.resolve("tiny-equinox")
    assert lab.made["source"] == f"tiny@{source.number}" and lab.made["version"] == made.number == 1
    assert made.weights == source.weights == lab.made["weights"]
    for ending in ("best", "final", "latest"):
        assert lab.registry.resolve(f"tiny-equinox@{ending}") == made
    assert (made.step, made.epoch, dict(made.metrics)) == (source.step, source.epoch, dict(source.metrics))
    assert made.parents == [source.id] and made.state is None
    run = lab.registry.run(made.run)
    assert (run.state, run.backend, run.model) == ("done", "equinox", "tiny-equinox")
    assert 0.0 < lab.made["difference"] < 1e-5
    kept = {one.name: lab.registry.artifact_value(one) for one in lab.registry.artifacts(run.id)}
    assert kept == {DIFFERENCE: lab.made["difference"]}
    # The source is what it was.
    assert lab.registry.resolve("tiny@best").id == source.id and len(lab.registry.runs(model="tiny")) == 1
    assert check(lab.registry.store) == []


def test_the_record_leads_back_to_the_source(lab):
    source, made = lab.registry.resolve("tiny@best"), lab.registry.resolve("tiny-equinox")
    graph = lineage(lab.registry, "tiny-equinox")
    assert (f"version:{source.id}", f"run:{made.run}") in graph.edges
    assert (f"version:{source.id}", f"version:{made.id}") in graph.edges
    assert {f"run:{source.run}", f"run:{made.run}"} <= {node.id for node in graph.nodes}
    record = prov_json(lab.registry, made.run)
    derived = record["wasDerivedFrom"].values()
    assert {one["prov:usedEntity"] for one in derived} == {f"tw:version-{source.id}"}
    assert any(one.get("tw:target") == lab.made["source"] for one in record["entity"].values())
    page = render_run(lab.registry, made.run)
    assert lab.made["source"] in page and "tiny-equinox" in page
    spec = lab.registry.spec(lab.registry.run(made.run))
    assert (spec["name"], spec["train"]["backend"]) == ("tiny-equinox", "equinox")
    assert spec["train"]["optimizer"]["name"] == "adamw"  # how the weights came about is still there


def test_what_was_only_taken_over_is_neither_trained_again_nor_gone_on_from(lab):
    with pytest.raises(
        StoreError, match=r"tiny-equinox@1 was converted from tiny@\d, which is what was trained"
    ):
        reproduce_version("tiny-equinox", home=lab.home)
    with pytest.raises(StoreError, match="nothing is left to do"):
        resume_run("tiny-equinox", home=lab.home)
    with pytest.raises(StoreError, match="no state to go on from"):
        resume_run("tiny-equinox", epochs=9, home=lab.home)
    spec = Experiment.model_validate(lab.registry.spec(lab.registry.resolve_run("tiny-equinox")))
    assert find_recorded(lab.registry, spec) is None


def test_both_predict_the_same_from_the_command_line(lab):
    np.savez(lab.folder / "new.npz", x=lab.x)
    ours = lab.json("predict", "tiny@best", "new.npz")
    for theirs in (
        lab.json("predict", "tiny-equinox", "new.npz"),
        lab.json("predict", "tiny@best", "new.npz", "--backend", "equinox"),
    ):
        assert ours.keys() == theirs.keys() and ours["y"] == theirs["y"]
        np.testing.assert_allclose(ours["p(0)"], theirs["p(0)"], atol=1e-5)
    assert ours["p(0)"] != theirs["p(0)"]  # another framework has other last bits: it did predict


def test_a_conversion_can_be_named_and_converted_back(lab):
    there = convert_model("tiny@final", backend="equinox", name="served", home=lab.home)
    back = convert_model("served", backend="torch", home=lab.home)
    assert back.version.model == "served-torch" and back.source == "served@1"
    x = lab.x[:50]
    ours, theirs = (
        load_model(ref, home=lab.home).outputs(x)["logits"] for ref in ("tiny@final", "served-torch")
    )
    np.testing.assert_array_equal(ours, theirs)
    assert there.version.weights == back.version.weights


def test_what_cannot_be_is_refused_and_nothing_is_written(lab, monkeypatch):
    runs = len(lab.registry.runs())
    assert "a model of torch already" in lab.call("convert", "tiny", "--backend", "torch", expect=2)
    if importlib.util.find_spec("lightning"):
        with pytest.raises(
            SpecError, match="a model of torch already"
        ):  # whose networks those of lightning are
            convert_model("tiny", backend="lightning", home=lab.home)
    with pytest.raises(SpecError, match=r"there is no 'numpy', only torch, equinox, "):
        convert_model("tiny", backend="numpy", home=lab.home)
    with pytest.raises(SpecError, match="there is no 'numpy'"):
        load_model("tiny", home=lab.home, backend="numpy")
    with pytest.raises(SpecError, match="name"):
        convert_model("tiny", backend="equinox", name="a@b", home=lab.home)
    with monkeypatch.context() as change:
        change.setattr(predictor, "installed", lambda package: package != "optax")
        with pytest.raises(BackendError, match=r"equinox is not installed: pip install 'trainwright\[jax\]'"):
            convert_model("tiny", backend="equinox", home=lab.home)
    with monkeypatch.context() as change:
        change.setattr(conversion, "TOLERANCE", 1e-12)
        with pytest.raises(BackendError, match=r"differ from those of torch by .*; nothing was written"):
            convert_model("tiny", backend="equinox", home=lab.home)
    assert len(lab.registry.runs()) == runs


@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="needs Keras")
def test_a_model_of_keras_is_not_converted_to_another_engine_of_it(lab, monkeypatch):
    operator = Registry.operator
    monkeypatch.setattr(Registry, "operator", lambda *args: {**operator(*args), "backend": "keras-jax"})
    said = (
        r"backend: tiny@\d is a model of keras-jax, .*load_model and predict take keras-torch for it as it is"
    )
    with pytest.raises(SpecError, match=said):
        convert_model("tiny", backend="keras-torch", home=lab.home)


def test_without_the_backend_that_trained_it_nothing_is_compared_and_that_is_said(lab, monkeypatch):
    monkeypatch.setattr(conversion, "installed", lambda package: package != "torch")
    made = convert_model("tiny", backend="equinox", name="uncompared", home=lab.home)
    assert made.difference is None
    (note,) = lab.registry.notes(made.run)
    assert note.level == "warning" and "were not compared" in note.text


GRAPHS = """
name: people
data: {{path: people.npz, graph: {{{graph}}}, split: {{val: 0.3}}}}
model: {{architecture: gnn, task_type: classification, hidden_dims: [6]}}
train: {{backend: torch, epochs: 2, optimizer: {{name: adam, lr: 1e-2}}}}
"""


@pytest.mark.parametrize(
    ("graph", "arrays"),
    [
        ("edges: edges", {"y": np.arange(40) % 2}),
        ("edges: edges, graphs: g", {"y": np.arange(10) % 2, "g": np.repeat(np.arange(10), 4)}),
    ],
    ids=["nodes", "graphs"],
)
def test_a_graph_network_is_converted_with_its_graph(tmp_path, graph, arrays):
    numbers = np.random.default_rng(0)
    first = np.arange(40)
    edges = np.stack([first, first // 4 * 4 + (first + 1) % 4], axis=1)
    np.savez(tmp_path / "people.npz", x=numbers.normal(size=(40, 3)), edges=edges, **arrays)
    (tmp_path / "people.yaml").write_text(GRAPHS.format(graph=graph))
    document = read_experiment(tmp_path / "people.yaml")
    home = tmp_path / "store"
    run_experiment(document.experiment, folder=tmp_path, home=home)
    made = convert_model("people@final", backend="equinox", home=home)
    assert 0.0 < made.difference < 1e-5
    with pytest.raises(BackendError, match="keras-torch has no 'gnn'; name another backend"):
        convert_model("people@final", backend="keras-torch", home=home)
