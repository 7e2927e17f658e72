"""A trained model as an operator: one version, loaded from the store alone."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainwright.base.errors import DataError, StoreError
from trainwright.base.home import home_of
from trainwright.base.tree import Array
from trainwright.data.dataset import Records
from trainwright.data.frame import Frame, is_blank
from trainwright.data.graph import Nodes
from trainwright.data.inputs import InputSchema, take_inputs
from trainwright.data.prepare import Preparation
from trainwright.ensemble_op import EnsembleOp
from trainwright.naming import classes_of, name_columns
from trainwright.ops import CATALOG as OPERATORS
from trainwright.ops.categories import OneHot, Ordinal
from trainwright.ops.columns import Columns
from trainwright.ops.operator import Sequential
from trainwright.predictor import graph_of, predictor_of, served_by
from trainwright.spec.build import own_code
from trainwright.spec.data import GraphSpec
from trainwright.store.records import VersionRow
from trainwright.store.registry import Registry
from trainwright.store.store import Store
from trainwright.validation.families import Family, family_of
from trainwright.validation.unit import invert_spread

log = logging.getLogger("trainwright.model")


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
        kept = description.get("graph")
        self.schema = InputSchema(
            description["features"],
            tuple(description["shape"]),
            description["target"],
            description["task_type"],
            description["kinds"],
            description["missing"],
            description["ragged"],
            description["formats"],
            None if kept is None else GraphSpec.model_validate(kept["spec"]),
        )
        self.preparation = Preparation.from_spec(description["preparation"], OPERATORS)
        self._weights = weights
        self._graph = graph_of(description)
        self._predictor = predictor_of(description, weights, graph=self._graph)

    @classmethod
    def load(cls, registry: Registry, ref: str, *, backend: str | None = None) -> "ModelOp":
        """Loads the version that a reference names.

        Args:
            registry: Where it is.
            ref: Such as `name@best`.
            backend: Predicts instead of the one it was trained by; the outputs agree to 1e-5 of their scale.

        Raises:
            StoreError: If there is no such version, its objects are damaged, or it is an ensemble.
            SpecError: If there is no such backend.
            BackendError: If the backend is not installed.
        """
        found = load_version(registry, registry.resolve(ref), backend=backend)
        if not isinstance(found, ModelOp):
            raise StoreError(f"{ref} is an ensemble of {len(found.members)} models; load_model gives it")
        return found

    def __call__(self, x: Any, *, batch_size: int | None = None) -> Array:
        """Predicts for raw records.

        Args:
            x: Raw inputs, shape `(records, ...)`; for a model of a table, columns by name, such as a data frame; for a
                model of the nodes of one graph, their numbers; for a model of graphs, pairs of features and edges.
            batch_size: Records at once; the same size gives the same bits.

        Returns:
            Classes, shape `(records,)`, of pixels `(records, ...)`; labels as booleans, shape `(records, labels)`;
            targets in the unit of the data, shape `(records, outputs, ...)`; or embeddings, shape `(records, width)`.

        Raises:
            DataError: If the records are not such as the model was trained on.
        """
        return self.decode(self.outputs(x, batch_size=batch_size))

    def outputs(self, x: Any, *, batch_size: int | None = None) -> dict[str, Array]:
        """Gives what the network makes, by name.

        Returns:
            `logits`, shape `(records, classes, ...)`; or `y`, shape `(records, outputs, ...)`, after the target's
            operators, with `variance`, or `scale` and perhaps `df`, of that shape, or `mixing`, shape `(records,
            components, ...)`, `means` and `variances`, shape `(records, components, outputs, ...)`, or `quantiles`,
            shape `(records, levels, outputs)`; or `embedding`.

        Raises:
            DataError: If the records are not such as the model was trained on.
        """
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size: {batch_size} is not at least 1")
        taken = take_inputs(x, schema=self.schema)
        if self._graph is not None:
            return self._outputs_of_nodes(taken, batch_size)
        encoded = self.preparation.encode(Records(x=taken, y=None, weight=None, ids=np.arange(len(taken))))
        rows: Any = encoded.x
        return self._predictor(rows, batch_size=batch_size)

    def _outputs_of_nodes(self, taken: Any, batch_size: int | None) -> dict[str, Array]:
        """Predicts for nodes of the graph that lies with the model, or of another one that comes with them."""
        assert self._graph is not None
        graph, predictor = self._graph, self._predictor
        if isinstance(taken, Nodes):
            graph, taken = self.preparation.encode_graph(taken.graph), taken.numbers
            if not graph.same_as(self._graph):
                predictor = predictor_of(self.description, self._weights, graph=graph)
        if len(taken) and taken.max() >= len(graph.features):
            raise DataError(f"there is no node {taken.max()}, they count from 0 to {len(graph.features) - 1}")
        numbers = np.ascontiguousarray(taken.reshape(len(taken), -1), dtype=np.int32)
        return predictor(numbers, batch_size=batch_size)

    def decode(self, outputs: Mapping[str, Array]) -> Array:
        """Turns outputs of the network into what a user asks for; see `__call__`."""
        task, targets = self.schema.task_type, self.preparation.targets
        if task in ("classification", "segmentation"):
            return targets.invert(outputs["logits"].argmax(1))
        if task == "multi_label":
            logits: Any = outputs["logits"]
            chosen: Array = logits > 0
            return chosen
        return targets.invert(outputs["y"]) if task == "regression" else outputs["embedding"]

    def spread(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Gives how sure a regression is, in the unit of the data.

        Returns:
            `variance`, shape `(records, outputs)`, in squared units; or `scale`, shape `(records, outputs)`, and of
            Student's t `df`; or `mixing`, `means` and `variances`; or `quantiles`, shape `(records, levels, outputs)`;
            nothing for a point.
        """
        return invert_spread(outputs, self.preparation.targets.invert)

    def distribution(self, x: Any, *, batch_size: int | None = None) -> Family:
        """Gives the distributions that a regression predicts, in the unit of the data.

        Returns:
            What gives deviations (`std`), quantiles (`quantile`), draws (`draw`) and likelihoods (`nll_terms`), of one
            of the classes of `trainwright.validation.families`.

        Raises:
            DataError: As `outputs`, or if the model predicts none.
        """
        outputs = self.outputs(x, batch_size=batch_size)
        found = family_of({"y": self.decode(outputs), **self.spread(outputs)}) if "y" in outputs else None
        if found is None:
            raise DataError(
                "the model predicts no distribution; train one with model.head, such as mean_variance"
            )
        return found

    def unseen(self, x: Any) -> dict[str, int]:
        """Counts the records of a table whose category was not there in training; such a one is taken for missing.

        Args:
            x: As `__call__`.

        Returns:
            By name, only of columns with such records.
        """
        inputs, taken = self.preparation.inputs, take_inputs(x, schema=self.schema)
        side = inputs.steps[0] if isinstance(inputs, Sequential) and inputs.steps else inputs
        if not isinstance(taken, Frame) or not isinstance(side, Columns):
            return {}
        found = {}
        for name, op in side.operators.items():
            column: Any = taken.columns[name]
            for step in op.steps if isinstance(op, Sequential) else (op,):
                if (
                    isinstance(step, OneHot | Ordinal)
                    and column.dtype.kind == "U"
                    and step.values is not None
                ):
                    known = [
                        *step.values[0],
                        *(step.rare[0] if isinstance(step, OneHot) and step.rare else ()),
                    ]
                    found[name] = int((~np.isin(column, known) & ~is_blank(column)).sum())
        return {name: count for name, count in found.items() if count}

    @property
    def classes(self) -> list[Any]:
        """Names the classes or the labels, in the order of the logits."""
        return classes_of(self.preparation.targets)

    @property
    def levels(self) -> list[float] | None:
        """Gives the levels of the quantiles; None where there are none."""
        found: list[float] | None = self.description["model"].get("quantiles")
        return found

    def columns(self, x: Any, *, batch_size: int | None = None) -> dict[str, Array]:
        """Gives predictions as named columns.

        Returns:
            The class and `p(class)` for each class; for each label, whether it holds, and `p(label)`; each target, and
            its `std`, `scale` and `df`, or quantiles such as `q0.05`, or the `means` and `stds` of components, shape
            `(records, components)`, beside their shares `mixing`; the classes of pixels; or the `embedding`.

        Raises:
            DataError: As `outputs`, or if two of the columns would have one name.
        """
        outputs = self.outputs(x, batch_size=batch_size)
        return self.name_columns(outputs, self.decode(outputs), self.spread(outputs))

    def name_columns(
        self, outputs: Mapping[str, Array], decoded: Array, spread: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Names the columns of outputs, as `decode` and `spread` have put them into the unit of the data."""
        return name_columns(
            outputs,
            decoded,
            spread,
            task=self.schema.task_type,
            targets=self.schema.targets,
            classes=self.classes,
            levels=self.levels,
        )


def load_version(
    registry: Registry, version: VersionRow, *, backend: str | None = None
) -> ModelOp | EnsembleOp:
    """Loads a version from the store alone: one model, or an ensemble of its members; else as `load_model`."""

    def load(description: Any, weights: Mapping[str, Array], row: VersionRow) -> ModelOp:
        for name, (recorded, now) in code_of(registry, row, description).items():
            # An edit may be harmless, which nobody but its author knows: the model is served all the same.
            if recorded != now:
                log.warning(
                    f"{row.model}@{row.number} is made of own code {name!r}, which has changed since it was trained: "
                    f"recorded {recorded[:16]}, now {now[:16]}; restore it, or train again"
                )
        return ModelOp(
            description if backend is None else served_by(description, backend), weights, version=row
        )

    rows = registry.members(version)
    if not rows:
        return load(registry.operator(version), registry.weights(version), version)
    pairs = zip(registry.member_models(version), rows, strict=True)
    return EnsembleOp([load(*parts, row) for parts, row in pairs], version=version)


def code_of(registry: Registry, version: VersionRow, description: Any) -> dict[str, tuple[str, str]]:
    """Gives the digest of each own code that a model is made of: as its run recorded it, and now.

    It can be imported from then on. What only trained the model, such as a callback, is not needed any more.

    Args:
        registry: Where the version is.
        version: Of one model.
        description: Its operator.
    """
    run = registry.run(version.run)
    now = own_code(description, Path(run.folder))
    environment: Any = registry.environment(run) if now else {}
    recorded = environment.get("code", {})
    return {name: (recorded.get(name, "none"), digest) for name, digest in now.items()}


def load_model(
    ref: str, *, home: Path | str | None = None, backend: str | None = None
) -> ModelOp | EnsembleOp:
    """Loads a trained model, or an ensemble of them; warns if own code that it is made of has changed.

    Args:
        ref: Such as `name@best`.
        home: The store; `$TRAINWRIGHT_HOME` or `.trainwright` unless given.
        backend: Predicts instead of the one it was trained by; the outputs agree to 1e-5 of their scale.

    Raises:
        StoreError: If there is no such version, or its objects are damaged.
        SpecError: If there is no such backend.
        BackendError: If the backend is not installed.
    """
    registry = Registry(Store.open(home_of(home), create=False))
    return load_version(registry, registry.resolve(ref), backend=backend)
