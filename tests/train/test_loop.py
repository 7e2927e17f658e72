"""The loop with a learner that only counts, so that order and exactness are seen without any framework."""

import numpy as np
import pytest

from trainwright.base.errors import SpecError, StoreError
from trainwright.spec.train import Plateau
from trainwright.train.callback import Callback
from trainwright.train.clock import Epochs, Seconds, Steps
from trainwright.train.feed import ArrayFeed
from trainwright.train.loop import TrainingLoop, check_metrics
from trainwright.train.moment import Outcome, Save, Stop, Warn
from trainwright.train.plateau import RateScale
from trainwright.train.resuming import branch_state
from trainwright.train.routine import Examples, Results, View
from trainwright.train.run import NullRun


class CountingLearner:
    """Its one weight is the number of steps done, weighted by the rate's scale."""

    def __init__(self):
        self.step, self.rate_scale, self.weight, self.open = 0, 1.0, 0.0, 0.0
        self.predicted = 0

    @property
    def sums(self):
        return {"loss": (self.open, 2.0)}

    def train(self, feed, clock, tell):
        while self.step < clock.end:
            due = clock.next(self.step)
            while self.step < due:
                if self.step % feed.steps_per_epoch == 0:
                    self.open = 0.0
                self.step += 1
                self.open += self.step
                self.weight += self.rate_scale
            answer = tell(self)
            self.rate_scale = answer.rate_scale
            if answer.stop is not None:
                return

    def hear(self, measured):
        self.heard = dict(measured)

    def predict(self, x, *, batch_size=None):
        self.predicted += 1
        return {"y": np.full((len(x), 1), self.weight)}

    def state(self):
        return {"step": self.step, "weight": self.weight, "open": self.open, "scale": self.rate_scale}

    def load_state(self, tree):
        self.step, self.weight, self.open, self.rate_scale = (
            tree[name] for name in ("step", "weight", "open", "scale")
        )

    def weights(self):
        return {"w": np.array([self.weight])}


class Log(Callback):
    def __init__(self, every=None, answers=None):
        self.every, self.heard, self.answers = every, [], answers or {}

    def state(self):
        return len(self.heard)

    def load_state(self, tree):
        self.heard = ["earlier"] * tree

    def __getattribute__(self, name):
        if not name.startswith("on_"):
            return super().__getattribute__(name)

        def hear(moment, *more):
            self.heard.append((name, moment.step))
            return self.answers.get((name, moment.step))

        return hear

    def on_step_start(self, moment):
        """Overridden so that the clock tells the step before."""


class Measure:
    def __init__(self, every=None, split="val", values=None):
        self.every, self.split, self.values = every or Epochs(1), split, values

    def names(self, task):
        return (f"{self.split}/loss",)

    def __call__(self, view):
        prediction = view.predictions(self.split)["y"]
        step = view.learner.step
        value = self.values[step] if self.values else float(prediction.mean())
        return Results({f"{self.split}/loss": value}, {"curve": prediction})


def make(*, callbacks=(), listeners=(), routines=(), epochs=2, run=None, rate_scale=None, now=lambda: 0.0):
    feed = ArrayFeed({"x": np.zeros((6, 1)), "y": np.zeros(6)}, batch_size=2, seed=0)  # 3 steps an epoch
    run = run or NullRun()
    learner = CountingLearner()
    loop = TrainingLoop(
        learner,
        feed,
        run=run,
        epochs=epochs,
        callbacks=callbacks,
        listeners=listeners,
        routines=routines,
        rate_scale=rate_scale,
        make_view=lambda one: View(one, {"val": Examples(np.zeros((4, 1)), np.zeros((4, 1)))}),
        now=now,
    )
    return loop, learner, run


def test_everybody_hears_the_moments_in_the_same_order():
    log = Log(every=Steps(2))
    loop, _, _ = make(callbacks=[log], routines=[Measure()])
    assert loop.fit().kind == "done"
    assert log.heard == [
        ("on_start", 0),
        ("on_epoch_start", 0),
        ("on_step_start", 1),  # before step 2
        ("on_step", 2),
        ("on_validation_start", 3),
        ("on_artifact", 3),
        ("on_validation", 3),
        ("on_epoch", 3),
        ("on_epoch_start", 3),
        ("on_step_start", 3),  # before step 4
        ("on_step", 4),
        ("on_step_start", 5),
        ("on_validation_start", 6),
        ("on_artifact", 6),
        ("on_validation", 6),
        ("on_step", 6),
        ("on_epoch", 6),
        ("on_saved", 6),
        ("on_end", 6),
    ]


