import pytest

from trainwright.callbacks.checkpoint import Checkpoint
from trainwright.train.clock import Epochs, Seconds, Steps


@pytest.mark.parametrize(
    ("given", "every"),
    [
        ({}, Epochs(1)),
        ({"every_n_epochs": 3}, Epochs(3)),
        ({"every_n_steps": 7}, Steps(7)),
        ({"every_n_seconds": 1.5}, Seconds(1.5)),
    ],
)
def test_asks_at_its_one_cadence(given, every):
    assert Checkpoint(**given).every == every


@pytest.mark.parametrize(
    "wrong",
    [
        {"every_n_steps": 0},
        {"every_n_epochs": 1.5},
        {"every_n_seconds": -1},
        {"keep_last": 0},
        {"keep_best": True},
        {"every_n_steps": 1, "every_n_epochs": 1},
    ],
)
def test_wrong_arguments_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Checkpoint(**wrong)
