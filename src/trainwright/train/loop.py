"""The loop: epochs, cadence, validation, early stopping, checkpoints and their order live here, once."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainwright.base.blame import raised_in, spell_error, spell_place
from trainwright.base.errors import SpecError, StaleAttempt, StoreError
from trainwright.base.tree import Tree
from trainwright.store.records import Snapshot
from trainwright.train.callback import Callback
from trainwright.train.clock import Cadences, Period, Seconds, due_steps
from trainwright.train.feed import Feed
from trainwright.train.learner import Answer, Learner, Task
from trainwright.train.moment import Moment, Outcome, Save, Stop, Warn
from trainwright.train.plateau import RateScale
from trainwright.train.resuming import whole
from trainwright.train.routine import Routine, View
from trainwright.train.run import Run


def check_metrics(task: Task, routines: Sequence[Routine], *, wanted: Mapping[str, str]) -> None:
    """Checks before step 1 that every metric somebody reads will be measured.

    Args:
        task: What is trained.
        routines: What is measured.
        wanted: Metric names by the place in the spec that wants them.

    Raises:
        SpecError: For a metric that nobody measures (the places and the known names are in the message), one that
            two routines measure, or a decision by the test split.
    """
    measured = Counter(["train/loss", *(name for routine in routines for name in routine.names(task))])
    twice = [name for name, count in measured.items() if count > 1]
    if twice:
        raise SpecError(f"train.routines: {', '.join(twice)} would be measured twice; one routine per split")
    faults = [f"{where}: nobody measures {name!r}" for where, name in wanted.items() if name not in measured]
    if faults:
        raise SpecError("\n".join([*faults, f"measured are: {', '.join(sorted(measured))}"]))
    peeks = [where for where, name in wanted.items() if name.startswith("test/")]
    if peeks:
        raise SpecError(f"{', '.join(peeks)}: the test split may be looked at, but nothing is decided by it")


class TrainingLoop:
    """Trains a learner and tells everybody concerned, always in the same order.

    At a told step: sums, routines that are due, all callbacks, a checkpoint if one is due or asked for, `on_saved`,
    the answer. What is heard or asked for never changes the weights.

    Args:
        learner: From a backend.
        feed: Which records make a step.
        run: Takes what the training leaves behind.
        epochs: Passes over the train split.
        routines: What is measured.
        callbacks: Who listens, and has a state to keep.
        listeners: Who listens besides, such as a progress bar: a run resumes with or without them.
        make_view: Makes the view that routines look through.
        rate_scale: Decides about the learning rate's scale.
        end: Where to end instead of after the last epoch; the horizon of the schedule is not touched.
        folder: Where relative paths of the experiment begin.
        now: Gives seconds.
    """

    def __init__(
        self,
        learner: Learner,
        feed: Feed,
        *,
        run: Run,
        epochs: int,
        routines: Sequence[Routine] = (),
        callbacks: Sequence[Callback] = (),
        listeners: Sequence[Callback] = (),
        make_view: Callable[[Learner], View] = lambda learner: View(learner, {}),
        rate_scale: RateScale | None = None,
        end: int | None = None,
        folder: Path | str = ".",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.learner = learner
        self.feed = feed
        self.run = run
        self.routines = list(routines)
        self.callbacks = [*callbacks, *listeners]
        self._kept = list(callbacks)
        self.make_view = make_view
        self.rate_scale = rate_scale or RateScale()
        self.steps = epochs * feed.steps_per_epoch if end is None else end
        self.metrics: dict[str, float] = {}
        self.folder = Path(folder)
        self._now = now
        self._diverged = False
        self._seconds_due: dict[int, float] = {}
        self._outcome = Outcome("done")
        self._resumed = False
        self._began = 0.0

    def fit(self, resume: Tree = None) -> Outcome:
        """Trains to the end, a stop, or a signal.

        Args:
            resume: The state of a snapshot, to go on exactly where it was taken.

        Returns:
            How it ended. An error is raised, after every callback heard `on_end`.

        Raises:
            TrainwrightError: If the state lacks something, or was made with other callbacks; nothing has begun then.
        """
        if resume is not None:
            self._load(resume)
        self._began = self._now()
        self._seconds_due = {
            id(period): self._began for period in self._periods() if isinstance(period, Seconds)
        }
        try:
            moment = self._moment(self.learner)
            self._each("on_start", moment)
            if self.learner.step < self.steps and self._outcome.kind != "stopped":
                self._announce(moment)
                self.learner.train(self.feed, self._clock(), self._tell)
        except BaseException as error:
            self._outcome = Outcome("failed", spell_error(error), error)
            self._each("on_end", self._moment(self.learner), self._outcome)
            raise
        self._each("on_end", self._moment(self.learner), self._outcome)
        return self._outcome

    def state(self, learner: Learner) -> Tree:
        """Gives all that a resumed run needs: the learner, the callbacks, the latest metrics, the rate's scale."""
        return {
            "learner": learner.state(),
            "callbacks": [[type(one).__name__, one.state()] for one in self._kept],
            "metrics": dict(self.metrics),
            "rate_scale": self.rate_scale.state(),
            # A run that a callback has ended is over, even if it was killed before it could be finished.
            "stopped": self._outcome.reason if self._outcome.kind == "stopped" else None,
            "diverged": self._diverged,
        }

    def _load(self, tree: Tree) -> None:
        kept: Any = tree
        with whole("the loop"):
            learner, callbacks, stopped = kept["learner"], kept["callbacks"], kept["stopped"]
            self.metrics, self._diverged = dict(kept["metrics"]), kept["diverged"]
            self.rate_scale.load_state(kept["rate_scale"])
        self.learner.load_state(learner)
        self.learner.rate_scale = self.rate_scale.value
        if callbacks is not None:
            self._load_callbacks(callbacks)
        if stopped is not None:
            self._outcome = Outcome("stopped", str(stopped))
        self._resumed = True

    def _load_callbacks(self, kept: Any) -> None:
        names = [type(one).__name__ for one in self._kept]
        with whole("the callbacks"):
            made, states = [name for name, _ in kept], [state for _, state in kept]
        if made != names:
            raise SpecError(f"train.callbacks: the checkpoint was made with {made}, not {names}")
        for number, (callback, state) in enumerate(zip(self._kept, states, strict=True)):
            with whole(f"train.callbacks.{number}: {names[number]}"):
                callback.load_state(state)

    def _periods(self) -> list[Period]:
        asked = [callback.every for callback in self.callbacks if callback.every is not None]
        return [*asked, *(routine.every for routine in self.routines)]

    def _clock(self) -> Cadences:
        early = [
            one.every
            for one in self.callbacks
            if one.every is not None and type(one).on_step_start is not Callback.on_step_start
        ]
        per_epoch = self.feed.steps_per_epoch
        return Cadences(end=self.steps, steps_per_epoch=per_epoch, periods=self._periods(), early=early)

    def _due(self, period: Period | None, step: int, now: float) -> bool:
        if period is None:
            return False
        if isinstance(period, Seconds):
            return now - self._seconds_due[id(period)] >= period.count
        steps = due_steps(period, self.feed.steps_per_epoch)
        return steps is not None and step % steps == 0

    def _moment(self, learner: Learner, measured: Mapping[str, float] | None = None) -> Moment:
        return Moment(
            run=self.run.id,
            step=learner.step,
            epoch=learner.step // self.feed.steps_per_epoch,
            steps=self.steps,
            steps_per_epoch=self.feed.steps_per_epoch,
            metrics=self.metrics,
            measured=measured or {},
            learner=learner,
            seconds=self._now() - self._began,
            resumed=self._resumed,
            folder=self.folder,
            unsaved=self.run.unsaved,
        )

    def _each(self, event: str, moment: Moment, *more: Any) -> list[Stop | Save]:
        return self._heed([self._ask(place, event, moment, *more) for place in range(len(self.callbacks))])

    def _ask(self, place: int, event: str, moment: Moment, *more: Any) -> Stop | Save | Warn | None:
        """Lets one callback hear; what it raises, or answers by mistake, is said to be its own."""
        callback = self.callbacks[place]
        where = f"{spell_place(callback)}.{event}"
        if place < len(self._kept):
            where = f"train.callbacks.{place}: {where}"
        with raised_in(where):
            answer = getattr(callback, event)(moment, *more)
        if answer is not None and not isinstance(answer, Stop | Save | Warn):
            raise SpecError(f"{where} answered {answer!r:.80}; an answer is Stop, Save, Warn or None")
        return answer

    def _heed(self, answers: Sequence[Stop | Save | Warn | None]) -> list[Stop | Save]:
        """Keeps warnings with the run; the other answers are for the loop."""
        for answer in answers:
            if isinstance(answer, Warn):
                self.run.warn(answer.text)
        return [answer for answer in answers if answer is not None and not isinstance(answer, Warn)]

    def _announce(self, moment: Moment) -> None:
        if moment.step % moment.steps_per_epoch == 0:
            self._each("on_epoch_start", moment)
        for place, callback in enumerate(self.callbacks):
            if not isinstance(callback.every, Seconds) and self._due(callback.every, moment.step + 1, 0.0):
                self._ask(place, "on_step_start", moment)

    def _tell(self, learner: Learner) -> Answer:
        step, now = learner.step, self._now()
        epoch_is_complete = step % self.feed.steps_per_epoch == 0
        self._watch(learner)
        measured: dict[str, float] = {}
        if epoch_is_complete:
            measured |= {
                f"train/{name}": total / weight if weight else float("nan")
                for name, (total, weight) in learner.sums.items()
            }
            self.metrics |= measured
            self.run.report(step, measured, group="train")
        due = [routine for routine in self.routines if self._due(routine.every, step, now)]
        if due:
            measured |= self._validate(due, learner)

        moment = self._moment(learner, measured)
        answers = self._each("on_validation", moment) if due else []
        for place, callback in enumerate(self.callbacks):
            if self._due(callback.every, step, now):
                answers += self._heed([self._ask(place, "on_step", moment)])
        if epoch_is_complete:
            answers += self._each("on_epoch", moment)
        for period in self._periods():
            if isinstance(period, Seconds) and self._due(period, step, now):
                self._seconds_due[id(period)] = now

        self.rate_scale.hear(measured)
        learner.hear(measured)
        stop = self._decide(answers, step)
        asked = [answer.reason for answer in answers if isinstance(answer, Save)]
        ends = stop is not None or step >= self.steps
        if asked or ends or self.run.wish() == "save":
            self._save(learner, measured, reason="final" if ends else (asked or ["asked for"])[0])
        if not ends:
            self._announce(moment)
        return Answer(stop=stop, rate_scale=self.rate_scale.value)

    def _watch(self, learner: Learner) -> None:
        """Warns once when the loss is not finite any more: the run goes on, but not in silence."""
        if self._diverged or all(math.isfinite(total) for total, _ in learner.sums.values()):
            return
        self._diverged = True
        step = getattr(learner, "diverged", None) or learner.step  # not every backend looks at each step
        self.run.warn(
            f"the loss of step {step} is not a finite number: nothing that is trained from there on is of use; "
            "lower train.optimizer.lr or set train.clip_norm, and add StopOnNaN to train.callbacks, which ends such "
            "a run"
        )

    def _validate(self, routines: Sequence[Routine], learner: Learner) -> dict[str, float]:
        self._each("on_validation_start", self._moment(learner))
        view = self.make_view(learner)
        measured: dict[str, float] = {}
        for routine in routines:
            with raised_in(f"train.routines.{self.routines.index(routine)}: {spell_place(routine)}"):
                results = routine(view)
            self.run.report(learner.step, results.scores, group=routine.split)
            measured |= results.scores
            for name, array in results.arrays.items():
                try:
                    self.run.artifact(name, array, step=learner.step)
                except StaleAttempt:
                    raise
                except (SpecError, StoreError) as error:
                    # What a model is does not depend on its pictures: the run goes on, and says so at its end.
                    self.run.warn(f"artifact {name} at step {learner.step}: {error}")
                    continue
                self._each("on_artifact", self._moment(learner), name)
        self.metrics |= measured
        return measured

    def _decide(self, answers: Sequence[Stop | Save], step: int) -> str | None:
        # One callback may say the same of a step, a validation and an epoch that end together.
        stops = list(dict.fromkeys(answer.reason for answer in answers if isinstance(answer, Stop)))
        wish = self.run.wish()
        if stops:
            self._outcome = Outcome("stopped", "; ".join(stops))
        elif wish == "stop" and step < self.steps:
            self._outcome = Outcome("interrupted", "interrupted by a signal")
        elif wish == "pause" and step < self.steps:
            self._outcome = Outcome("paused", "paused")
        else:
            return None
        return self._outcome.reason

    def _save(self, learner: Learner, measured: Mapping[str, float], *, reason: str) -> None:
        snapshot = Snapshot(
            step=learner.step,
            epoch=learner.step // self.feed.steps_per_epoch,
            weights=learner.weights(),
            state=self.state(learner),
            metrics=measured,
            reason=reason,
        )
        version = self.run.save(snapshot)
        self._each("on_saved", self._moment(learner), version)