def test_a_callback_without_a_period_hears_no_steps():
    log = Log()
    loop, _, _ = make(callbacks=[log])
    loop.fit()
    assert not [event for event in log.heard if event[0].startswith("on_step")]


@pytest.mark.parametrize(
    ("where", "answer", "ends"),
    [
        (("on_step", 2), Stop("enough"), 2),
        (("on_epoch", 3), Stop("enough"), 3),
        (("on_validation", 3), Stop("enough"), 3),
    ],
)
def test_a_stop_ends_the_run_right_there_and_saves(where, answer, ends):
    loop, learner, run = make(callbacks=[Log(every=Steps(1), answers={where: answer})], routines=[Measure()])
    outcome = loop.fit()
    assert (outcome.kind, outcome.reason, learner.step, run.last.step) == ("stopped", "enough", ends, ends)


def test_a_checkpoint_is_taken_when_somebody_asks():
    saved = []
    run = NullRun()
    keep = run.save
    run.save = lambda snapshot: (
        saved.append((snapshot.step, snapshot.epoch, dict(snapshot.metrics))) or keep(snapshot)
    )
    log = Log(every=Steps(1), answers={("on_step", 2): Save(), ("on_step", 3): Save()})
    make(callbacks=[log], run=run, routines=[Measure()])[0].fit()
    # A snapshot has the metrics of its very step only: none in the middle of an epoch.
    assert saved == [
        (2, 0, {}),
        (3, 1, {"train/loss": 3.0, "val/loss": 3.0}),
        (6, 2, {"train/loss": 7.5, "val/loss": 6.0}),
    ]


def test_the_learner_hears_what_was_measured_before_it_is_saved():
    loop, learner, run = make(routines=[Measure()])
    run.save = lambda snapshot: heard.append((snapshot.step, learner.heard, snapshot.metrics))
    heard = []
    loop.fit()
    values = {"train/loss": 7.5, "val/loss": 6.0}
    assert heard == [(6, values, values)]


@pytest.mark.parametrize("word", ["stop", "pause"])
def test_a_wish_to_end_saves_first(word):
    class Asks(Callback):
        every = Steps(1)

        def on_step(self, moment):
            if moment.step == 4:
                run.ask(word)

    run = NullRun()
    loop, learner, _ = make(callbacks=[Asks()], run=run)
    outcome = loop.fit()
    assert outcome.kind == {"stop": "interrupted", "pause": "paused"}[word] and not outcome.finished
    assert run.last.step == learner.step == 4


@pytest.mark.parametrize("k", range(1, 12))
def test_a_resumed_loop_ends_in_the_same_state_and_hears_the_rest(k):
    def parts():
        plateau = RateScale(Plateau(name="plateau", patience=1, factor=0.5))
        values = {3: 1.0, 6: 2.0, 9: 0.5, 12: 3.0}
        return {
            "callbacks": [Log(every=Steps(1))],
            "routines": [Measure(values=values)],
            "rate_scale": plateau,
            "epochs": 4,
        }

    whole, learner, run = make(**parts())
    whole.fit()
    first = parts()
    first["callbacks"][0].answers[("on_step", k)] = Save("asked for")
    cut_run = NullRun()

    def save_and_die(snapshot):
        cut_run.last = snapshot
        raise KeyboardInterrupt

    cut_run.save = save_and_die
    with pytest.raises(KeyboardInterrupt):
        make(**first, run=cut_run)[0].fit()
    rest, resumed, rest_run = make(**parts())
    rest.fit(resume=cut_run.last.state)
    assert resumed.state() == learner.state()
    assert rest_run.last.state["rate_scale"] == run.last.state["rate_scale"]
    assert rest_run.last.state["metrics"] == run.last.state["metrics"]
    assert cut_run.metrics + rest_run.metrics == run.metrics


