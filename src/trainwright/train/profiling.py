"""Where the time of a run goes: clocks around all of it, and a trace of a few steps."""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trainwright.train.callback import Callback
from trainwright.train.clock import Clock
from trainwright.train.feed import Batch, Feed
from trainwright.train.learner import Answer, Learner
from trainwright.train.moment import Moment, Outcome
from trainwright.train.run import Run

TABLE, TRACE = "profile", "profile/trace.json"  # artifacts of the run


class Tracer(Protocol):
    """The profiler of a framework."""

    @property
    def compiling(self) -> float:
        """Gives how long the framework has compiled in this process; seconds, 0 where it does not."""
        ...

    def start(self) -> None:
        """Begins to take down what is computed."""
        ...

    def stop(self) -> str:
        """Ends that; gives what was computed as Chrome's trace events, which Perfetto reads too."""
        ...


@dataclass(frozen=True, slots=True)
class Operation:
    """What a trace says of one kind of operation.

    Args:
        name: As the framework calls it.
        calls: How often it was made.
        seconds: How long it took, without what it called.
    """

    name: str
    calls: int
    seconds: float


class Profile(Callback):
    """Finds where the time of a run goes. The weights do not depend on it.

    It is a listener, not a part of the recipe. Time is that of a clock on the wall, of the whole training; the trace
    is of a few steps, because it grows with each.

    Args:
        first: So many steps are made before the trace begins, or half of a shorter run.
        steps: So many steps are traced.
        now: Gives seconds.

    Attributes:
        seconds: What took how long: `feed` (choosing and reading records), `compiling`, `steps`, `validation`, `saving`
            (what is waited for before training goes on), `profiler`, and `loop`, the rest.
        traced: The steps that were traced, from the first to before the last; None before there is a trace.
        traced_seconds: What these took, which the profiler makes slower.
        operations: Of the trace, the longest first; those of several threads run side by side.
        trace: Chrome's trace events as JSON.

    Example:
        `tw.run_experiment(experiment, profile=(profile := tw.Profile()))`, then `print(profile.text())`.
    """

    def __init__(
        self, *, first: int = 10, steps: int = 20, now: Callable[[], float] = time.perf_counter
    ) -> None:
        if first < 0 or steps < 1:
            raise ValueError(f"first: {first} is not at least 0, or steps: {steps} not at least 1")
        self.first, self.steps = first, steps
        self.seconds: dict[str, float] = {}
        self.traced: tuple[int, int] | None = None
        self.traced_seconds = 0.0
        self.operations: tuple[Operation, ...] = ()
        self.trace = ""
        self._now = now
        self._phase: str | None = None
        self._since, self._compiled = 0.0, 0.0
        self._tracer: Tracer | None = None
        self._began: float | None = None  # of the trace that is open

    def watch(self, learner: Learner, tracer: Tracer) -> Learner:
        """Gives the learner with clocks around it.

        Args:
            learner: That is going to be trained.
            tracer: Of its backend.
        """
        self._tracer = tracer
        watched: Any = _Watched(learner, self)
        found: Learner = watched
        return found

    def keep(self, run: Run) -> None:
        """Keeps the table and the trace as artifacts of a run."""
        run.artifact(TABLE, self.tree())
        if self.trace:
            run.artifact(TRACE, self.trace)

    def tree(self) -> dict[str, Any]:
        """Gives the table as plain values."""
        return {
            "seconds": dict(self.seconds),
            "traced": None if self.traced is None else list(self.traced),
            "traced seconds": self.traced_seconds,
            "operations": [
                {"name": one.name, "calls": one.calls, "seconds": one.seconds} for one in self.operations
            ],
        }

    def text(self, *, most: int = 12) -> str:
        """Gives the table for people.

        Args:
            most: So many operations are shown.
        """
        total = sum(self.seconds.values()) or 1.0
        lines = [f"{'training':40}  {'seconds':>9}  {'share':>6}"]
        lines += [
            f"{name:40}  {found:9.3f}  {found / total:6.1%}"
            for name, found in sorted(self.seconds.items(), key=lambda item: -item[1])
        ]
        if self.traced is None:
            return "\n".join(lines)
        (first, last), whole = self.traced, self.traced_seconds or 1.0
        title = f"steps {first + 1} to {last}, {self.traced_seconds * 1e3:.3f} ms"
        lines += ["", f"{title:40}  {'calls':>7}  {'ms':>9}  {'share':>6}"]
        lines += [
            f"{one.name[:40]:40}  {one.calls:7d}  {one.seconds * 1e3:9.3f}  {one.seconds / whole:6.1%}"
            for one in self.operations[:most]
        ]
        return "\n".join(lines)

    def on_start(self, moment: Moment) -> None:
        """Starts the clocks."""
        self.seconds = {}
        self._phase, self._since, self._compiled = "loop", self._now(), self._compiling()

    def on_validation_start(self, moment: Moment) -> None:
        """Hears that routines will run."""
        self.enter("validation")

    def on_validation(self, moment: Moment) -> None:
        """Hears that they have run."""
        self.enter("loop")

    def on_epoch(self, moment: Moment) -> None:
        """Hears the last thing before a checkpoint, where one is due."""
        self.enter("saving")

    def on_saved(self, moment: Moment, version: Any) -> None:
        """Hears that a checkpoint was handed over."""
        self.enter("loop")

    def on_end(self, moment: Moment, outcome: Outcome) -> None:
        """Stops the clocks."""
        self.enter("loop")
        self._phase = None

    def enter(self, phase: str) -> str:
        """Puts the time since the last call down to the present phase, and begins another; gives the present one."""
        if self._phase is None:  # somebody predicts before or after the training
            return phase
        now, compiled = self._now(), self._compiling()
        for name, spent in (
            (self._phase, now - self._since - (compiled - self._compiled)),
            ("compiling", compiled - self._compiled),
        ):
            if spent:
                self.seconds[name] = self.seconds.get(name, 0.0) + spent
        before, self._phase, self._since, self._compiled = self._phase, phase, now, compiled
        return before

    def train(self, learner: Learner, feed: Feed, clock: Clock, tell: Callable[[Learner], Answer]) -> None:
        """Lets a learner train, and traces some of its steps."""
        begin = learner.step + min(self.first, (clock.end - learner.step) // 2)
        end = min(begin + self.steps, clock.end)

        def hear(one: Learner) -> Answer:
            self.enter("loop")
            if one.step >= end:
                self._stop(begin, one.step)
            answer = tell(one)
            if one.step == begin and answer.stop is None:
                self._start()
            self.enter("steps")
            return answer

        if begin == learner.step:
            self._start()
        self.enter("steps")
        try:
            learner.train(_TimedFeed(feed, self), _Window(clock, (begin, end)), hear)
        finally:
            self._stop(begin, learner.step)

    def _compiling(self) -> float:
        return 0.0 if self._tracer is None else self._tracer.compiling

    def _start(self) -> None:
        assert self._tracer is not None
        self.enter("profiler")
        self._tracer.start()
        self._began = self._now()

    def _stop(self, begin: int, end: int) -> None:
        if self._began is None:
            return
        assert self._tracer is not None
        before = self.enter("profiler")
        self.traced_seconds, self._began = self._now() - self._began, None
        self.trace = self._tracer.stop()
        self.operations = read_operations(json.loads(self.trace)["traceEvents"])
        self.traced = (begin, end)
        self.enter(before)


def read_operations(events: Sequence[Mapping[str, Any]]) -> tuple[Operation, ...]:
    """Adds up a trace by the names of its operations, the longest first.

    Args:
        events: Chrome's trace events. Complete ones (`ph` is `X`) count: `ts` and `dur` are microseconds, and of one
            thread one lies within another that called it, or beside it.

    Example:
        >>> one = {"ph": "X", "pid": 1, "tid": 1, "name": "loop", "ts": 0.0, "dur": 10.0}
        >>> read_operations([one, {**one, "name": "add", "ts": 2.0, "dur": 3.0}])[1]
        Operation(name='add', calls=1, seconds=3e-06)

    Source:
        Trace Event Format, https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
    """
    calls: dict[str, int] = defaultdict(int)
    spent: dict[str, float] = defaultdict(float)
    threads: dict[tuple[Any, Any], list[Mapping[str, Any]]] = defaultdict(list)
    for event in events:
        # Not what marks where another ends (XLA), nor the profiler itself (torch).
        if event.get("ph") != "X" or event.get("cat") == "Trace" or str(event["name"]).startswith("end: "):
            continue
        threads[event["pid"], event["tid"]].append(event)
    for found in threads.values():
        above: list[tuple[float, str]] = []  # the end of each event that is open, and its name
        for event in sorted(found, key=lambda one: (float(one["ts"]), -float(one["dur"]))):
            begin, length, name = float(event["ts"]), float(event["dur"]), str(event["name"])
            while above and above[-1][0] <= begin:
                above.pop()
            if above:
                spent[above[-1][1]] -= min(length, above[-1][0] - begin)
            calls[name] += 1
            spent[name] += length
            above.append((begin + length, name))
    made = (Operation(name, calls[name], spent[name] * 1e-6) for name in calls)
    return tuple(sorted(made, key=lambda one: (-one.seconds, one.name)))


class _Watched:
    """A learner with clocks around its training."""

    def __init__(self, learner: Learner, profile: Profile) -> None:
        self._learner, self._profile = learner, profile

    def train(self, feed: Feed, clock: Clock, tell: Callable[[Learner], Answer]) -> None:
        self._profile.train(self._learner, feed, clock, tell)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._learner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("_learner", "_profile"):
            object.__setattr__(self, name, value)
        else:
            setattr(self._learner, name, value)


class _TimedFeed:
    """A feed with a clock around what it is asked for."""

    def __init__(self, feed: Feed, profile: Profile) -> None:
        self._feed, self._profile = feed, profile
        self.steps_per_epoch, self.records, self.seed = feed.steps_per_epoch, feed.records, feed.seed
        self.arrays = feed.arrays

    def indices(self, step: int) -> NDArray[np.int64]:
        with self._timed():
            return self._feed.indices(step)

    def span(self, first: int, last: int) -> NDArray[np.int64]:
        with self._timed():
            return self._feed.span(first, last)

    def batch(self, step: int) -> Batch:
        with self._timed():
            return self._feed.batch(step)

    def share(self, number: int, *, of: int, batch_size: int) -> Feed:
        return _TimedFeed(self._feed.share(number, of=of, batch_size=batch_size), self._profile)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        before = self._profile.enter("feed")
        yield
        self._profile.enter(before)


class _Window:
    """A clock that tells at two steps besides.

    Args:
        clock: Of the run.
        edges: The steps.
    """

    def __init__(self, clock: Clock, edges: tuple[int, int]) -> None:
        self._clock, self._edges, self.end = clock, edges, clock.end

    def next(self, step: int) -> int:
        return min(self._clock.next(step), *(edge for edge in self._edges if edge > step), self.end)
