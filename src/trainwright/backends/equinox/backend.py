"""The door of the Equinox backend; the threads are set before JAX is imported."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from trainwright.backends.equinox.threads import own_threads, threads_in_force
from trainwright.base.extras import require
from trainwright.base.tree import Array
from trainwright.models.blueprint import Blueprint
from trainwright.models.task import model_task, name_outputs
from trainwright.train.company import Company
from trainwright.train.feed import Feed
from trainwright.train.learner import Learner, Predictor, Resolved, Seat, Task
from trainwright.train.profiling import Tracer


class EquinoxBackend:
    """Trains spec-built models with Equinox and Optax."""

    def prepare(self, task: Task, feed: Feed, *, seed: int, run_on: Resolved) -> Learner:
        """Makes a learner with initial values by the seed.

        Raises:
            BackendError: If the task names another backend or asks for what this one has not, or JAX runs with
                another number of threads.
        """
        trained = model_task(task, backend="equinox")
        if trained.train.vectorised:
            seat = Seat(trained, feed, seed)
            return self.company([seat, seat], run_on=run_on).learners[0]
        learner: Learner = _load(run_on).EquinoxLearner(trained, feed, seed=seed)
        return learner

    def company(self, seats: Sequence[Seat], *, run_on: Resolved) -> Company:
        """Makes learners whose steps are made together.

        Raises:
            BackendError: If they are not alike, or one of them cannot be trained with others.
        """
        _load(run_on)
        found: Company = importlib.import_module("trainwright.backends.equinox.company").EquinoxCompany(seats)
        return found

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
        """Makes a trained network that only predicts; its outputs are named as by the task it was trained for."""
        loaded = _load(run_on)
        network = loaded.make_network(blueprint, weights, seed=0)

        def call(x: Array, *, batch_size: int | None = None) -> dict[str, Array]:
            raw = loaded.predict(network, x, batch_size=batch_size)
            return name_outputs(output, raw, head=head, quantiles=quantiles, components=components)

        return call

    def tracer(self, learner: Any) -> Tracer:
        """Makes what takes down some steps of a learner."""
        made: Tracer = importlib.import_module("trainwright.backends.equinox.tracing").JaxTracer()
        return made

    def module(self, blueprint: Blueprint, *, seed: int = 0) -> Any:
        """Makes a plain Equinox module with initial values by the seed; a JAX that runs keeps its threads."""
        loaded = _load(Resolved(threads=threads_in_force() or 1))
        return loaded.make_network(blueprint, blueprint.initial(seed), seed=seed)


def _load(run_on: Resolved) -> Any:
    """Imports the module that imports JAX."""
    own_threads(run_on.threads)
    for package in ("jax", "equinox", "optax"):
        require(package, extra="jax")
    return importlib.import_module("trainwright.backends.equinox.learner")