def test_a_run_that_was_stopped_and_died_before_its_end_does_not_train_on():
    log = Log(every=Steps(1), answers={("on_step", 4): Stop("enough")})
    loop, _, run = make(callbacks=[log])
    loop.fit()
    again, learner, _ = make(callbacks=[Log(every=Steps(1))])
    outcome = again.fit(resume=run.last.state)
    assert (outcome.kind, outcome.reason, learner.step) == ("stopped", "enough", 4)


def test_a_branch_goes_on_where_its_parent_was_stopped_with_fresh_callbacks():
    log = Log(every=Steps(1), answers={("on_step", 4): Stop("enough")})
    loop, _, run = make(callbacks=[log])
    loop.fit()
    fresh = Log(every=Steps(1))
    branch, learner, _ = make(callbacks=[fresh, Log()], epochs=3)
    assert branch.fit(resume=branch_state(run.last.state)).kind == "done"
    assert learner.step == 9 and "earlier" not in fresh.heard


def test_a_metric_that_two_routines_measure_is_refused():
    with pytest.raises(SpecError, match="val/loss would be measured twice"):
        check_metrics(None, [Measure(), Measure()], wanted={})


def test_nothing_is_decided_by_the_test_split():
    with pytest.raises(SpecError, match=r"train\.callbacks\.0.*the test split"):
        check_metrics(None, [Measure(split="test")], wanted={"train.callbacks.0.args.metric": "test/loss"})


def test_listeners_leave_no_trace_in_the_state():
    alone, _, quiet = make(callbacks=[Log()])
    alone.fit()
    heard, _, loud = make(callbacks=[Log()], listeners=[Log(every=Seconds(0.1))])
    heard.fit()
    assert loud.last.state == quiet.last.state


def test_an_error_reaches_everybody_and_is_raised():
    class Breaks(Callback):
        def on_epoch(self, moment):
            raise RuntimeError("broken")

    class Hears(Callback):
        def on_end(self, moment, outcome):
            self.outcome = outcome

    hears = Hears()
    with pytest.raises(RuntimeError, match="broken"):
        make(callbacks=[hears, Breaks()])[0].fit()
    assert hears.outcome.kind == "failed" and isinstance(hears.outcome.error, RuntimeError)


def test_an_artifact_that_cannot_be_kept_is_a_warning_and_the_run_goes_on():
    def refuse(name, value, *, step=None):
        raise StoreError("the disk is full")

    run = NullRun()
    run.artifact = refuse
    loop, _, _ = make(routines=[Measure()], run=run)
    assert loop.fit().kind == "done"
    assert run.warnings == [f"artifact curve at step {step}: the disk is full" for step in (3, 6)]


def test_routines_share_one_prediction():
    loop, learner, _ = make(routines=[Measure(), Measure(every=Steps(1))], epochs=1)
    loop.steps = 1
    loop.feed.steps_per_epoch = 1
    loop.fit()
    assert learner.predicted == 1


def test_seconds_come_due_by_the_clock():
    time = [0.0]

    def now():
        time[0] += 0.25
        return time[0]

    log = Log(every=Seconds(1.0))
    make(callbacks=[log], epochs=20, now=now)[0].fit()
    steps = [step for event, step in log.heard if event == "on_step"]
    assert 2 <= len(steps) < 40


def test_an_unknown_metric_fails_before_the_first_step():
    with pytest.raises(SpecError) as error:
        check_metrics(None, [Measure()], wanted={"train.best.metric": "val/acuracy", "x": "val/loss"})
    assert str(error.value).splitlines() == [
        "train.best.metric: nobody measures 'val/acuracy'",
        "measured are: train/loss, val/loss",
    ]


def test_a_checkpoint_of_other_callbacks_is_refused():
    loop, _, run = make(callbacks=[Log()])
    loop.fit()
    with pytest.raises(SpecError, match=r"train\.callbacks"):
        make(callbacks=[])[0].fit(resume=run.last.state)


@pytest.mark.parametrize("event", ["on_start", "on_step", "on_validation", "on_epoch", "on_end"])
def test_a_warning_is_kept_with_the_run_which_goes_on(event):
    step = {"on_start": 0, "on_end": 6}.get(event, 3)
    log = Log(every=Steps(3), answers={(event, step): Warn("the disk is full")})
    loop, _, run = make(callbacks=[log], routines=[Measure()])
    assert loop.fit() == Outcome("done")
    assert run.warnings == ["the disk is full"]


