import logging
import re
import threading
import time

import numpy as np
import pytest

from trainwright.base.errors import SpecError, StaleAttempt, StoreError
from trainwright.store import checkpoints, live
from trainwright.store.records import Plot
from trainwright.train.run import Run


def test_a_run_is_a_row_from_its_first_second(registry, begin):
    run = begin()
    row = registry.run(run.id)
    assert re.fullmatch(r"r\d{8}-\d{6}-[a-z2-7]{4}", run.id)
    assert (row.state, row.model, row.attempt, row.seed, row.finished) == ("running", "digits", 1, 7, None)
    assert registry.spec(row) == {"name": "digits"}
    assert registry.environment(row) == {"packages": {"numpy": "2"}}
    assert [attempt.outcome for attempt in registry.attempts(run.id)] == [None]


def test_it_is_what_the_loop_calls_a_run(begin):
    run: Run = begin()
    for name in ("report", "save", "save_files", "resume_point", "wish", "artifact", "warn", "look"):
        assert callable(getattr(run, name))


@pytest.mark.parametrize("name", ["../x", "a@b", "-a", ""])
def test_a_name_that_is_not_allowed_begins_nothing(registry, begin, name):
    with pytest.raises(SpecError):
        begin(name)
    assert registry.runs() == []


def test_a_dataset_must_be_registered_first(registry, begin, store):
    with pytest.raises(StoreError, match="dataset 'unknown' is not in the store"):
        begin(dataset="unknown")
    assert registry.runs() == [] and registry.models() == []


def test_a_snapshot_comes_back_as_it_was(registry, begin, snapshot):
    weights = {"a/w": np.float32([[1, 2], [3, 4]]), "b": np.array(True), "empty": np.zeros((0, 3))}
    state = {"step": 3, "nested": [{"m": np.arange(3)}, None, "text", 1.5]}
    run = begin()
    row = run.save(snapshot(3, weights=weights, state=state, loss=0.25)).wait()

    found = registry.resolve("digits@1")
    assert (found, found.metrics, found.step, found.epoch) == (row, {"val/loss": 0.25}, 3, 0)
    np.testing.assert_equal(registry.weights(found), weights)
    np.testing.assert_equal(registry.state(found), state)
    assert registry.operator(found) == {"format": 1}


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


def failing(times, error):
    real, calls = checkpoints.commit_version, []

    def commit(*arguments, **named):
        calls.append(1)
        if len(calls) <= times:
            raise error
        return real(*arguments, **named)

    return commit, calls


def test_a_failed_save_is_tried_again(begin, snapshot, monkeypatch):
    commit, calls = failing(1, StoreError("a moment's trouble"))
    monkeypatch.setattr(checkpoints, "commit_version", commit)
    assert begin().save(snapshot(1)).wait().number == 1
    assert len(calls) == 2


@pytest.mark.parametrize("ask", ["wait", "save", "flush", "finish"])
def test_a_save_that_failed_twice_is_raised_by_whoever_asks_next(registry, begin, snapshot, monkeypatch, ask):
    run = begin()
    commit, calls = failing(2, StoreError("the disk is gone"))
    monkeypatch.setattr(checkpoints, "commit_version", commit)
    version = run.save(snapshot(1))
    asks = {
        "wait": version.wait,
        "save": lambda: run.save(snapshot(2)),
        "flush": run.flush,
        "finish": lambda: run.finish("done"),
    }
    with pytest.raises(StoreError, match="the disk is gone"):
        asks[ask]()
    assert len(calls) == 2
    run.finish("failed", "the disk is gone")  # heard already: not raised again
    assert registry.run(run.id).state == "failed"
    assert "the disk is gone" in registry.run(run.id).reason


def test_a_run_that_fails_anyway_keeps_both_reasons(registry, begin, snapshot, monkeypatch):
    run = begin()
    monkeypatch.setattr(checkpoints, "commit_version", failing(2, StoreError("the disk is gone"))[0])
    run.save(snapshot(1))
    run.finish("failed", "ValueError: bad batch")
    assert registry.run(run.id).reason == "ValueError: bad batch; StoreError: the disk is gone"


def test_a_snapshot_that_cannot_be_spelled_is_an_error(begin, snapshot):
    with pytest.raises(TypeError, match="plain values and arrays"):
        begin().save(snapshot(1, state={"f": object()})).wait()


def test_a_durable_version_is_logged(begin, snapshot, caplog):
    caplog.set_level(logging.INFO, logger="trainwright.store")
    run = begin()
    run.save(snapshot(7)).wait()
    assert f"version 1 of digits is durable (run {run.id}, step 7)" in caplog.messages


@pytest.mark.parametrize("state", ["paused", "stopped", "done", "failed"])
def test_finish_writes_how_it_ended(registry, begin, snapshot, state):
    run = begin()
    version = run.save(snapshot(1)).wait()
    run.finish(state, "because", final=version)
    row, (attempt,) = registry.run(run.id), registry.attempts(run.id)
    assert (row.state, row.reason, attempt.outcome) == (state, "because", state)
    assert row.finished is not None and registry.final(run.id) == version


