"""The same experiment through Lightning's Trainer: the same weights, however it is cut, served without Lightning."""

import json
import os
import re
import signal
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from stories.conftest import dying_when
from stories.test_resume import LONG, wait_for
from trainwright import load_model
from trainwright.base.errors import SpecError
from trainwright.experiment import resume_run, run_experiment
from trainwright.reproduce import reproduce_version
from trainwright.spec.read import read_experiment
from trainwright.store.registry import Registry
from trainwright.store.store import Store

pytest.importorskip("lightning")

LIGHTNING = ("--set", "train.backend=lightning")
SLOW = (
    "import time\n"
    "from trainwright.callbacks.progress import Progress\n"
    "before = Progress.on_epoch\n"
    "Progress.on_epoch = lambda self, moment: (before(self, moment), time.sleep(0.05))[0]\n"
    "from trainwright.cli.app import main\nmain()\n"
)
SERVE = """
import sys, numpy as np
import trainwright as tw
model = tw.load_model(sys.argv[1] + "@final")
np.save(sys.argv[2], model.outputs(np.load("tiny.npz", allow_pickle=False)["x"])["logits"])
print(*(name for name in ("torch", "lightning") if name in sys.modules))
"""


def test_a_run_that_is_cut_by_a_signal_and_resumed_ends_in_the_weights_of_the_lean_loop(lab):
    lab.write(epochs=LONG)
    lean = run_experiment(read_experiment(lab.file).experiment, folder=lab.folder, home=lab.home)
    before = {path.name for path in lab.folder.iterdir()}
    process = lab.start("run", lab.file, *LIGHTNING, code=SLOW)
    wait_for(process, r"epoch 5/")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 130, err
    run = re.search(r"trainwright resume (\S+)", err).group(1)
    resumed = resume_run(run, home=lab.home)
    assert resumed.outcome.kind == "done" and resumed.final.weights == lean.final.weights
    assert Registry(Store.open(lab.home)).run(run).backend == "lightning"
    assert {path.name for path in lab.folder.iterdir()} == before  # Lightning leaves no files
    process = lab.start(run, lab.folder / "out.npy", code=SERVE)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, out.split()) == (0, ["torch"]), err
    logits = load_model(f"{lean.run}@final", home=lab.home).outputs(lab.x)["logits"]
    np.testing.assert_array_equal(np.load(lab.folder / "out.npy"), logits)


