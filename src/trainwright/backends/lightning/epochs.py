"""The end of an epoch, as the callbacks within Lightning hear of it: before their states are kept."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.trainer.call import _call_callback_hooks

HOOK = "on_train_epoch_end"


class EpochEnds:
    """Tells callbacks of the end of an epoch once it is measured, and keeps Lightning from telling them again.

    Lightning tells them after the last batch, where a checkpoint of ours has been taken already: what they do then
    would be missing from it. Callbacks that write checkpoints of Lightning are left to it, because its own counters
    are not at the end of the epoch yet.

    Args:
        callbacks: The user's own.
    """

    def __init__(self, callbacks: Sequence[Any]) -> None:
        self._callbacks = [one for one in callbacks if not isinstance(one, Checkpoint)]
        self._told = -1

    @contextmanager
    def once(self) -> Iterator[None]:
        """Lets no callback hear of an epoch's end twice meanwhile."""
        for one in self._callbacks:
            setattr(one, HOOK, self._unless_told(getattr(one, HOOK)))
        try:
            yield
        finally:
            for one in self._callbacks:
                delattr(one, HOOK)

    def tell(self, trainer: Trainer) -> None:
        """Tells of the end of the present epoch, as Lightning would."""
        if self._callbacks:
            _call_callback_hooks(trainer, HOOK, monitoring_callbacks=False)
            self._told = trainer.current_epoch

    def _unless_told(self, hook: Callable[..., None]) -> Callable[..., None]:
        def hear(trainer: Trainer, module: Any) -> None:
            if self._told != trainer.current_epoch:
                hook(trainer, module)

        return hear
