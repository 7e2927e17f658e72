from types import SimpleNamespace

import pytest

from trainwright.callbacks.stopping import EarlyStopping
from trainwright.train.moment import Stop

NAN = float("nan")


def feed(callback, values):
    """Gives the number of the validation at which it stops, or None."""
    for number, value in enumerate(values, 1):
        if isinstance(callback.on_validation(SimpleNamespace(measured={"val/loss": value})), Stop):
            return number
    return None


@pytest.mark.parametrize(
    ("values", "stops_at"),
    [
        ([3, 2, 1], None),  # always improving
        ([1, 1, 1], 3),  # flat: the second and third bring nothing
        ([3, 4, 2, 3, 1], None),  # each wait is shorter than the patience
        ([NAN, NAN], 2),  # NaN is no improvement
        ([2, NAN, 1, 1, 1], 5),  # and no best value either
    ],
)
def test_stops_at_the_patience_th_validation_without_improvement(values, stops_at):
    assert feed(EarlyStopping("val/loss", patience=2), values) == stops_at


def test_a_validation_without_the_metric_does_not_count():
    callback = EarlyStopping("val/loss", patience=1)
    assert feed(callback, [1.0]) is None
    assert callback.on_validation(SimpleNamespace(measured={"train/loss": 1.0})) is None
    assert feed(callback, [1.0]) == 1


def test_larger_is_better_when_it_says_so():
    assert feed(EarlyStopping("val/loss", patience=2, mode="max"), [1, 2, 3, 2, 1]) == 5


def test_an_improvement_smaller_than_min_delta_does_not_count():
    assert feed(EarlyStopping("val/loss", patience=2, min_delta=0.5), [3.0, 2.6, 2.6, 2.0]) == 3


@pytest.mark.parametrize("k", range(1, 5))
def test_goes_on_counting_after_a_resume(k):
    values = [1, 2, 0.5, 3, 4, 5]
    first = EarlyStopping("val/loss", patience=3)
    feed(first, values[:k])
    second = EarlyStopping("val/loss", patience=3)
    second.load_state(first.state())
    assert feed(second, values[k:]) == feed(EarlyStopping("val/loss", patience=3), values) - k


@pytest.mark.parametrize("wrong", [{"patience": 0}, {"patience": "3"}, {"mode": "low"}, {"min_delta": -1}])
def test_wrong_arguments_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EarlyStopping(**wrong)
