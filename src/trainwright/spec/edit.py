"""The one way to change a spec: values by path, on the command line or in a search."""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from trainwright.base.errors import SpecError
from trainwright.spec.data import KFOLD
from trainwright.spec.experiment import Experiment
from trainwright.spec.faults import Fault, find_faults
from trainwright.spec.fields import chosen, fields_of, inside, show, tag_of, variants
from trainwright.spec.part import Part
from trainwright.spec.text import Json, read_text

Change = tuple[str, Json]
MOST_PATH = 200  # letters of a path that a message shows


def parse_change(text: str, *, option: str = "--set") -> Change:
    """Reads a change as it is written on the command line.

    Args:
        text: `path=value`; the path has points and counts list items from 0, the value is YAML on one line.
        option: After which it is written, for the error message.

    Returns:
        The path, and the value that was read.

    Raises:
        SpecError: If there is no `=`, no path or no value, or the value cannot be read.

    Example:
        >>> parse_change("train.optimizer={name: sgd, lr: 1e-2}")
        ('train.optimizer', {'name': 'sgd', 'lr': 0.01})
    """
    path, sign, value = text.partition("=")
    where = f"{option} {path.strip()[:MOST_PATH]}"
    if not sign or not path.strip():
        raise SpecError(f"{option} {show(text)}: write it as path=value, such as train.epochs=3")
    if not value.strip():
        raise SpecError(f"{where}: the value is missing; write null for nothing, '\"\"' for empty text")
    found = read_text(value, where=where, flow=True)
    if found.faults:
        raise SpecError("\n".join(f"{where}: {fault}" for _, _, fault in found.faults))
    return path.strip(), found.value


def edit(experiment: Experiment, changes: Mapping[str, Json], *, option: str = "--set") -> Experiment:
    """Gives the experiment with some values changed.

    Fields that the experiment does not give keep following their defaults. Another `name` for an optimizer or
    a schedule drops the fields that the new one does not have. The order of the changes does not matter.

    Args:
        experiment: The experiment; it stays as it is.
        changes: New values by path, such as `{"train.callbacks.0.args.patience": 3}`.
        option: By which the changes are asked for, for the error message.

    Raises:
        SpecError: If a path leads nowhere or the changed experiment is wrong; all faults, a line each.

    Example:
        >>> from trainwright.spec.data import DataSpec
        >>> from trainwright.spec.model import ModelSpec
        >>> before = Experiment(name="a", data=DataSpec(path="a.csv"), model=ModelSpec(architecture="mlp"))
        >>> edit(before, {"train.optimizer.name": "sgd"}).train.optimizer.lr
        0.01
        >>> edit(before, {"train.epoch": 3})
        Traceback (most recent call last):
        trainwright.base.errors.SpecError: --set train.epoch: unknown field 'epoch', nearest: 'epochs'
    """
    tree = experiment.model_dump(mode="json", exclude_unset=True)
    changed, faults = change(tree, list(changes.items()))
    faults += find_faults(changed, Experiment)
    if faults:
        paths = list(changes)
        told = (spell_change(fault, blame(fault, paths, known=()), option=option) for fault in faults)
        raise SpecError("\n".join(told))
    return Experiment.model_validate(changed)


def single_of(experiment: Experiment) -> Experiment:
    """Gives the experiment of one model of an ensemble; where folds become one and none is named, of the first fold.

    Args:
        experiment: Of an ensemble, or of one model already.
    """
    split = experiment.data.split
    unnamed = experiment.ensemble == "folds" and split.method in KFOLD and split.fold is None
    return edit(experiment, {"ensemble": None} | ({"data.split.fold": 0} if unnamed else {}))


def change(tree: Json, changes: Sequence[Change]) -> tuple[Json, list[Fault]]:
    """Puts values into the plain values of an experiment, without checking the result.

    Returns:
        New plain values, and the changes whose path leads into something that has no fields.
    """
    # Whole parts first and names before other fields, so that the order of the changes does not matter.
    order = sorted(changes, key=lambda one: (one[0].count("."), not one[0].endswith(".name")))
    faults = []
    for path, value in order:
        try:
            tree = _put(tree, Experiment, _split(path), value)
        except _NowhereError as error:
            faults.append(Fault(_split(path), str(error)))
    return tree, faults


def blame(fault: Fault, paths: Iterable[str], *, known: Container[tuple[str, ...]]) -> str | None:
    """Names the change that brought a fault; None if it was there before.

    Args:
        fault: The fault.
        paths: Paths of the changes.
        known: Places that the spec had before the changes, each key as text.
    """
    place = tuple(map(str, fault.path))

    def brought(path: str) -> bool:
        parts = _split(path)
        new = place != () and place not in known
        return place[: len(parts)] == parts or (new and parts[: len(place)] == place)

    return max(filter(brought, paths), key=len, default=None)


def spell_change(fault: Fault, path: str | None, *, option: str = "--set") -> str:
    """Writes a fault with the change that brought it, as `--set train.epoch: ...`."""
    if path is None:
        return str(fault)
    deeper = len(fault.path) > len(_split(path))
    text = str(fault) if deeper else fault.text
    return f"{option} {path}: {text.replace('unknown key', 'unknown field', 1)}"


class _NowhereError(Exception):
    """A path leads into something that has no fields."""


def _split(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))


def _put(node: Json, annotation: Any, path: tuple[str, ...], value: Json) -> Json:
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(node, list):
        if not (key.isascii() and key.isdigit()) or int(key) >= len(node):
            raise _NowhereError(f"no item {show(key)}; the list has {len(node)} items, counted from 0")
        number = int(key)
        item = _put(node[number], inside(annotation, node, number), rest, value)
        return [*node[:number], item, *node[number + 1 :]]
    if isinstance(node, str) and node in variants(annotation):
        node = {str(tag_of(annotation)): node}  # `loss: huber` is short for `loss: {name: huber}`
    if node is not None and not isinstance(node, dict):
        raise _NowhereError(f"no field {show(key)}: {show(node)} is a single value")
    held = node or {}
    part = chosen(annotation, held)
    if part is not None and not rest and key == tag_of(annotation):
        held = _fitting(held, annotation, value)
    inner = held.get(key)
    if inner is None and part is not None and rest:
        inner = _default(part, key)
    return {**held, key: _put(inner, inside(annotation, held, key), rest, value)}


def _fitting(held: dict[str, Json], annotation: Any, name: Json) -> dict[str, Json]:
    new = variants(annotation).get(name) if isinstance(name, str) else None
    old = chosen(annotation, held)
    if new is None or old is None:
        return held
    # Only fields of the old one are dropped: a key that was wrong before stays wrong.
    lost = set(fields_of(old)) - set(fields_of(new))
    return {key: value for key, value in held.items() if key not in lost}


def _default(part: type[Part], key: str) -> Json:
    field = part.model_fields.get(key)
    if field is None or field.is_required():
        return None
    value = field.get_default(call_default_factory=True)
    return value.model_dump(mode="json", exclude_unset=True) if isinstance(value, Part) else value
