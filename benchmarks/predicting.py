"""Measures what predicting a record costs, by how many are predicted at once.

    python benchmarks/predicting.py

CPU microseconds of a record on one pinned core, the least of three; by torch and, but for convolutions, by JAX.
"""

import os

os.environ |= {"NPROC": "1", "OMP_NUM_THREADS": "1", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import time
from functools import partial

from workloads import Work

from trainwright.backends.equinox import learner as equinox
from trainwright.backends.equinox.network import make_network
from trainwright.backends.torch import learner as torch
from trainwright.backends.torch.network import Network


def least(predict, x, size):
    predict(x[:size], batch_size=size)
    found = []
    for _ in range(3):
        begun = time.process_time()
        predict(x, batch_size=size)
        found.append(time.process_time() - begun)
    return min(found) / len(x) * 1e6


print("| model | at once | torch | JAX |\n|---|---|---|---|")
for name in ("mlp64", "cnn", "transformer"):
    work = Work(name)
    callers = [partial(torch.predict, Network(work.plan, work.weights))]
    if name != "cnn":
        callers.append(partial(equinox.predict, make_network(work.plan, work.weights, seed=0)))
    for size in (1024, 256, 64, 16):
        cells = [f"{least(call, work.x[:2048], size):.1f} µs" for call in callers]
        print(f"| {name} | {size} | {' | '.join(cells)} |")
