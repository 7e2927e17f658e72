"""The same experiment through Lightning's Trainer: the same weights, however it is cut, served without Lightning."""

import re
import signal

import numpy as np
import pytest

from stories.test_resume import LONG, wait_for
from trainwright.reproduce import reproduce_version

pytest.importorskip("lightning")

LIGHTNING = ("--set", "train.backend=lightning")
SLOW = (
    "import time\n"
    "from trainwright.callbacks.progress import Progress\n"
    "before = Progress.on_epoch\n"
    "Progress.on_epoch = lambda self, moment: (before(self, moment), time.sleep(0.05))[0]\n"
    "from trainwright.cli.app import main\nmain()\n"
)
SERVE = """
import sys, numpy as np
import trainwright as tw
model = tw.load_model(sys.argv[1] + "@final")
np.save(sys.argv[2], model.outputs(np.load("tiny.npz", allow_pickle=False)["x"])["logits"])
print(*(name for name in ("torch", "lightning") if name in sys.modules))
"""


def test_a_run_that_is_cut_by_a_signal_and_resumed_ends_in_the_weights_of_the_lean_loop(lab):
    lab.write(epochs=LONG)
    lean = lab.run()
    before = {path.name for path in lab.folder.iterdir()}
    process = lab.start("run", lab.file, *LIGHTNING, code=SLOW)
    wait_for(process, r"epoch 5/")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 130, err
    run = re.search(r"trainwright resume (\S+)", err).group(1)
    resumed = lab.json("resume", run, "-q")
    assert resumed["outcome"] == "done" and resumed["weights"] == lean["weights"]
    shown = lab.json("show", f"{run}@final")
    assert shown["spec"]["train"]["backend"] == "lightning"
    assert {path.name for path in lab.folder.iterdir()} == before  # Lightning leaves no files
    logits = []
    for one in (lean["run"], run):
        process = lab.start(one, lab.folder / "out.npy", code=SERVE)
        out, err = process.communicate(timeout=100)
        assert (process.returncode, out.split()) == (0, ["torch"]), err
        logits.append(np.load(lab.folder / "out.npy"))
    np.testing.assert_array_equal(*logits)


def test_it_says_nothing_of_its_own_and_is_reproduced(lab):
    lab.write(epochs=2)
    process = lab.start("run", lab.file, "-q", "--json", *LIGHTNING)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0 and out.startswith("{") and err == ""
    verdict = reproduce_version("tiny", home=lab.home)
    assert verdict.word == "identical" and verdict.differences == []
    lean = reproduce_version("tiny", home=lab.home, changes=["train.backend=torch"])
    assert lean.word == "identical"
    assert [field for field, *_ in lean.differences] == ["train.backend", "packages.lightning"]
