"""Cross-validation and repeats from the command line."""

import signal

import pytest

pytest.importorskip("torch")

FOLDS = "data.split={method: stratified_kfold, folds: 3, fold: 0}"
HALT = """\
import os, pathlib, signal
from trainwright.train.callback import Callback

class Halt(Callback):
    def on_epoch(self, moment):
        pathlib.Path(f"seen-{moment.run}").touch()
        number = len(list(pathlib.Path().glob("seen-*")))
        kind = {2: signal.SIGINT, 3: signal.SIGKILL}.get(number)
        # At the third epoch, the version of the first is in the store.
        if moment.epoch == 3 and kind and not pathlib.Path(f"halted-{number}").exists():
            pathlib.Path(f"halted-{number}").touch()
            os.kill(os.getpid(), kind)
"""


def test_a_cross_validation_that_is_interrupted_and_killed_goes_on(lab):
    (lab.folder / "halt.py").write_text(HALT)
    command = ("study", lab.file, "--set", FOLDS, "--set", "train.callbacks=[{use: halt:Halt}]")
    said = lab.call(*command, expect=130)
    assert "fold 0: tiny@" in said and "trainwright: fold 1 is interrupted by a signal at step" in said
    lab.call(*command, expect=-signal.SIGKILL)
    found = lab.json(*command, "-q")
    assert [one["recorded"] for one in found["members"]] == [True, True, False]
    assert found["out_of_fold"]["records"] == 200
    listed = lab.json("ls", "--study", found["study"])
    assert {one["run"] for one in listed} == {one["run"] for one in (*found["members"], found["ensemble"])}
    assert {one["state"] for one in listed} == {"done"}
    assert lab.json("ls", "--study", "0" * 12) == []

    process = lab.start(*command)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0
    assert "fold 2 (trained before): tiny@" in err and "fold" not in err.partition("fold 2")[2][5:]
    heads = out.splitlines()[0].split()
    assert heads == ["metric", "fold", "0", "fold", "1", "fold", "2", "mean", "std", "std", "error"]
    row = next(line.split() for line in out.splitlines() if line.startswith("val/accuracy"))
    spread = found["summary"]["val/accuracy"]
    assert row[4:] == [f"{spread[one]:.4f}" for one in ("mean", "std", "stderr")]
    pooled = next(line.split() for line in out.splitlines() if line.startswith("accuracy"))
    assert pooled[1] == f"{found['out_of_fold']['scores']['accuracy']['value']:.4f}"
    assert f"study    {found['study']}" in out
    assert f"ensemble tiny@{found['ensemble']['version']}" in out


def test_repeats_over_seeds(lab):
    found = lab.json("study", lab.file, "--seeds", 2, "-q")
    assert [one["name"] for one in found["members"]] == ["seed 3", "seed 4"]
    assert found["summary"]["test/accuracy"]["std"] >= 0 and "out_of_fold" not in found


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], "data.split.method: 'stratified' has no folds"),
        (["--seeds", "1"], "--seeds"),
        (["--seeds", "2", "--test"], "--test"),
    ],
)
def test_what_cannot_be_done_is_refused(lab, options, text):
    assert text in lab.call("study", lab.file, *options, expect=2)
    assert not lab.home.exists()
