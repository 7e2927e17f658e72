"""A network that `keras.Model.fit` trains by our step, and the callbacks that know the clock."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from trainwright.backends.keras.listeners import OF_KERAS
from trainwright.backends.keras.network import Network
from trainwright.backends.keras.own import initial_values
from trainwright.backends.keras.program import Program
from trainwright.backends.keras.rules import Moments
from trainwright.base.blame import blame_owner
from trainwright.base.errors import BackendError
from trainwright.base.tree import Array
from trainwright.models.task import ModelTask
from trainwright.train.clock import Clock
from trainwright.train.feed import Feed

Position = Callable[[], tuple[int, tuple[float, ...]]]


class Trained(Network):
    """A network in training.

    Args:
        task: What is trained.
        program: What a step does.
        engine: The module of the engine.
        step: The step of the program, prepared by the engine.
        seed: Of initial values and dropout.
        position: Gives the number of the step that is made next, and its numbers as of `Program.step`.
        rate: Gives the rate of the step that was made last.

    Attributes:
        source: Gives the batches of the next step; `fit` is not asked to carry them, see `ticks`.
        heard: The mean loss of each step since they were last taken, and what its records weigh.
        places: Slot and name of each moment, and its place among the variables of the optimizer.
    """

    def __init__(
        self,
        task: ModelTask,
        program: Program,
        *,
        engine: Any,
        step: Any,
        seed: int,
        position: Position,
        rate: Callable[[], float],
    ) -> None:
        plan = task.blueprint
        frozen = frozenset(n for n, one in plan.parameters.items() if one.trained) - {*program.free}
        super().__init__(plan, initial_values(plan, seed), seed=seed, frozen=frozen)
        self.engine, self.step, self.position = engine, step, position
        self.source: Iterator[Any] = iter(())
        self.heard: deque[Any] = deque()  # of which Keras makes no copy
        names = {id(one): name for name, one in self.by_name.items()}
        self.free_names = tuple(names[id(one)] for one in self.trainable_variables)
        self.rest_names = tuple(names.get(id(one), "steps") for one in self.non_trainable_variables)
        self.moments = Moments(program.first, {name: self.by_name[name] for name in program.free}, rate=rate)
        places = {id(one): place for place, one in enumerate(self.moments.variables)}
        self.places = tuple(
            (slot, name, places[id(one)])
            for slot, found in self.moments.by_slot.items()
            for name, one in found.items()
        )
        self.compile(optimizer=self.moments)

    def make_train_function(self, force: bool = False) -> None:
        """Gives `fit` our step."""
        self.train_function = self.engine.make_train_function(self)


class Bridge(keras.callbacks.Callback):
    """Turns the batches of `fit` into steps of a learner, and tells where the clock says.

    Args:
        learner: Its `step` counts up, and `close` takes the losses into its sums.
        clock: Says when to tell.
        tell: Answers.

    Attributes:
        stopped: Whether an answer ended the training.
    """

    def __init__(self, learner: Any, clock: Clock, tell: Callable[[Any], Any]) -> None:
        super().__init__()
        self.learner, self.clock, self.tell = learner, clock, tell
        self.due = clock.next(learner.step)
        self.stopped = False

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Counts a step; at a due one everything is current, and the answer is obeyed."""
        self.learner.step += 1
        if self.learner.step >= self.due:
            self.arrive()

    def arrive(self) -> None:
        """Tells, and obeys."""
        learner = self.learner
        # On JAX the weights live outside of the model while `fit` runs; asking for the model brings them back.
        model = self.model
        learner.close()
        answer = self.tell(learner)
        learner.rate_scale = answer.rate_scale
        self.stopped = answer.stop is not None
        if self.stopped or learner.step >= self.clock.end:
            model.stop_training = True
        else:
            self.due = self.clock.next(learner.step)


class Relay(Bridge):
    """A bridge that passes everything on to the user's own callbacks, in epochs of the run.

    Args:
        learner: As of `Bridge`; it has `listeners`.
        clock: As of `Bridge`.
        tell: As of `Bridge`.
    """

    def __init__(self, learner: Any, clock: Clock, tell: Callable[[Any], Any]) -> None:
        super().__init__(learner, clock, tell)
        self._per_epoch = learner.steps_per_epoch
        self._in_epoch = False
        self._heard_by = keras.callbacks.CallbackList(
            learner.listeners,
            model=learner.model,
            verbose=0,
            epochs=learner.task.epochs,
            steps=self._per_epoch,
        )

    def on_train_begin(self, logs: Any = None) -> None:
        """Passes it on."""
        self._pass_on("on_train_begin")

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Passes it on; what is left of an epoch that was cut begins as an epoch does."""
        epoch, batch = divmod(self.learner.step, self._per_epoch)
        if not self._in_epoch:
            self._in_epoch = True
            self._pass_on("on_epoch_begin", epoch)
        self._pass_on("on_train_batch_begin", batch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Passes it on with the mean loss of the epoch so far, then tells where that is due."""
        learner = self.learner
        learner.step += 1
        learner.close()
        total, weight = learner.sums["loss"]
        batch = (learner.step - 1) % self._per_epoch
        self._pass_on("on_train_batch_end", batch, {"loss": total / weight if weight else math.nan})
        self._refuse_an_end()
        if learner.step >= self.due:
            self.arrive()
        self.hear({})  # if nobody measured

    def hear(self, measured: Mapping[str, float]) -> None:
        """Ends the epoch, once, with what was measured at its end, before the checkpoint is taken."""
        if self._in_epoch and self.learner.step % self._per_epoch == 0:
            self._in_epoch = False
            # By the names that Keras' own callbacks look for: `loss`, `val_loss`.
            logs = {name.removeprefix("train/").replace("/", "_"): one for name, one in measured.items()}
            self._pass_on("on_epoch_end", self.learner.step // self._per_epoch - 1, logs)
            self._refuse_an_end()

    def on_train_end(self, logs: Any = None) -> None:
        """Passes it on."""
        self._pass_on("on_train_end")

    def _pass_on(self, hook: str, *said: Any) -> None:
        try:
            getattr(self._heard_by, hook)(*said)
        except Exception as error:
            # Here, because `fit` leaves what Keras itself does out of the traceback.
            owners = {f"train.keras.callbacks.{n}": one for n, one in enumerate(self.learner.listeners)}
            blame_owner(error, owners, library=OF_KERAS)
            raise

    def _refuse_an_end(self) -> None:
        if self.learner.model.stop_training and not self.stopped and self.learner.step < self.clock.end:
            names = ", ".join(type(one).__name__ for one in self.learner.listeners)
            raise BackendError(
                f"keras: stop_training was set at step {self.learner.step} of {self.clock.end} by one of {names}; "
                "what ends a training is named in train.callbacks, not in train.keras"
            )


def ticks() -> Iterator[tuple[Array]]:
    """Yields what `fit` counts the steps by.

    Not the batches: Keras would convert each in ways that cost more than a small step, read two ahead, and on
    TensorFlow ask that all have one structure, which the last step of an epoch may not have.
    """
    tick = (np.zeros(1, dtype=np.float32),)
    while True:
        yield tick


def batches(feed: Feed, first: int, last: int, *, size: int) -> Iterator[tuple[Any, ...]]:
    """Yields the batches of each step, a tuple of (x, y, weight or None)."""
    for step in range(first, last):
        found = feed.batch(step)
        yield tuple(
            (
                found.x[i : i + size],
                found.y[i : i + size],
                None if found.weight is None else found.weight[i : i + size],
            )
            for i in range(0, len(found.x), size)
        )
