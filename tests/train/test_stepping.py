import numpy as np
import pytest

from trainwright.base.errors import BackendError
from trainwright.spec.optimizer import SGD, Adagrad
from trainwright.spec.schedule import Linear
from trainwright.spec.train import TrainSpec
from trainwright.train.learner import Answer
from trainwright.train.stepping import Stepping


class Counting(Stepping):
    """Adds the number of each step, as its loss, with weight 2."""

    backend = "counting"

    def _advance(self, feed, due):
        while self.step < due:
            self._add(float(self.step), 2.0, step=self.step + 1)
            self.step += 1

    def _arrays(self):
        return {"x": np.arange(self.step)}

    def _load_arrays(self, kept):
        assert len(kept["x"]) == kept["step"]


class Clock:
    end = 7

    def next(self, step):
        return min(step + 3, self.end)


def test_it_is_told_at_the_clock_and_sums():
    learner, heard = Counting(TrainSpec(), steps=7), []
    learner.train(None, Clock(), lambda one: heard.append((one.step, one.sums["loss"])) or Answer())
    assert heard == [(3, (6.0, 6.0)), (6, (30.0, 12.0)), (7, (42.0, 14.0))]


def test_it_stops_and_keeps_the_scale_of_the_answer():
    learner = Counting(TrainSpec(), steps=7)
    learner.train(None, Clock(), lambda one: Answer(stop="enough", rate_scale=0.5))
    assert (learner.step, learner.rate_scale) == (3, 0.5)


def test_its_state_comes_back_and_a_missing_item_is_named():
    learner, other = Counting(TrainSpec(), steps=7), Counting(TrainSpec(), steps=7)
    learner.train(None, Clock(), lambda one: Answer(stop="enough", rate_scale=0.5))
    other.load_state(learner.state())
    assert other.state()["loss_sum"] == 6.0 and other.rate_scale == 0.5 and other.step == 3
    for name in learner.state():
        with pytest.raises(BackendError, match=f"counting: the state lacks '{name}'"):
            other.load_state({key: value for key, value in learner.state().items() if key != name})


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (SGD(name="sgd", lr=0.4), [0.4, 0.3, 0.2, 0.1]),
        (Adagrad(name="adagrad", lr=0.4), [0.4, 0.3, 0.2, 0.1]),
        (Adagrad(name="adagrad", lr=0.4, lr_decay=0.5), [0.4, 0.3 / 1.5, 0.2 / 2.0, 0.1 / 2.5]),
    ],
)
def test_the_rate_is_that_of_the_schedule_and_adagrad_s_decay(optimizer, expected):
    learner = Counting(TrainSpec(optimizer=optimizer, schedule=Linear(name="linear")), steps=4)
    np.testing.assert_allclose(learner._rates(0, 4, per_epoch=2), expected)
    np.testing.assert_allclose(learner._rates(1, 3, per_epoch=2), expected[1:3])


def test_the_first_step_whose_loss_is_not_finite_is_remembered():
    class Odd(Counting):
        def _advance(self, feed, due):
            while self.step < due:
                self._add([1.0, 2.0, float("inf"), float("nan")][min(self.step, 3)], 1.0, step=self.step + 1)
                self.step += 1

    learner = Odd(TrainSpec(), steps=7)
    assert learner.diverged is None
    learner.train(None, Clock(), lambda one: Answer())
    assert learner.diverged == 3
