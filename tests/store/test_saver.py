import math
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from trainwright.base.errors import StaleAttempt, StoreError
from trainwright.store import checkpoints, saver
from trainwright.store.records import Unsaved


def failing(times, error):
    real, calls = checkpoints.commit_version, []

    def commit(*arguments, **named):
        calls.append(1)
        if len(calls) <= times:
            raise error
        return real(*arguments, **named)

    return commit, calls


def test_save_returns_before_the_version_is_durable(begin, snapshot, monkeypatch):
    gate = threading.Event()
    real = checkpoints.commit_version

    def late(*arguments, **named):
        gate.wait(10)
        return real(*arguments, **named)

    monkeypatch.setattr(checkpoints, "commit_version", late)
    version = begin().save(snapshot(1))
    assert not version.done
    with pytest.raises(TimeoutError):
        version.wait(0.01)
    gate.set()
    assert version.wait().step == 1 and version.done


def test_one_save_is_in_flight_at_a_time(begin, snapshot, monkeypatch):
    run, flying, most = begin(), [], []
    real = checkpoints.commit_version

    def counted(*arguments, **named):
        flying.append(1)
        most.append(len(flying))
        time.sleep(0.02)
        flying.pop()
        return real(*arguments, **named)

    monkeypatch.setattr(checkpoints, "commit_version", counted)
    versions = [run.save(snapshot(step)) for step in (1, 2, 3)]
    assert [version.wait().number for version in versions] == [1, 2, 3]
    assert max(most) == 1


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(saver, "PAUSES_S", (0.0, 0.01, 0.02))


def break_saves(monkeypatch, times=10**9, error=None):
    commit, calls = failing(times, error or StoreError("the disk is full"))
    monkeypatch.setattr(checkpoints, "commit_version", commit)
    return calls


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.parametrize("times", [1, 2])
def test_a_failed_save_is_tried_again(begin, snapshot, monkeypatch, quick, times):
    calls = break_saves(monkeypatch, times)
    assert begin().save(snapshot(1)).wait().number == 1
    assert len(calls) == times + 1


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), StoreError("x"), MemoryError()])
def test_what_another_try_may_help_is_tried_until_it_works(
    registry, begin, snapshot, monkeypatch, quick, error
):
    run = begin()
    calls = break_saves(monkeypatch, 20, error)
    run.save(snapshot(1))
    until(lambda: registry.versions(run=run.id))
    until(lambda: run.unsaved is None)
    assert len(calls) == 21
    run.finish("done")
    (note,) = registry.notes(run.id)
    assert note.text.startswith("nothing could be saved from step 1 on (") and "step 1 is saved" in note.text


def test_training_goes_on_while_saves_fail_and_says_since_when(registry, begin, snapshot, monkeypatch, quick):
    run = begin()
    with monkeypatch.context() as patch:
        break_saves(patch)
        assert run.unsaved is None
        run.save(snapshot(3))
        until(lambda: run.unsaved is not None)
        assert run.unsaved == Unsaved(3, "the disk is full")
        for step in range(4, 9):
            run.save(snapshot(step))
        assert run.unsaved.since == 3
        with pytest.raises(StoreError, match="unsaved since step 3: the disk is full"):
            run.flush()
        assert registry.versions() == []
    run.flush()
    assert run.unsaved is None
    assert registry.latest(run.id).step == 8
    run.finish("done", final=registry.latest(run.id))
    assert registry.run(run.id).state == "done"
    (note,) = registry.notes(run.id)
    assert note.level == "warning" and "were given up for newer ones; step 8 is saved" in note.text


@pytest.mark.parametrize(("mode", "sign"), [("min", 1.0), ("max", -1.0)])
def test_the_newest_state_and_the_best_one_stay_in_memory(
    registry, begin, snapshot, monkeypatch, quick, mode, sign
):
    losses = {1: 5.0, 2: 4.0, 3: 1.0, 4: None, 5: 2.0, 6: math.nan, 7: 3.0}
    losses = {step: None if loss is None else sign * loss for step, loss in losses.items()}
    run, trying, gate = begin(best=("val/loss", mode)), threading.Event(), threading.Event()
    real = checkpoints.commit_version

    def commit(*arguments, **named):
        trying.set()
        if not gate.is_set():
            raise StoreError("the disk is full")
        return real(*arguments, **named)

    monkeypatch.setattr(checkpoints, "commit_version", commit)
    versions = {step: run.save(snapshot(step, loss=loss)) for step, loss in losses.items()}
    gate.set()
    run.flush()
    kept = [row.step for row in registry.versions(run=run.id)]
    assert kept in ([3, 7], [1, 3, 7]), "the first may have been in flight"
    assert registry.best(run.id).step == 3 and registry.latest(run.id).step == 7
    assert [row.parents for row in registry.versions(run=run.id)][-1] == [registry.best(run.id).id]
    assert versions[7].wait().step == 7
    with pytest.raises(StoreError, match="unsaved since step 1: the disk is full; given up for a newer one"):
        versions[5].wait()


