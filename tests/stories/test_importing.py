"""A model that was trained elsewhere becomes a version: it predicts as before, and can be used as any other."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from stories.conftest import Lab
from trainwright.base.errors import DataError, SpecError, StoreError
from trainwright.experiment import resume_run, run_experiment
from trainwright.foreign.jail import open_checkpoint
from trainwright.importing import import_model
from trainwright.model_op import load_model
from trainwright.registering import find_recorded
from trainwright.report.page import render_run
from trainwright.reproduce import reproduce_version
from trainwright.spec.read import read_experiment
from trainwright.store.lineage import lineage, prov_json
from trainwright.store.registry import Registry
from trainwright.store.store import Store

torch = pytest.importorskip("torch")
KERAS = Path(__file__).parents[1] / "foreign/files"

SPEC = """\
name: brought
data:
  path: {data}
  split: {{method: random, val: 0.2, test: 0.2}}
  operators: []
  target_operators: []
model: {{architecture: mlp, task_type: {task}, hidden_dims: [6]{more}}}
train: {{backend: torch, epochs: 2}}
"""
MAP = """\
weights:
  dense_0.weight: {kernel0}
  dense_0.bias: {bias0}
  output.weight: {kernel1}
  output.bias: {bias1}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return Lab(tmp_path_factory.mktemp("importing"))


def describe(lab, *, data="tiny.npz", task="classification", more=""):
    (lab.folder / "brought.yaml").write_text(SPEC.format(data=data, task=task, more=more))
    return read_experiment(lab.folder / "brought.yaml").experiment


def map_of(lab, **names):
    (lab.folder / "map.yaml").write_text(MAP.format(**names))
    return lab.folder / "map.yaml"


def bring(lab, file, experiment=None, **options):
    return import_model(file, experiment or describe(lab), folder=lab.folder, home=lab.home, **options)


def registry_of(lab):
    return Registry(Store.open(lab.home))


def network(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))


TORCH = {"kernel0": "0.weight", "bias0": "0.bias", "kernel1": "2.weight", "bias1": "2.bias"}


def save_plain(module, file):
    torch.save(module.state_dict(), file)


def save_lightning(module, file):
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    save = {
        "epoch": 3,
        "global_step": 40,
        "pytorch-lightning_version": "2.5.5",
        "state_dict": module.state_dict(),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"current": {"ready": 4}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'val_loss'}": {"best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"lr": 1e-3, "widths": [6]},
    }
    torch.save(save, file)


def save_safetensors(module, file):
    from safetensors.torch import save_file

    save_file(module.state_dict(), file)


def save_numpy(module, file):
    np.savez(file, **{name: one.numpy() for name, one in module.state_dict().items()})


SAVED = {"m.pt": save_plain, "m.ckpt": save_lightning, "m.safetensors": save_safetensors, "m.npz": save_numpy}


@pytest.mark.parametrize("name", SAVED)
def test_a_torch_module_predicts_as_before(lab, name):
    module, file = network(), lab.folder / name
    SAVED[name](module, file)
    brought = bring(lab, file, map_file=map_of(lab, **TORCH))

    found = load_model(f"brought@{brought.version.number}", home=lab.home).outputs(lab.x)["logits"]
    with torch.no_grad():
        assert np.abs(found - module(torch.from_numpy(lab.x)).numpy()).max() < 1e-6
    assert brought.file == f"{name} sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    assert bool(brought.aside) == (name == "m.ckpt")
    assert set(brought.version.metrics) >= {"val/loss", "val/accuracy"} and "test/accuracy" in brought.scores


NORMALISED = """\
weights:
  dense_0.weight: 0.weight
  norm_0.weight: 1.weight
  norm_0.bias: 1.bias
  norm_0.running_mean: {mean}
  norm_0.running_var: 1.running_var
  output.weight: 3.weight
  output.bias: 3.bias
leave_out: [1.num_batches_tracked{more}]
"""


