"""Who listens to a run."""

from typing import Any

from trainwright.base.tree import Tree
from trainwright.train.clock import Period
from trainwright.train.moment import Moment, Outcome, Save, Stop, Warn


class Callback:
    """Hears moments of a run; may answer, never changes the model.

    `Stop` and `Save` are answers to `on_step`, `on_validation` and `on_epoch`; `Warn` is kept with the run.

    It is made fresh for each run: the constructor is the initial state, and `load_state` (on a resume) comes before
    `on_start`. Callbacks need no order and no access to one another.

    Attributes:
        every: Asks for `on_step` and `on_step_start`; None costs nothing.
    """

    every: Period | None = None

    def on_start(self, moment: Moment) -> Warn | None:
        """Hears that training begins, or goes on (`moment.resumed`)."""

    def on_epoch_start(self, moment: Moment) -> None:
        """Hears that an epoch begins; not called when a run resumes within one."""

    def on_step_start(self, moment: Moment) -> None:
        """Hears that the next step is one that `every` asks for, in steps or epochs (seconds cannot be foreseen)."""

    def on_validation_start(self, moment: Moment) -> None:
        """Hears that routines will run."""

    def on_step(self, moment: Moment) -> Stop | Save | Warn | None:
        """Hears a step that `every` asks for."""

    def on_validation(self, moment: Moment) -> Stop | Save | Warn | None:
        """Hears that routines have run; `moment.metrics` holds their numbers."""

    def on_epoch(self, moment: Moment) -> Stop | Save | Warn | None:
        """Hears that an epoch is complete."""

    def on_saved(self, moment: Moment, version: Any) -> None:
        """Hears that a checkpoint was handed to the store; `version.wait()` returns when it is durable."""

    def on_artifact(self, moment: Moment, artifact: str) -> None:
        """Hears that a routine made an artifact of this name."""

    def on_end(self, moment: Moment, outcome: Outcome) -> Warn | None:
        """Hears how training ended; always called once per attempt unless the process is killed."""

    def state(self) -> Tree:
        """Gives what a resumed run needs."""
        return None

    def load_state(self, tree: Tree) -> None:
        """Takes back what `state` gave."""
