"""Writers, readers, collectors and newcomers in one store at once, and what came of it as JSON.

`python collecting.py HOME SECONDS WRITERS READERS COLLECTORS NEWCOMERS`. Content repeats, so that an object is removed
and written again and again, by several at once.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from store.writers import begin, fork_together
from trainwright.base.errors import StoreError
from trainwright.store.records import Snapshot
from trainwright.store.registry import Registry
from trainwright.store.retention import collect
from trainwright.store.store import Store


def snapshot(step):
    weights = {"w": np.full(3000, step % 4, dtype=np.float32)}
    return Snapshot(
        step=step,
        epoch=0,
        weights=weights,
        state={"phase": step % 3},
        metrics={"val/loss": abs(7 - step % 15)},
    )


def write(home, until):
    store = Store.open(home)
    run, registry = begin(store), Registry(store)
    run.keep(last=2, best=1)
    step = 0
    while time.monotonic() < until():
        step += 1
        version = run.save(snapshot(step)).wait()
        if step % 3 == 0:
            run.artifact("curve", np.full(100, step % 5))
        if step % 4 == 0:
            registry.tag(f"{run.id}@{version.number}", run.id)
        elif step % 4 == 2 and step > 4:
            registry.untag("digits", run.id)
    run.finish("done")
    return step


def read(home, until):
    registry = Registry(Store.open(home))
    count = 0
    while time.monotonic() < until():
        kept = [row for row in registry.versions() if row.status == "kept"]
        for row in kept[-20:]:
            try:
                loaded = registry.weights(row)["w"]
            except StoreError as error:
                if "was collected by retention" not in str(error):
                    raise
                assert registry.version(row.id).status == "collected"
            else:
                assert set(loaded) == {row.step % 4}
                count += 1
        for run in registry.runs():
            for artifact in registry.artifacts(run.id)[-3:]:
                registry.artifact_value(artifact)
    return count


def gather(home, until):
    store = Store.open(home)
    removed = 0
    while time.monotonic() < until():
        # Writers remove what their own versions leave, so there may be nothing to collect without this.
        with store.saving():
            store.blobs.put([f"{time.monotonic_ns()} nobody refers to".encode()])
        removed += collect(store)[0]
        time.sleep(0.005)
    return removed


def come(home, until):
    count = 0
    while time.monotonic() < until():
        store = Store.open(home)
        Registry(store).models()
        store.close()
        count += 1
    return count


def main():
    home, seconds = Path(sys.argv[1]), float(sys.argv[2])
    Store.open(home).close()
    roles = {"write": write, "read": read, "collect": gather, "come": come}
    works = [
        (name, role)
        for (name, role), count in zip(roles.items(), map(int, sys.argv[3:]), strict=True)
        for _ in range(count)
    ]
    print(json.dumps(fork_together(home, works, seconds)))


if __name__ == "__main__":
    main()