@pytest.mark.slow
@pytest.mark.timeout(900)  # five trainings, each of which starts a process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_of_two_processes_that_is_cut_goes_on_in_both_and_is_reproduced(lab, number):
    heard = "callbacks: [{use: 'backends.heard:Acts'}]"
    loggers = f"loggers: [{{use: 'backends.heard:Lines', args: {{folder: '{lab.folder}'}}}}]"
    more = f"  lightning: {{devices: 2, {heard}, {loggers}}}\n"
    lab.write(backend="lightning", epochs=LONG, more=more)
    whole = run_experiment(read_experiment(lab.file).experiment, folder=lab.folder, home=lab.home)
    lines = [json.loads(line) for line in (lab.folder / "lines.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines if "val/loss" in line]
    assert steps == list(range(4, 4 * LONG + 1, 4))  # of 128 records; the first process alone records
    process = lab.start("run", lab.file, "--again", code=SLOW)
    wait_for(process, r"epoch 5/")
    others = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(others) == 1
    if number == signal.SIGTERM:  # as a cluster does it: to all processes of a job
        os.kill(int(others[0]), number)
    process.send_signal(number)
    out, err = process.communicate(timeout=300)
    assert process.returncode == (130 if number == signal.SIGTERM else -9), err
    registry = Registry(Store.open(lab.home))
    run = next(row.id for row in registry.runs() if row.id != whole.run)
    resumed = resume_run(run, home=lab.home)
    assert resumed.outcome.kind == "done" and resumed.final.weights == whole.final.weights
    kept = registry.state(resumed.final)["learner"]
    (_, here), ((_, there),) = kept["lightning"][0], kept["lightning_others"][0]
    assert here["count"] == there["count"] == 64 * LONG
    verdict = reproduce_version(run, home=lab.home)
    assert verdict.word == "identical" and verdict.differences == []


@pytest.mark.slow
def test_a_module_of_the_user_s_own_is_cut_resumed_reproduced_and_served_without_it(lab):
    more = "  lightning: {module: {use: 'backends.own_modules:Rich', args: {width: 4}}}\n"
    more += "  callbacks:\n    - {use: Checkpoint, args: {every_n_steps: 3, keep_last: null}}\n"
    text = lab.write(backend="lightning", more=more).read_text()
    lab.file.write_text(
        "".join(line for line in text.splitlines(True) if "adamw" not in line and "cosine" not in line)
    )
    document = read_experiment(lab.file)
    whole = run_experiment(document.experiment, folder=lab.folder, home=lab.home)
    registry = Registry(Store.open(lab.home))
    rows = registry.metrics(whole.run)
    logged = {
        name: [row.step for row in rows if row.name == name] for name in ("train/penalty", "train/loss")
    }
    assert logged == {"train/penalty": [8, 16, 24, 32], "train/loss": [8, 16, 24, 32]}
    assert [row.step for row in registry.versions(run=whole.run)] == [*range(3, 31, 3), 32]

    killing = dying_when("snapshot.step == 21")
    process = lab.start("run", lab.file, "-q", "--again", code=killing)
    _, err = process.communicate(timeout=300)
    assert process.returncode == -9, err
    run = next(row.id for row in registry.runs() if row.id != whole.run)
    resumed = resume_run(run, home=lab.home)
    assert resumed.outcome.kind == "done" and resumed.final.weights == whole.final.weights
    verdict = reproduce_version(run, home=lab.home)
    assert verdict.word == "identical" and verdict.differences == []

    process = lab.start(run, lab.folder / "out.npy", code=SERVE)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out.split()) == (0, ["torch"]), err
    assert (np.load(lab.folder / "out.npy").argmax(1) == lab.y).mean() > 0.6  # three classes


def test_it_says_nothing_of_its_own_and_is_reproduced(lab):
    lab.write(epochs=2)
    process = lab.start("run", lab.file, "-q", "--json", *LIGHTNING)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0 and out.startswith("{") and err == ""
    verdict = reproduce_version("tiny", home=lab.home)
    assert verdict.word == "identical" and verdict.differences == []
    lean = reproduce_version("tiny", home=lab.home, changes=["train.backend=torch"])
    assert lean.word == "identical"
    assert [field for field, *_ in lean.differences] == ["train.backend", "packages.lightning"]


def test_a_logger_gets_what_the_run_records_and_a_repetition_disturbs_nobody(lab):
    pytest.importorskip("torch")
    more = f"""\
  lightning:
    callbacks:
      - {{use: "backends.heard:Batches", args: {{path: "{lab.folder / "count"}"}}}}
    loggers:
      - {{use: "backends.heard:Lines", args: {{folder: "{lab.folder}"}}}}
"""
    lab.write(backend="lightning", epochs=3, more=more)
    document = read_experiment(lab.file)
    trained = run_experiment(document.experiment, folder=lab.folder, home=lab.home)
    lines = (lab.folder / "lines.jsonl").read_text().splitlines()
    told = {}
    for line in map(json.loads, lines):
        told |= {(line["step"], name): value for name, value in line.items() if "/" in name}
    registry = Registry(Store.open(lab.home))
    recorded = {(row.step, row.name): row.value for row in registry.metrics(trained.run)}
    kept = {one.name: one for one in registry.artifacts(trained.run)}
    text = registry.artifact_value(kept["training-artifact.yaml"])
    assert f"backend: lightning\nbackend_version: {version('lightning')}\n" in text
    assert told == recorded and len({step for step, _ in told}) == 3
    assert (lab.folder / "count").read_text() == "24"  # 128 training records make 8 steps an epoch

    branch = resume_run(f"{trained.run}@epoch=2", epochs=5, home=lab.home)
    assert (lab.folder / "count").read_text() == "40"
    (lab.folder / "count").unlink()
    length = len((lab.folder / "lines.jsonl").read_text())
    verdict = reproduce_version(branch.run, home=lab.home)
    assert verdict.word == "identical" and verdict.differences == []
    assert not (lab.folder / "count").exists()
    assert len((lab.folder / "lines.jsonl").read_text()) == length


def test_a_wrong_callback_is_refused_before_anything_is_written(lab):
    more = "  lightning: {callbacks: [{use: 'backends.heard:Batchez'}]}\n"
    lab.write(backend="lightning", more=more)
    document = read_experiment(lab.file)
    with pytest.raises(SpecError, match=r"train\.lightning\.callbacks\.0\.use: .*cannot be imported"):
        run_experiment(document.experiment, folder=lab.folder, home=lab.home)
    assert not lab.home.exists()
