"""From raw records to what a model takes, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError, SpecError
from trainwright.base.jsontext import Json
from trainwright.base.tree import Array
from trainwright.data.check import TASK_TYPES
from trainwright.data.dataset import Dataset, Records
from trainwright.data.lazy import encode_rows, fit_rows, is_lazy
from trainwright.ops.labels import Labels
from trainwright.ops.operator import Operator, Sequential, from_spec
from trainwright.spec.build import build, find
from trainwright.spec.data import DataSpec
from trainwright.spec.part import Use


@dataclass(frozen=True)
class Preparation:
    """The fitted preprocessing of one run.

    Args:
        inputs: Applied to the features.
        targets: Applied to the target: `Labels` for classes.
        task_type: `classification` or `regression`.

    Example:
        >>> plain = Preparation(Sequential(), Sequential(), "regression")
        >>> plain.encode(Records(x=np.eye(2), y=np.ones(2), weight=None, ids=np.arange(2))).y
        array([[1.],
               [1.]], dtype=float32)
    """

    inputs: Operator
    targets: Operator
    task_type: str

    @property
    def spec(self) -> dict[str, Json]:
        """Describes the preparation, with all it has learnt, as JSON values."""
        return {"inputs": self.inputs.spec, "targets": self.targets.spec, "task_type": self.task_type}

    @classmethod
    def from_spec(cls, tree: Json, catalog: Mapping[str, str]) -> "Preparation":
        """Makes the preparation that a spec describes.

        Raises:
            DataError: If it is not the spec of a preparation.
        """
        if not isinstance(tree, dict) or set(tree) != {"inputs", "targets", "task_type"}:
            raise DataError("a preparation is described by inputs, targets and task_type")
        if tree["task_type"] not in TASK_TYPES:
            raise DataError(f"a preparation has an unknown task type, {tree['task_type']!r}")
        return cls(from_spec(tree["inputs"], catalog), from_spec(tree["targets"], catalog), tree["task_type"])

    def encode(self, records: Records) -> Records:
        """Prepares records for a model.

        Returns:
            Contiguous float32 features, lazy if they were; int64 class numbers or float32 targets of shape
            `(records, outputs)`; float32 weights.

        Raises:
            DataError: If the records have another shape than those it was fitted on, a class is unknown, or a
                value comes out that float32 cannot hold.
        """
        y: Array | None = None
        if records.y is not None and self.task_type == "classification":
            y = np.ascontiguousarray(self.targets(records.y), dtype=np.int64)
        elif records.y is not None:
            y = _to_float32(self.targets(_matrix(records.y)), "target")
        return Records(
            x=self._encode_features(records.x),
            y=y,
            weight=None if records.weight is None else _to_float32(records.weight, "weight"),
            ids=records.ids,
        )

    def _encode_features(self, x: Array) -> Array:
        if is_lazy(x):
            first = 0
            for (
                block
            ) in x.blocks():  # once, so that a value that cannot be learnt from is found before training
                first += len(_to_float32(self.inputs(block), "feature", first=first))
        return encode_rows(x, lambda rows: _to_float32(self.inputs(rows), "feature"))


def fit_preparation(dataset: Dataset, spec: DataSpec, *, catalog: Mapping[str, str]) -> Preparation:
    """Fits the preprocessing of a spec on the train split alone.

    Raises:
        SpecError: If an operator is unknown or is none, or a class target has operators.
        DataError: If an operator cannot be fitted.
    """
    if dataset.task_type == "classification" and spec.target_operators:
        raise SpecError(
            "data.target_operators: they are for regression; classes are numbered, leave them out"
        )
    train = dataset.part("train")
    assert train.y is not None
    inputs = _fit(spec.operators, train.x, catalog, where="data.operators")
    if dataset.task_type == "classification":
        return Preparation(inputs, Labels().fit(train.y), dataset.task_type)
    targets = _fit(spec.target_operators, _matrix(train.y), catalog, where="data.target_operators")
    # Predictions go back through the operators: one that cannot is found before training, not after.
    targets.invert(targets(_matrix(train.y)[:1]))
    return Preparation(inputs, targets, dataset.task_type)


def _fit(uses: Sequence[Use], x: Array, catalog: Mapping[str, str], *, where: str) -> Operator:
    steps: list[Operator] = []
    for number, use in enumerate(uses):
        at = f"{where}.{number}"
        kind: Any = find(use.use, catalog, where=at)
        if not (isinstance(kind, type) and issubclass(kind, Operator)):
            raise SpecError(f"{at}.use: {use.use!r} is not an operator (trainwright.ops.operator:Operator)")
        made: Operator = build(use, catalog, where=at)
        try:
            steps.append(fit_rows(made, x))
            before, x = len(x), encode_rows(x, steps[-1])
        except DataError as error:
            raise DataError(f"{at}: {error}") from error
        if len(x) != before:
            raise DataError(
                f"{at}: {use.use} made {len(x)} records of {before}; an operator keeps their number"
            )
    return Sequential(tuple(steps))


def _matrix(y: Array) -> Array:
    return y.reshape(-1, 1) if y.ndim == 1 else y


def _to_float32(values: Array, what: str, *, first: int = 0) -> NDArray[np.float32]:
    if values.dtype.kind not in "biuf":
        raise DataError(f"the {what}s are {values.dtype} after preprocessing, not numbers")
    with np.errstate(over="ignore"):
        numbers = np.ascontiguousarray(values.astype(np.float32))
    good = np.isfinite(numbers)
    if not good.all():
        odd = tuple(np.argwhere(~good)[0].tolist())
        raise DataError(
            f"the {what}s of record {first + odd[0]} hold {values[odd]}, which float32 cannot hold or a model "
            "cannot learn from; scale or remove it"
        )
    return numbers
