import re

import numpy as np
import pytest

from trainwright.base.errors import SpecError, StoreError
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


def test_the_resume_point_is_the_newest_version_or_the_parent(begin, reopen, snapshot):
    run = begin()
    assert run.resume_point() is None
    run.save(snapshot(1)).wait()
    second = run.save(snapshot(2)).wait()
    assert run.resume_point() == second
    branch = begin(parent=second)
    assert branch.resume_point() == second
    own = branch.save(snapshot(3)).wait()
    assert branch.resume_point() == own
    branch.close()
    assert reopen(branch.id, from_step=3).resume_point() == own
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
    assert [(row.level, row.text) for row in registry.notes(run.id)] == [
        ("warning", "careful"),
        ("note", "by hand"),
    ]
    assert [(row.kind, row.what, row.target) for row in registry.edges(run.id)] == [("used", "file", "a.csv")]
