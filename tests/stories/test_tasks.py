"""Losses and heads, from an experiment file to a prediction."""

import csv

import numpy as np
import pytest

from trainwright.store.registry import Registry
from trainwright.store.store import Store

REGRESSION = """\
name: slope
data:
  path: slope.csv
  target: value
  target_operators: [{{use: Standardize}}]
model: {{architecture: mlp, hidden_dims: [16], task_type: regression, {head}}}
train:
  backend: torch
  epochs: 60
  optimizer: {{name: adam, lr: 1e-2}}
"""


def predictions(lab, ref, path):
    lab.call("predict", ref, path, "-o", lab.folder / "out.csv")
    with (lab.folder / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


@pytest.mark.parametrize(
    ("head", "loss"),
    [
        ("head: mean_variance", "gaussian_nll"),
        ("head: quantiles, quantiles: [0.1, 0.5, 0.9]", "quantile"),
    ],
)
def test_a_head_chooses_its_loss_and_predicts_the_middle_in_the_unit_of_the_target(lab, head, loss):
    numbers = np.random.default_rng(0)
    a = numbers.uniform(-1, 1, 400)
    value = 500 + 100 * a + numbers.normal(0, 10, 400)
    lines = [f"{x},{y}" for x, y in zip(a, value, strict=True)]
    (lab.folder / "slope.csv").write_text("\n".join(["a,value", *lines]))
    lab.file.write_text(REGRESSION.format(head=head))
    trained = lab.run()
    registry = Registry(Store.open(lab.home))
    assert registry.spec(registry.run(trained["run"]))["train"]["loss"] == loss
    found = predictions(lab, trained["run"], lab.folder / "slope.csv")["value"]
    assert np.abs(found - (500 + 100 * a)).mean() < 3


def test_balanced_weights_are_recorded_as_numbers_and_change_the_model(lab):
    y = np.where(np.arange(200) < 20, 1, 0)
    np.savez(lab.folder / "tiny.npz", x=lab.x, y=y)
    plain = lab.run("--set", "train.loss=cross_entropy")
    weighed = lab.run("--set", "train.loss={name: cross_entropy, class_weights: balanced}")
    assert plain["weights"] != weighed["weights"]
    registry = Registry(Store.open(lab.home))
    loss = registry.spec(registry.run(weighed["run"]))["train"]["loss"]
    # 128 records of train, stratified; n / (classes * count)
    count = 128 * 0.1
    assert loss["class_weights"] == pytest.approx([128 / (2 * (128 - count)), 128 / (2 * count)], rel=0.05)
    shares = np.reciprocal(loss["class_weights"]).sum()
    assert shares == pytest.approx(2.0, rel=1e-12)
    listed = lab.run("--set", f"train.loss={{name: cross_entropy, class_weights: {loss['class_weights']}}}")
    assert listed["weights"] == weighed["weights"]
