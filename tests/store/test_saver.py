import threading
import time

import pytest

from trainwright.base.errors import StoreError
from trainwright.store import checkpoints


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
