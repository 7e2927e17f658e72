"""The learner that Lightning's Trainer drives."""

from collections.abc import Callable

from trainwright.backends.lightning.fit import Fit, Steps
from trainwright.backends.lightning.trainer import count_from, interrupted_as_usual, make_trainer, quiet
from trainwright.backends.torch.device import working
from trainwright.backends.torch.learner import TorchLearner
from trainwright.base.errors import BackendError
from trainwright.train.clock import Clock
from trainwright.train.feed import Feed
from trainwright.train.learner import Answer, Learner


class LightningLearner(TorchLearner):
    """A spec-built model in training by `Trainer.fit`: the steps of the torch backend, bit for bit.

    Each call of `train` makes a Trainer of its own, which begins at the learner's step.
    """

    backend = "lightning"

    def train(self, feed: Feed, clock: Clock, tell: Callable[[Learner], Answer]) -> None:
        """Trains until `clock.end`, tells exactly at each `clock.next`, returns right after a stop.

        Raises:
            BackendError: If Lightning ended on its own.
        """
        if self.step >= clock.end:
            return
        per_epoch = feed.steps_per_epoch
        with working(self.run_on), quiet(), interrupted_as_usual():
            trainer = make_trainer(device=self.run_on.device, epochs=-(-clock.end // per_epoch))
            count_from(trainer, self.step, per_epoch=per_epoch)
            loader = Steps(self, feed, clock)
            fit = Fit(loader, tell)
            trainer.fit(fit, train_dataloaders=loader)
        if self.step < clock.end and not fit.stopped:
            raise BackendError(
                f"lightning: Trainer.fit returned after step {self.step} of {clock.end}, though nobody asked for it"
            )
