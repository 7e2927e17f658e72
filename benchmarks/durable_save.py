"""Measures what a durable checkpoint costs beside its bytes, and how long the training waits for it.

    python benchmarks/durable_save.py [MEGABYTES ...]

A dense network with AdamW is saved through the loop, the recorder and the store: weights, moments, callbacks, two
objects, one row, in a store that has been in use (its folders of objects are there). Bare is what no save can do
without: the same bytes written to two files, fsynced, and hashed. The contenders take turns on one pinned core; CPU
seconds of the whole process, wall-clock time beside them, medians of 20 rounds. The training waits for one copy of the
bytes, which is compared with one copy made by NumPy.
"""

import os

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import gc
import hashlib
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from trainwright.backends.torch.learner import TorchLearner
from trainwright.base.tensors import dump_tensors, dump_tree
from trainwright.models.assemble import build_blueprint
from trainwright.models.task import ModelTask
from trainwright.spec.model import ModelSpec
from trainwright.spec.train import TrainSpec
from trainwright.store.run import LocalRun
from trainwright.store.store import Store
from trainwright.train.feed import ArrayFeed
from trainwright.train.learner import Answer, Resolved
from trainwright.train.loop import TrainingLoop

ROUNDS, MEGABYTES = 20, (10, 500)
COPIES = 4  # of the weights in a checkpoint: served, gone on from, and two moments


class Nothing:
    def tree(self):
        return {}


class Recorded:
    """Passes a snapshot on when it is told to, so that the copy and the save are timed apart."""

    def __init__(self, run):
        self.id, self.run, self.snapshot, self.version = run.id, run, None, None
        self.unsaved = None

    def save(self, snapshot):
        self.snapshot = snapshot
        self.version = self.run.save(snapshot)
        return self.version


def timed(act):
    cpu, wall = time.process_time(), time.perf_counter()
    act()
    return time.process_time() - cpu, time.perf_counter() - wall


def bare(folder, contents):
    for number, chunks in enumerate(contents):
        file = os.open(folder / f"bare{number}", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        hasher = hashlib.sha256()
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(file, rest) :]
            hasher.update(chunk)
        os.fsync(file)
        os.close(file)
        hasher.hexdigest()


class Once:
    """A clock that ends after one step."""

    def __init__(self, step):
        self.end = step + 1

    def next(self, step):
        return self.end


def forget(store, row, folder):
    for digest in (row.weights, row.state):
        store.blobs.remove(digest)
    for file in folder.glob("bare*"):
        file.unlink()


def make_loop(store, size):
    width = round((size * 1e6 / 4 / COPIES) ** 0.5)
    feed = ArrayFeed({"x": np.zeros((8, width), "f4"), "y": np.zeros((8, 1), "f4")}, batch_size=8, seed=0)
    model = ModelSpec(architecture="mlp", hidden_dims=[width], input_shape=[width], output_dim=1)
    train = TrainSpec(loss="mse", batch_size=8, epochs=1)
    learner = TorchLearner(ModelTask(build_blueprint(model), train, 1), feed, seed=0, run_on=Resolved())
    run = LocalRun.begin(
        store,
        name="bench",
        resolved=Nothing(),
        folder=".",
        seed=0,
        backend="torch",
        dataset=None,
        operator={},
        environment={},
        best=("val/loss", "min"),
    )
    return run, learner, TrainingLoop(learner, feed, run=Recorded(run), epochs=1)


def measure(size, folder):
    store = Store.open(folder / "store")
    for number in range(256):
        (store.blobs.folder / f"{number:02x}").mkdir(exist_ok=True)
    run, learner, loop = make_loop(store, size)
    rows = {name: [] for name in ("bare", "save", "stall", "copy", "copy into a buffer", "again")}
    written = 0
    # What is copied: the weights twice, and both moments.
    tensors = [*learner.network.tensors.values()] * 2
    for moments in learner.optimizer.slots.values():
        tensors += moments
    arrays = [tensor.detach().numpy() for tensor in tensors]
    buffers = [array.copy() for array in arrays]

    def after_a_step(act):
        """Times in the training thread what follows a step, which leaves the caches as a training does."""
        learner.train(loop.feed, Once(learner.step), lambda one: Answer())
        gc.collect()
        cpu, wall = time.thread_time(), time.perf_counter()
        act()
        return time.thread_time() - cpu, time.perf_counter() - wall

    for number in range(ROUNDS):
        rows["copy into a buffer"].append(after_a_step(lambda: list(map(np.copyto, buffers, arrays))))
        rows["copy"].append(after_a_step(lambda: [array.copy() for array in arrays]))
        # What the training waits for: the copies, and handing them over. The save behind it is not waited for.
        rows["stall"].append(after_a_step(lambda: loop._save(learner, {}, reason="bench")))
        loop.run.version.wait()
        snapshot = loop.run.snapshot

        # The same bytes, never seen before by the store.
        row = loop.run.version.wait()
        contents = [dump_tensors(snapshot.weights), dump_tree(snapshot.state)]
        turns = [
            ("bare", lambda: bare(folder, contents)),  # noqa: B023
            ("save", lambda: run.save(snapshot).wait()),  # noqa: B023
        ]
        for name, act in turns if number % 2 else reversed(turns):
            forget(store, row, folder)  # each contender meets a disk and a page cache without its bytes
            rows[name].append(timed(act))
        if number % 2 == 0:
            run.save(snapshot).wait()
        before = os.stat(store.blobs.path(row.state)).st_ino, *store.blobs.all()
        rows["again"].append(timed(lambda: run.save(snapshot).wait()))  # noqa: B023
        written += before != (os.stat(store.blobs.path(row.state)).st_ino, *store.blobs.all())
        forget(store, row, folder)
        held, contents = sum(len(chunk) for chunks in contents for chunk in chunks), None
        loop.run.snapshot = loop.run.version = snapshot = None  # as in a training, where nobody else holds it
    run.finish("done")
    return rows, held, written


def main():
    for size in [float(word) for word in sys.argv[1:]] or MEGABYTES:
        with tempfile.TemporaryDirectory() as folder:
            rows, held, written = measure(size, Path(folder))
        middle = {
            name: [statistics.median(one[n] for one in found) * 1e3 for n in (0, 1)]
            for name, found in rows.items()
        }
        print(f"{held / 1e6:.1f} MB, medians of {ROUNDS} rounds:")
        for name, (cpu, wall) in middle.items():
            print(f"  {name:20} {cpu:9.2f} ms CPU {wall:9.2f} ms wall")
        ratio = [middle["save"][n] / middle["bare"][n] for n in (0, 1)]
        print(f"  save / bare          {ratio[0]:9.3f} CPU    {ratio[1]:9.3f} wall   (promised: 1.25 CPU)")
        for other in ("copy", "copy into a buffer"):
            ratio = [middle["stall"][n] / middle[other][n] for n in (0, 1)]
            print(f"  stall / {other:18} {ratio[0]:5.3f} CPU    {ratio[1]:9.3f} wall   (promised: 1.5)")
        print(f"  saves of an unchanged state that wrote an object: {written} of {ROUNDS}")


if __name__ == "__main__":
    main()
