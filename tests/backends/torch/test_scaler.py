import pytest

torch = pytest.importorskip("torch")

from trainwright.backends.torch import scaler
from trainwright.backends.torch.scaler import LossScale


def test_the_factor_is_taken_from_the_gradients_again():
    scale = LossScale()
    shared = torch.tensor([3.0]) * scale.value
    assert [float(one) for one in scale.unscale([shared, shared])] == [3.0, 3.0]


@pytest.mark.parametrize("bad", [float("inf"), float("-inf"), float("nan")])
def test_a_gradient_that_is_not_finite_halves_the_scale(bad):
    scale = LossScale()
    assert scale.unscale([torch.ones(2), torch.tensor([1.0, bad])]) is None
    assert (scale.value, scale.skipped) == (2.0**15, 1)


def test_the_scale_grows_after_a_while_without_overflow_as_that_of_torch_amp(monkeypatch):
    monkeypatch.setattr(scaler, "GROWTH_INTERVAL", 3)
    scale = LossScale()
    theirs, tracker = torch.tensor(2.0**16), torch.tensor(0, dtype=torch.int32)
    for good in [1, 1, 1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1]:
        other = LossScale()
        other.load_state(scale.state())  # goes on after a resume at any point
        scale = other
        scale.unscale([torch.tensor([1.0 if good else float("inf")])])
        torch._amp_update_scale_(theirs, tracker, torch.tensor(float(not good)), 2.0, 0.5, 3)
        assert scale.value == float(theirs)
    assert scale.skipped == 3


def test_a_loss_that_stays_nan_leaves_a_usable_scale():
    scale = LossScale()
    for _ in range(2000):
        scale.unscale([torch.tensor([float("nan")])])
    assert scale.value == scaler.SMALLEST
