"""Compares the speed of both learners with hand-written peers: samples per CPU second, as ratios.

    python benchmarks/training_speed.py [--rounds 5] [--workloads mlp128 mlp64 cnn]

Each contender runs in a process of its own on one pinned core; contenders take turns, so that a slow moment of the
machine meets all of them; the ratio to the plain tensor-slicing loop is taken within each round, and the median over
rounds is printed. `begin` is what the first epoch takes more than the others: imports, building, compiling; the memory
is the largest of the process. Everybody validates after each epoch; ours run with callbacks, recorded metrics and a
checkpoint per epoch on, the peers without.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BASE = "slicing loop"
SKIPPED = {
    # Convolutions in a JAX loop on a CPU: 16 times slower.
    "cnn": {"bare JAX loop", "trainwright equinox", "Equinox, step by step"},
    "transformer": {"Keras, JAX", "Keras, torch"},  # not written by hand
}
NEEDS = {"Hugging Face Trainer": "transformers", "skorch": "skorch", "Lightning Trainer": "lightning"}
ENVIRONMENT = {
    "NPROC": "1",
    "OMP_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "MKL_CBWR": "AUTO",  # as trainwright sets it: products by hand round alike
}


def measure(workload, contender, core):
    done = subprocess.run(
        [sys.executable, str(HERE / "workloads.py"), workload, contender],
        capture_output=True,
        text=True,
        env={**os.environ, **ENVIRONMENT},
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    if done.returncode:
        raise SystemExit(f"{contender} on {workload} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def check_same_work(name, loss, other, reference):
    """Ends the benchmark if two contenders ended at losses that no order of sums explains; 6 % was seen."""
    if abs(loss / reference - 1) > 0.1:
        raise SystemExit(f"{name} ended at loss {loss}, {other} at {reference}: not the same work")


def main():
    sys.path.insert(0, str(HERE))
    from contenders import CONTENDERS
    from workloads import WORKLOADS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workloads", nargs="+", default=list(WORKLOADS), choices=list(WORKLOADS))
    parser.add_argument("--contenders", nargs="+", default=list(CONTENDERS), choices=list(CONTENDERS))
    chosen = parser.parse_args()
    core = min(os.sched_getaffinity(0))
    for workload in chosen.workloads:
        names = [
            n
            for n in CONTENDERS
            if n in {BASE, *chosen.contenders}
            and n not in SKIPPED.get(workload, ())
            and (n not in NEEDS or importlib.util.find_spec(NEEDS[n]))
        ]
        found = {name: [] for name in names}
        for number in range(chosen.rounds):
            for name in names if number % 2 == 0 else reversed(names):
                found[name].append(measure(workload, name, core))
        base = found[BASE]
        head = f"{workload} | samples / CPU s (median) | ratio to {BASE} (median, min to max)"
        print(f"\n| {head} | begin, CPU s | peak, MB | final loss |\n|---|---|---|---|---|---|")
        for name in names:
            pairs = zip(found[name], base, strict=True)
            ratios = [one["samples_per_cpu_second"] / other["samples_per_cpu_second"] for one, other in pairs]
            speed, before, peak = (
                statistics.median(one[what] for one in found[name])
                for what in ("samples_per_cpu_second", "before_s", "peak_mb")
            )
            loss = found[name][0]["final_loss"]
            middle = statistics.median(ratios)
            print(
                f"| {name} | {speed:,.0f} | {middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | {before:.1f} "
                f"| {peak:,.0f} | {loss:.5g} |",
                flush=True,
            )
            check_same_work(name, loss, BASE, base[0]["final_loss"])


if __name__ == "__main__":
    main()
