"""One model is one model on every backend: the table of docs/backends.md is true."""

import os

import pytest

pytest.importorskip("torch")

from backends.parity import (
    CASES,
    COLUMNS,
    OPTIMIZERS,
    PAIRS,
    Case,
    Found,
    ceiling,
    compare,
    read_table,
    write_table,
)
from trainwright.base.extras import installed
from trainwright.spec.resolve import REQUIRED

ENGINE = os.environ.get("TRAINWRIGHT_TEST_KERAS", "torch")
HALF = 5e-6  # from torch: so any two backends are within 1e-5 of one another

# Each architecture with each of its tasks, and each optimizer; `make test-all` compares every row with every loss.
FEW = [
    (Case("mlp", "classification", "focal"), "sgd"),
    (Case("mlp", "classification", "kl"), "adam"),
    (Case("mlp", "multi_label", "binary_focal"), "adamw"),
    (Case("mlp", "regression", "composite"), "adam"),
    (Case("mlp", "regression", "student_t_nll"), "sgd"),
    (Case("mlp", "embedding", "nt_xent"), "adam"),
    (Case("cnn", "classification", "cross_entropy"), "adamw"),
    (Case("cnn", "multi_label", "binary_cross_entropy"), "sgd"),
    (Case("cnn", "regression", "laplace_nll"), "adam"),
    (Case("transformer", "regression", "mixture_nll"), "adamw"),
    (Case("cnn", "embedding", "triplet"), "adam"),
    (Case("transformer", "regression", "own"), "adam"),
    (Case("transformer", "embedding", "supervised_contrastive"), "sgd"),
    (Case("unet", "segmentation", "cross_entropy"), "adam"),
    (Case("unet", "regression", "quantile"), "sgd"),
]
REST = [(case, optimizer) for case in CASES for optimizer in OPTIMIZERS if (case, optimizer) not in FEW]


def holds(case, optimizer, pair):
    if not all(installed(package) for package in REQUIRED[pair[0]]):
        pytest.skip(f"{pair[0]} is not installed")
    if pair[0].startswith("keras-") and pair[0] != f"keras-{ENGINE}":
        pytest.skip(f"Keras runs on {ENGINE} in this process; keras/test_other_engines.py starts others")
    if ENGINE != "torch" and not pair[0].startswith("keras-"):
        pytest.skip(f"this process is for Keras on {ENGINE}")
    found = compare(case, optimizer, pair)
    assert found.before <= HALF and found.after <= HALF
    # It would hold as well if nothing was learnt, or if the records could not be told apart.
    assert found.moved > 1e-6 and found.spread > 0.02
    assert found.apart < 5e-3  # rounding of the outputs, over a step that moves them by a thousandth
    _, claimed = read_table()[pair, case.architecture, case.task]
    assert found.before <= claimed["before"] and found.after <= claimed[optimizer]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize(("case", "optimizer"), FEW, ids=lambda one: str(getattr(one, "loss", one)))
def test_backends_agree_before_and_after_a_step_as_the_page_says(pair, case, optimizer):
    holds(case, optimizer, pair)


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("case", CASES, ids=lambda one: f"{one.architecture}-{one.task}-{one.loss}")
def test_backends_agree_with_every_loss_and_optimizer(pair, case):
    for optimizer in OPTIMIZERS:
        if (case, optimizer) in REST:
            holds(case, optimizer, pair)


def test_the_table_has_a_row_for_every_pair_architecture_and_task_and_knows_every_loss():
    wanted = {}
    for pair in PAIRS:
        for case in CASES:
            row = (pair, case.architecture, case.task)
            wanted[row] = wanted.get(row, 0) + 1
    table = read_table()
    assert {row: losses for row, (losses, _) in table.items()} == wanted
    assert all(claimed <= 1e-5 for _, cells in table.values() for claimed in cells.values())


def test_the_table_shows_the_largest_difference_of_a_row():
    mse, mae = Case("mlp", "regression", "mse"), Case("mlp", "regression", "mae")
    small, large = Found(1e-7, 2e-7, 1, 0, 1), Found(3e-8, 4e-6, 1, 0, 1)
    found = {(mse, "sgd", PAIRS[0]): small, (mae, "sgd", PAIRS[0]): large}
    found |= {(mse, name, PAIRS[0]): small for name in ("adam", "adamw")}
    line = write_table(found).splitlines()[-1]
    losses = sum(case.architecture == "mlp" and case.task == "regression" for case in CASES)
    cells = ["≤ 1e-6", "≤ 1e-5", "≤ 1e-6", "≤ 1e-6"]
    assert line == f"| {', '.join(PAIRS[0])} | mlp | regression | {losses} | {' | '.join(cells)} |"
    assert len(cells) == len(COLUMNS)
    assert [ceiling(value) for value in (0.0, 4e-7, 6e-7, 5e-6)] == [-9, -6, -5, -5]
