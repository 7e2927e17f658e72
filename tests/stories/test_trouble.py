"""Training while the store is in trouble: it goes on, says so, and what was not lost is what an easy run gives."""

import re
import signal
import time

import pytest

from store.conftest import stop_outside_of_a_write
from stories.conftest import Lab
from trainwright.base.errors import CannotWrite, StoreError
from trainwright.experiment import resume_run, run_experiment
from trainwright.spec.read import read_experiment
from trainwright.store import checkpoints, metrics, saver
from trainwright.store.registry import Registry
from trainwright.store.run import LocalRun
from trainwright.store.store import Store

pytest.importorskip("torch")
FULL = StoreError("the disk is full: free space")


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for module in (saver, metrics):
        monkeypatch.setattr(module, "PAUSES_S", (0.0, 0.01))
    return Lab(tmp_path)


def train(lab, epochs=8):
    document = read_experiment(lab.file, changes=[f"train.epochs={epochs}"])
    return run_experiment(document.experiment, folder=document.folder, home=lab.home)


def break_saves(monkeypatch, broken):
    """Lets saves of some steps fail."""
    real = checkpoints.commit_version

    def commit(connection, run, *, attempt, draft):
        if broken(draft.step):
            raise FULL
        return real(connection, run, attempt=attempt, draft=draft)

    monkeypatch.setattr(checkpoints, "commit_version", commit)


def test_a_run_goes_on_while_nothing_can_be_saved_and_ends_as_an_easy_one(lab, monkeypatch):
    easy = train(lab)
    tries = iter(range(10**9))
    # The disk is full from the third epoch on, for 40 tries, which is longer than training takes or not.
    with monkeypatch.context() as patch:
        break_saves(patch, lambda step: step >= 3 * 8 and next(tries) < 3)
        hard = train(lab)
    assert hard.outcome.kind == "done" and hard.final.weights == easy.final.weights
    registry = Registry(Store.open(lab.home))
    values = [[(row.step, row.name, row.value) for row in registry.metrics(one.run)] for one in (easy, hard)]
    assert values[0] == values[1]
    assert "nothing could be saved from step" in registry.notes(hard.run)[0].text


def test_a_run_that_can_never_be_saved_fails_at_its_end_and_resumes_exactly(lab, monkeypatch):
    easy = train(lab)
    with monkeypatch.context() as patch:
        break_saves(patch, lambda step: step > 20)
        with pytest.raises(
            StoreError, match=r"unsaved since step \d+: the disk is full: free space"
        ) as caught:
            train(lab)
    registry = Registry(Store.open(lab.home))
    (failed,) = registry.runs(state="failed")
    assert str(caught.value).endswith(f": free space, then `trainwright resume {failed.id}`")
    assert "unsaved since step" in failed.reason and failed.reason.count("the disk is full") == 1
    last = max(row.step for row in registry.metrics(failed.id))
    assert last == easy.final.step, "training went on to its end"
    assert resume_run(failed.id, home=lab.home).final.weights == easy.final.weights


def test_a_run_of_which_nothing_was_ever_saved_is_to_be_run_again(lab, monkeypatch):
    with monkeypatch.context() as patch:
        break_saves(patch, lambda step: True)
        with pytest.raises(StoreError, match=r": free space, then run it again: no checkpoint was saved$"):
            train(lab)
    (failed,) = Registry(Store.open(lab.home)).runs(state="failed")
    with pytest.raises(StoreError, match="has no checkpoint to go on from; run its experiment again"):
        resume_run(failed.id, home=lab.home)


def test_a_run_whose_store_cannot_even_be_read_is_told_both_ways(lab, monkeypatch):
    def gone(*_):
        raise CannotWrite("the store has vanished: put it back")

    monkeypatch.setattr(LocalRun, "look", gone)
    monkeypatch.setattr(LocalRun, "resume_point", gone)
    both = r"put it back, then `trainwright resume \S+`, or run it again if it has no checkpoint$"
    with pytest.raises(StoreError, match=both):
        train(lab)


BROKEN = """
import sys
from trainwright.base.errors import CannotWrite, StoreError
from trainwright.store import checkpoints, saver
from trainwright.cli.app import main
saver.PAUSES_S = (0.0, 0.01)
real = checkpoints.commit_version
def commit(connection, run, *, attempt, draft):
    if draft.step > 20:
        raise StoreError("the disk is full: free space")
    return real(connection, run, attempt=attempt, draft=draft)
checkpoints.commit_version = commit
main()
"""


def test_the_command_line_says_so_meanwhile_and_exits_with_1(lab):
    lab.write(epochs=40)
    process = lab.start("run", lab.file, code=BROKEN)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 1 and out == "", err
    lines = err.splitlines()
    assert any(line.startswith("unsaved since step") and "training goes on" in line for line in lines)
    assert any(line.startswith("epoch 40/40") and "unsaved since step" in line for line in lines)
    assert lines[-1].startswith("trainwright: unsaved since step")
    assert re.search(r"free space, then `trainwright resume r\S+`$", lines[-1])
    assert [row["state"] for row in lab.json("ls")] == ["failed"]


IMPATIENT = """
from trainwright.store import live
live.LEASE_S, live._PATIENCE_S = 0.3, 0.05
from trainwright.cli.app import main
main()
"""
BUSY = "from trainwright.store import live; live.BEAT_S = 0.05\nfrom trainwright.cli.app import main; main()"


@pytest.mark.faults
def test_a_stopped_trainer_is_taken_over_and_can_write_nothing_when_it_wakes(lab, monkeypatch):
    lab.write(epochs=100_000)
    old = lab.start("run", lab.file, "-q", code=BUSY)
    try:
        while not (lab.home / "catalogue.db").exists() or not versions(lab):
            assert old.poll() is None
            time.sleep(0.05)
        stop_outside_of_a_write(old, Store.open(lab.home), monkeypatch)
        time.sleep(0.4)
        run = Registry(Store.open(lab.home)).runs()[0].id
        refused = lab.start("resume", run, "-q", code=IMPATIENT)
        _, err = refused.communicate(timeout=100)
        assert refused.returncode == 1 and f"`kill -CONT {old.pid}`" in err and "--take-over" in err
        new = lab.start("resume", run, "--take-over", "-q", code=IMPATIENT)
        while len(Registry(Store.open(lab.home)).attempts(run)) < 2:
            assert new.poll() is None, new.communicate()
            time.sleep(0.05)
        old.send_signal(signal.SIGCONT)
        out, err = old.communicate(timeout=100)
        assert old.returncode == 1 and out == ""
        assert "attempt 1 can write nothing any more, attempt 2 has taken over" in err
        new.send_signal(signal.SIGTERM)
        _, err = new.communicate(timeout=100)
        assert new.returncode == 130, err
    finally:
        old.kill()
    registry = Registry(Store.open(lab.home))
    assert [row.outcome for row in registry.attempts(run)] == ["killed", "paused"]
    ours = [row for row in registry.versions(run=run) if row.attempt == 2]
    first = min(row.number for row in ours)
    assert all(row.number < first for row in registry.versions(run=run) if row.attempt == 1)
    assert registry.run(run).state == "paused"


def versions(lab):
    return Registry(Store.open(lab.home)).versions()
