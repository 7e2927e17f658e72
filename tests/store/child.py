"""Another process: saves versions, and dies where it is told to."""

import json
import os
import sys
from pathlib import Path

import numpy as np

from trainwright.base.errors import StaleAttempt, StoreError
from trainwright.store import blobs, checkpoints, live, versions
from trainwright.store.records import Snapshot
from trainwright.store.run import LocalRun
from trainwright.store.store import Store


class Described:
    def tree(self):
        return {"name": "digits"}


def begin(home):
    return LocalRun.begin(
        Store.open(Path(home)),
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


def snapshot(step):
    weights = {"w": np.full(1000, step + os.getpid(), dtype=np.float64)}
    return Snapshot(
        step=step, epoch=0, weights=weights, state={"step": step}, metrics={"val/loss": 1.0 / step}
    )


def die(*_, **__):
    os.kill(os.getpid(), 9)


def arm(point):
    write_all, rename, move_tag = blobs._write_all, Path.rename, versions.move_tag

    def half(file, chunk):
        write_all(file, memoryview(chunk)[: len(chunk) // 2])
        die()

    def late(self, target):
        rename(self, target)
        die()

    def moved(connection, scope, *, name, version):
        move_tag(connection, scope, name=name, version=version)
        if name == "best":
            die()

    if point == "writing an object":
        blobs._write_all = half
    elif point == "before the rename":
        Path.rename = die
    elif point == "after the rename":
        Path.rename = late
    elif point == "between objects and row":
        checkpoints.commit_version = die
    elif point == "moving a tag":
        versions.move_tag = moved
    elif point == "before the commit":
        checkpoints.leave_tombstones = die
    elif point == "after the commit":
        checkpoints.objects_of = die
    else:
        raise SystemExit(f"unknown point {point}")


def writes(run, folder):
    """Names everything that a run can write, each as a call that returns when it is written."""
    step = [0]

    def report():
        run.report(step[0], {"a": 1.0}, group="train")
        run.flush()

    def save():
        step[0] += 1
        run.save(snapshot(step[0])).wait()

    return {
        "save": save,
        "report": report,
        "save_files": lambda: run.save_files(folder, step=step[0], metrics={}),
        "artifact": lambda: run.artifact("a", float(os.getpid())),
        "warn": lambda: (run.warn("careful"), run.flush()),
        "look": lambda: run.look("test", "a stopped process"),
        "edge": lambda: run.edge("used", "file", target="x"),
    }


def write_until_stale(run, folder):
    """Writes until somebody takes over, tries everything once more, and ends as a trainer would."""
    folder.mkdir()
    every = writes(run, folder)
    print(run.id, flush=True)
    try:
        while True:
            for write in every.values():
                write()
    except StaleAttempt:
        heard = {}
        for name, write in every.items():
            try:
                write()
                heard[name] = "written"
            except Exception as error:  # noqa: BLE001 - it is told to the test
                heard[name] = type(error).__name__
        print(json.dumps(heard), flush=True)
    run.finish("done")


def main():
    role, home, detail = sys.argv[1:]
    live.BEAT_S = 0.05
    run = begin(home)
    if role == "many":
        print("ready", flush=True)
        sys.stdin.readline()
        for step in range(1, int(detail) + 1):
            run.save(snapshot(step)).wait()
        run.finish("done")
    elif role == "die":
        print(run.id, run.save(snapshot(1)).wait().id, flush=True)
        arm(detail)
        run.save(snapshot(2)).wait()
    elif role == "leave":
        # Ends without a goodbye: neither finish nor close.
        run.report(1, {"loss": 0.5}, group="train")
        run.save(snapshot(1))
        print(run.id, flush=True)
    elif role == "until stale":
        write_until_stale(run, Path(detail))
    elif role == "leave unsaved":

        def full(*_, **__):
            raise StoreError("the disk is full")

        checkpoints.commit_version = full
        run.save(snapshot(1))
    elif role == "on demand":
        run.close()
        run.store.close()
        for step, line in enumerate(sys.stdin, start=1):
            if line == "write\n":
                run = begin(home)
                run.save(snapshot(step)).wait()
                run.finish("done")
            run.store.close()
            print("done", flush=True)
    elif role == "hold":
        print(run.id, flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    main()