@pytest.mark.parametrize("ask", ["wait", "flush", "finish", "close"])
def test_whoever_asks_is_told_after_some_tries(registry, begin, snapshot, monkeypatch, quick, ask):
    run = begin()
    calls = break_saves(monkeypatch)
    version = run.save(snapshot(1))
    asks = {
        "wait": version.wait,
        "flush": run.flush,
        "finish": lambda: run.finish("done"),
        "close": run.close,
    }
    with pytest.raises(StoreError, match="unsaved since step 1: the disk is full"):
        asks[ask]()
    assert len(calls) >= saver.LAST_TRIES
    if ask in ("wait", "flush"):
        assert not version.failed, "it is in memory still"
        run.finish("failed", "CannotWrite: unsaved since step 1: the disk is full")
    if ask != "close":
        row = registry.run(run.id)
        assert (row.state, row.reason) == ("failed", "CannotWrite: unsaved since step 1: the disk is full")
    assert version.failed and registry.versions() == []
    assert not [thread for thread in threading.enumerate() if thread.name == "trainwright-save"]


@pytest.mark.parametrize("ask", ["wait", "save", "flush", "finish"])
def test_what_no_further_try_can_help_is_raised_by_whoever_asks_next(
    registry, begin, snapshot, monkeypatch, ask
):
    run = begin()
    version = run.save(snapshot(1, state={"step": object()}))
    until(lambda: version.done)
    asks = {
        "wait": version.wait,
        "save": lambda: run.save(snapshot(2)),
        "flush": run.flush,
        "finish": lambda: run.finish("done"),
    }
    with pytest.raises(TypeError, match="a tree holds plain values"):
        asks[ask]()
    run.finish("failed", "heard already: not raised again")
    assert registry.run(run.id).state == "failed"


def test_weights_that_cannot_be_spelled_are_not_tried_again(begin, snapshot):
    run = begin()
    with pytest.raises(StoreError, match="arrays of <U4 cannot be kept"):
        run.save(snapshot(1, weights={"w": np.array(["text"])})).wait()


def test_a_run_that_fails_anyway_keeps_both_reasons(registry, begin, snapshot, monkeypatch, quick):
    run = begin()
    break_saves(monkeypatch)
    run.save(snapshot(1))
    run.finish("failed", "ValueError: bad batch")
    told = "ValueError: bad batch; CannotWrite: unsaved since step 1: the disk is full"
    assert registry.run(run.id).reason == told


def test_a_stale_attempt_hears_it_at_its_next_save(begin, reopen, snapshot):
    run = begin()
    run._lock.release()
    reopen(run.id, from_step=0)
    run.save(snapshot(1))
    until(lambda: not run._checkpoints._saver._waiting)
    with pytest.raises(StaleAttempt):
        run.save(snapshot(2))


def test_a_version_that_is_durable_is_not_saved_again_because_of_what_comes_after(
    store, registry, begin, snapshot, monkeypatch
):
    run = begin()
    run.keep(last=1)
    run.save(snapshot(1)).wait()

    def broken(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(type(store.blobs), "size", broken)
    run.save(snapshot(2)).wait()
    assert [row.step for row in registry.versions()] == [1, 2]


def test_warnings_that_cannot_be_written_are_written_later(store, registry, begin):
    run = begin()
    store.catalogue.writable = False
    run.warn("one")
    run.warn("two")
    store.catalogue.writable = True
    assert registry.notes(run.id) == []
    run.finish("done")
    assert [note.text for note in registry.notes(run.id)] == ["one", "two"]


def test_a_run_whose_warnings_are_never_written_fails(store, begin):
    run = begin()
    store.catalogue.writable = False
    run.warn("one")
    with pytest.raises(StoreError, match="is read-only"):
        run.finish("done")


def test_a_process_that_just_ends_gives_up_after_some_tries_and_says_so(tmp_path, child):
    command = [sys.executable, str(child), "leave unsaved", str(tmp_path / "store"), "-"]
    shell = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "unsaved since step 1: the disk is full; the process ends without it" in shell.stderr
