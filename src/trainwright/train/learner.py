"""What a backend owes the loop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from trainwright.base.tree import Array, Tree
from trainwright.train.clock import Clock
from trainwright.train.feed import Feed


@dataclass(frozen=True, slots=True)
class Answer:
    """What the loop answers when it was told.

    Args:
        stop: Why to stop, or None to go on.
        rate_scale: What the scheduled learning rate is multiplied by from the next step on, until the next answer.
    """

    stop: str | None = None
    rate_scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a learner runs; every field was decided when the run began.

    Args:
        device: Such as `cpu`.
        threads: Threads of the training process.
    """

    device: str = "cpu"
    threads: int = 1


class Task(Protocol):
    """What is trained, in one framework's terms."""

    @property
    def backend(self) -> str:
        """Names the backend that can train it."""
        ...

    @property
    def outputs(self) -> Mapping[str, tuple[int, ...]]:
        """Gives the shape of each output for one record."""
        ...


@dataclass(frozen=True, slots=True)
class Seat:
    """What one member of a company trains.

    Args:
        task: What is trained.
        feed: Which records make a step.
        seed: Of initial values and dropout.
    """

    task: Any
    feed: Feed
    seed: int


class Learner(Protocol):
    """A task that is being trained.

    Attributes:
        step: Updates done so far.
        sums: `(sum, weight)` of each quantity over the open epoch; part of the state.
        rate_scale: The factor of the latest answer. The loop sets it after a resume, because a state is taken before
            its moment is answered.
    """

    step: int
    rate_scale: float

    @property
    def sums(self) -> Mapping[str, tuple[float, float]]:
        """Gives `(sum, weight)` of each quantity over the open epoch."""
        ...

    def train(self, feed: Feed, clock: Clock, tell: Callable[["Learner"], Answer]) -> None:
        """Trains until `clock.end`, tells exactly at each `clock.next`, returns right after a stop."""
        ...

    def hear(self, measured: Mapping[str, float]) -> None:
        """Hears what was measured at a told step, before it is saved; for those who listen within a framework."""
        ...

    def predict(self, x: Tree, *, batch_size: int | None = None) -> dict[str, Array]:
        """Predicts in evaluation mode; leaves the state untouched."""
        ...

    def state(self) -> Tree:
        """Gives all that the next step depends on, as a copy. Valid inside `tell`."""
        ...

    def load_state(self, tree: Tree) -> None:
        """Takes back what `state` gave, from a learner of the same task and any seed."""
        ...

    def weights(self) -> dict[str, Array]:
        """Gives the weights as copies, by neutral name and in neutral layout."""
        ...

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Takes weights; the optimizer is left as it is."""
        ...


class Backend(Protocol):
    """Makes learners of tasks."""

    def prepare(self, task: Task, feed: Feed, *, seed: int, run_on: Resolved) -> Learner:
        """Makes a learner with initial values by the seed.

        Raises:
            BackendError: If the task names another backend.
        """
        ...


class Predictor(Protocol):
    """A trained network that only predicts."""

    def __call__(self, x: Array, *, batch_size: int | None = None) -> dict[str, Array]:
        """Predicts in evaluation mode."""
        ...
