"""The learner that Lightning's Trainer drives."""

from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch import Trainer

from trainwright.backends.lightning.fit import Fit, Steps
from trainwright.backends.lightning.listeners import make_listeners
from trainwright.backends.lightning.place import Place
from trainwright.backends.lightning.states import give_back, keep_states
from trainwright.backends.lightning.trainer import count_from, interrupted_as_usual, make_trainer, quiet
from trainwright.backends.torch.device import working
from trainwright.backends.torch.learner import TorchLearner
from trainwright.base.errors import BackendError
from trainwright.models.task import ModelTask
from trainwright.train.clock import Clock
from trainwright.train.feed import Feed
from trainwright.train.learner import Answer, Learner, Resolved


class LightningLearner(TorchLearner):
    """A spec-built model in training by `Trainer.fit`: the steps of the torch backend, bit for bit.

    Each call of `train` makes a Trainer of its own, which begins at the learner's step.
    """

    backend = "lightning"
    place = Place()

    def __init__(self, task: ModelTask, feed: Feed, *, seed: int, run_on: Resolved) -> None:
        super().__init__(task, feed, seed=seed, run_on=run_on)
        self.listeners = make_listeners(task.train.lightning)
        self.profiler: Any = None
        self._fit: Fit | None = None
        keep_states(self.listeners.callbacks)  # what cannot be kept is refused before step 1
        with working(run_on), quiet():
            self._make_trainer(task.epochs)

    def train(self, feed: Feed, clock: Clock, tell: Callable[[Learner], Answer]) -> None:
        """Trains until `clock.end`, tells exactly at each `clock.next`, returns right after a stop.

        Raises:
            BackendError: If Lightning ended on its own.
        """
        if self.step < clock.end:
            self.fit(feed, clock, tell)

    def fit(self, feed: Feed, clock: Clock, tell: Callable[[Learner], Answer]) -> None:
        """Makes the steps until `clock.end` or a stop."""
        per_epoch = feed.steps_per_epoch
        with working(self.run_on), quiet(), interrupted_as_usual():
            trainer = self._make_trainer(-(-clock.end // per_epoch))
            count_from(trainer, self.step, per_epoch=per_epoch)
            loader = Steps(self, feed, clock)
            self._fit = fit = Fit(loader, tell, listeners=self.listeners)
            try:
                with fit.epoch_ends.once():
                    trainer.fit(fit, train_dataloaders=loader)
            except Exception as error:
                self.listeners.blame(error)
                raise
            finally:
                self._fit = None
        if self.step < clock.end and not fit.stopped:
            raise BackendError(
                f"lightning: Trainer.fit returned after step {self.step} of {clock.end}, and nobody here wished it; "
                "what ends a training is named in train.callbacks, not in train.lightning"
            )

    def hear(self, measured: Mapping[str, float]) -> None:
        """Shows the listeners what was measured, and ends the epoch for them, before their states are kept."""
        if self._fit is not None:
            self._fit.hear(measured)

    def _make_trainer(self, epochs: int) -> Trainer:
        return make_trainer(
            self.listeners,
            device=self.run_on.device,
            epochs=epochs,
            place=self.place,
            profiler=self.profiler,
        )

    def _arrays(self) -> dict[str, Any]:
        found = super()._arrays()
        if self.listeners.callbacks:
            found["lightning"] = keep_states(self.listeners.callbacks)
        return found

    def _load_arrays(self, kept: Any) -> None:
        super()._load_arrays(kept)
        if self.listeners.callbacks:
            give_back(self.listeners.callbacks, kept["lightning"])
