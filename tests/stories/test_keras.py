"""One experiment file, trained by Keras: cut and resumed, trained again, served."""

import numpy as np
import pytest

from trainwright.base.extras import installed

KILLING = """
import os
from trainwright.store.run import LocalRun
save = LocalRun.save
def save_and_die(self, snapshot):
    version = save(self, snapshot)
    if snapshot.step == 10:
        version.wait(); os.kill(os.getpid(), 9)
    return version
LocalRun.save = save_and_die
from trainwright.cli.app import main
main()
"""


@pytest.mark.parametrize(
    ("backend", "package"),
    [("keras-torch", "torch"), pytest.param("keras-jax", "jax", marks=pytest.mark.slow)],
)
def test_a_run_is_recorded_resumed_in_an_epoch_and_reproduced(lab, backend, package):
    if not (installed("keras") and installed(package)):
        pytest.skip(f"Keras on {package} is not installed")
    more = "  callbacks:\n    - {use: Checkpoint, args: {every_n_steps: 5}}\n"
    lab.write(epochs=3, more=more)  # of torch: the backend is set
    ask = ("--set", f"train.backend={backend}")
    whole = lab.json("run", lab.file, "-q", *ask)
    assert lab.json("show", whole["run"])["spec"]["train"]["backend"] == backend
    process = lab.start("run", lab.file, "-q", "--again", *ask, code=KILLING)
    process.communicate(timeout=120)
    assert process.returncode == -9
    (cut,) = [row["run"] for row in lab.json("ls") if row["state"] == "killed"]
    resumed = lab.json("resume", cut, "-q")
    assert resumed["weights"] == whole["weights"] and resumed["outcome"] == "done"
    again = lab.json("reproduce", whole["run"], "-q")
    assert again["verdict"] == "identical"
    np.savez(lab.folder / "new.npz", x=lab.x[:7])
    assert len(lab.json("predict", whole["run"], lab.folder / "new.npz")["y"]) == 7
