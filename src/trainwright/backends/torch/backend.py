"""The door of the torch backend."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from trainwright.backends.torch.company import TorchCompany
from trainwright.backends.torch.device import working
from trainwright.backends.torch.learner import TorchLearner, predict
from trainwright.backends.torch.module import Module
from trainwright.backends.torch.network import Network
from trainwright.backends.torch.tracing import TorchTracer
from trainwright.base.tree import Array
from trainwright.models.blueprint import Blueprint
from trainwright.models.task import model_task, name_outputs
from trainwright.train.feed import Feed
from trainwright.train.learner import Predictor, Resolved, Seat, Task


class TorchBackend:
    """Trains spec-built models with the lean torch loop."""

    version = f"torch {torch.__version__}"

    def prepare(self, task: Task, feed: Feed, *, seed: int, run_on: Resolved) -> TorchLearner:
        """Makes a learner with initial values by the seed.

        Raises:
            BackendError: If the task names another backend or asks for what this one has not.
        """
        trained = model_task(task, backend="torch")
        if trained.train.vectorised:
            seat = Seat(trained, feed, seed)
            return self.company([seat, seat], run_on=run_on).learners[0]
        return TorchLearner(trained, feed, seed=seed, run_on=run_on)

    def company(self, seats: Sequence[Seat], *, run_on: Resolved) -> TorchCompany:
        """Makes learners whose steps are made together.

        Raises:
            BackendError: If they are not alike, or one of them cannot be trained with others.
        """
        return TorchCompany(seats, run_on=run_on)

    def predictor(
        self,
        blueprint: Blueprint,
        weights: Mapping[str, Array],
        *,
        output: str,
        run_on: Resolved,
        head: str = "point",
        quantiles: Sequence[float] = (),
        components: int | None = None,
    ) -> Predictor:
        """Makes a trained network that only predicts; its outputs are named as by the task it was trained for.

        One that was trained on a GPU works without one too.
        """
        if run_on.device == "cuda" and not torch.cuda.is_available():
            run_on = replace(run_on, device="cpu")
        network = Network(blueprint, weights, device=torch.device(run_on.device))

        def call(x: Array, *, batch_size: int | None = None) -> dict[str, Array]:
            with working(run_on):
                raw = predict(network, x, batch_size=batch_size)
            return name_outputs(output, raw, head=head, quantiles=quantiles, components=components)

        return call

    def tracer(self, learner: Any) -> TorchTracer:
        """Makes what takes down some steps of a learner."""
        return TorchTracer()

    def module(self, blueprint: Blueprint, *, seed: int = 0) -> Module:
        """Makes a plain module with initial values by the seed."""
        return Module(blueprint, seed=seed)
