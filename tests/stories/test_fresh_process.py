"""A version loads from the store alone, and predicts to the bit what the training process predicted."""

import shutil

import numpy as np
import pytest

from stories.conftest import Lab
from trainwright.base.extras import installed

IN_TRAINING = """
import sys, numpy as np
from pathlib import Path
import trainwright as tw
from trainwright.experiment import run_experiment
import trainwright.train.loop as loops
document = tw.read_experiment(sys.argv[1])
seen = {}
fit = loops.TrainingLoop.fit
def keep(self, resume=None):
    outcome = fit(self, resume)
    seen["learner"] = self.learner
    return outcome
loops.TrainingLoop.fit = keep
trained = run_experiment(document.experiment, folder=document.folder, home=sys.argv[2])
from trainwright.plan import make_plan
plan = make_plan(document.experiment, document.folder, home=Path(sys.argv[2]))
raw = plan.dataset.records
out = seen["learner"].predict(plan.preparation.encode(raw).x)
np.savez(sys.argv[3], **out)
print(trained.run)
"""
AFTERWARDS = """
import sys, numpy as np
import trainwright as tw
model = tw.load_model(sys.argv[1] + "@final", home=sys.argv[2])
x = np.load(sys.argv[3], allow_pickle=False)["x"]
np.savez(sys.argv[4], out=model.outputs(x)["logits"], classes=model(x))
print(*(name for name in ("torch", "jax") if name in sys.modules))
"""


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path, fresh=True)


@pytest.mark.parametrize(
    ("backend", "other"),
    [("torch", "jax"), ("equinox", "torch"), pytest.param("keras-jax", "torch", marks=pytest.mark.slow)],
)
def test_predictions_are_equal_bit_for_bit(lab, tmp_path, backend, other):
    if backend.startswith("keras") and not installed("keras"):
        pytest.skip("Keras is not installed")
    lab.write(backend=backend)

    def python(code, *arguments):
        process = lab.start(*arguments, code=code)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        return out.strip()

    run = python(IN_TRAINING, lab.file, lab.home, tmp_path / "trained.npz")
    x = tmp_path / "elsewhere" / "x.npz"
    x.parent.mkdir()
    shutil.move(lab.folder / "tiny.npz", x)  # only the store is left
    lab.file.unlink()
    loaded = python(AFTERWARDS, run, lab.home, x, tmp_path / "loaded.npz")
    with np.load(tmp_path / "trained.npz") as trained, np.load(tmp_path / "loaded.npz") as again:
        np.testing.assert_array_equal(trained["logits"], again["out"])
        assert len(np.unique(again["classes"])) == 3
    assert other not in loaded.split()

    table = tmp_path / "out.parquet"
    lab.call("predict", f"{run}@final", x, "-o", table)
    import pyarrow.parquet

    columns = pyarrow.parquet.read_table(table).to_pydict()
    with np.load(tmp_path / "loaded.npz") as again:
        np.testing.assert_array_equal(columns["y"], again["classes"])
        logits = again["out"].astype(np.float64)
    odds = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(columns["p(1)"], (odds / odds.sum(1, keepdims=True))[:, 1], rtol=1e-6)


def test_a_jax_run_imports_no_torch(lab):
    lab.write(backend="equinox")
    code = (
        "import sys\nfrom trainwright.cli.app import main\n"
        "try: main()\nfinally: print('torch' in sys.modules, file=sys.stderr)"
    )
    process = lab.start("run", lab.file, "-q", code=code)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0 and err.strip().endswith("False")


def test_the_record_for_other_tools_is_there_and_is_right(lab):
    trained = lab.run()
    from trainwright.store.registry import Registry
    from trainwright.store.store import Store

    registry = Registry(Store.open(lab.home))
    texts = {one.name: registry.artifact_value(one) for one in registry.artifacts(trained["run"])}
    from ruamel.yaml import YAML

    record = YAML(typ="safe").load(texts["training-artifact.yaml"])
    assert list(record)[:9] == [
        "training_pipeline",
        "dataset_hash",
        "training_run_id",
        "trained_model_uri",
        "trained_model_hash",
        "backend",
        "backend_version",
        "hardware",
        "duration_seconds",
    ]
    assert record["trained_model_hash"] == f"sha256:{trained['weights']}"
    assert record["seeds"] == {"experiment": 3, "split": 0} and record["threads"] == 1
    assert record["peak_memory_bytes"] > 50e6 and "numpy" in record["environment"]
    assert set(record["git"]) == {"commit", "dirty"}
    import prov.model

    document = prov.model.ProvDocument.deserialize(content=texts["prov.json"], format="json")
    kinds = {type(one).__name__ for one in document.get_records()}
    assert {"ProvEntity", "ProvActivity", "ProvAgent", "ProvUsage", "ProvGeneration"} <= kinds


def test_an_artifact_is_printed_by_its_name(lab):
    trained = lab.run()
    text = lab.call("show", "tiny@best", "--artifact", "training-artifact.yaml")
    assert f"training_run_id: {trained['run']}" in text.splitlines()
    assert f"trained_model_hash: sha256:{trained['weights']}" in text.splitlines()
    assert "it has:" in lab.call("show", "tiny@best", "--artifact", "nothing", expect=1)
