"""The door of the lightning backend."""

from typing import Any

import lightning

from trainwright.backends.lightning.learner import LightningLearner
from trainwright.backends.lightning.module import Network, Trainable
from trainwright.backends.lightning.own import OwnLearner
from trainwright.backends.lightning.shared import SharedLearner
from trainwright.backends.lightning.tracing import HooksInTrace
from trainwright.backends.torch.backend import TorchBackend
from trainwright.backends.torch.tracing import TorchTracer
from trainwright.models.blueprint import Blueprint
from trainwright.models.task import ModelTask, model_task
from trainwright.train.feed import Feed
from trainwright.train.learner import Resolved, Task


class LightningBackend(TorchBackend):
    """Trains spec-built models through `lightning.Trainer.fit`; they are torch's in all else."""

    version = f"lightning {lightning.__version__}"

    def prepare(self, task: Task, feed: Feed, *, seed: int, run_on: Resolved) -> Any:
        """Makes a learner with initial values by the seed.

        Raises:
            BackendError: If the task names another backend or asks for what this one has not.
        """
        made = model_task(task, backend="lightning")
        learner: type[LightningLearner | OwnLearner] = LightningLearner
        if made.train.has_own_module:
            learner = OwnLearner
        elif made.train.processes > 1:
            learner = SharedLearner
        return learner(made, feed, seed=seed, run_on=run_on)

    def tracer(self, learner: LightningLearner) -> TorchTracer:
        """Makes what takes down some steps of a learner, Lightning's hooks among what torch computes."""
        learner.profiler = HooksInTrace()
        return super().tracer(learner)

    def module(self, blueprint: Blueprint, *, seed: int = 0) -> Network:
        """Makes a LightningModule with initial values by the seed; it predicts only."""
        return Network(blueprint, seed=seed)

    def trainable(self, task: ModelTask, *, seed: int = 0) -> Trainable:
        """Makes a LightningModule with initial values by the seed, which plain Lightning can train."""
        return Trainable(task, seed=seed)
