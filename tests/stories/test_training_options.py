"""Training options from an experiment file to a version, and back."""

import json

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


@pytest.mark.parametrize("backend", OPTIONS)
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
