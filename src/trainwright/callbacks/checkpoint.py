"""Asks for checkpoints."""

from trainwright.train.callback import Callback
from trainwright.train.clock import Epochs, Period, Seconds, Steps
from trainwright.train.moment import Moment, Save


class Checkpoint(Callback):
    """Asks for a checkpoint at one cadence; each becomes a version of the model.

    The last step of a run is always saved. Versions that are not kept stay as entries without content; versions with
    a tag are always kept.

    Args:
        every_n_epochs: Cadence in epochs; 1 when no cadence is given.
        every_n_steps: Cadence in steps, instead.
        every_n_seconds: Cadence in seconds, instead; not repeatable by nature.
        keep_last: How many of the latest versions of the run are kept; None keeps all.
        keep_best: How many of the best versions of the run are kept besides; None keeps none besides the tagged one.

    Example:
        >>> Checkpoint(every_n_steps=100).every
        Steps(count=100)
    """

    def __init__(
        self,
        *,
        every_n_epochs: int | None = None,
        every_n_steps: int | None = None,
        every_n_seconds: float | None = None,
        keep_last: int | None = 3,
        keep_best: int | None = 1,
    ) -> None:
        given = {
            "every_n_epochs": every_n_epochs,
            "every_n_steps": every_n_steps,
            "every_n_seconds": every_n_seconds,
        }
        chosen = {name: value for name, value in given.items() if value is not None}
        if len(chosen) > 1:
            raise ValueError(f"{' and '.join(chosen)}: give one cadence; use two Checkpoints for two")
        for name, value in {**chosen, "keep_last": keep_last, "keep_best": keep_best}.items():
            whole = name == "every_n_seconds" or type(value) is int
            if value is not None and (isinstance(value, bool) or not whole or not value > 0):
                raise ValueError(
                    f"{name}: {value!r} is not a positive {'number' if whole else 'whole number'}"
                )
        self.every: Period = Epochs(every_n_epochs or 1)
        if every_n_steps is not None:
            self.every = Steps(every_n_steps)
        if every_n_seconds is not None:
            self.every = Seconds(every_n_seconds)
        self.keep_last = keep_last
        self.keep_best = keep_best

    def on_step(self, moment: Moment) -> Save:
        """Asks for a checkpoint."""
        return Save()
