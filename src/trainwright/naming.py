"""What predictions are called: the names of their columns, and that no two have one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.models.heads import count_outputs, decode
from trainwright.ops.labels import Labels
from trainwright.ops.multilabels import MultiLabels
from trainwright.ops.operator import Operator
from trainwright.ops.softlabels import SoftLabels
from trainwright.spec.model import ModelSpec
from trainwright.validation.classification import probabilities
from trainwright.validation.families import Mixture, family_of
from trainwright.validation.multilabel import label_probabilities


def classes_of(targets: Operator) -> list[Any]:
    """Names the classes or the labels, in the order of the logits.

    Args:
        targets: What was done to them.
    """
    if isinstance(targets, MultiLabels):
        return list(targets.names)
    return list(targets.values or ()) if isinstance(targets, Labels | SoftLabels) else []


def name_columns(
    outputs: Mapping[str, Array],
    decoded: Array,
    spread: Mapping[str, Array],
    *,
    task: str,
    targets: Sequence[str],
    classes: Sequence[Any],
    levels: Sequence[float] | None,
) -> dict[str, Array]:
    """Names the columns of predictions.

    Args:
        outputs: Of the network, for their logits.
        decoded: The predictions, in the unit of the data.
        spread: What a regression says besides, in the unit of the data.
        task: As in the model's spec.
        targets: Their names.
        classes: From `classes_of`.
        levels: Of quantiles, where there are some.

    Raises:
        DataError: If two of the columns would have one name.
    """
    if task == "classification":
        name = "class" if len(targets) > 1 else targets[0]
        return _join({name: decoded}, _chances(classes, probabilities(outputs["logits"])))
    if task == "multi_label":
        marks = {name: decoded[:, number] for number, name in enumerate(classes)}
        return _join(marks, _chances(classes, label_probabilities(outputs["logits"])))
    if task == "embedding":
        return {"embedding": decoded}
    if task == "segmentation" or decoded.ndim > 2:
        return {targets[0]: decoded}
    count = decoded.shape[1]
    if len(targets) != count:
        targets = [f"{targets[0]}[{number}]" for number in range(count)]
    found: dict[str, Array] = {name: spread[name] for name in ("mixing",) if name in spread}
    family = family_of({"y": decoded, **spread})
    for number, name in enumerate(targets):
        own = {name: decoded[:, number]}
        if family is not None:
            own[f"{name}.std"] = family.std()[:, number]
        for part in ("scale", "df"):
            if part in spread:
                own[f"{name}.{part}"] = spread[part][:, number]
        if isinstance(family, Mixture):
            own[f"{name}.means"] = family.means[:, :, number]
            own[f"{name}.stds"] = np.sqrt(family.variances[:, :, number])
        if "quantiles" in spread:
            for place, level in enumerate(levels or ()):
                own[f"{name}.q{level:g}"] = spread["quantiles"][:, place, number]
        found = _join(found, own)
    return found


def check_names(model: ModelSpec, *, target: str | Sequence[str], classes: Sequence[Any]) -> None:
    """Names the columns that a model will predict, of a record of zeros, so that a fault is found before training.

    Args:
        model: Resolved.
        target: Name of the target, or those of its columns.
        classes: From `classes_of`.

    Raises:
        DataError: As `name_columns`.
    """
    task, dim, levels = model.task_type, model.output_dim, model.quantiles
    if task not in ("classification", "multi_label", "regression") or model.architecture == "unet":
        return  # one column
    assert dim != "auto" and levels != "auto" and model.components != "auto"
    outputs: dict[str, Array] = {"logits": np.zeros((1, dim))}
    decoded: Array = np.zeros((1, dim))
    if task == "regression":
        raw = np.zeros((1, count_outputs(model.head, dim, quantiles=levels, components=model.components)))
        outputs = decode(model.head, raw, quantiles=levels, components=model.components)
        decoded = outputs.pop("y")
    targets = [target] if isinstance(target, str) else list(target)
    name_columns(outputs, decoded, outputs, task=task, targets=targets, classes=classes, levels=levels)


def _join(some: Mapping[str, Array], more: Mapping[str, Array]) -> dict[str, Array]:
    """Puts columns side by side; none may hide another."""
    twice = sorted(some.keys() & more.keys())
    if twice:
        raise DataError(
            f"two columns of predictions would be called {twice[0]!r}: a target or a class has the name of another "
            "one's probability or spread; rename it in the data"
        )
    return {**some, **more}


def _chances(names: Sequence[Any], chances: Array) -> dict[str, Array]:
    return {f"p({name})": chances[:, number].astype(np.float32) for number, name in enumerate(names)}
