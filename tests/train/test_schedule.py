import warnings

import numpy as np
import pytest

from trainwright.spec.train import Constant, Cosine, OneCycle, Plateau
from trainwright.train.plateau import RateScale
from trainwright.train.schedule import rates


def test_cosine_is_that_of_torch():
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20, eta_min=0.03)
    expected = []
    for _ in range(20):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    ours = rates(Cosine(name="cosine", final_fraction=0.1), 0, 20, lr=0.3, steps=20, per_epoch=5)
    np.testing.assert_allclose(ours, expected, rtol=1e-9)


def test_one_cycle_is_that_of_torch():
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3, momentum=0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # torch counts the rise up to step pct_start * steps - 1: 0.32 * 50 - 1 = 15 = 0.3 * 50
        theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.3, total_steps=50, pct_start=0.32)
        expected = []
        for _ in range(50):
            expected.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if len(expected) < 50:
                theirs.step()
    ours = rates(OneCycle(name="one_cycle", rise=0.3), 0, 50, lr=0.3, steps=50, per_epoch=5)
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_a_warm_up_rises_linearly_to_the_full_rate():
    found = rates(Cosine(name="cosine", warmup_epochs=1), 0, 12, lr=1.0, steps=12, per_epoch=3)
    np.testing.assert_allclose(found[:4], [0.25, 0.5, 0.75, 1.0])
    assert (np.diff(found[3:]) < 0).all()


@pytest.mark.parametrize(
    "schedule",
    [
        Constant(name="constant"),
        Cosine(name="cosine", warmup_epochs=0.5),
        OneCycle(name="one_cycle"),
        Plateau(name="plateau"),
    ],
)
def test_a_rate_depends_on_its_step_only(schedule):
    whole = rates(schedule, 0, 30, lr=0.1, steps=30, per_epoch=10)
    pieces = [rates(schedule, i, i + 1, lr=0.1, steps=30, per_epoch=10) for i in range(30)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


@pytest.mark.parametrize(
    ("values", "mode", "scales"),
    [
        ([3, 2, 1, 1], "min", [1, 1, 1, 1]),
        ([1, 1, 1, 1, 1], "min", [1, 1, 0.5, 0.5, 0.25]),  # patience 2 starts anew after a cut
        ([1, 2, 2, 3], "min", [1, 1, 0.5, 0.5]),
        ([1, 2, 3, 4], "max", [1, 1, 1, 1]),
        ([1, float("nan"), float("nan")], "min", [1, 1, 0.5]),  # NaN is no improvement
        ([1] * 9, "min", [1, 1, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2]),  # never below min_fraction
    ],
)
def test_a_plateau_cuts_the_rate(values, mode, scales):
    scale = RateScale(Plateau(name="plateau", mode=mode, patience=2, factor=0.5, min_fraction=0.2))
    heard = []
    for value in values:
        other = RateScale(Plateau(name="plateau", mode=mode, patience=2, factor=0.5, min_fraction=0.2))
        other.load_state(scale.state())  # goes on after a resume at any point
        scale = other
        scale.hear({"val/loss": value})
        heard.append(scale.value)
    assert heard == scales


def test_a_plateau_does_not_count_a_step_without_its_metric():
    scale = RateScale(Plateau(name="plateau", patience=1))
    scale.hear({"val/loss": 1.0})
    scale.hear({"train/loss": 1.0})
    assert scale.value == 1.0
