"""What the tests of the store share: a store, and ways to begin runs and to make snapshots."""

import contextlib
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from trainwright.base.errors import StoreError
from trainwright.store import catalogue
from trainwright.store.records import Snapshot
from trainwright.store.registry import Registry
from trainwright.store.run import LocalRun
from trainwright.store.store import Store


class Described:
    def __init__(self, tree=None):
        self._tree = tree or {"name": "digits"}

    def tree(self):
        return self._tree


def make_snapshot(step, *, loss=None, weights=None, state="same"):
    filled = {"w": np.full(3, step, dtype=np.float32)} if weights is None else weights
    kept = {"step": step, "moment": np.arange(2.0)} if state == "same" else state
    metrics = {} if loss is None else {"val/loss": loss}
    return Snapshot(step=step, epoch=step // 10, weights=filled, state=kept, metrics=metrics)


def begin_run(store, name="digits", **changes):
    settings = {
        "name": name,
        "resolved": Described(),
        "folder": ".",
        "seed": 7,
        "backend": "torch",
        "dataset": None,
        "operator": {"format": 1},
        "environment": {"packages": {"numpy": "2"}},
        "best": ("val/loss", "min"),
    }
    return LocalRun.begin(store, **{**settings, **changes})


def reopen_run(store, run, *, from_step, **changes):
    settings = {"resolved": Described(), "environment": {"packages": {"numpy": "2"}}}
    return LocalRun.reopen(store, run, from_step=from_step, **{**settings, **changes})


def let_go(run):
    run._lock.release()
    run._metrics._heard = True  # what a test broke on purpose is not raised again
    run._metrics.close()
    with contextlib.suppress(Exception):
        run._checkpoints.close()


def stop_outside_of_a_write(process, store, monkeypatch):
    """Stops a process at some instant at which it keeps nobody from writing."""
    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "PATIENCE_S", 0.2)
        while True:
            process.send_signal(signal.SIGSTOP)
            # The signal is on its way: until all its threads have stopped, it could still begin to write.
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            try:
                with store.catalogue.write():
                    return
            except StoreError:
                process.send_signal(signal.SIGCONT)  # it is inside of one
                time.sleep(0.01)


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def registry(store):
    return Registry(store)


@pytest.fixture
def begin(store):
    """Begins runs that are let go of at the end, whatever a test did to them."""
    begun = []

    def make(name="digits", **changes):
        begun.append(begin_run(store, name, **changes))
        return begun[-1]

    yield make
    for run in begun:
        let_go(run)


@pytest.fixture
def snapshot():
    return make_snapshot


@pytest.fixture
def reopen(store):
    begun = []

    def make(run, **changes):
        begun.append(reopen_run(store, run, **changes))
        return begun[-1]

    yield make
    for run in begun:
        let_go(run)


@pytest.fixture
def child():
    """The script that plays another process."""
    return Path(__file__).with_name("child.py")
