"""A Trainer of Lightning that only trains: what the loop of the package does once, it does not do again."""

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Checkpoint, ProgressBar
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from trainwright.backends.lightning.listeners import Listeners
from trainwright.base.errors import SpecError


def make_trainer(listeners: Listeners, *, device: str, epochs: int, profiler: Any = None) -> Trainer:
    """Makes a Trainer for one process that shows, writes, validates and seeds nothing by itself.

    Args:
        listeners: The user's own callbacks and loggers.
        device: Such as `cpu`.
        epochs: After which Lightning would end; the clock of the learner ends it before or there.
        profiler: Of Lightning: hears when each hook begins and ends.

    Raises:
        SpecError: If a callback would write checkpoints and nobody said where, or Lightning refuses the callbacks.
    """
    checkpoints = [one for one in listeners.callbacks if isinstance(one, Checkpoint)]
    for one in checkpoints:
        if not listeners.loggers and getattr(one, "dirpath", "") is None:
            raise SpecError(
                f"train.lightning.callbacks: {type(one).__name__} writes files; give it `dirpath`"
            )
    try:
        trainer = Trainer(
            accelerator="gpu" if device == "cuda" else "cpu",
            devices=1,
            # Not the cluster that this process may be a job of: it would look for the other processes of the job.
            plugins=[LightningEnvironment()],
            max_epochs=epochs,
            max_steps=-1,
            profiler=profiler,
            precision="32-true",  # said aloud, because variables of the environment would say it otherwise
            callbacks=list(listeners.callbacks),
            logger=listeners.loggers or False,
            log_every_n_steps=listeners.log_every or None,
            enable_checkpointing=bool(checkpoints),
            enable_progress_bar=any(isinstance(one, ProgressBar) for one in listeners.callbacks),
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_val_batches=0,
            use_distributed_sampler=False,
        )
    except MisconfigurationException as error:
        raise SpecError(f"train.lightning: {error}") from error
    # A signal is the run's wish to stop, which is answered at the next told step. Lightning would end the process.
    trainer._signal_connector.register_signal_handlers = lambda: None
    return trainer


def count_from(trainer: Trainer, step: int, *, per_epoch: int) -> None:
    """Sets Lightning's counters to what they were after some steps, in the way of its own checkpoints.

    So callbacks hear of the same epochs, batches and steps, whether the run was resumed or not.

    Args:
        trainer: That has not begun.
        step: Steps done so far.
        per_epoch: Steps of one epoch.
    """
    if step == 0:
        return
    epoch, batch = divmod(step, per_epoch)
    begun = epoch + 1 if batch else epoch
    state = trainer.fit_loop.state_dict()
    _set(state["epoch_progress"], ready=begun, started=begun, processed=epoch, completed=epoch)
    _set(state["epoch_loop.batch_progress"], ready=step, started=step, processed=step, completed=step)
    within = dict.fromkeys(state["epoch_loop.batch_progress"]["current"], batch)
    state["epoch_loop.batch_progress"]["current"] = within
    _set(state["epoch_loop.manual_optimization.optim_step_progress"], ready=step, completed=step)
    state["epoch_loop.state_dict"]["_batches_that_stepped"] = step
    trainer.fit_loop.load_state_dict(state)


def _set(progress: dict[str, Any], **counts: int) -> None:
    for kind in ("total", "current"):
        assert progress[kind].keys() == counts.keys(), progress
        progress[kind] = dict(counts)


# Beginnings of the warnings that are about Lightning's own doing, by nothing that a user could change.
MOOT = (
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",  # it calls torch in last year's way
    "The number of training batches .* is smaller than the logging interval",  # the loss of each epoch is logged
)


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps what Lightning says of itself from standard error: hints, devices, why it ended; other warnings stay."""
    told = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    before = [one.level for one in told]
    for one in told:
        one.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in MOOT:
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        for one, level in zip(told, before, strict=True):
            one.setLevel(level)


@contextmanager
def interrupted_as_usual() -> Iterator[None]:
    """Lets a second Ctrl-C through; Lightning would turn it into an exit, and ignore Ctrl-C from then on."""
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        if main:
            signal.signal(signal.SIGINT, handler)
        raise error.__context__ from None
