"""Data larger than memory train in little memory, and train the same weights."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from trainwright.store.registry import Registry
from trainwright.store.store import Store
from trainwright.train.feed import ArrayFeed

BODY = """\
name: big
seed: 3
data: {{path: {path}, target: {target}, in_memory: {in_memory}, split: {{val: 0.1, seed: 1}}{more}}}
model: {{architecture: mlp, hidden_dims: [16], task_type: regression, dropout: 0.1, normalization: batch}}
train: {{backend: {backend}, epochs: 2, batch_size: 16, optimizer: {{name: adamw, lr: 1e-3}}}}
"""

# A plan as the package makes it, and 200 of its steps; memory is counted over the imports and the plan too.
CHILD = """
import hashlib, json, sys
from pathlib import Path
import torch
from trainwright.base.machine import peak_memory_bytes
from trainwright.plan import make_plan
from trainwright.spec.read import read_experiment
from trainwright.train.learner import Answer

class Clock:
    end = 200
    def next(self, step): return min(self.end, step + 50)

before = peak_memory_bytes()
file = Path(sys.argv[1])
plan = make_plan(read_experiment(file).experiment, file.parent, home=file.parent / "store")
learner = plan.prepare()
order, batch = hashlib.sha256(), plan.feed.batch
def heard(step):
    order.update(plan.feed.indices(step).tobytes())
    return batch(step)
if plan.feed.arrays is None:
    plan.feed.batch = heard
learner.train(plan.feed, Clock(), lambda one: Answer())
learner.predict(plan.examples["val"].x)
print(json.dumps({
    "before": before, "peak": peak_memory_bytes(),
    "order": order.hexdigest(), "records": plan.feed.records, "lazy": plan.feed.arrays is None,
    "in_memory": plan.experiment.data.in_memory, "why": plan.why.get("data.in_memory"),
}))
"""

CENTRE = """
from dataclasses import dataclass, replace
import numpy as np
from trainwright.ops.operator import Operator

@dataclass(frozen=True, eq=False)
class Centre(Operator):
    mean: np.ndarray | None = None
    def fit(self, x):
        return replace(self, mean=x.mean(0, dtype=np.float64))
    def fit_blocks(self, blocks):
        total, count = 0.0, 0
        for block in blocks():
            total, count = total + block.sum(0, dtype=np.float64), count + len(block)
        return replace(self, mean=total / count)
    def __call__(self, x):
        return (x - np.asarray(self.mean)).astype(np.float32)
