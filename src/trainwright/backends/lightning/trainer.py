"""A Trainer of Lightning that only trains: what the loop of the package does once, it does not do again."""

import logging
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Checkpoint, ProgressBar
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from trainwright.backends.lightning.listeners import Listeners
from trainwright.backends.lightning.place import Place, strategy_of
from trainwright.base.errors import SpecError
from trainwright.train.learner import Answer


def make_trainer(
    listeners: Listeners, *, device: str, epochs: int, place: Place, profiler: Any = None, **training: Any
) -> Trainer:
    """Makes a Trainer for this process that shows, writes, validates and seeds nothing by itself.

    Args:
        listeners: The user's own callbacks and loggers.
        device: Such as `cpu`.
        epochs: After which Lightning would end; the clock of the learner ends it before or there.
        place: Which process this is.
        profiler: Of Lightning: hears when each hook begins and ends.
        training: How Lightning trains where it does it by itself.

    Raises:
        SpecError: If a callback would write checkpoints and nobody said where, or Lightning refuses the callbacks.
    """
    checkpoints = [one for one in listeners.callbacks if isinstance(one, Checkpoint)]
    for one in checkpoints:
        if place.rank == 0 and not listeners.loggers and getattr(one, "dirpath", "") is None:
            raise SpecError(
                f"train.lightning.callbacks: {type(one).__name__} writes files; give it `dirpath`"
            )
    try:
        trainer = Trainer(
            accelerator="gpu" if device == "cuda" else "cpu",
            devices=place.of,
            strategy="auto" if place.of == 1 else strategy_of(place),
            # Not the cluster that this process may be a job of: it would look for the other processes of the job.
            plugins=[LightningEnvironment()] if place.of == 1 else [],
            max_epochs=epochs,
            max_steps=-1,
            profiler=profiler,
            # Said aloud, because variables of the environment would say it otherwise.
            **{"precision": "32-true", "accumulate_grad_batches": 1, "gradient_clip_val": None, **training},
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
    # Nor does it hear of one, which it would pass on to the other processes before each step.
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None
    return trainer


def ask(tell: Callable[[Any], Answer], learner: Any) -> Answer:
    """Tells the loop from within a hook.

    Raises:
        RuntimeError: If what was told raised StopIteration, which Lightning would take for the end of the epoch.
    """
    try:
        return tell(learner)
    except StopIteration as error:
        raise RuntimeError("what was told raised StopIteration") from error


def show(trainer: Trainer, measured: Mapping[str, float], *, loggers: Sequence[Any], step: int) -> None:
    """Gives what was measured at a step to the loggers, and to whoever reads `trainer.callback_metrics`."""
    if not measured:
        return
    log(trainer, measured, loggers=loggers, step=step)
    trainer.callback_metrics.update(
        {name: torch.tensor(value, dtype=torch.float64) for name, value in measured.items()}
    )


def log(trainer: Trainer, metrics: Mapping[str, float], *, loggers: Sequence[Any], step: int) -> None:
    """Gives metrics to the loggers.

    Not by `self.log`, which costs each step more than a small model does, and would take means of its own.
    """
    for logger in loggers:
        logger.log_metrics({**metrics, "epoch": trainer.current_epoch}, step=step)
        logger.save()


def count_from(
    trainer: Trainer,
    step: int,
    *,
    per_epoch: int,
    updates: int | None = None,
    batches: int | None = None,
    accumulate: int = 1,
) -> None:
    """Sets Lightning's counters to what they were after some steps, in the way of its own checkpoints.

    So callbacks hear of the same epochs, batches and steps, whether the run was resumed or not.

    Args:
        trainer: That has not begun.
        step: Steps done so far.
        per_epoch: Steps of one epoch.
        updates: Of all optimizers; one for each step unless given.
        batches: Of one epoch; one for each step unless given.
        accumulate: Batches of a step.
    """
    if step == 0:
        return
    epoch, within = divmod(step, per_epoch)
    begun = epoch + 1 if within else epoch
    batch, updates = within * accumulate, step if updates is None else updates
    seen = epoch * (batches or per_epoch) + batch
    state = trainer.fit_loop.state_dict()
    _set(state["epoch_progress"], ready=begun, started=begun, processed=epoch, completed=epoch)
    progress = state["epoch_loop.batch_progress"]
    _set(progress, ready=seen, started=seen, processed=seen, completed=seen)
    progress["current"] = dict.fromkeys(progress["current"], batch)
    _set(state["epoch_loop.manual_optimization.optim_step_progress"], ready=updates, completed=updates)
    automatic = state["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]
    _set(automatic["step"], ready=updates, completed=updates)
    _set(automatic["zero_grad"], ready=updates, started=updates, completed=updates)
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
