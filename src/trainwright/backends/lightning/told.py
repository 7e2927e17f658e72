"""A LightningModule of the user's own, heard: its batches as our steps, what it logs as our sums."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from trainwright.backends.lightning.listeners import Listeners
from trainwright.backends.lightning.trainer import ask
from trainwright.backends.torch.learner import cut
from trainwright.base.errors import BackendError
from trainwright.base.random import at, stream
from trainwright.train.clock import Clock
from trainwright.train.feed import Feed
from trainwright.train.learner import Answer, Learner

CPU = torch.device("cpu")


class Heard(Protocol):
    """What is told, and does something about it."""

    step: int
    rate_scale: float
    listeners: Listeners

    def restore_rules(self) -> None:
        """Gives optimizers that were just made what was kept of them."""
        ...

    def begin_epoch(self) -> None:
        """Empties the sums."""
        ...

    def check_moved(self) -> None:
        """Refuses, when the first epoch has ended, a network that nothing has trained."""
        ...

    def add(self, loss: float, weight: float, *, step: int) -> None:
        """Takes the mean loss of a batch."""
        ...

    def add_logged(self, name: str, value: float, weight: float) -> None:
        """Takes what was logged of a batch."""
        ...


class Batches:
    """The loader: a pass over it gives `(x, y)` or `(x, y, weight)` of each batch from the present step on.

    Before the first batch of a step it seeds torch's generator, so that what the module draws goes by the step.

    Args:
        feed: Which records make a step.
        batch_size: Records of one batch; a step may have several.
        present: Gives the present step.
        seed: Of what the module draws.
    """

    def __init__(self, feed: Feed, batch_size: int, *, present: Callable[[], int], seed: int) -> None:
        self.feed = feed
        self.batch_size = batch_size
        self._present = present
        self._draws = stream(seed, "module")

    def __len__(self) -> int:
        return -(-self.feed.records // self.batch_size)

    def __iter__(self) -> Iterator[list[Tensor]]:
        first, per_epoch = self._present(), self.feed.steps_per_epoch
        for step in range(first, first - first % per_epoch + per_epoch):
            batch = self.feed.batch(step)
            high, low = (key & 0xFFFFFFFF for key in at(self._draws, step))
            torch.default_generator.manual_seed(high << 32 | low)
            for part in cut(batch.x, batch.y, batch.weight, self.batch_size, CPU):
                yield [one for one in part if one is not None]

    def state_dict(self) -> dict[str, Any]:
        """Gives nothing: where a pass begins is known by the step."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes nothing."""


class Told(Callback):
    """Counts steps, sums losses, and tells when it is due, after the module's own hooks.

    Args:
        heard: What is told.
        loader: Whose batches they are.
        accumulate: Batches of a step.
        clock: When to tell.
        tell: Of the loop.

    Attributes:
        stopped: Whether the answer was to stop.
    """

    def __init__(
        self, heard: Any, loader: Batches, *, accumulate: int, clock: Clock, tell: Callable[[Learner], Answer]
    ) -> None:
        self.stopped = False
        self._heard: Heard = heard
        self._loader, self._accumulate, self._clock = loader, accumulate, clock
        self._tell: Callable[[Any], Answer] = tell
        self._due = clock.next(self._heard.step)
        self._parts = 0
        self._losses: list[tuple[Tensor, float, int]] = []
        self._logged: list[tuple[str, Any, float]] = []
        self._new: list[tuple[str, Any]] = []  # of the present batch

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restores what configure_optimizers has just made anew."""
        self._heard.restore_rules()

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Refuses a loss that torch would refuse without saying whose it is.

        Raises:
            BackendError: If it is more than one number, or has no gradient.
        """
        if pl_module.automatic_optimization and loss.numel() != 1:
            raise BackendError(
                f"train.lightning.module: training_step gave a loss of shape {tuple(loss.shape)}; give one number, "
                "such as the mean over the records"
            )
        if pl_module.automatic_optimization and not loss.requires_grad:
            raise BackendError(
                "train.lightning.module: training_step gave a loss without a gradient: nothing would be learnt; "
                "compute it of self.network's outputs, not detached"
            )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Empties the sums."""
        self._heard.begin_epoch()

    @contextmanager
    def hearing(self, module: LightningModule) -> Iterator[None]:
        """Hears of what a module logs, and when its own hooks are done, for a while."""
        log, batch_end, epoch_end = module.log, module.on_train_batch_end, module.on_train_epoch_end

        def hear_log(name: str, value: Any, *args: Any, **options: Any) -> None:
            log(name, value, *args, **options)
            if isinstance(value, int | float | Tensor):
                self._new.append((name, value.detach() if isinstance(value, Tensor) else value))

        def hear_batch_end(outputs: Any, batch: list[Tensor], batch_idx: int) -> None:
            batch_end(outputs, batch, batch_idx)
            self._count(module.trainer, outputs, batch, batch_idx)

        def hear_epoch_end() -> None:
            epoch_end()
            if self._heard.step % self._loader.feed.steps_per_epoch == 0:
                self._heard.check_moved()
            self._take_logged(1.0)
            self._arrive(module.trainer)

        hooks = {"log": hear_log, "on_train_batch_end": hear_batch_end, "on_train_epoch_end": hear_epoch_end}
        for name, hook in hooks.items():
            setattr(module, name, hook)
        try:
            yield
        finally:
            for name in hooks:
                delattr(module, name)

    def _count(self, trainer: Trainer, outputs: Any, batch: list[Tensor], batch_idx: int) -> None:
        x, _, *weights = batch
        mass = float(weights[0].sum()) if weights else float(len(x))
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        number = self._heard.step + 1
        if isinstance(loss, Tensor):
            # Lightning has divided it, as it does with the gradient.
            self._losses.append((loss.detach() * self._accumulate, mass, number))
        self._take_logged(mass)
        self._parts += 1
        last = batch_idx + 1 == len(self._loader)
        if self._parts == self._accumulate or last:
            self._parts = 0
            self._heard.step = number
            if not last:  # at the end of an epoch, its own hook comes before
                self._arrive(trainer)

    def _take_logged(self, mass: float) -> None:
        self._logged += [(name, value, mass) for name, value in self._new]
        self._new.clear()

    def _close(self) -> None:
        """Takes what is open into the sums, once for many steps."""
        for loss, mass, step in self._losses:
            self._heard.add(float(loss), mass, step=step)
        for name, value, mass in self._logged:
            plain = name.removeprefix("train/")
            if plain != "loss":  # which is taken from what `training_step` gives
                self._heard.add_logged(plain, float(value), mass)
        self._losses.clear()
        self._logged.clear()

    def _arrive(self, trainer: Trainer) -> None:
        heard = self._heard
        if heard.step % self._loader.feed.steps_per_epoch == 0 or heard.step == self._due:
            self._close()
        if heard.step != self._due:
            return
        answer = ask(self._tell, heard)
        heard.rate_scale = answer.rate_scale
        self.stopped = answer.stop is not None
        if self.stopped or heard.step >= self._clock.end:
            trainer.should_stop = True
        else:
            self._due = self._clock.next(heard.step)