"""


@pytest.fixture
def run(lab):
    def start(path, in_memory, *, target="y.npy", backend="torch", more=""):
        text = BODY.format(path=path, target=target, in_memory=in_memory, backend=backend, more=more)
        file = lab.folder / f"big-{in_memory}.yaml"
        file.write_text(text)
        return file

    return start


@pytest.fixture
def small(lab):
    numbers = np.random.default_rng(0)
    x, y = numbers.normal(3.0, 2.0, size=(300, 5)), numbers.normal(size=300)
    np.save(lab.folder / "x.npy", x)
    np.save(lab.folder / "y.npy", y)
    np.savez(lab.folder / "d.npz", x=x, y=y)
    columns = {f"c{number}": x[:, number] for number in range(5)}
    parquet.write_table(pa.table({**columns, "y": y}), lab.folder / "t.parquet")
    return lab


@pytest.mark.parametrize(
    ("path", "target", "backend"),
    [
        pytest.param("x.npy", "y.npy", "torch", marks=pytest.mark.slow),
        ("d.npz", "y", "equinox"),
        ("t.parquet", "y", "torch"),
    ],
)
def test_a_run_ends_in_the_same_weights_and_scores_whether_its_data_are_in_memory_or_not(
    small, run, path, target, backend
):
    operators = ", test: 0.2}, operators: [{use: Standardize}]"
    found = []
    for in_memory in ("true", "false"):
        file = run(path, in_memory, target=target, backend=backend)
        file.write_text(file.read_text().replace(", seed: 1}", operators))
        found.append(small.json("run", file, "-q"))
    one, other = found
    assert one["weights"] == other["weights"] and one["scores"] == other["scores"]
    assert one["scores"]["test/rmse"]["value"] > 0
    registry = Registry(Store.open(small.home, create=False))
    recipes = {registry.run(run["run"]).dataset for run in found}
    assert len(recipes) == 1 and None not in recipes  # recipe and content are those of one dataset
    if path == "x.npy":
        assert small.json("reproduce", other["run"], "-q")["verdict"] == "identical"


def write_rows(folder, records, columns, *, block=4096):
    """Writes a float32 .npy of that shape, block by block."""
    rows = np.lib.format.open_memmap(folder / "x.npy", mode="w+", dtype=np.float32, shape=(records, columns))
    base = np.random.default_rng(0).normal(size=(block, columns)).astype(np.float32)
    for begin in range(0, records, block):
        part = rows[begin : begin + block]
        part[:] = base[: len(part)]
        part[:, 0] += begin / records
    rows.flush()
    del rows
    np.save(folder / "y.npy", np.arange(records) / records)


def expected_order(records, steps=200, batch=16, seed=3):
    feed, digest = (
        ArrayFeed({"x": np.zeros(records), "y": np.zeros(records)}, batch_size=batch, seed=seed),
        None,
    )
    digest = hashlib.sha256()
    for step in range(steps):
        digest.update(feed.indices(step).tobytes())
    return digest.hexdigest()


def measured(lab, file):
    process = lab.start(file, code=CHILD)
    out, err = process.communicate(timeout=1500)
    assert process.returncode == 0, err
    return json.loads(out)


MB = 10**6


def test_200_mb_of_features_are_trained_on_in_less_memory_than_they_take(lab, run):
    (lab.folder / "own.py").write_text(CENTRE)
    write_rows(lab.folder, 50_000, 1000)
    centred = ", operators: [{use: 'own:Centre'}]"
    lazy = measured(lab, run("x.npy", "false", more=centred))
    assert lazy["lazy"] and lazy["in_memory"] is False
    assert lazy["peak"] - lazy["before"] < 150 * MB
    assert lazy["order"] == expected_order(lazy["records"]) and lazy["records"] == 45_000
    whole = measured(lab, run("x.npy", "true", more=centred))
    assert whole["peak"] - whole["before"] > 200 * MB and not whole["lazy"]
    (lab.folder / "x.npy").unlink()


def test_a_table_is_trained_on_in_less_memory_than_it_takes(lab, run):
    records, columns = 500_000, 100
    base = np.random.default_rng(0).normal(size=(records // 10, columns))
    names = [f"c{number}" for number in range(columns)]
    piece = pa.table({**{name: base[:, n] for n, name in enumerate(names)}, "y": np.arange(len(base)) / 1e4})
    with parquet.ParquetWriter(lab.folder / "t.parquet", piece.schema, compression="none") as writer:
        for _ in range(10):
            writer.write_table(piece, row_group_size=records)
    found = measured(lab, run("t.parquet", "false", target="y"))
    assert found["lazy"] and "from a copy of 0.4 GB in" in found["why"]
    # Buffers of 100 columns and what pyarrow imports take most of it; read whole, the table would take 400 MB twice.
    assert found["peak"] - found["before"] < 350 * MB
    (lab.folder / "t.parquet").unlink()


@pytest.mark.slow
def test_3_gb_of_features_are_trained_on_within_1_gb_of_memory(lab, run):
    (lab.folder / "own.py").write_text(CENTRE)
    records = 750_000
    write_rows(lab.folder, records, 1000)
    assert (lab.folder / "x.npy").stat().st_size > 3e9
    found = measured(lab, run("x.npy", "false", more=", operators: [{use: 'own:Centre'}]"))
    (lab.folder / "x.npy").unlink()
    assert found["lazy"] and found["records"] == 675_000
    assert found["peak"] < 1000 * MB
    assert found["order"] == expected_order(found["records"])
