"""The same experiment gives the same weights, and what differs is named."""

import numpy as np
import pytest

from stories.conftest import Lab


@pytest.mark.parametrize("backend", ["torch", pytest.param("equinox", marks=pytest.mark.slow)])
def test_every_way_of_running_gives_the_same_weights(tmp_path, backend):
    lab = Lab(tmp_path, fresh=True)
    lab.write(backend=backend)
    first = lab.run()
    watched = lab.json("run", lab.file)  # with progress
    bar = "  callbacks:\n    - {use: Progress, args: {mode: bar}}\n"
    lab.write(backend=backend, more=bar)
    with_bar = lab.run()
    often = "  callbacks:\n    - {use: Checkpoint, args: {every_n_steps: 1}}\n    - {use: EarlyStopping}\n"
    lab.write(backend=backend, more=often)
    every_step = lab.run()
    digests = {one["weights"] for one in (first, watched, with_bar, every_step)}
    assert len(digests) == 1
    assert every_step["final"] - with_bar["final"] == 4 * 8  # 128 training records make 8 steps an epoch

    verdict = lab.json("reproduce", first["run"], "-q")
    assert verdict["verdict"] == "identical" and verdict["differences"] == []


def test_reproduce_names_a_changed_number_of_the_spec(lab):
    run = lab.run()["run"]
    verdict = lab.json("reproduce", run, "-q", "--set", "train.optimizer.lr=0.02", expect=1)
    assert verdict["verdict"] == "different"
    assert verdict["differences"][0] == {"field": "train.optimizer.lr", "recorded": 0.01, "now": 0.02}
    lab.file.write_text(lab.file.read_text().replace("lr: 1e-2", "lr: 3e-2"))
    verdict = lab.json("reproduce", run, lab.file, "-q", expect=1)
    assert verdict["differences"][0] == {"field": "train.optimizer.lr", "recorded": 0.01, "now": 0.03}


def test_reproduce_names_a_changed_byte_of_the_data(lab):
    run = lab.run()["run"]
    x = lab.x.copy()
    x.view(np.uint8)[5, 1] ^= 1
    np.savez(lab.folder / "tiny.npz", x=x, y=lab.y)
    verdict = lab.json("reproduce", run, "-q", expect=1)
    assert verdict["verdict"] == "different" and verdict["found"] is None
    assert verdict["differences"][0]["field"] == "data"
    assert "tiny.npz has changed: registered sha256" in verdict["differences"][0]["now"]


def test_reproduce_sets_the_recorded_threads(tmp_path):
    lab = Lab(tmp_path, fresh=True)
    lab.write(more="  threads: 2\n")
    run = lab.run()["run"]
    assert lab.json("reproduce", run, "-q")["verdict"] == "identical"


def test_diff_names_what_differs_between_two_runs(lab):
    first, second = lab.run()["run"], lab.run("--set", "seed=4")["run"]
    found = {row["field"]: (row["left"], row["right"]) for row in lab.json("diff", first, second, expect=1)}
    assert found["seed"] == (3, 4) and "weights" in found
    assert lab.json("diff", first, first) == []