def test_a_reason_that_is_given_twice_is_told_once():
    answers = {
        ("on_validation", 3): Stop("enough"),
        ("on_epoch", 3): Stop("enough"),
        ("on_step", 3): Stop("late"),
    }
    loop, _, _ = make(callbacks=[Log(every=Steps(3), answers=answers)], routines=[Measure()])
    assert loop.fit().reason == "enough; late"


class Diverging(CountingLearner):
    """Its loss is lost in the second step of the second epoch, and found again in the third."""

    @property
    def sums(self):
        return {"loss": (float("nan") if self.step in (5, 6) else 1.0, 2.0)}


@pytest.mark.parametrize(("known", "named"), [(5, 5), (None, 6)])
def test_a_loss_that_is_not_finite_is_warned_of_once_by_the_step_if_the_learner_knows_it(known, named):
    loop, _, run = make(epochs=4)
    loop.learner = Diverging()
    if known is not None:
        loop.learner.diverged = known
    loop._clock = lambda: Every(3, end=12)
    assert loop.fit().kind == "done"
    (warning,) = run.warnings
    assert warning.startswith(f"the loss of step {named} is not a finite number")
    assert "train.optimizer.lr" in warning and "StopOnNaN" in warning
    again, _, run = make(epochs=4)
    again.learner = Diverging()
    again.fit(resume=loop.state(loop.learner) | {"stopped": None})
    assert run.warnings == []


class Every:
    def __init__(self, count, end):
        self.count, self.end = count, end

    def next(self, step):
        return step + self.count


def test_a_branch_of_a_run_that_diverged_warns_for_itself():
    loop, learner, _ = make()
    loop.fit()
    state = loop.state(learner) | {"diverged": True}
    assert branch_state(state)["diverged"] is False


@pytest.mark.parametrize("name", ["learner", "callbacks", "metrics", "rate_scale", "stopped", "diverged"])
def test_a_state_that_lacks_an_item_is_refused_by_its_name(name):
    loop, learner, _ = make()
    loop.fit()
    state = {key: value for key, value in loop.state(learner).items() if key != name}
    with pytest.raises(StoreError, match=f"the state of the checkpoint lacks '{name}'"):
        make()[0].fit(resume=state)


@pytest.mark.parametrize("broken", [5, [["Log"]], [["Log", {}, 1]], [3]])
def test_states_of_callbacks_that_are_something_else_are_refused(broken):
    loop, learner, _ = make(callbacks=[Log()])
    loop.fit()
    with pytest.raises(StoreError, match="the callbacks: the state of the checkpoint is not what was kept"):
        make(callbacks=[Log()])[0].fit(resume=loop.state(learner) | {"callbacks": broken})


class Mistaken(Callback):
    """Raises where it hears a moment, or answers with what is no answer."""

    every = Steps(3)

    def __init__(self, event, answer=None):
        self.answer = answer
        setattr(self, event, self.hear)

    def hear(self, moment, *more):
        if self.answer is None:
            raise KeyError("val/nonsense")
        return self.answer


@pytest.mark.parametrize(
    "event", ["on_start", "on_epoch_start", "on_step", "on_validation", "on_epoch", "on_saved"]
)
def test_an_error_of_a_callback_says_whose_it_is(event):
    loop, _, _ = make(callbacks=[Callback(), Mistaken(event)], routines=[Measure()])
    with pytest.raises(KeyError) as caught:
        loop.fit()
    (note,) = caught.value.__notes__
    assert note.startswith("trainwright: raised in train.callbacks.1: ") and note.endswith(
        f":Mistaken.{event}"
    )
    assert loop._outcome.reason.startswith("KeyError: 'val/nonsense' (train.callbacks.1: ")


def test_an_answer_that_is_none_is_refused():
    loop, _, _ = make(callbacks=[Mistaken("on_epoch", answer="stop")])
    with pytest.raises(SpecError, match=r"train\.callbacks\.0: .*:Mistaken\.on_epoch answered 'stop'"):
        loop.fit()


def test_an_error_of_a_routine_says_whose_it_is():
    class Fails(Measure):
        def __call__(self, view):
            raise ArithmeticError

    loop, _, _ = make(routines=[Measure(), Fails(split="test")])
    with pytest.raises(ArithmeticError) as caught:
        loop.fit()
    assert caught.value.__notes__[0].startswith("trainwright: raised in train.routines.1: ")
