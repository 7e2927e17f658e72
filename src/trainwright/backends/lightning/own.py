"""A network of a spec in training by a LightningModule of the user's own."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from trainwright.backends.lightning.listeners import choose_module, make_listeners
from trainwright.backends.lightning.place import Place
from trainwright.backends.lightning.states import find_again, give_back, keep, keep_states
from trainwright.backends.lightning.told import Batches, Told
from trainwright.backends.lightning.trainer import count_from, interrupted_as_usual, make_trainer, quiet, show
from trainwright.backends.torch.device import working
from trainwright.backends.torch.learner import predict
from trainwright.backends.torch.module import Module
from trainwright.backends.torch.network import Network
from trainwright.base.blame import raised_in, spell_place
from trainwright.base.errors import BackendError, SpecError
from trainwright.base.tree import Array, Tree
from trainwright.models.task import ModelTask
from trainwright.spec.build import construct
from trainwright.train.clock import Clock
from trainwright.train.feed import Feed
from trainwright.train.learner import Answer, Learner, Resolved
from trainwright.train.stepping import Stepping

PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed"}


class OwnLearner(Stepping):
    """A network in training by `Trainer.fit` as a LightningModule of the user's own says.

    It has the module's `training_step`, `configure_optimizers` and hooks. What the package does on every backend stays
    with the loop: order of the records, validation, checkpoints, stops. torch's generator is seeded before each step.

    Args:
        task: What is trained.
        feed: Which records make a step.
        seed: Of initial values and of what the module draws.
        run_on: Device and threads.

    Attributes:
        module: The user's own.
        network: The network of the spec, which the module was given.
    """

    backend = "lightning"

    def __init__(self, task: ModelTask, feed: Feed, *, seed: int, run_on: Resolved) -> None:
        super().__init__(task.train, steps=task.epochs * feed.steps_per_epoch)
        self.task = task
        self.run_on = run_on
        self.listeners = make_listeners(task.train.lightning)
        self.profiler: Any = None
        keep_states(self.listeners.callbacks)  # what cannot be kept is refused before step 1
        self.network = Module(task.blueprint, seed=seed)
        self.module = _make_module(task, self.network, seed)
        self._seed = seed
        self._trainer: Trainer | None = None
        self._rules: Tree = None  # states of optimizers and of their schedulers; None before the first step
        self._updates = 0  # of all optimizers, as Lightning counts
        self._logged: dict[str, list[float]] = {}
        # The parameters before step 1, until the first epoch has ended.
        self._first: list[Tensor] | None = None
        with working(run_on), quiet():
            self._make_trainer(task.epochs)

    @property
    def sums(self) -> Mapping[str, tuple[float, float]]:
        """Gives `(sum, weight)` of the loss and of all that `training_step` logs, over the open epoch."""
        logged = {name: (total, weight) for name, (total, weight) in self._logged.items()}
        return {**super().sums, **logged}

    def train(self, feed: Feed, clock: Clock, tell: Callable[[Learner], Answer]) -> None:
        """Trains until `clock.end`, tells exactly at each `clock.next`, returns right after a stop.

        Raises:
            BackendError: If Lightning ended on its own, or what the module holds cannot be kept.
        """
        if self.step >= clock.end:
            return
        per_epoch, batch_size = feed.steps_per_epoch, self.task.train.batch_size
        with working(self.run_on), quiet(), interrupted_as_usual(), torch.random.fork_rng(devices=[]):
            trainer = self._make_trainer(-(-clock.end // per_epoch))
            loader = Batches(feed, batch_size, present=lambda: self.step, seed=self._seed)
            accumulate = self.task.train.accumulate
            count_from(
                trainer,
                self.step,
                per_epoch=per_epoch,
                updates=self._updates,
                batches=len(loader),
                accumulate=accumulate,
            )
            told = Told(self, loader, accumulate=accumulate, clock=clock, tell=tell)
            trainer.callbacks.append(told)
            self._trainer = trainer
            try:
                with told.hearing(self.module):
                    trainer.fit(self.module, train_dataloaders=loader)
                self._rules, self._updates = self._take_rules(), trainer.global_step
            except Exception as error:
                self.listeners.blame(error, module=self.module)
                raise
            finally:
                self._trainer = None
        if self.step < clock.end and not told.stopped:
            raise BackendError(
                f"lightning: Trainer.fit returned after step {self.step} of {clock.end}, and nobody here wished it; "
                "what ends a training is named in train.callbacks, not in train.lightning"
            )

    def hear(self, measured: Mapping[str, float]) -> None:
        """Shows what was measured to the loggers and the callbacks within Lightning."""
        assert self._trainer is not None
        show(self._trainer, measured, loggers=self.listeners.loggers, step=self.step)

    def predict(self, x: Tree, *, batch_size: int | None = None) -> dict[str, Array]:
        """Predicts by the network in evaluation mode; leaves the state untouched."""
        rows: Any = x  # an array, or rows that are read as they are sliced
        with working(self.run_on):
            network = Network.over(self.task.blueprint, self._tensors())
            return self.task.decode(predict(network, rows, batch_size=batch_size))

    def weights(self) -> dict[str, Array]:
        """Gives the weights of the network as copies, by neutral name and in neutral layout."""
        return {name: one.detach().numpy().copy() for name, one in self._tensors().items()}

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Takes weights; the optimizers are left as they are."""
        with torch.no_grad():
            for name, tensor in self._tensors().items():
                tensor.copy_(torch.from_numpy(np.asarray(weights[name])))

    def begin_epoch(self) -> None:
        """Empties the sums."""
        self._sum, self._weight = 0.0, 0.0
        self._logged.clear()

    def add(self, loss: float, weight: float, *, step: int) -> None:
        """Takes the mean loss of a batch into the sums; `step` is its number, counted from 1."""
        self._add(loss, weight, step=step)

    def add_logged(self, name: str, value: float, weight: float) -> None:
        """Takes what the module logged of a batch into the sums."""
        total, whole = self._logged.get(name, (0.0, 0.0))
        self._logged[name] = [total + value * weight, whole + weight]

    def restore_rules(self) -> None:
        """Gives optimizers and schedulers that Lightning has just made what was kept of them.

        Raises:
            BackendError: If they would not train the network, or cannot be given that.
        """
        assert self._trainer is not None
        groups = [group for one in self._trainer.optimizers for group in one.param_groups]
        free = {id(one) for one in self.network.parameters() if one.requires_grad}
        if free.isdisjoint(id(one) for group in groups for one in group["params"]):
            raise BackendError(
                "train.lightning.module: configure_optimizers gives no optimizer that has a trainable parameter of the "
                "network; return one over self.network.parameters(), self.network being what the constructor was given"
            )
        if self.step == 0:
            self._first = [one.detach().clone() for one in self.network.parameters()]
        plateau = [one for one in self._trainer.lr_scheduler_configs if one.reduce_on_plateau]
        if plateau:
            raise BackendError(
                "train.lightning.module: configure_optimizers gives a scheduler that waits for a metric, which is "
                "measured after it; use one that goes by steps or epochs"
            )
        if self._rules is None:
            return
        kept: Any = find_again(self._rules)
        optimizers, schedulers = self._trainer.optimizers, self._schedulers()
        if [len(one) for one in kept] != [len(optimizers), len(schedulers)]:
            raise BackendError("train.lightning.module: configure_optimizers gives others than it did before")
        for optimizer, (state, groups) in zip(optimizers, kept[0], strict=True):
            optimizer.load_state_dict({"state": dict(state), "param_groups": groups})
        for scheduler, state in zip(schedulers, kept[1], strict=True):
            scheduler.load_state_dict(state)

    def check_moved(self) -> None:
        """Looks once, when the first epoch has ended, whether anything has trained the network.

        A gradient is enough: a rate may begin at 0.

        Raises:
            BackendError: If no parameter has changed, nor has a gradient.
        """
        first, self._first = self._first, None
        if first is None:
            return
        now = list(self.network.parameters())
        if all(one.grad is None for one in now) and all(map(torch.equal, now, first)):
            raise BackendError(
                "train.lightning.module: no weight of the network has changed in the first epoch, and none has a "
                "gradient; training_step has to return a loss of self.network's outputs, or to step the optimizers "
                "itself"
            )

    def _schedulers(self) -> list[Any]:
        assert self._trainer is not None
        return [one.scheduler for one in self._trainer.lr_scheduler_configs]

    def _take_rules(self) -> Tree:
        if self._trainer is None:
            return self._rules
        where = "train.lightning.module: the state of an optimizer"
        states = [one.state_dict() for one in self._trainer.optimizers]
        found = [[list(map(list, one["state"].items())), one["param_groups"]] for one in states]
        return keep([found, [one.state_dict() for one in self._schedulers()]], where=where)

    def _tensors(self) -> dict[str, Tensor]:
        return dict(self.network.named_parameters()) | dict(self.network.named_buffers())

    def _make_trainer(self, epochs: int) -> Trainer:
        train = self.task.train
        assert train.precision != "auto"
        clip = train.clip_norm if train.clip_value is None else train.clip_value
        return make_trainer(
            self.listeners,
            device=self.run_on.device,
            epochs=epochs,
            place=Place(),
            profiler=self.profiler,
            precision=PRECISIONS[train.precision],
            accumulate_grad_batches=train.accumulate,
            gradient_clip_val=clip,
            gradient_clip_algorithm=None if clip is None else "norm" if train.clip_value is None else "value",
        )

    def _arrays(self) -> dict[str, Any]:
        more: dict[str, Any] = {}
        where = "train.lightning.module"
        with raised_in(f"{where}: {spell_place(self.module)}.on_save_checkpoint"):
            self.module.on_save_checkpoint(more)
        found = {
            "module": keep(dict(self.module.state_dict()), where=f"{where}: state_dict()"),
            "more": keep(more, where=f"{where}: on_save_checkpoint"),
            "rules": self._take_rules(),
            "logged": {name: list(one) for name, one in self._logged.items()},
            "draws": self.network.steps,
            "updates": self._updates if self._trainer is None else self._trainer.global_step,
        }
        if self.listeners.callbacks:
            found["lightning"] = keep_states(self.listeners.callbacks)
        return found

    def _load_arrays(self, kept: Any) -> None:
        self.module.load_state_dict(find_again(kept["module"]))
        self.module.on_load_checkpoint(find_again(kept["more"]))
        self._rules = kept["rules"]
        self._logged = {name: list(one) for name, one in kept["logged"].items()}
        self.network.steps, self._updates = kept["draws"], kept["updates"]
        if self.listeners.callbacks:
            give_back(self.listeners.callbacks, kept["lightning"])


def _make_module(task: ModelTask, network: Module, seed: int) -> LightningModule:
    assert task.train.lightning is not None and task.train.lightning.module is not None
    where, part = "train.lightning.module", task.train.lightning.module
    made = choose_module(part)
    if not issubclass(made, LightningModule):
        raise SpecError(f"{where}.use: {part.use!r} is no LightningModule")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # what it has besides the network may be drawn
        found = construct(partial(made, network=network), part, where=where)
    assert isinstance(found, LightningModule)
    train = task.train
    if not found.automatic_optimization and (train.accumulate > 1 or train.clip_norm or train.clip_value):
        text = "it optimizes by itself, so it accumulates and clips by itself"
        raise SpecError(f"{where}: {text}; leave out train.accumulate, train.clip_norm and train.clip_value")
    return found