def test_a_bias_before_batch_normalisation_is_kept_or_its_loss_is_told(lab):
    torch.manual_seed(1)
    layers = torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6), torch.nn.ReLU(), torch.nn.Linear(6, 3)
    module, file = torch.nn.Sequential(*layers), lab.folder / "normalised.pt"
    module(torch.from_numpy(lab.x))
    module.eval()
    torch.save(module.state_dict(), file)
    experiment, named = describe(lab, more=", normalization: batch"), lab.folder / "map.yaml"
    with torch.no_grad():
        wanted = module(torch.from_numpy(lab.x)).numpy()

    named.write_text(NORMALISED.format(mean="{from: 1.running_mean, minus: 0.bias}", more=""))
    brought = bring(lab, file, experiment, map_file=named)
    found = load_model(f"brought@{brought.version.number}", home=lab.home).outputs(lab.x)["logits"]
    assert np.abs(found - wanted).max() < 1e-5
    assert brought.arrays["norm_0.running_mean"] == "1.running_mean - 0.bias"
    assert brought.warnings == []

    named.write_text(NORMALISED.format(mean="1.running_mean", more=", 0.bias"))
    brought = bring(lab, file, experiment, map_file=named)
    found = load_model(f"brought@{brought.version.number}", home=lab.home).outputs(lab.x)["logits"]
    assert np.abs(found - wanted).max() > 0.01
    (text,) = brought.warnings
    assert text.startswith("0.bias was left out, and it is not zero; a bias before batch normalisation goes")


@pytest.mark.parametrize(
    ("file", "names"),
    [
        (
            "small.keras",
            ["layers/dense/vars/0", "layers/dense/vars/1", "layers/dense_1/vars/0", "layers/dense_1/vars/1"],
        ),
        (
            "small.h5",
            [f"{one}/sequential/{one}/{part}" for one in ("first", "last") for part in ("kernel", "bias")],
        ),
    ],
)
def test_a_keras_model_predicts_as_before(lab, file, names):
    pytest.importorskip("h5py")
    told = [f"{{from: {one}, transpose: true}}" if n % 2 == 0 else one for n, one in enumerate(names)]
    where = map_of(lab, **dict(zip(("kernel0", "bias0", "kernel1", "bias1"), told, strict=True)))
    spec = describe(lab, data=KERAS / "small.npz", task="regression")
    brought = bring(lab, KERAS / file, spec, map_file=where)

    with np.load(KERAS / "small.npz") as kept:
        found = load_model(f"brought@{brought.version.number}", home=lab.home)(kept["x"])
        assert np.abs(found - kept["predicted"]).max() < 1e-6
    assert brought.aside and all(one.startswith("optimizer") for one in brought.aside)


def test_batch_norm_is_brought_with_its_statistics(lab):
    torch.manual_seed(3)
    module = torch.nn.Sequential(
        torch.nn.Linear(4, 6, bias=False), torch.nn.BatchNorm1d(6), torch.nn.ReLU(), torch.nn.Linear(6, 3)
    )
    for _ in range(5):
        module(torch.from_numpy(lab.x))
    module.eval()
    torch.save(module.state_dict(), lab.folder / "norm.pt")
    (lab.folder / "map.yaml").write_text(
        "weights:\n  dense_0.weight: 0.weight\n  norm_0.weight: 1.weight\n  norm_0.bias: 1.bias\n"
        "  norm_0.running_mean: 1.running_mean\n  norm_0.running_var: 1.running_var\n"
        "  output.weight: 3.weight\n  output.bias: 3.bias\nleave_out: ['*.num_batches_tracked']\n"
    )
    spec = describe(lab, more=", normalization: batch")
    brought = bring(lab, lab.folder / "norm.pt", spec, map_file=lab.folder / "map.yaml")
    found = load_model(f"brought@{brought.version.number}", home=lab.home).outputs(lab.x)["logits"]
    with torch.no_grad():
        assert np.abs(found - module(torch.from_numpy(lab.x)).numpy()).max() < 1e-5


@pytest.fixture(scope="module")
def brought(lab):
    save_lightning(network(5), lab.folder / "used.ckpt")
    return bring(lab, lab.folder / "used.ckpt", map_file=map_of(lab, **TORCH), name="used")


def test_the_record_says_where_the_weights_come_from(lab, brought):
    registry = registry_of(lab)
    edge = next(one for one in registry.edges(brought.run) if one.what == "file")
    assert (edge.kind, edge.target) == ("used", brought.file)
    graph = lineage(registry, "used")
    assert {f"file:{brought.file}", f"run:{brought.run}"} <= {node.id for node in graph.nodes}
    assert (f"file:{brought.file}", f"run:{brought.run}") in graph.edges
    assert brought.file in json.dumps(prov_json(registry, brought.run))
    run = registry.run(brought.run)
    assert (run.state, run.reason) == ("done", "imported from used.ckpt")
    assert brought.version.reason == "imported from used.ckpt" and brought.version.step == 0
    assert registry.tags_of(brought.version) == ["best", "final", "latest"]
    tables = {one.name: registry.artifact_value(one) for one in registry.artifacts(brought.run)}
    assert tables["import/values"]["hyper_parameters/widths"] == [6]
    assert tables["import/arrays"]["output.bias"] == "state_dict/2.bias"
    assert len(registry.looks(brought.run)) == 1
    assert "used" in render_run(registry, brought.run)


