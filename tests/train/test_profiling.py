"""A profile says what took how long, whatever happens, and traces the steps that it says."""

import json

import numpy as np
import pytest

from train.test_stepping import Counting
from trainwright.spec.train import TrainSpec
from trainwright.store.records import Snapshot
from trainwright.train.callback import Callback
from trainwright.train.feed import ArrayFeed
from trainwright.train.learner import Answer
from trainwright.train.loop import TrainingLoop
from trainwright.train.moment import Save, Stop
from trainwright.train.profiling import Operation, Profile, read_operations
from trainwright.train.routine import Results, View
from trainwright.train.run import NullRun

STEP, FEED, VALIDATE, SAVE, COMPILE, TRACE = 1.0, 0.25, 8.0, 32.0, 4.0, 100.0


class Time:
    """A clock that goes only when somebody works."""

    def __init__(self):
        self.seconds, self.compiled = 0.0, 0.0

    def spend(self, seconds):
        self.seconds += seconds


class Working(Counting):
    """Takes a second for each step; it compiled in the first."""

    def __init__(self, time, steps, fails_at=None):
        super().__init__(TrainSpec(), steps=steps)
        self.time, self.fails_at, self.stretches = time, fails_at, []

    def weights(self):
        return {}

    def _advance(self, feed, due):
        if self.step == 0:
            self.time.spend(COMPILE)
            self.time.compiled += COMPILE
        self.stretches.append((self.step, due))
        while self.step < due:
            if self.step == self.fails_at:
                raise ArithmeticError("step")
            feed.indices(self.step)
            self.time.spend(STEP)
            super()._advance(feed, self.step + 1)


class SlowFeed(ArrayFeed):
    def indices(self, step):
        self.time.spend(FEED)
        return super().indices(step)


class Tracer:
    def __init__(self, time):
        self.time, self.log = time, []

    @property
    def compiling(self):
        return self.time.compiled

    def start(self):
        self.time.spend(TRACE)
        self.log.append("start")

    def stop(self):
        self.time.spend(TRACE)
        self.log.append("stop")
        return json.dumps({"traceEvents": []})


class SlowRoutine:
    split = "val"

    def __init__(self, time, every):
        self.time, self.every = time, every

    def names(self, task):
        return ()

    def __call__(self, view):
        self.time.spend(VALIDATE)
        return Results({})


class SlowRun(NullRun):
    def save(self, snapshot: Snapshot):
        self.time.spend(SAVE)
        return super().save(snapshot)


class EachEpoch(Callback):
    def on_epoch(self, moment):
        return Save()


def train(profile_options=None, *, epochs=2, per_epoch=50, fails_at=None, callbacks=()):
    from trainwright.train.clock import Epochs

    time = Time()
    feed = SlowFeed({"x": np.zeros((per_epoch, 1)), "y": np.zeros(per_epoch)}, batch_size=1, seed=0)
    feed.time = time
    run = SlowRun()
    run.time = time
    profile = Profile(**(profile_options or {}), now=lambda: time.seconds)
    learner, tracer = Working(time, epochs * per_epoch, fails_at), Tracer(time)
    loop = TrainingLoop(
        profile.watch(learner, tracer),
        feed,
        run=run,
        epochs=epochs,
        routines=[SlowRoutine(time, Epochs(1))],
        callbacks=callbacks,
        listeners=[profile],
        make_view=lambda one: View(one, {}),
        now=lambda: 0.0,
    )
    return profile, learner, tracer, loop


def test_every_second_is_put_down_to_what_took_it():
    profile, _, tracer, loop = train(callbacks=[EachEpoch()])
    assert loop.fit().kind == "done"
    assert profile.seconds == {
        "steps": 100 * STEP,
        "feed": 100 * FEED,
        "compiling": COMPILE,
        "validation": 2 * VALIDATE,
        "saving": 2 * SAVE,
        "profiler": 2 * TRACE,
    }
    assert tracer.log == ["start", "stop"]
    assert (profile.traced, profile.traced_seconds) == ((10, 30), 20 * (STEP + FEED))


