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


def write(run, registry, *, me, until):
    """Writes until the time is over; returns how many rounds it made and the longest of them."""
    rounds, longest = 0, 0.0
    while time.monotonic() < until:
        began = time.monotonic()
        step = rounds + 1
        run.report(step, {"train/loss": 1.0 / step, "writer": float(me)}, group="train")
        weights = {"w": np.full(64, step + 1000 * me, dtype=np.float32)}
        snapshot = Snapshot(
            step=step, epoch=0, weights=weights, state={"step": step}, metrics={"val/loss": 1 / step}
        )
        version = run.save(snapshot).wait()
        registry.tag(f"{version.model}@{version.number}", f"writer-{me}")
        rounds, longest = step, max(longest, time.monotonic() - began)
    return rounds, longest


def work(home, me, ready, go, report):
    answer = {"me": me, "error": None, "rounds": 0}
    try:
        store = Store.open(home)
        run, registry = begin(store), Registry(store)
        run.keep(last=3)
        os.write(ready, b"r")
        until = float(os.read(go, 64))
        began = os.times()
        answer["rounds"], answer["longest_s"] = write(run, registry, me=me, until=until)
        ended = os.times()
        answer["cpu_s"] = ended.user + ended.system - began.user - began.system
        run.finish("done")
        answer["run"] = run.id
    except Exception:  # noqa: BLE001 - it is told to the test
        answer["error"] = traceback.format_exc()
        os.write(ready, b"e")
    os.write(report, json.dumps(answer).encode() + b"\n")  # short, so it is not torn


def read_all(pipe):
    with open(pipe, "rb") as stream:
        return stream.read()


def main():
    home, processes, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    Store.open(home).close()
    ready, tell_ready = os.pipe()
    gates, reports = [], []
    for me in range(processes):
        go, open_gate = os.pipe()
        answer, report = os.pipe()
        if os.fork() == 0:
            work(home, me, tell_ready, go, report)
            os._exit(0)
        gates.append(open_gate)
        reports.append(answer)
        os.close(report)
    waiting = processes
    while waiting:
        waiting -= len(os.read(ready, waiting))
    until = f"{time.monotonic() + seconds:.6f}".ljust(64).encode()
    for gate in gates:
        os.write(gate, until)
    answers = [json.loads(read_all(one)) for one in reports]
    for _ in range(processes):
        os.wait()
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
