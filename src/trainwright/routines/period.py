"""What all routines check: their cadence, the output they read, and the scores they are asked for."""

import difflib
from collections.abc import Iterable, Sequence
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


def check_extra(extra: Sequence[str], known: Iterable[str]) -> tuple[str, ...]:
    """Checks the names of scores that are asked for besides the usual ones.

    Raises:
        ValueError: If one is unknown (the nearest is named) or asked for twice.

    Example:
        >>> check_extra(["mcc"], ["mcc", "brier"])
        ('mcc',)
        >>> check_extra(["brie"], ["mcc", "brier"])
        Traceback (most recent call last):
        ValueError: extra: unknown score 'brie', nearest: 'brier'
    """
    names, choice = list(known), tuple(extra) if not isinstance(extra, str) else (extra,)
    for name in choice:
        if name not in names:
            near = difflib.get_close_matches(str(name), names, n=1)
            hint = f"nearest: {near[0]!r}" if near else f"known: {', '.join(names)}"
            raise ValueError(f"extra: unknown score {name!r}, {hint}")
    if len(set(choice)) < len(choice):
        raise ValueError(f"extra: a score is asked for twice: {', '.join(choice)}")
    return choice


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

    def name_all(self, scores: Iterable[str]) -> tuple[str, ...]:
        """Puts the split before each score; on train, the loss is the loop's own."""
        return tuple(name for name in (f"{self.split}/{one}" for one in scores) if name != "train/loss")
