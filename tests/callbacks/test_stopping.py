from types import SimpleNamespace

import pytest

from trainwright.base.errors import SpecError
from trainwright.callbacks import CATALOG
from trainwright.callbacks.stopping import EarlyStopping, StopOnNaN, StopOnThreshold, TimeLimit
from trainwright.spec.build import build
from trainwright.spec.part import Use
from trainwright.train.clock import Seconds
from trainwright.train.moment import Stop

NAN = float("nan")


INF = float("inf")


def moment(measured=(), *, epoch=1, seconds=0.0):
    return SimpleNamespace(measured=dict(measured), epoch=epoch, seconds=seconds)


def feed(callback, values):
    """Gives the number of the validation at which it stops, or None."""
    for number, value in enumerate(values, 1):
        if isinstance(callback.on_validation(moment({"val/loss": value}, epoch=number)), Stop):
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
    assert callback.on_validation(moment({"train/loss": 1.0})) is None
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


@pytest.mark.parametrize(
    ("min_epochs", "values", "stops_at"),
    [
        (0, [1, 1, 1, 1, 1, 1], 3),
        (5, [1, 1, 1, 1, 1, 1], 5),  # it has waited long enough by then
        (5, [3, 3, 3, 3, 2, 2, 2], 7),  # an improvement at the last moment
        (9, [1, 1, 1, 1, 1, 1], None),
    ],
)
def test_never_stops_before_min_epochs(min_epochs, values, stops_at):
    assert feed(EarlyStopping("val/loss", patience=2, min_epochs=min_epochs), values) == stops_at


@pytest.mark.parametrize(
    ("bound", "values", "stops_at"),
    [
        ({"above": 2.0}, [1, 2, 2.1], 3),  # the bound itself is not above it
        ({"below": 2.0}, [3, 2, 1.9], 3),
        ({"above": 2.0}, [1, 1, 1], None),
        ({"below": -1.0}, [0, NAN, -2], 3),
        ({"above": 0.0}, [NAN, -1, INF], 3),
    ],
)
def test_stops_at_the_first_value_past_the_bound(bound, values, stops_at):
    callback = StopOnThreshold("val/loss", **bound)
    assert feed(callback, values) == stops_at
    assert callback.reads == ("val/loss",)


def test_the_reason_tells_the_value_and_the_bound():
    callback = StopOnThreshold("train/loss", below=0.5)
    assert callback.on_epoch(moment({"train/loss": 0.25})) == Stop("train/loss is 0.25, below 0.5")
    assert callback.on_epoch(moment({"val/loss": 0.25})) is None


@pytest.mark.parametrize(("value", "stops"), [(NAN, True), (INF, True), (-INF, True), (1e300, False)])
@pytest.mark.parametrize("event", ["on_validation", "on_epoch"])
def test_stops_on_what_is_not_finite(event, value, stops):
    callback = StopOnNaN()
    answer = getattr(callback, event)(moment({"train/loss": 1.0, "val/loss": value}))
    assert (answer is not None) == stops
    if stops:
        assert answer.reason == f"val/loss is {value}"
    assert getattr(callback, event)(moment({"val/accuracy": NAN})) is None
    assert isinstance(getattr(StopOnNaN(["val/accuracy"]), event)(moment({"val/accuracy": NAN})), Stop)


@pytest.mark.parametrize(
    ("given", "limit", "hears_every"),
    [({"seconds": 3}, 3.0, 0.3), ({"minutes": 2}, 120.0, 1.0), ({"hours": 0.5}, 1800.0, 1.0)],
)
def test_a_limit_is_seconds_minutes_or_hours(given, limit, hears_every):
    callback = TimeLimit(**given)
    assert callback.every == Seconds(hears_every)
    assert callback.on_step(moment(seconds=limit - 0.01)) is None
    (unit, number) = next(iter(given.items()))
    assert callback.on_step(moment(seconds=limit)) == Stop(f"the time limit of {number:g} {unit} is reached")


@pytest.mark.parametrize("event", ["on_step", "on_validation", "on_epoch"])
def test_seconds_of_all_attempts_count(event):
    first = TimeLimit(seconds=10)
    assert getattr(first, event)(moment(seconds=6.0)) is None
    second = TimeLimit(seconds=10)
    second.load_state(first.state())
    assert getattr(second, event)(moment(seconds=3.9)) is None
    assert second.state() == {"seconds": 9.9}
    assert isinstance(getattr(second, event)(moment(seconds=4.0)), Stop)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("EarlyStopping", {"patience": 0}),
        ("EarlyStopping", {"patience": "3"}),
        ("EarlyStopping", {"mode": "low"}),
        ("EarlyStopping", {"min_delta": -1}),
        ("EarlyStopping", {"min_epochs": -1}),
        ("EarlyStopping", {"min_epochs": 1.5}),
        ("StopOnThreshold", {"above": None}),
        ("StopOnThreshold", {"above": 1, "below": 0}),
        ("StopOnThreshold", {"above": True}),
        ("StopOnThreshold", {"below": NAN}),
        ("StopOnNaN", {"metrics": []}),
        ("StopOnNaN", {"metrics": "val/loss"}),
        ("TimeLimit", {"seconds": 0}),
        ("TimeLimit", {"minutes": INF}),
        ("TimeLimit", {"hours": "1"}),
        ("TimeLimit", {"seconds": 1, "hours": 1}),
        ("JSONLines", {"path": ""}),
        ("JSONLines", {"path": 3}),
    ],
)
def test_wrong_arguments_are_named(name, wrong):
    more = {"metric": "val/loss"} if name == "StopOnThreshold" else {}
    with pytest.raises(SpecError, match=rf"train.callbacks.0.args: {name}: .*{next(iter(wrong))}"):
        build(Use(use=name, args={**more, **wrong}), CATALOG, where="train.callbacks.0")
