"""`verify --deep` does again what the record says was done; what was falsified under a good digest is noticed."""

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from trainwright.base.jsontext import read_json, write_json
from trainwright.base.tensors import dump_tensors
from trainwright.cli.app import app
from trainwright.experiment import run_experiment
from trainwright.recomputation import recompute_version
from trainwright.spec.read import read_experiment
from trainwright.store import datasets, tables
from trainwright.store.registry import Registry
from trainwright.store.rows import rewrite
from trainwright.store.store import Store

SPEC = """\
name: tiny
seed: 3
data: {path: tiny.npz, split: {method: random, val: 0.2, test: 0.2}}
model: {architecture: mlp, hidden_dims: [8]%s}
train: {backend: torch, epochs: 2, batch_size: 16}
"""


def train(folder, y, more=""):
    x = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    np.savez(folder / "tiny.npz", x=x, y=y(x))
    (folder / "tiny.yaml").write_text(SPEC % more)
    run_experiment(read_experiment(folder / "tiny.yaml").experiment, folder=folder, home=folder / "store")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deep")
    train(folder, lambda x: (x[:, 0] > 0).astype(np.int64))
    return folder


@pytest.fixture
def registry(trained, tmp_path):
    shutil.copytree(trained / "store", tmp_path / "store")
    store = Store.open(tmp_path / "store")
    yield Registry(store)
    store.close()


def bad(registry):
    return {one.what for one in recompute_version(registry, "tiny@2") if not one.ok}


def change(registry, **changes):
    version = registry.resolve("tiny@2")
    with registry.store.catalogue.write() as connection:
        rewrite(connection, tables.version, key={"id": version.id}, changes=changes)


def test_a_good_version_is_recomputed_bit_by_bit(registry):
    found = {one.what: one for one in recompute_version(registry, "tiny@2")}
    assert all(one.ok for one in found.values()), found
    assert list(found)[-4:] == ["splits", "model", "samples", "val scores"]
    assert found["samples"].detail == "16 records predicted again, the same"
    assert "4 of 4 with the same bits" in found["val scores"].detail
    assert not [look for look in registry.looks(registry.runs()[0].id) if look.by != "evaluate"]


def test_numbers_are_recomputed_too(tmp_path):
    train(tmp_path, lambda x: x[:, 0] * 3 + 1, ", task_type: regression")
    store = Store.open(tmp_path / "store")
    found = {one.what: one for one in recompute_version(Registry(store), "tiny@2")}
    store.close()
    assert all(one.ok for one in found.values()), found
    assert "records predicted again, within 1e-4" in found["samples"].detail


def test_a_score_that_was_not_reached_is_noticed(registry):
    metrics = {**registry.resolve("tiny@2").metrics, "val/accuracy": 0.999}
    change(registry, metrics=write_json(metrics))
    assert bad(registry) == {"val scores"}


def test_weights_of_another_version_are_noticed(registry):
    change(registry, weights=registry.resolve("tiny@1").weights)
    assert "val scores" in bad(registry)


def test_falsified_samples_are_noticed(registry):
    run = registry.resolve("tiny@2").run
    (row,) = [row for row in registry.artifacts(run) if row.name == "test/samples"]
    samples = registry.artifact_value(row)
    samples["best"][0]["prediction"] = 1 - samples["best"][0]["prediction"]
    registry.keep(run, "test/samples", samples)
    assert bad(registry) == {"samples"}


def test_other_splits_than_the_data_give_are_noticed(registry):
    (row,) = datasets.rows(registry.store)
    index = datasets.splits(registry.store, row)["val"]
    other = registry.store.blobs.put(dump_tensors({"index": index[::-1].copy()}))
    splits = {name: list(pair) for name, pair in row.splits.items()} | {"val": [len(index), other]}
    with registry.store.catalogue.write() as connection:
        rewrite(
            connection, tables.dataset, key={"digest": row.digest}, changes={"splits": write_json(splits)}
        )
    assert bad(registry) == {"splits", "val scores"}


def test_changed_data_are_noticed(trained, registry):
    path = trained / "tiny.npz"
    content = path.read_bytes()
    try:
        np.savez(path, x=np.zeros((100, 4), np.float32), y=np.zeros(100, np.int64))
        assert bad(registry) == {"data", "splits", "val scores"}
        path.unlink()
        assert bad(registry) == {"data", "splits", "val scores"}
    finally:
        path.write_bytes(content)


def test_weights_in_another_spelling_are_noticed(registry):
    content = registry.store.blobs.get(registry.resolve("tiny@2").weights)
    length = int.from_bytes(content[:8], "little")
    header = json.dumps(read_json(content[8 : 8 + length]), sort_keys=False, indent=1).encode()
    header += b" " * (-len(header) % 8)
    other = registry.store.blobs.put([len(header).to_bytes(8, "little"), header, content[8 + length :]])
    change(registry, weights=other)
    assert "weights decoded" in bad(registry)


@pytest.mark.parametrize(
    ("what", "find"),
    [
        ("artifacts", lambda r, run: r.artifacts(run)[0].object),
        ("environments", lambda r, run: r.run(run).environment),
        ("state decoded", lambda r, run: r.latest(run).state),
    ],
    ids=["artifact", "environment", "state"],
)
def test_a_damaged_object_of_the_run_is_noticed(registry, what, find):
    digest = find(registry, registry.resolve("tiny@2").run)
    path = registry.store.blobs.path(digest)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b" ")
    assert what in bad(registry)


def test_a_damaged_row_of_the_run_is_noticed(registry):
    with registry.store.catalogue.write() as connection:
        connection.exec_driver_sql("UPDATE metric SET value = 1 WHERE rowid = 1")
    assert bad(registry) == {"rows"}


def test_the_command_line_recomputes(registry):
    def call(*arguments):
        return CliRunner().invoke(app, ["verify", *arguments, "--store", str(registry.store.home), "--json"])

    shallow, deep = call("tiny@2"), call("tiny@2", "--deep")
    assert shallow.exit_code == deep.exit_code == 0
    assert json.loads(deep.stdout)[-1]["what"] == "val scores"
    assert len(json.loads(deep.stdout)) > len(json.loads(shallow.stdout))
    change(registry, metrics='{"val/loss":0.1}')
    assert call("tiny@2", "--deep").exit_code == 1
    assert call("--pinned", "file", "--deep").exit_code == 2
