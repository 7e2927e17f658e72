"""What a run says of itself, and what may be answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainwright.store.records import Unsaved
from trainwright.train.learner import Learner


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment of one run. Frozen: callbacks read it, nobody writes it.

    Args:
        run: Id of the run.
        step: Updates done so far.
        epoch: Full passes over the train split done so far.
        steps: Updates planned in all.
        steps_per_epoch: Updates of one epoch.
        metrics: Latest value of each metric.
        measured: Those measured at this very step.
        learner: The model, as it is now.
        seconds: Time since this attempt began.
        resumed: Whether this attempt went on from a checkpoint.
        folder: Where relative paths of the experiment begin.
        unsaved: Since which step no checkpoint could be saved, and why; None if all is well.
    """

    run: str
    step: int
    epoch: int
    steps: int
    steps_per_epoch: int
    metrics: Mapping[str, float]
    measured: Mapping[str, float]
    learner: Learner
    seconds: float
    resumed: bool
    folder: Path = Path()
    unsaved: Unsaved | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """A callback's wish to end the run, with the reason a reader will see in the report."""

    reason: str


@dataclass(frozen=True, slots=True)
class Save:
    """A callback's wish for a checkpoint."""

    reason: str = "checkpoint"


@dataclass(frozen=True, slots=True)
class Warn:
    """Something a reader of the run should know; the run goes on."""

    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How training ended.

    Args:
        kind: `done`: all epochs; `stopped`: a callback ended it; `paused`: it was asked to pause; `interrupted`: a
            signal came; `failed`: an error.
        reason: For the reader.
        error: The error of a failed run.
    """

    kind: Literal["done", "stopped", "paused", "interrupted", "failed"]
    reason: str = ""
    error: BaseException | None = None

    @property
    def finished(self) -> bool:
        """Says whether nothing is left to do."""
        return self.kind in ("done", "stopped")
