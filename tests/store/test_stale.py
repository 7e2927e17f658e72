"""A process that is stopped past its lease, and wakes when another has taken over, can write nothing."""

import json
import signal
import subprocess
import sys
import time

import pytest

from store.conftest import reopen_run, stop_outside_of_a_write
from trainwright.base.errors import StoreError
from trainwright.store import live
from trainwright.store.fsck import check
from trainwright.store.registry import Registry
from trainwright.store.store import Store


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(live, "LEASE_S", 0.5)
    monkeypatch.setattr(live, "_PATIENCE_S", 0.05)


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def rows(store):
    with store.catalogue.read() as connection:
        names = (
            connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type='table'").scalars().all()
        )
        return {name: connection.exec_driver_sql(f"SELECT * FROM {name}").all() for name in names}


def test_a_process_that_was_stopped_past_its_lease_can_write_nothing(tmp_path, child, monkeypatch):
    home = tmp_path / "store"
    store = Store.open(home)
    registry = Registry(store)
    command = [sys.executable, str(child), "until stale", str(home), str(tmp_path / "files")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    old = subprocess.Popen(command, **pipes)
    try:
        run = old.stdout.readline().strip()
        wait_for(lambda: len(registry.versions(run=run)) >= 3)
        with pytest.raises(
            StoreError, match=f"another process, {old.pid}, which gave a sign of life 0 s ago"
        ):
            reopen_run(store, run, from_step=1, take_over=True)

        stop_outside_of_a_write(old, store, monkeypatch)
        wait_for(lambda: live.sign_of_life(store.live / f"{run}.lock")[1] > 0.5)
        point = registry.latest(run)
        with pytest.raises(StoreError, match=f"no sign of life .* `kill -CONT {old.pid}` .*--take-over"):
            reopen_run(store, run, from_step=point.step)
        new = reopen_run(store, run, from_step=point.step, take_over=True)
        before = rows(store)
        old.send_signal(signal.SIGCONT)
        out, err = old.communicate(timeout=60)

        assert rows(store) == before
    finally:
        old.kill()
    assert old.returncode == 1 and "StaleAttempt" in err.splitlines()[-1], err
    assert set(json.loads(out).values()) == {"StaleAttempt"}, out
    assert registry.run(run).state == "running" and live.is_live(store.live, run)
    new.finish("done", final=point)
    assert [row.outcome for row in registry.attempts(run)] == ["killed", "done"]
    assert [finding for finding in check(store) if not finding.harmless] == []
