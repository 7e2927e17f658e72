"""The doors of Keras' backends; engine, threads and home are settled before Keras is imported."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from trainwright.backends.equinox.threads import threads_in_force
from trainwright.backends.keras.engine import engine_wished, own_engine
from trainwright.base.errors import BackendError
from trainwright.base.extras import installed
from trainwright.base.tree import Array
from trainwright.models.blueprint import Blueprint
from trainwright.models.task import model_task, name_outputs
from trainwright.train.feed import Feed
from trainwright.train.learner import Learner, Predictor, Resolved, Task
from trainwright.train.profiling import Tracer


class KerasBackend:
    """Trains spec-built models by `keras.Model.fit`; a subclass says on which engine."""

    name: ClassVar[str]
    engine: ClassVar[str]

    def prepare(self, task: Task, feed: Feed, *, seed: int, run_on: Resolved) -> Learner:
        """Makes a learner with initial values by the seed.

        Raises:
            BackendError: If the task names another backend or asks for what this one has not, or Keras runs on another
                engine.
        """
        trained = model_task(task, backend=self.name)
        learner: Learner = _load(self.engine, run_on.threads).KerasLearner(
            trained, feed, seed=seed, run_on=run_on
        )
        return learner

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
        loaded = _load(self.engine, run_on.threads)
        with loaded.working(run_on):
            arrays = {
                name: loaded.own_copy(weights[name]) for name in blueprint.parameters if name in weights
            }

        def call(x: Array, *, batch_size: int | None = None) -> dict[str, Array]:
            with loaded.working(run_on):
                raw = loaded.predict(
                    blueprint.layers, arrays, x, batch_size=batch_size, shape=blueprint.output_shape
                )
            return name_outputs(output, raw, head=head, quantiles=quantiles, components=components)

        return call

    def tracer(self, learner: Any) -> Tracer:
        """Makes what takes down some steps of a learner: the profiler of the engine.

        Raises:
            BackendError: For TensorFlow, whose profiler is not read.
        """
        if self.engine == "tensorflow":
            raise BackendError("keras-tensorflow has no profile; look at keras-jax or keras-torch")
        if self.engine == "torch":
            made: Tracer = importlib.import_module("trainwright.backends.torch.tracing").TorchTracer()
        else:
            made = importlib.import_module("trainwright.backends.equinox.tracing").JaxTracer()
        return made

    def module(self, blueprint: Blueprint, *, seed: int = 0) -> Any:
        """Makes a plain `keras.Model` with initial values by the seed."""
        return _load(self.engine, threads_in_force() or 1).make_network(blueprint, seed=seed)

    def complete(self, blueprint: Blueprint, *, threads: int | None = None) -> Blueprint:
        """Builds a network of the user's own once, to name its arrays in the blueprint.

        Raises:
            SpecError: If the code has no method `keras`.
            BackendError: If that gives no network that can be trained and kept.
        """
        own = _load(self.engine, threads or threads_in_force() or 1, "own")
        completed: Blueprint = own.complete(blueprint)
        return completed


class KerasOnJax(KerasBackend):
    """Keras on JAX: each shape of a step is compiled once."""

    name, engine = "keras-jax", "jax"


class KerasOnTorch(KerasBackend):
    """Keras on torch, eager."""

    name, engine = "keras-torch", "torch"


class KerasOnTensorflow(KerasBackend):
    """Keras on TensorFlow: each shape of a step is one graph."""

    name, engine = "keras-tensorflow", "tensorflow"


class KerasModules:
    """Gives plain models on whichever engine Keras runs or can run."""

    def module(self, blueprint: Blueprint, *, seed: int = 0) -> Any:
        """Makes a plain `keras.Model` with initial values by the seed."""
        return _wished().module(blueprint, seed=seed)

    def complete(self, blueprint: Blueprint, *, threads: int | None = None) -> Blueprint:
        """Builds a network of the user's own once, as `KerasBackend.complete`."""
        return _wished().complete(blueprint, threads=threads)


def _wished() -> KerasBackend:
    engine = engine_wished() or next((one for one in ("torch", "jax") if installed(one)), "tensorflow")
    return {"jax": KerasOnJax, "torch": KerasOnTorch, "tensorflow": KerasOnTensorflow}[engine]()


def _load(engine: str, threads: int, file: str = "learner") -> Any:
    """Imports a file that imports Keras."""
    own_engine(engine, threads=threads)
    return importlib.import_module(f"trainwright.backends.keras.{file}")
