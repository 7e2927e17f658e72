"""What all routines check: their cadence, and the output they read."""

from dataclasses import dataclass

from trainwright.base.errors import SpecError
from trainwright.train.clock import Epochs, Period, Steps
from trainwright.train.learner import Task


def read_period(every_n_epochs: int | None, every_n_steps: int | None) -> Period:
    """Reads a cadence; every epoch unless one is given.

    Raises:
        ValueError: If both are given, or one is not a positive whole number.

    Example:
        >>> read_period(None, 100)
        Steps(count=100)
    """
    if every_n_epochs is not None and every_n_steps is not None:
        raise ValueError("every_n_epochs and every_n_steps: give one cadence")
    for name, count in (("every_n_epochs", every_n_epochs), ("every_n_steps", every_n_steps)):
        if count is not None and (type(count) is not int or count < 1):
            raise ValueError(f"{name}: {count!r} is not a positive whole number")
    return Steps(every_n_steps) if every_n_steps is not None else Epochs(every_n_epochs or 1)


def check_output(task: Task | None, output: str, *, routine: str) -> None:
    """Checks that a task has an output; None stands for any task.

    Raises:
        SpecError: If it has not.
    """
    if task is not None and output not in task.outputs:
        raise SpecError(
            f"train.routines: {routine} reads {output!r}, the model gives {', '.join(task.outputs)}"
        )


@dataclass(frozen=True, kw_only=True)
class SplitRoutine:
    """The part that all routines share: which split they look at, and how often.

    Args:
        split: Which split.
        every_n_epochs: Cadence; 1 when none is given.
        every_n_steps: Cadence in steps, instead.
    """

    split: str = "val"
    every_n_epochs: int | None = None
    every_n_steps: int | None = None

    def __post_init__(self) -> None:
        read_period(self.every_n_epochs, self.every_n_steps)

    @property
    def every(self) -> Period:
        """Says how often."""
        return read_period(self.every_n_epochs, self.every_n_steps)
