"""Shows where the time of a whole run goes on each backend: importing, compiling, steps, validation, checkpoints.

    python benchmarks/phases.py [--backends torch equinox lightning keras-jax keras-torch] [--rounds 3]

The run is that of `whole_run.py`, ten epochs of `mlp64` with a checkpoint after each, by `trainwright run --profile` in
a process of its own on one pinned core. Seconds are those of the profile's clock on the wall, which on a core that is
free are those of the processor. `import` is CPU seconds of the framework's import alone; `begin and end` are those of
the process outside of the training, with that import. The memory is the largest of the process. Medians.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from whole_run import ENVIRONMENT, EXPERIMENT, write_data

IMPORTS = {
    "torch": "import torch",
    "equinox": "import jax, equinox, optax",
    "lightning": "import lightning.pytorch",
    "keras-jax": "import os; os.environ['KERAS_BACKEND'] = 'jax'; import keras",
    "keras-torch": "import os; os.environ['KERAS_BACKEND'] = 'torch'; import keras",
}
EPOCHS = 10
TELL = (
    "import resource; used = resource.getrusage(resource.RUSAGE_SELF); print(used.ru_utime + used.ru_stime)"
)


def own_core(core):
    os.sched_setaffinity(0, {core})


def cpu_seconds_of(code, core):
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; {TELL}"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **ENVIRONMENT},
        preexec_fn=lambda: own_core(core),
    )
    return float(done.stdout.splitlines()[-1])


def measure(backend, core):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder)
        (folder / "experiment.yaml").write_text(EXPERIMENT)
        with (folder / "out").open("w+") as out, (folder / "err").open("w+") as err:
            command = ["-m", "trainwright", "run", "experiment.yaml", "--store", "store", "-q", "--json"]
            process = subprocess.Popen(
                [sys.executable, *command, "--profile", "--set", f"train.backend={backend}"],
                cwd=folder,
                stdout=out,
                stderr=err,
                env={**os.environ, **ENVIRONMENT},
                preexec_fn=lambda: own_core(core),
            )
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            err.seek(0)
            if process.returncode:
                raise SystemExit(f"{backend} failed:\n{err.read()[-2000:]}")
            seconds = json.load(out)["profile"]["seconds"]
    return {
        "import": cpu_seconds_of(IMPORTS[backend], core) - cpu_seconds_of("pass", core),
        "begin and end": used.ru_utime + used.ru_stime - sum(seconds.values()),
        "compiling": seconds.get("compiling", 0.0),
        "epoch": (seconds["steps"] + seconds["feed"]) / EPOCHS,
        "validation": seconds["validation"] / EPOCHS,
        "checkpoint": seconds["saving"] / EPOCHS,
        "MB": used.ru_maxrss / 1024,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backends", nargs="+", default=list(IMPORTS), choices=list(IMPORTS))
    chosen, core = parser.parse_args(), min(os.sched_getaffinity(0))
    print(
        "| backend | import, CPU s | begin and end, CPU s | compiling, s | an epoch, s | a validation, ms "
        "| waiting for a checkpoint, ms | peak, MB |\n|---|---|---|---|---|---|---|---|"
    )
    for backend in chosen.backends:
        every = [measure(backend, core) for _ in range(chosen.rounds)]
        found = {name: statistics.median(one[name] for one in every) for name in every[0]}
        print(
            f"| {backend} | {found['import']:.2f} | {found['begin and end']:.2f} | {found['compiling']:.2f} "
            f"| {found['epoch']:.3f} | {found['validation'] * 1e3:.1f} | {found['checkpoint'] * 1e3:.1f} "
            f"| {found['MB']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
