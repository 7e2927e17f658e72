"""Measures what metrics cost a training: microseconds per report, the slowdown of a 100 µs step, the largest stall.

Run it with `python benchmarks/writer_stall.py`. Two kinds of step are tried: one that keeps the interpreter busy (the
worst case: the writer has to ask for it) and one that is a matrix product outside of it. Loops with and without
metrics are interleaved. Stalls that come from the machine show in the loop without metrics, too: on a machine that has
other things to do, only the CPU seconds of the training's thread say something.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy: the second core is the writer's

import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from trainwright.store.run import LocalRun
from trainwright.store.store import Store

REPORTS, STEPS, ROUNDS, STEP_S = 100_000, 20_000, 5, 100e-6


class Nothing:
    def tree(self):
        return {}


def begin(store):
    return LocalRun.begin(
        store,
        name="bench",
        resolved=Nothing(),
        folder=".",
        seed=0,
        backend="none",
        dataset=None,
        operator={},
        environment={},
        best=("val/loss", "min"),
    )


def microseconds_per_report(store):
    run = begin(store)
    run.report(0, {"train/loss": 0.5}, group="train")
    cpu = time.thread_time()
    for step in range(REPORTS):
        run.report(step, {"train/loss": 0.5}, group="train")
    cost = (time.thread_time() - cpu) / REPORTS * 1e6
    began = time.monotonic()
    run.finish("done")
    late = time.monotonic() - began
    print(f"report(): {cost:.2f} µs CPU on the caller's thread; {REPORTS} rows drained {late:.1f} s later")


def busy_step():
    end = time.perf_counter() + STEP_S
    while time.perf_counter() < end:
        pass


def make_product_step():
    a = np.random.default_rng(0).normal(size=(170, 170))

    def step():
        a @ a

    return step


def loop(step, report):
    longest, began, cpu = 0.0, time.perf_counter(), time.thread_time()
    last = began
    for number in range(STEPS):
        step()
        report(number, {"train/loss": 0.5, "train/grad": 1.0, "lr": 1e-3}, group="train")
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return (last - began) / STEPS, longest, (time.thread_time() - cpu) / STEPS


def main():
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "store")
        microseconds_per_report(store)
        for name, step in (("busy interpreter", busy_step), ("matrix product", make_product_step())):
            ratios, of_cpu = [], []
            for _ in range(ROUNDS):
                bare, bare_stall, bare_cpu = loop(step, lambda *_, **__: None)
                run = begin(store)
                with_metrics, stall, cpu = loop(step, run.report)
                run.finish("done")
                ratios.append(with_metrics / bare)
                of_cpu.append(cpu / bare_cpu)
                print(
                    f"{name}: step {bare * 1e6:.1f} µs bare, {with_metrics * 1e6:.1f} µs with 3 metrics "
                    f"(x{ratios[-1]:.3f}); largest step {bare_stall * 1e3:.2f} ms bare, {stall * 1e3:.2f} ms with"
                )
            slower, dearer = ((sorted(one)[ROUNDS // 2] - 1) * 100 for one in (ratios, of_cpu))
            print(f"{name}: median slowdown {slower:.1f} %; CPU of the training's thread {dearer:+.1f} %")
    print(f"switch interval {sys.getswitchinterval() * 1e3:.0f} ms, {threading.active_count()} thread left")


if __name__ == "__main__":
    main()
