"""One of our trainings as a run of Lightning's Trainer."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lightning.pytorch import LightningModule
from torch import Tensor

from trainwright.backends.lightning.epochs import EpochEnds
from trainwright.backends.lightning.listeners import Listeners
from trainwright.backends.lightning.trainer import ask, log, show
from trainwright.backends.torch.learner import Part, TorchLearner
from trainwright.backends.torch.module import Module
from trainwright.train.clock import Clock
from trainwright.train.feed import Feed
from trainwright.train.learner import Answer, Learner


class Steps:
    """The loader: a pass over it gives the batches of each step from the learner's present one to the epoch's end.

    Lightning asks for a step when the one before is made and everybody was told, because it knows the length.

    Args:
        learner: That makes the steps.
        feed: Which records make a step.
        clock: When to tell.

    Attributes:
        due: The step to tell at next.
        mark: Where the loss is summed next: at `due`, or where the epoch ends.
        lr: The rate of the step that was given last.
    """

    def __init__(self, learner: TorchLearner, feed: Feed, clock: Clock) -> None:
        self.learner = learner
        self.feed = feed
        self.clock = clock
        self.due = clock.next(learner.step)
        self.mark = 0
        self.lr = 0.0

    def __len__(self) -> int:
        return self.feed.steps_per_epoch

    def __iter__(self) -> Iterator[list[Part]]:
        per_epoch = len(self)
        end = self.learner.step // per_epoch * per_epoch + per_epoch
        while self.learner.step < min(end, self.due):
            self.mark = min(self.due, end)
            for parts, lr in self.learner.stretch(self.feed, self.due):
                self.lr = lr
                yield parts

    def state_dict(self) -> dict[str, Any]:
        """Gives nothing: where a pass begins is known by the learner's step."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes nothing."""


class Fit(Module, LightningModule):
    """A learner as Lightning sees it: parameters by neutral name, and a `training_step` that makes one of our steps.

    Args:
        steps: The loader.
        tell: Of the loop.
        listeners: The user's own.

    Attributes:
        stopped: Whether the answer was to stop.
        epoch_ends: Of the listeners.
    """

    def __init__(self, steps: Steps, tell: Callable[[Learner], Answer], *, listeners: Listeners) -> None:
        network = steps.learner.network
        super().__init__(network.blueprint, tensors=network.tensors)
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(network.tensors[name].requires_grad)
        self.automatic_optimization = False
        self.stopped = False
        self.steps_to_make = steps
        self._learner, self._loader, self._tell = steps.learner, steps, tell
        self._listeners = listeners
        self.epoch_ends = EpochEnds(listeners.callbacks)
        self._count: Any = None

    def configure_optimizers(self) -> list[Any]:
        """Gives none to Lightning: the learner has its own."""
        return []

    def on_train_start(self) -> None:
        """Finds where Lightning counts updates, which it does in its own optimizers only."""
        for logger in self._listeners.loggers:
            logger.log_hyperparams(self._learner.task.train.tree())
        self._count = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress.total

    def training_step(self, batch: list[Part], batch_idx: int) -> Tensor:
        """Makes one step.

        Args:
            batch: `(x, y, weight)` of each batch that the step accumulates, where the learner put them.
            batch_idx: Which step of the epoch it is; the learner knows it better.
        """
        loss = self._learner.update(batch, self._loader.lr)
        self._count.ready = self._count.completed = self._learner.step
        return loss

    def on_train_batch_end(self, outputs: Any, batch: list[Part], batch_idx: int) -> None:
        """Tells when it is due, after all callbacks of the user heard of the step."""
        step = self._learner.step
        if self._listeners.loggers and step % self._listeners.log_every == 0:
            metrics = {"train/loss_step": float(outputs["loss"]), "lr": self._loader.lr}
            log(self.trainer, metrics, loggers=self._listeners.loggers, step=step)
        if step == self._loader.mark:
            self._arrive()

    def hear(self, measured: Mapping[str, float]) -> None:
        """Shows what was measured and ends the epoch, before the checkpoint is taken."""
        step = self._learner.step
        show(self.trainer, measured, loggers=self._listeners.loggers, step=step)
        if step % len(self._loader) == 0:
            self.epoch_ends.tell(self.trainer)

    def _arrive(self) -> None:
        learner, loader = self._learner, self._loader
        learner.close()
        if learner.step < loader.due:
            return
        answer = ask(self._tell, learner)
        learner.rate_scale = answer.rate_scale
        self.stopped = answer.stop is not None
        if self.stopped or learner.step >= loader.clock.end:
            self.trainer.should_stop = True
        else:
            loader.due = loader.clock.next(learner.step)

    def transfer_batch_to_device(self, batch: list[Part], device: Any, dataloader_idx: int) -> list[Part]:
        """Leaves a batch where the learner put it."""
        return batch

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Fit":
        # Where the tensors lie is the learner's business; Lightning would put them on the CPU in the end.
        return self