def test_it_is_no_training_that_could_be_repeated_or_gone_on_with(lab, brought):
    with pytest.raises(
        StoreError, match=r"used@1 was imported from used\.ckpt sha256:.*no training of it is recorded"
    ):
        reproduce_version("used", home=lab.home)
    with pytest.raises(StoreError, match=r"no state to go on from; begin from it by train\.init_from"):
        resume_run("used", epochs=5, home=lab.home)
    registry = registry_of(lab)
    assert [run.state for run in registry.runs(model="used")] == ["done"]
    recorded = describe(lab).model_validate(registry.spec(registry.run(brought.run)))
    assert find_recorded(registry, recorded) is None, "an import is not the training that the spec describes"


def test_it_can_be_trained_further(lab, brought):
    spec = describe(lab)
    train = spec.train.model_copy(update={"init_from": "used"})
    tuned = run_experiment(
        spec.model_copy(update={"name": "tuned", "train": train}), folder=lab.folder, home=lab.home
    )
    assert registry_of(lab).fine_tunings()[tuned.run] == brought.version.id
    assert tuned.final.weights != brought.version.weights


def test_preprocessing_is_that_of_the_experiment_and_is_said(lab, brought):
    assert brought.preprocessing == "none"
    spec, module = describe(lab), network(5)
    save_plain(module, lab.folder / "raw.pt")
    data = spec.data.model_copy(update={"operators": read_experiment(lab.file).experiment.data.operators})
    spec = spec.model_copy(update={"data": data})
    other = bring(lab, lab.folder / "raw.pt", spec, map_file=map_of(lab, **TORCH))
    assert other.preprocessing == "inputs Standardize; fitted on the 128 records of train"
    found = load_model(f"brought@{other.version.number}", home=lab.home).outputs(lab.x)["logits"]
    part = lab.x[load_positions(lab, spec)]
    prepared = (lab.x - part.mean(0)) / part.std(0)
    with torch.no_grad():
        assert np.abs(found - module(torch.from_numpy(prepared)).numpy()).max() < 1e-5


def load_positions(lab, spec):
    from trainwright.data.dataset import open_dataset

    return open_dataset(spec.data, folder=lab.folder, task_type="classification").splits["train"]


def test_nothing_is_written_when_the_tensors_do_not_fit(lab, tmp_path):
    save_plain(network(), tmp_path / "m.pt")
    with pytest.raises(
        DataError, match=r"(?s)m\.pt does not fit the model:.*dense_0\.weight .* is missing.*left over"
    ):
        import_model(tmp_path / "m.pt", describe(lab), folder=lab.folder, home=tmp_path / "store")
    with pytest.raises(SpecError, match="cannot be read"):
        import_model(
            tmp_path / "m.pt",
            describe(lab),
            folder=lab.folder,
            home=tmp_path / "store",
            map_file=tmp_path / "none",
        )
    torch.save(network(), tmp_path / "whole.pt")
    with pytest.raises(
        DataError, match=r"whole\.pt: the pickle names 'torch\.nn\.modules\.container\.Sequential'"
    ):
        import_model(tmp_path / "whole.pt", describe(lab), folder=lab.folder, home=tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_the_command_line_lists_and_imports(lab):
    save_lightning(network(), lab.folder / "line.ckpt")
    listed = lab.json("import", "line.ckpt", "--list")
    assert listed["tensors"]["state_dict/0.weight"] == {"dtype": "float32", "shape": [6, 4]}
    assert listed["values"]["hyper_parameters/lr"] == 1e-3
    assert listed["sha256"] == open_checkpoint(lab.folder / "line.ckpt").digest
    describe(lab)
    map_of(lab, **TORCH)
    arguments = ["import", "line.ckpt", "--experiment", "brought.yaml", "--name", "line"]
    found = lab.json(*arguments, "--map", "map.yaml", "--set", "seed=4")
    assert found["version"] == 1 and found["arrays"]["output.weight"] == "state_dict/2.weight"
    said = lab.call(*arguments, expect=2)
    assert "line.ckpt, state_dict does not fit the model" in said
    assert "give --experiment FILE, or --list" in lab.call("import", "line.ckpt", expect=2)
    (lab.folder / "evil.pt").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    assert "evil.pt: it is no torch file" in lab.call("import", "evil.pt", "--list", expect=2)
    assert not (lab.folder / "ran").exists()