def test_nothing_is_recorded_after_the_end(begin, snapshot):
    run = begin()
    run.finish("done")
    for write in (
        lambda: run.save(snapshot(1)),
        lambda: run.artifact("a", 1.0),
        lambda: run.warn("late"),
        lambda: run.finish("done"),
    ):
        with pytest.raises(StoreError, match="is finished"):
            write()


def test_a_stale_attempt_can_write_nothing(registry, begin, reopen, snapshot, tmp_path):
    old = begin()
    old._lock.release()  # as if its machine had been cut off, and came back
    new = reopen(old.id, from_step=0)
    (tmp_path / "files").mkdir()
    writes = {
        "save": lambda: old.save(snapshot(1)).wait(),
        "save_files": lambda: old.save_files(tmp_path / "files", step=1, metrics={}),
        "artifact": lambda: old.artifact("a", 1.0),
        "warn": lambda: old.warn("x"),
        "look": lambda: old.look("test", "x"),
        "edge": lambda: old.edge("used", "file", target="x"),
        "finish": lambda: old.finish("done"),
    }
    for write in writes.values():
        with pytest.raises(StaleAttempt, match="attempt 1 can write nothing any more, attempt 2"):
            write()
    assert registry.versions() == [] and registry.artifacts(old.id) == []
    assert registry.notes(old.id) == registry.looks(old.id) == registry.edges(old.id) == []
    assert registry.run(old.id).state == "running"
    new.finish("done")


def test_a_live_run_cannot_be_reopened(begin, reopen, monkeypatch):
    monkeypatch.setattr(live, "_PATIENCE_S", 0.0)
    with pytest.raises(StoreError, match="is being trained by another process"):
        reopen(begin().id, from_step=0)


def test_a_run_that_is_not_there_cannot_be_reopened(reopen):
    with pytest.raises(StoreError, match="there is no run r20200101-000000-aaaa"):
        reopen("r20200101-000000-aaaa", from_step=0)


def test_a_reopened_run_says_what_differs(registry, begin, reopen):
    run = begin()
    run.close()
    assert registry.run(run.id).state == "killed"
    again = reopen(run.id, from_step=5, inexact=["packages.numpy"], environment={"packages": {}})
    first, second = registry.attempts(run.id)
    assert (first.outcome, second.outcome, second.from_step) == ("killed", None, 5)
    assert (first.inexact, second.inexact) == (None, ["packages.numpy"])
    assert registry.environment(registry.run(run.id)) == {"packages": {}}
    assert (again.attempt, again.id, again.seed) == (2, run.id, 7)


def test_the_resume_point_is_the_newest_version_or_the_parent(begin, reopen, snapshot):
    run = begin()
    assert run.resume_point() is None
    run.save(snapshot(1)).wait()
    second = run.save(snapshot(2)).wait()
    assert run.resume_point() == second
    assert begin(parent=second).resume_point() == second
    run.close()
    assert reopen(run.id, from_step=2).resume_point() == second


def test_wishes_are_heard_and_a_save_answers_the_wish_to_save(begin, snapshot):
    run = begin()
    assert run.wish() == "go"
    run.ask("save")
    assert [run.wish(), run.wish()] == ["save", "save"], "the loop asks twice in one step"
    run.save(snapshot(1)).wait()
    assert run.wish() == "go"
    run.ask("stop")
    run.save(snapshot(2)).wait()
    assert run.wish() == "stop"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (0.5, "score"),
        (float("nan"), "score"),
        (np.float32(0.5), "score"),
        (np.arange(6.0).reshape(2, 3), "array"),
        (Plot("<svg/>"), "plot"),
        ({"rows": [1, 2], "worst": float("-inf")}, "table"),
        ("hello ä", "text"),
    ],
)
def test_an_artifact_comes_back_as_it_was(registry, begin, value, kind):
    run = begin()
    run.artifact("val/thing", value, step=3)
    (row,) = registry.artifacts(run.id)
    assert (row.kind, row.name, row.step) == (kind, "val/thing", 3)
    np.testing.assert_equal(registry.artifact_value(row), value)


@pytest.mark.parametrize("value", [object(), [1], None, {"a": object()}, np.array(["text"])])
def test_an_artifact_of_an_unknown_kind_is_refused(registry, begin, value):
    run = begin()
    with pytest.raises(StoreError):
        run.artifact("a", value)
    assert registry.artifacts(run.id) == []


def test_looks_warnings_and_edges_are_kept_in_order(registry, begin):
    run = begin()
    run.look("test", "evaluate")
    run.look("test", "report")
    run.warn("careful")
    run.edge("used", "file", target="a.csv")
    registry.note(run.id, "by hand")
    registry.look(run.id, "test", by="a person")
    assert [(row.split, row.by) for row in registry.looks(run.id)] == [
        ("test", "evaluate"),
        ("test", "report"),
        ("test", "a person"),
    ]
    assert [(row.level, row.text) for row in registry.notes(run.id)] == [("warning", "careful"), ("note", "by hand")]
    assert [(row.kind, row.what, row.target) for row in registry.edges(run.id)] == [("used", "file", "a.csv")]
