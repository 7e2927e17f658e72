"""Compares each adapter with what one writes by hand in its framework: interleaved pairs, and a 95 % interval.

    python benchmarks/adapters.py [--pairs 15] [--workload mlp64] [--adapters torch equinox lightning ...]

Both sides of a pair train the same workload, each in a process of its own on one pinned core, one after the other; who
is first alternates. Ours runs with callbacks, recorded metrics and a checkpoint per epoch on, the other without; both
validate after each epoch. The ratio is CPU seconds of ours over those of the other, without the first epoch (imports,
building, compiling). Logarithms of the ratios are taken for draws from one normal distribution, so that the interval
of their mean is Student's. An adapter is slower if its whole interval lies above 1.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path

import numpy as np
from scipy import stats
from training_speed import check_same_work, measure
from workloads import WORKLOADS

BY_HAND = {
    "torch": "slicing loop, fused",
    "equinox": "Equinox, step by step",
    "lightning": "Lightning Trainer",
    "keras-jax": "Keras, JAX",
    "keras-torch": "Keras, torch",
}


def interval(ratios, *, level=0.95):
    """Gives the geometric mean of ratios, and the ends of its interval."""
    logs = np.log(ratios)
    error = stats.t.ppf((1 + level) / 2, len(logs) - 1) * logs.std(ddof=1) / len(logs) ** 0.5
    return tuple(float(np.exp(logs.mean() + sign * error)) for sign in (0, -1, 1))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--workload", default="mlp64", choices=list(WORKLOADS))
    parser.add_argument("--adapters", nargs="+", default=list(BY_HAND), choices=list(BY_HAND))
    chosen = parser.parse_args()
    core = min(os.sched_getaffinity(0))
    print(f"{chosen.workload}, {chosen.pairs} pairs: CPU seconds of an epoch, ours over by hand")
    print("| adapter | by hand | ratio | 95 % interval | samples / CPU s, ours | by hand |  |")
    print("|---|---|---|---|---|---|---|")
    for adapter in chosen.adapters:
        sides = f"trainwright {adapter}", BY_HAND[adapter]
        found = {side: [] for side in sides}
        for number in range(chosen.pairs):
            for side in sides if number % 2 == 0 else reversed(sides):
                found[side].append(measure(chosen.workload, side, core))
        speeds = [[one["samples_per_cpu_second"] for one in found[side]] for side in sides]
        ours, other = (found[side][0]["final_loss"] for side in sides)
        check_same_work(sides[0], ours, sides[1], other)
        middle, low, high = interval([theirs / mine for mine, theirs in zip(*speeds, strict=True)])
        verdict = "slower" if low > 1 else "faster" if high < 1 else "no difference seen"
        mine, theirs = map(statistics.median, speeds)
        print(
            f"| {adapter} | {sides[1]} | {middle:.3f} | {low:.3f} to {high:.3f} "
            f"| {mine:,.0f} | {theirs:,.0f} | {verdict} |",
            flush=True,
        )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
