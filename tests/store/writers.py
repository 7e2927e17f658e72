"""Many processes that write versions, metrics and tags into one store at once, and what came of it as JSON.

`python writers.py HOME PROCESSES SECONDS`: the processes are forks of this one, so that they have no imports to do, and
each opens the store by itself after the fork. They begin together, when all of them have begun their run.
"""

import json
import os
import sys
import time
import traceback
from pathlib import Path

import numpy as np

from trainwright.store.records import Snapshot
from trainwright.store.registry import Registry
from trainwright.store.run import LocalRun
from trainwright.store.store import Store


class Described:
    def tree(self):
        return {"name": "digits"}


def begin(store):
    return LocalRun.begin(
        store,
        name="digits",
        resolved=Described(),
        folder=".",
        seed=7,
        backend="torch",
        dataset=None,
        operator={"format": 1},
        environment={},
        best=("val/loss", "min"),
    )


def write(home, until):
    """Writes until the time is over; returns how many rounds it made."""
    store = Store.open(home)
    run, registry = begin(store), Registry(store)
    run.keep(last=3)
    rounds = 0
    end = until()
    while time.monotonic() < end:
        step = rounds + 1
        run.report(step, {"train/loss": 1.0 / step, "writer": float(os.getpid())}, group="train")
        weights = {"w": np.full(64, step + os.getpid(), dtype=np.float32)}
        snapshot = Snapshot(
            step=step, epoch=0, weights=weights, state={"step": step}, metrics={"val/loss": 1 / step}
        )
        version = run.save(snapshot).wait()
        registry.tag(f"{version.model}@{version.number}", f"writer-{os.getpid()}")
        rounds = step
    run.finish("done")
    return {"run": run.id, "process": os.getpid(), "rounds": rounds}


def fork_together(home, works, seconds):
    """Lets forks of this process work at once.

    Each work is a name and a function of the store's folder and of a function that gives the time to end at. The latter
    returns when all are ready, which is when each has called it once.
    """
    ready, tell_ready = os.pipe()
    gates, reports, names = [], [], []
    for name, work in works:
        go, open_gate = os.pipe()
        answer, report = os.pipe()
        if os.fork() == 0:
            _work(home, work, lambda go=go: _until(tell_ready, go), report)
            os._exit(0)
        gates.append(open_gate)
        reports.append(answer)
        names.append(name)
        os.close(report)
    waiting = len(gates)
    while waiting:
        waiting -= len(os.read(ready, waiting))
    until = f"{time.monotonic() + seconds:.6f}".encode()
    for gate in gates:
        os.write(gate, until)
    answers = [{"name": name, **json.loads(_read_all(one))} for name, one in zip(names, reports, strict=True)]
    for _ in names:
        os.wait()
    return answers


_TOLD = []


def _until(tell_ready, go):
    if not _TOLD:
        os.write(tell_ready, b"r")
        _TOLD.append(float(os.read(go, 64)))
    return _TOLD[0]


def _work(home, work, until, report):
    answer = {"error": None, "result": None}
    try:
        answer["result"] = work(home, until)
        _TOLD or until()
    except Exception:  # noqa: BLE001 - it is told to the test
        answer["error"] = traceback.format_exc()
        _TOLD or until()
    used = os.times()
    answer["cpu_s"] = used.user + used.system
    os.write(report, json.dumps(answer).encode() + b"\n")  # short, so it is not torn


def _read_all(pipe):
    with open(pipe, "rb") as stream:
        return stream.read()


def main():
    home, processes, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    Store.open(home).close()
    print(json.dumps(fork_together(home, [("write", write)] * processes, seconds)))


if __name__ == "__main__":
    main()
