"""Small experiments in files, and the command line in a process of its own."""

import atexit
import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stories.forked import Processes

TESTS = str(Path(__file__).parents[1])
BODY = """\
name: tiny
seed: 3
data:
  path: tiny.npz
  split: {{method: stratified, val: 0.2, test: 0.2}}
  operators:
    - {{use: Standardize}}
model:
  architecture: mlp
  hidden_dims: [16, 8]
  dropout: 0.2
  normalization: batch
train:
  backend: {backend}
  epochs: {epochs}
  batch_size: 16
  optimizer: {{name: adamw, lr: 1e-2}}
  schedule: {{name: cosine, warmup_epochs: 0.5}}
  clip_norm: 1.0
"""


def dying_when(condition):
    """Writes the command line as code that kills its own process once a snapshot of which this holds is durable."""
    return (
        "import os\n"
        "from trainwright.store.run import LocalRun\n"
        "save = LocalRun.save\n"
        "def save_and_die(self, snapshot):\n"
        "    version = save(self, snapshot)\n"
        f"    if {condition}:\n"
        "        version.wait(); os.kill(os.getpid(), 9)\n"
        "    return version\n"
        "LocalRun.save = save_and_die\n"
        "from trainwright.cli.app import main\n"
        "main()\n"
    )


@functools.cache
def processes():
    """Starts, once in a session, what the command lines are forked from."""
    made = Processes(hash_seed=os.getpid())
    atexit.register(made.close)
    return made


class Lab:
    """A folder with an experiment in it.

    Args:
        folder: The folder.
        fresh: Whether every command imports everything anew, as a user's does; it takes two seconds more.
    """

    def __init__(self, folder, *, fresh=False):
        self.folder = folder
        self.fresh = fresh
        self.home = folder / "store"
        numbers = np.random.default_rng(0)
        self.x = numbers.normal(3.0, 2.0, size=(200, 4)).astype(np.float32)
        self.y = ((self.x[:, 0] > 3).astype(int) + (self.x[:, 1] > 3)).astype(np.int64)
        np.savez(folder / "tiny.npz", x=self.x, y=self.y)
        self.write()

    def write(self, *, backend="torch", epochs=4, more="", name="tiny.yaml"):
        self.file = self.folder / name
        self.file.write_text(BODY.format(backend=backend, epochs=epochs) + more)
        return self.file

    def start(self, *arguments, code=None, **options):
        entry = ["-c", code] if code else ["-m", "trainwright"]
        # Parts that the tests wrote are named by specs.
        path = os.pathsep.join(filter(None, (TESTS, os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "TRAINWRIGHT_HOME": str(self.home), "NPROC": "1", "PYTHONPATH": path}
        return subprocess.Popen(
            [sys.executable, *entry, *map(str, arguments)],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def call(self, *arguments, expect=0):
        if not self.fresh:
            return processes().call(*arguments, folder=self.folder, home=self.home, expect=expect)
        out, err = self._end(self.start(*arguments), expect)
        return out + err if expect else out

    def json(self, *arguments, expect=0):
        if not self.fresh:
            return processes().json(*arguments, folder=self.folder, home=self.home, expect=expect)
        return json.loads(self._end(self.start(*arguments, "--json"), expect)[0])

    def _end(self, process, expect):
        out, err = process.communicate(timeout=200)
        assert process.returncode == expect, f"exit {process.returncode}\n{out}\n{err}"
        return out, err

    def run(self, *arguments):
        return self.json("run", self.file, "-q", *arguments)


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path)
