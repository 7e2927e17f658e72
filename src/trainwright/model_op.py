"""A trained model as an operator: one version, loaded from the store alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trainwright.backends import CATALOG as BACKENDS
from trainwright.base.errors import DataError
from trainwright.base.home import home_of
from trainwright.base.tree import Array
from trainwright.data.dataset import Records
from trainwright.data.lazy import is_lazy
from trainwright.data.prepare import Preparation
from trainwright.models.assemble import build_blueprint
from trainwright.ops import CATALOG as OPERATORS
from trainwright.spec.build import find, own_code_from
from trainwright.spec.model import ModelSpec
from trainwright.store.records import VersionRow
from trainwright.store.registry import Registry
from trainwright.store.store import Store
from trainwright.train.learner import Predictor, Resolved
from trainwright.validation.classification import probabilities


@dataclass(frozen=True, slots=True)
class InputSchema:
    """What a model was trained on, and so what it takes.

    Args:
        features: Names of columns in order, or the name of an array.
        shape: Of one record.
        target: Name of the target column or array.
        task_type: `classification` or `regression`.
    """

    features: str | list[str]
    shape: tuple[int, ...]
    target: str
    task_type: str


def describe(
    model: ModelSpec,
    preparation: Preparation,
    schema: InputSchema,
    *,
    output: str,
    backend: str,
    run_on: Resolved,
) -> dict[str, Any]:
    """Writes down all that a version needs besides its weights, as a tree."""
    return {
        "format": 1,
        "model": model.tree(),
        "preparation": preparation.spec,
        "features": schema.features,
        "shape": list(schema.shape),
        "target": schema.target,
        "task_type": schema.task_type,
        "output": output,
        "backend": backend,
        "threads": run_on.threads,
        "device": run_on.device,
    }


class ModelOp:
    """A trained model: raw records in, predictions in the unit of the data out.

    Args:
        description: From `describe`.
        weights: By neutral name.
        version: The version it was loaded from, if any.
    """

    def __init__(
        self,
        description: Mapping[str, Any],
        weights: Mapping[str, Array],
        *,
        version: VersionRow | None = None,
    ) -> None:
        self.description = description
        self.version = version
        self.schema = InputSchema(
            description["features"],
            tuple(description["shape"]),
            description["target"],
            description["task_type"],
        )
        self.preparation = Preparation.from_spec(description["preparation"], OPERATORS)
        blueprint = build_blueprint(ModelSpec.model_validate(description["model"]))
        run_on = Resolved(device=description["device"], threads=description["threads"])
        backend = find(description["backend"], BACKENDS, where="train.backend")()
        self._output = description["output"]
        self._predictor: Predictor = backend.predictor(blueprint, weights, output=self._output, run_on=run_on)

    @classmethod
    def load(cls, registry: Registry, ref: str) -> "ModelOp":
        """Loads the version that a reference names.

        Raises:
            StoreError: If there is no such version, or its objects are damaged.
        """
        version = registry.resolve(ref)
        own_code_from(Path(registry.run(version.run).folder))
        description: Any = registry.operator(version)
        return cls(description, registry.weights(version), version=version)

    def __call__(self, x: ArrayLike, *, batch_size: int | None = None) -> Array:
        """Predicts for raw records.

        Args:
            x: Raw inputs, shape `(records, ...)`.
            batch_size: Records at once; the same size gives the same bits.

        Returns:
            Classes, shape `(records,)`, or targets in the unit of the data, shape `(records, outputs)`.
        """
        return self.decode(self.outputs(x, batch_size=batch_size))

    def outputs(self, x: ArrayLike, *, batch_size: int | None = None) -> Array:
        """Gives what the network makes: logits, or targets after preprocessing, shape `(records, outputs)`.

        Raises:
            DataError: If the records have another shape than in training.
        """
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size: {batch_size} is not at least 1")
        x = x.stand_in() if is_lazy(x) else np.asarray(x)
        if x.shape[1:] != self.schema.shape:
            raise DataError(f"records have shape {x.shape[1:]}, the model takes {self.schema.shape}")
        ids = np.arange(len(x))
        encoded = self.preparation.encode(Records(x=x, y=None, weight=None, ids=ids))
        return self._predictor(encoded.x, batch_size=batch_size)[self._output]

    def decode(self, outputs: Array) -> Array:
        """Turns outputs of the network into classes, or targets in the unit of the data."""
        if self.schema.task_type == "classification":
            outputs = outputs.argmax(1)
        decoded: Array = self.preparation.targets.invert(outputs)
        return decoded

    def columns(self, x: ArrayLike, *, batch_size: int | None = None) -> dict[str, Array]:
        """Gives predictions as named columns: the class and a probability per class, or one column per target."""
        outputs = self.outputs(x, batch_size=batch_size)
        decoded, target = self.decode(outputs), self.schema.target
        if self.schema.task_type == "classification":
            chances = probabilities(outputs)
            classes = self.preparation.targets.invert(np.arange(outputs.shape[1]))
            return {target: decoded} | {
                f"p({label})": chances[:, number].astype(np.float32)
                for number, label in enumerate(classes.tolist())
            }
        if decoded.ndim == 1 or decoded.shape[1] == 1:
            return {target: decoded.reshape(-1)}
        return {f"{target}[{number}]": decoded[:, number] for number in range(decoded.shape[1])}


def load_model(ref: str, *, home: Path | str | None = None) -> ModelOp:
    """Loads a trained model.

    Args:
        ref: Such as `name@best`.
        home: The store; `$TRAINWRIGHT_HOME` or `.trainwright` unless given.

    Raises:
        StoreError: If there is no such version, or its objects are damaged.
    """
    return ModelOp.load(Registry(Store.open(home_of(home), create=False)), ref)
