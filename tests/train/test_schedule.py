import warnings

import numpy as np
import pytest

from trainwright.base.errors import SpecError
from trainwright.spec.optimizer import Ema
from trainwright.spec.schedule import (
    Constant,
    Cosine,
    Exponential,
    Linear,
    MultiStep,
    OneCycle,
    Plateau,
    Polynomial,
    Step,
)
from trainwright.train.plateau import RateScale
from trainwright.train.schedule import check_schedule, ema_decay, rates

STEPS, PER_EPOCH = 20, 5


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


THEIRS = {
    "cosine": (
        Cosine(name="cosine", final_fraction=0.1, by="epoch"),
        lambda torch, o: torch.CosineAnnealingLR(o, T_max=4, eta_min=0.03),
        "epoch",
    ),
    "step": (Step(name="step", every=2, factor=0.5), lambda torch, o: torch.StepLR(o, 2, gamma=0.5), "epoch"),
    "step by step": (
        Step(name="step", every=3, factor=0.5, by="step"),
        lambda torch, o: torch.StepLR(o, 3, gamma=0.5),
        "step",
    ),
    "multi_step": (
        MultiStep(name="multi_step", milestones=[1, 3], factor=0.2),
        lambda torch, o: torch.MultiStepLR(o, [1, 3], gamma=0.2),
        "epoch",
    ),
    "multi_step by step": (
        MultiStep(name="multi_step", milestones=[4, 5, 17], factor=0.2, by="step"),
        lambda torch, o: torch.MultiStepLR(o, [4, 5, 17], gamma=0.2),
        "step",
    ),
    "exponential": (
        Exponential(name="exponential", gamma=0.7),
        lambda torch, o: torch.ExponentialLR(o, 0.7),
        "epoch",
    ),
    "exponential by step": (
        Exponential(name="exponential", gamma=0.7, by="step"),
        lambda torch, o: torch.ExponentialLR(o, 0.7 ** (1 / PER_EPOCH)),
        "step",
    ),
    "linear": (
        Linear(name="linear", final_fraction=0.2),
        lambda torch, o: torch.LinearLR(o, start_factor=1.0, end_factor=0.2, total_iters=STEPS),
        "step",
    ),
    "linear by epoch": (
        Linear(name="linear", by="epoch"),
        lambda torch, o: torch.LinearLR(o, start_factor=1.0, end_factor=0.0, total_iters=4),
        "epoch",
    ),
    "polynomial": (
        Polynomial(name="polynomial", power=3.0),
        lambda torch, o: torch.PolynomialLR(o, total_iters=STEPS, power=3.0),
        "step",
    ),
    "polynomial by epoch": (
        Polynomial(name="polynomial", power=0.5, by="epoch"),
        lambda torch, o: torch.PolynomialLR(o, total_iters=4, power=0.5),
        "epoch",
    ),
}


@pytest.mark.parametrize("case", THEIRS)
def test_a_schedule_is_that_of_torch(case):
    torch = pytest.importorskip("torch")
    schedule, make, unit = THEIRS[case]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    theirs = make(torch.optim.lr_scheduler, optimizer)
    expected = []
    for step in range(1, STEPS + 1):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if unit == "step" or step % PER_EPOCH == 0:
            theirs.step()
    ours = rates(schedule, 0, STEPS, lr=0.3, steps=STEPS, per_epoch=PER_EPOCH)
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-15)


def test_a_polynomial_falls_to_its_final_fraction():
    found = rates(Polynomial(name="polynomial", final_fraction=0.2), 0, 4, lr=1.0, steps=4, per_epoch=2)
    np.testing.assert_allclose(found, [0.2 + 0.8 * (1 - step / 4) ** 2 for step in range(4)])


@pytest.mark.parametrize(
    ("schedule", "after"),
    [
        (Constant(name="constant", warmup_steps=3), [1.0, 1.0, 1.0, 1.0]),
        (Plateau(name="plateau", warmup_steps=3), [1.0, 1.0, 1.0, 1.0]),
        (Linear(name="linear", warmup_epochs=1.5), [1.0, 0.8, 0.6, 0.4]),
        (Polynomial(name="polynomial", warmup_steps=3), [1.0, 0.64, 0.36, 0.16]),
        (Cosine(name="cosine", warmup_steps=3), [(1 + np.cos(np.pi * n / 5)) / 2 for n in range(4)]),
        (Exponential(name="exponential", gamma=0.25, by="step", warmup_steps=3), [1.0, 0.5, 0.25, 0.125]),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_after_the_warm_up_the_full_rate_falls_over_what_is_left(schedule, after):
    found = rates(schedule, 0, 8, lr=1.0, steps=8, per_epoch=2)
    np.testing.assert_allclose(found[:3], np.array([0.25, 0.5, 0.75]))
    np.testing.assert_allclose(found[3:7], after)


def test_cuts_are_counted_from_the_beginning_of_the_run_and_scale_the_warm_up():
    schedule = Step(name="step", every=2, factor=0.5, by="step", warmup_steps=3)
    found = rates(schedule, 0, 6, lr=1.0, steps=6, per_epoch=2)
    np.testing.assert_allclose(found, [0.25, 0.5, 0.75 * 0.5, 0.5, 0.25, 0.25])


@pytest.mark.parametrize("name", ["cosine", "linear", "polynomial", "one_cycle", "exponential"])
def test_by_epoch_the_rate_changes_only_where_an_epoch_begins(name):
    kinds = {
        one.model_fields["name"].annotation.__args__[0]: one
        for one in (Cosine, Linear, Polynomial, OneCycle, Exponential)
    }
    found = rates(kinds[name](name=name, by="epoch"), 0, STEPS, lr=1.0, steps=STEPS, per_epoch=PER_EPOCH)
    by_epoch = found.reshape(-1, PER_EPOCH)
    assert (by_epoch == by_epoch[:, :1]).all()
    assert len(set(by_epoch[:, 0])) == STEPS // PER_EPOCH
    steps = rates(kinds[name](name=name, by="step"), 0, STEPS, lr=1.0, steps=STEPS, per_epoch=PER_EPOCH)
    assert len(set(steps)) > 10


def test_a_warm_up_longer_than_the_run_is_refused():
    check_schedule(Linear(name="linear", warmup_steps=20), steps=20)
    with pytest.raises(
        SpecError, match=r"train\.schedule\.warmup_steps: the warm-up of 21 steps outlasts the 20"
    ):
        check_schedule(Linear(name="linear", warmup_steps=21), steps=20)


@pytest.mark.parametrize(
    ("ema", "number", "decay"),
    [
        (Ema(decay=0.9), 1, 2 / 11),
        (Ema(decay=0.9), 79, 80 / 89),
        (Ema(decay=0.9), 81, 0.9),
        (Ema(decay=0.9, warmup=False), 1, 0.9),
    ],
)
def test_the_decay_of_an_average_warms_up(ema, number, decay):
    assert ema_decay(ema, number) == pytest.approx(decay, rel=1e-12)


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
        Plateau(name="plateau", warmup_steps=12),
        Step(name="step", every=1, warmup_epochs=1.5),
        MultiStep(name="multi_step", milestones=[7], by="step"),
        Exponential(name="exponential", warmup_steps=3),
        Linear(name="linear", warmup_steps=3),
        Polynomial(name="polynomial", by="epoch"),
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
