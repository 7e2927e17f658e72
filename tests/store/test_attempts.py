import sqlite3
from contextlib import closing

import pytest

from trainwright.base.errors import StaleAttempt, StoreError
from trainwright.store import live


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


def test_models_are_numbered_in_the_order_of_their_first_run(registry, begin):
    for name in ("b", "a", "b", "c"):
        begin(name)
    assert {row.name: row.id for row in registry.models()} == {"b": 1, "a": 2, "c": 3}


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


def test_a_run_whose_row_is_gone_can_write_nothing(store, begin):
    run = begin()
    with closing(sqlite3.connect(store.catalogue.path)) as damaged:
        damaged.execute("DELETE FROM run")
        damaged.commit()
    with pytest.raises(StoreError, match=f"the row of run {run.id} is gone"):
        run.look("test", "x")
