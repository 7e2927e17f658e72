"""Training that begins from the weights of a recorded version."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainwright.base.errors import SpecError, StoreError
from trainwright.base.tree import Array
from trainwright.data.dataset import Dataset
from trainwright.data.prepare import Preparation
from trainwright.models.blueprint import Blueprint
from trainwright.ops import CATALOG as OPERATORS
from trainwright.spec.build import own_code_from
from trainwright.spec.data import ColumnSpec
from trainwright.spec.edit import edit
from trainwright.spec.experiment import Experiment
from trainwright.spec.model import ModelSpec
from trainwright.store.records import VersionRow
from trainwright.store.registry import Registry
from trainwright.store.store import Store

HEAD = "output"  # the layer that every architecture ends with
TRAINING_ONLY = ("decoder_", "projection_")  # what follows an embedding while it is trained
MOST_FAULTS = 6


@dataclass(frozen=True, eq=False)
class Parent:
    """The version that a fine-tuning begins from.

    Args:
        version: Its row.
        weights: By neutral name.
        description: All that the version needs besides its weights.
        data: The `data` section of its spec.
    """

    version: VersionRow
    weights: Mapping[str, Array]
    description: Mapping[str, Any]
    data: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Names the version for good, as `name@number`."""
        return f"{self.version.model}@{self.version.number}"


def open_parent(experiment: Experiment, home: Path) -> Parent | None:
    """Reads the version that a spec begins from, or None if it begins from nothing.

    Raises:
        SpecError: If there is no such version, it was collected, or it has other weights than the spec says.
    """
    train = experiment.train
    if train.init_from is None:
        return None
    try:
        registry = Registry(Store.open(home, create=False))
        version = registry.resolve(train.init_from)
        run = registry.run(version.run)
        members = [f"{one.model}@{one.number}" for one in registry.members(version)]
        if members:
            raise StoreError(f"{train.init_from} is an ensemble; begin from one of {', '.join(members)}")
        weights: Any = registry.weights(version)
        description: Any = registry.operator(version)
        parent = Parent(version, weights, description, registry.spec(run)["data"])
    except StoreError as error:
        raise SpecError(f"train.init_from: {error}") from error
    if train.init_weights not in (None, version.weights):
        raise SpecError(
            f"train.init_weights: {parent.name} has the weights {version.weights}, not {train.init_weights}; "
            "name the version that has them, or leave the digest out"
        )
    own_code_from(Path(run.folder))  # of its operators
    return parent


def pin(experiment: Experiment, parent: Parent) -> Experiment:
    """Writes into a spec which version it begins from, so that no moved tag can change it.

    With `keep_preparation` the operators of the parent's spec are written too.

    Raises:
        SpecError: If the spec has other operators than the preparation it keeps.
    """
    train = experiment.train
    changes: dict[str, Any] = {"train.init_from": parent.name, "train.init_weights": parent.version.weights}
    if train.keep_preparation:
        for field in ("operators",) if train.new_head else ("operators", "target_operators"):
            own = getattr(experiment.data, field)
            said = [] if own == "auto" else [one.tree() for one in own]
            if said not in ([], parent.data[field]):
                raise SpecError(
                    f"data.{field}: train.keep_preparation takes those of {parent.name}; leave them out, "
                    "or write keep_preparation: false"
                )
            if parent.data[field]:  # of a table, `auto` is decided column by column
                changes[f"data.{field}"] = parent.data[field]
    return edit(experiment, changes)


def keep_columns(
    parent: Parent, columns: Sequence[ColumnSpec], *, said: Sequence[ColumnSpec]
) -> list[ColumnSpec]:
    """Gives the columns of a table the operators that they have in the parent's preparation.

    Args:
        parent: Whose preparation is kept.
        columns: Of the new data, decided.
        said: What the spec says of columns.

    Raises:
        SpecError: If the spec has other operators for a column.
    """
    before = {one["name"]: one["operators"] for one in parent.data["columns"]}
    for number, one in enumerate(said):
        if one.operators != "auto" and [use.tree() for use in one.operators] != before.get(one.name):
            raise SpecError(
                f"data.columns.{number}.operators: train.keep_preparation takes those of {parent.name}; leave them "
                "out, or write keep_preparation: false"
            )
    return [
        ColumnSpec.model_validate(one.tree() | {"operators": before.get(one.name, one.tree()["operators"])})
        for one in columns
    ]