@pytest.mark.parametrize(
    ("options", "epochs", "per_epoch", "traced"),
    [
        ({"first": 0, "steps": 3}, 1, 9, (0, 3)),
        ({"first": 5, "steps": 10}, 3, 6, (5, 15)),  # over the ends of epochs
        ({}, 1, 7, (3, 7)),  # a run shorter than the warm-up
        ({}, 1, 1, (0, 1)),
    ],
)
def test_the_steps_that_are_traced_are_those_it_says(options, epochs, per_epoch, traced):
    profile, learner, tracer, loop = train(options, epochs=epochs, per_epoch=per_epoch)
    loop.fit()
    assert profile.traced == traced and tracer.log == ["start", "stop"]
    assert learner.step == epochs * per_epoch
    edges = {edge for stretch in learner.stretches for edge in stretch}
    assert set(traced) <= edges  # a learner runs freely up to where it is told


@pytest.mark.parametrize(("stops_at", "traced"), [(12, (10, 12)), (5, None), (10, None)])
def test_a_trace_ends_where_the_training_is_stopped(stops_at, traced):
    class Stops(Callback):
        from trainwright.train.clock import Steps

        every = Steps(1)

        def on_step(self, moment):
            return Stop("enough") if moment.step == stops_at else None

    profile, learner, tracer, loop = train(callbacks=[Stops()])
    assert loop.fit().kind == "stopped" and learner.step == stops_at
    assert profile.traced == traced and tracer.log == ([] if traced is None else ["start", "stop"])


def test_a_trace_ends_where_the_training_fails():
    profile, _, tracer, loop = train(fails_at=11)
    with pytest.raises(ArithmeticError):
        loop.fit()
    assert tracer.log == ["start", "stop"] and profile.traced == (10, 11)


def test_what_is_asked_of_the_learner_is_asked_of_the_learner():
    profile, learner, _, loop = train()
    loop.learner.rate_scale = 0.5
    assert learner.rate_scale == 0.5 and loop.learner.step == 0
    with pytest.raises(AttributeError, match="nonsense"):
        _ = loop.learner.nonsense
    learner.train(None, type("Clock", (), {"end": 0})(), lambda one: Answer())


def event(name, begin, length, thread=1, **more):
    return {"ph": "X", "pid": 1, "tid": thread, "name": name, "ts": begin, "dur": length, **more}


def test_operations_are_counted_without_what_they_call():
    events = [
        event("add", 2.0, 3.0),
        event("loop", 0.0, 10.0),
        event("add", 6.0, 2.0),
        event("copy", 6.5, 1.0),
        event("loop", 10.0, 1.0),  # begins where the other ends
        event("add", 0.0, 100.0, thread=2),  # beside it
        event("whole", 0.0, 1e6, cat="Trace"),
        event("end: add", 5.0, 50.0),
        {"ph": "M", "name": "thread_name", "pid": 1, "args": {}},
        {"ph": "i", "name": "add", "pid": 1, "tid": 1, "ts": 3.0},
    ]
    found = [(one.name, one.calls, round(one.seconds * 1e6, 6)) for one in read_operations(events)]
    assert found == [("add", 3, 104.0), ("loop", 2, 6.0), ("copy", 1, 1.0)]


def test_the_table_reads():
    profile = Profile()
    assert profile.text() == f"{'training':40}  {'seconds':>9}  {'share':>6}"
    profile.seconds = {"feed": 1.0, "steps": 3.0}
    profile.traced, profile.traced_seconds = (10, 30), 0.5
    profile.operations = (Operation("mm", 60, 0.25), Operation("x" * 99, 1, 0.125))
    rows = [line.split() for line in profile.text().splitlines()]
    assert rows[1:3] == [["steps", "3.000", "75.0%"], ["feed", "1.000", "25.0%"]]
    assert " ".join(rows[4]) == "steps 11 to 30, 500.000 ms calls ms share"
    assert rows[5:] == [["mm", "60", "250.000", "50.0%"], ["x" * 40, "1", "125.000", "25.0%"]]
    with pytest.raises(ValueError, match="first: -1"):
        Profile(first=-1)
