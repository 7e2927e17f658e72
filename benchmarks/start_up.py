"""Measures the CPU seconds from the start of the process to the first batch of `trainwright run`.

    python benchmarks/start_up.py [--rounds 7] [--backends torch equinox]

The table of `examples/heart`, a new store, the plan and the progress shown as usual. The process ends when the learner
asks for the records of its first step: everything is read, checked, recorded and built then, and nothing is trained or
compiled. What the framework takes to be imported by itself is measured in turn with it, less what an empty Python
process takes; the medians are printed, and their difference is ours.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXPERIMENT = Path(__file__).parent.parent / "examples/heart/mlp.yaml"
IMPORTS = {"torch": "import torch", "equinox": "import jax, equinox, optax"}
TELL = "import sys, time; print(time.process_time(), file=sys.stderr)"


def until_first_batch(backend, store):
    """Runs in a process of its own; never returns."""
    import os

    from trainwright.cli.app import main
    from trainwright.train.feed import ArrayFeed

    def stop(self, step):
        print(time.process_time(), file=sys.stderr, flush=True)
        os._exit(0)

    ArrayFeed.indices = stop
    sys.argv = ["trainwright", "run", str(EXPERIMENT), "--store", store, "--set", f"train.backend={backend}"]
    main()


def seconds(*arguments):
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
    return float(done.stderr.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--backends", nargs="+", default=list(IMPORTS), choices=list(IMPORTS))
    chosen = parser.parse_args()
    for backend in chosen.backends:
        whole, alone = [], []
        for _ in range(chosen.rounds):
            with tempfile.TemporaryDirectory() as folder:
                whole.append(seconds(__file__, "--child", backend, str(Path(folder) / "store")))
            alone.append(seconds("-c", f"{IMPORTS[backend]}; {TELL}") - seconds("-c", TELL))
        total, framework = statistics.median(whole), statistics.median(alone)
        print(
            f"{backend}: first batch after {total:.2f} CPU s ({min(whole):.2f} to {max(whole):.2f}), "
            f"{framework:.2f} of them the framework's import; ours {total - framework:.2f}"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        until_first_batch(*sys.argv[2:])
    main()