def keep_preparation(parent: Parent, fitted: Preparation, *, dataset: Dataset, new_head: bool) -> Preparation:
    """Gives the parent's preparation in the place of one that was fitted to the new data.

    Args:
        parent: Whose preparation it is.
        fitted: To the new data; its target is used with a new head.
        dataset: The new data.
        new_head: Whether the output layer is drawn anew.

    Raises:
        SpecError: If the new data have other features.
    """
    features, shape = parent.description["features"], tuple(parent.description["shape"])
    before = list(features) if isinstance(features, list) else None  # the name of an array means nothing
    now, now_shape = None if dataset.features is None else list(dataset.features), dataset.records.x.shape[1:]
    if (now, now_shape) != (before, shape):
        raise SpecError(
            f"train.keep_preparation: {parent.name} was prepared for {_features(before, shape)}, these data "
            f"have {_features(now, now_shape)}; write keep_preparation: false to fit it anew"
        )
    kept = Preparation.from_spec(parent.description["preparation"], OPERATORS)
    return replace(kept, targets=fitted.targets, task_type=fitted.task_type) if new_head else kept


def take_weights(
    parent: Parent, blueprint: Blueprint, model: ModelSpec, *, preparation: Preparation, new_head: bool
) -> dict[str, Array]:
    """Chooses what is taken from the parent: every array, or with a new head all but those of the output layer.

    Args:
        parent: Where from.
        blueprint: Of the new model.
        model: Its resolved spec, to name what differs.
        preparation: Of the new data; without a new head its classes must be those of the parent.
        new_head: Whether the output layer is drawn anew.

    Returns:
        Arrays by neutral name; what is missing keeps its initial values.

    Raises:
        SpecError: If the models differ where weights are taken; arrays, both shapes and the cure are named.
    """
    if not new_head:
        _check_meaning(parent, preparation)
    shapes = {name: one.shape for name, one in blueprint.parameters.items()}
    found = {name: array.shape for name, array in parent.weights.items()}
    wanted = [name for name in {**shapes, **found} if not (new_head and _is_head(name))]
    if new_head and not any(map(_is_head, shapes)):
        raise SpecError(
            f"train.new_head: the network has no layer called {HEAD!r} to draw anew; name its last layer so"
        )
    differing = [name for name in wanted if shapes.get(name) != found.get(name)]
    if differing:
        lines = [
            f"{name} has the shape {_shape(found.get(name))} there, {_shape(shapes.get(name))} here"
            for name in differing
        ]
        more = [f"and {len(lines) - MOST_FAULTS} more"] if len(lines) > MOST_FAULTS else []
        told = "; ".join([*lines[:MOST_FAULTS], *more])
        if all(_is_head(name) for name in differing):
            cure = "write train.new_head: true to draw the output layer anew"
        else:
            fields = "; ".join(_differing_fields(parent, model))
            cure = f"make the models alike: {fields}" if fields else "give the model that the version has"
        raise SpecError(f"train.init_from: {parent.name} has another model: {told}; {cure}")
    return {name: parent.weights[name] for name in wanted}


def _check_meaning(parent: Parent, preparation: Preparation) -> None:
    cure = "write train.new_head: true to draw the output layer anew"
    task = parent.description["task_type"]
    if task != preparation.task_type:
        raise SpecError(
            f"train.init_from: {parent.name} was trained for {task}, this is {preparation.task_type}; {cure}"
        )
    kept = Preparation.from_spec(parent.description["preparation"], OPERATORS)
    classes = [getattr(one.targets, "values", None) for one in (kept, preparation)]
    # An output of the same length would be taken for the scores of other classes.
    if task == "classification" and classes[0] != classes[1]:
        raise SpecError(
            f"train.init_from: {parent.name} tells the classes {_some(classes[0])}, these data have "
            f"{_some(classes[1])}; {cure}"
        )


def _is_head(name: str) -> bool:
    return name.partition(".")[0] == HEAD or name.startswith(TRAINING_ONLY)


def _differing_fields(parent: Parent, model: ModelSpec) -> Iterator[str]:
    before, now = parent.description["model"], model.tree()
    for field in now:
        if field in before and before[field] != now[field] and field not in ("output_dim", "task_type"):
            yield f"model.{field} is {before[field]} there, {now[field]} here"


def _features(features: list[str] | None, shape: tuple[int, ...]) -> str:
    return f"arrays of shape {shape}" if features is None else f"the columns {_some(features)}"


def _some(values: Any) -> str:
    shown = [str(value) for value in values or ()]
    return ", ".join(shown[:8]) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "")


def _shape(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else str(tuple(shape))
