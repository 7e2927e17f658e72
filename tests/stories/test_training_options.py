"""Training options from an experiment file to a version, and back."""

import json

import numpy as np
import pytest

OPTIONS = {
    "torch": """\
  groups:
    - {match: "norm_*|*.bias", weight_decay: 0.0, lr_scale: 0.5}
    - {match: dense_0.*, frozen: true}
  clip_value: 0.5
  ema: {decay: 0.9}
  precision: bfloat16
""",
    "equinox": """\
  groups:
    - {match: "norm_*|*.bias", weight_decay: 0.0, lr_scale: 0.5}
  clip_value: 0.5
  ema: {decay: 0.9, warmup: false}
""",
}


@pytest.mark.parametrize("backend", ["torch", pytest.param("equinox", marks=pytest.mark.slow)])
def test_a_run_with_many_options_is_repeated_exactly(lab, backend):
    lab.write(backend=backend, more=OPTIONS[backend])
    trained = lab.run()
    averaged = trained["weights"]
    assert lab.json("reproduce", trained["run"], "-q")["verdict"] == "identical"
    assert lab.run("--set", "train.ema=null")["weights"] != averaged


def test_lbfgs_chooses_torch_and_says_why(lab):
    lab.write(backend="auto")
    lab.file.write_text(lab.file.read_text().replace("  clip_norm: 1.0\n", ""))
    trained = lab.run("--set", "train.optimizer={name: lbfgs, lr: 0.1, max_iter: 3}")
    shown = json.dumps(lab.json("show", trained["run"]))
    assert '"torch"' in shown


def test_a_group_that_matches_nothing_is_refused_before_anything_is_written(lab):
    said = lab.call("run", lab.file, "--set", "train.groups=[{match: head.*, frozen: true}]", expect=2)
    assert "train.groups.0.match: 'head.*' matches no parameter; there are dense_0.weight" in said
    said = lab.call("run", lab.file, "--set", "train.schedule={name: linear, warmup_steps: 999}", expect=2)
    assert "the warm-up of 999 steps outlasts the 32 steps" in said
    assert not lab.home.exists()


@pytest.mark.parametrize(
    ("optimizer", "copies"),  # of the weights: served, gone on from, and what the rule remembers
    [
        ("{name: sgd, lr: 0.1}", 2),
        ("{name: sgd, lr: 0.1, momentum: 0.9}", 3),
        ("{name: rmsprop, lr: 0.1, centered: true}", 4),
        ("{name: adagrad}", 3),
        ("{name: adam}", 4),
        ("{name: lbfgs, history_size: 3}", 10),
    ],
)
def test_the_plan_is_shown_for_every_optimizer(lab, optimizer, copies):
    lab.file.write_text(lab.file.read_text().replace("  clip_norm: 1.0\n", ""))
    process = lab.start("run", lab.file, "--dry-run", "--set", f"train.optimizer={optimizer}",
                        "--set", "model.hidden_dims=[500, 500]")  # fmt: skip
    _, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    # 4*500 + 500*500 + 500*3 weights, 3 biases of the output, a scale, shift, mean and variance for 1000 channels
    values = 4 * 500 + 500 * 500 + 500 * 3 + 3 + 4 * 1000
    assert f"about {4 * values * copies / 1e6:.1f} MB per checkpoint" in err


def test_class_weights_of_quantities_are_refused_by_what_does_not_go_together(lab):
    lab.file.write_text(lab.file.read_text().replace("stratified", "random"))
    change = "train.loss={name: cross_entropy, class_weights: balanced}"
    said = lab.call("run", lab.file, "--set", "model.task_type=regression", "--set", change, expect=2)
    assert "'cross_entropy' does not go with task_type 'regression'" in said
    np.savez(lab.folder / "tiny.npz", x=lab.x, y=lab.x[:, 0])  # only the values tell
    said = lab.call("run", lab.file, "--set", change, expect=2)
    assert "'cross_entropy' does not go with task_type 'regression'" in said
