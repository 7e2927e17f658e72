"""What is wrong with a spec, all at once: each fault with its path, the cure, and the nearest valid word."""

import difflib
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import GenericAlias
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from trainwright.spec.fields import (
    Option,
    chosen,
    describe,
    fields_of,
    inside,
    is_part,
    options,
    show,
    tag_of,
    tagged,
    variants,
)
from trainwright.spec.part import Part
from trainwright.spec.text import resolve

MOST = 100  # further faults are only counted
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Args:
        path: Keys and list numbers from the top of the spec.
        text: What is wrong; after a semicolon, the cure.
        at: What a reader should look at: the value, its key, or the mapping that lacks it.
    """

    path: Path
    text: str
    at: Literal["value", "key", "parent"] = "value"

    def __str__(self) -> str:
        """Writes path and text, as `train.epochs: ...`."""
        return f"{spell(self.path)}: {self.text}" if self.path else self.text


def spell(path: Path) -> str:
    """Writes a path with points; odd keys are quoted.

    Example:
        >>> print(spell(("train", "callbacks", 0, "args", "a b")))
        train.callbacks.0.args.'a b'
    """
    return ".".join(str(key) if re.fullmatch(r"[\w-]{1,60}", str(key)) else show(key) for key in path)


def find_faults(tree: Any, root: type[Part]) -> list[Fault]:
    """Lists everything that is wrong with plain values that should describe a part.

    Rules across fields are asked although other fields are wrong, as long as those they look at are right.

    Example:
        >>> from trainwright.spec.train import TrainSpec
        >>> wrong = {"epoch": 3, "optimizer": {"name": "sgd", "lr": "1e-3", "nesterov": True}}
        >>> for fault in find_faults(wrong, TrainSpec):
        ...     print(fault)
        optimizer.lr: '1e-3' is text; write the number without quotes: 1e-3
        epoch: unknown key 'epoch', nearest: 'epochs'
        optimizer.nesterov: it needs momentum; add momentum: 0.9, or leave nesterov out
    """
    try:
        root.model_validate(tree)
    except ValidationError as error:
        found = _Errors(error, root)
        faults = found.faults()
        known = {(fault.path, fault.text) for fault in faults}
        broken = [
            fault for fault in _broken(root, tree, (), found.paths) if (fault.path, fault.text) not in known
        ]
        return faults + list(itertools.islice(broken, MOST))
    return []


def faults_of(error: ValidationError, root: type[Part]) -> list[Fault]:
    """Lists what pydantic found wrong with a part made in Python, without its noise about unions."""
    return _Errors(error, root).faults()


class _Spot(NamedTuple):
    path: Path
    annotation: Any  # what may stand there
    holder: type[Part] | None  # the part whose field it is


class _Errors:
    """pydantic's errors, put where the user would look for them.

    pydantic reports each option of a union, with the option's name in the path. Here they are gathered: if an
    item within the value is wrong, only that is told, otherwise one fault lists what the place takes.
    """

    def __init__(self, error: ValidationError, root: type[Part]) -> None:
        details = error.errors(include_url=False)
        located = [(_locate(root, detail), detail) for detail in details]
        self.paths = {spot.path for spot, detail in located if detail["type"] != "rules"}
        within = {spot.path[:length] for spot, _ in located for length in range(len(spot.path))}
        within |= {spot.path for spot, detail in located if detail["type"] == "rules"}
        self.kept: dict[tuple[Path, str], tuple[_Spot, ErrorDetails]] = {}
        for spot, detail in located:
            several = len(_values(spot.annotation)) > 1 and tagged(spot.annotation) is not spot.annotation
            if not (several and spot.path in within):
                kind = detail["type"] if detail["type"] in _KINDS else "value"
                self.kept.setdefault((spot.path, kind), (spot, detail))
        self.root = root

    def faults(self) -> list[Fault]:
        first = list(itertools.islice(self.kept.values(), MOST))
        found = [fault for spot, detail in first for fault in _tell(spot, detail, self.root)]
        left = len(self.kept) - len(first)
        return found + ([Fault((), f"{left} further faults are not shown")] if left else [])


_KINDS = ("missing", "extra_forbidden", "rules")


def _locate(root: type[Part], detail: ErrorDetails) -> _Spot:
    path: Path = ()
    annotation: Any = root
    holder: type[Part] | None = None
    for left, key in zip(range(len(detail["loc"]), 0, -1), detail["loc"], strict=True):
        parts = variants(annotation)
        found = _values(annotation)
        if parts and tagged(annotation) is not annotation:
            # The name of an option, such as `literal['mse']`. Only the parts lead further.
            if left > 1 or detail["type"].startswith("union_tag"):
                annotation = tagged(annotation)
        elif parts:
            annotation = parts.get(str(key))
        elif len(found) > 1 and not isinstance(key, int):
            # The name of an option, such as `list[int]`. Only lists lead further.
            if left > 1 and str(key).startswith("list["):
                item = next(option.item for option in found if option.kind is list)
                annotation = GenericAlias(list, (item,))
        elif key != "[key]":
            holder = next((option.kind for option in found if is_part(option.kind)), None)
            path = (*path, key)
            annotation = fields_of(holder).get(str(key)) if holder else found[0].item if found else None
    tag = tag_of(annotation)
    if tag is not None and detail["type"].startswith("union_tag"):
        return _Spot((*path, tag), annotation, holder)
    return _Spot(path, annotation, holder)


def _tell(spot: _Spot, detail: ErrorDetails, root: type[Part]) -> Iterator[Fault]:
    kind, value = detail["type"], detail["input"]
    if kind == "missing":
        yield Fault(spot.path, f"required field is missing; it takes {describe(spot.annotation)}", "parent")
    elif kind == "union_tag_not_found":
        text = f"required field is missing; it takes {_either(variants(spot.annotation))}"
        yield Fault(spot.path, text, "parent")
    elif kind == "union_tag_invalid":
        yield Fault(spot.path, _not_one_of(value[spot.path[-1]], variants(spot.annotation)))
    elif kind == "extra_forbidden":
        yield Fault(spot.path, unknown(str(spot.path[-1]), spot.holder or root, root), "key")
    elif kind == "rules":
        for path, text in detail["ctx"]["broken"]:
            yield Fault((*spot.path, *path), text)
    elif kind == "value_error":
        yield Fault(spot.path, str(detail["ctx"]["error"]))
    else:
        yield Fault(spot.path, _not_taken(value, spot.annotation))


def unknown(key: str, part: type[Part], root: type[Part]) -> str:
    """Says that a part has no such key; names the nearest, or where else a key of that name belongs.

    Example:
        >>> from trainwright.spec.experiment import Experiment
        >>> unknown("epochs", Experiment, Experiment)
        "unknown key 'epochs'; it belongs at train.epochs"
    """
    names = list(fields_of(part))
    near = _near(key, names)
    elsewhere = [spell(path) for path in _places(root, ()) if path[-1] == key]
    if near:
        return f"unknown key {show(key)}, nearest: {near}"
    if elsewhere:
        return f"unknown key {show(key)}; it belongs at {elsewhere[0]}"
    return f"unknown key {show(key)}, known: {', '.join(names)}"


def _places(part: type[Part], path: Path) -> Iterator[Path]:
    for name, annotation in fields_of(part).items():
        yield (*path, name)
        for option in options(annotation):
            if is_part(option.kind) and not variants(annotation):
                yield from _places(option.kind, (*path, name))


def _not_taken(value: Any, annotation: Any) -> str:
    found = _values(annotation)
    kinds = {option.kind for option in found}
    words = [word for option in found if option.kind is Literal for word in option.values]
    if isinstance(value, str):
        if kinds & {int, float} and type(resolve(value)) in (int, float):
            return f"{show(value)} is text; write the number without quotes: {value}"
        if bool in kinds:
            return f"{show(value)} is text; write true or false, without quotes"
        if words and not kinds & {str} and (near := _near(value, words)):
            return f"{show(value)} is not {describe(annotation)}; nearest: {near}"
        if any(is_part(kind) for kind in kinds) and not words:
            return f"{show(value)} is text; write {_mapping_like(annotation, value)}"
    if value is None:
        return f"nothing is given (null); it takes {describe(annotation)}"
    if isinstance(value, tuple):
        return f"{show(list(value))} is a tuple; write a list"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} is not finite; it takes {describe(annotation)}"
    if isinstance(value, float) and value.is_integer() and int in kinds and float not in kinds:
        return f"{show(value)} is not {describe(annotation)}; write it without a point: {value:.0f}"
    return f"{show(value)} is not {describe(annotation)}"


def _mapping_like(annotation: Any, value: str) -> str:
    parts = variants(annotation)
    if parts:
        near = difflib.get_close_matches(value[:100], parts, n=1) or list(parts)
        return f"{{{tag_of(annotation)}: {near[0]}}}"
    part = next(option.kind for option in _values(annotation) if is_part(option.kind))
    return f"a mapping such as {{{next(iter(fields_of(part)))}: {value[:40]}}}"


def _not_one_of(value: Any, choices: Iterable[str]) -> str:
    near = _near(value, choices) if isinstance(value, str) else None
    return f"{show(value)} is not {_either(choices)}" + (f"; nearest: {near}" if near else "")


def _either(choices: Iterable[str]) -> str:
    return describe(Literal[tuple(choices)])


def _near(word: str, choices: Iterable[str]) -> str | None:
    found = difflib.get_close_matches(word[:100], list(choices), n=1)
    return repr(found[0]) if found else None


def _values(annotation: Any) -> list[Option]:
    return [option for option in options(annotation) if option.kind is not type(None)]


class _UnseenError(Exception):
    """A rule looked at a field that is wrong or missing."""


class _Seen:
    """Plain values with the looks of a part; fields that are wrong cannot be seen."""

    def __init__(self, part: type[Part], tree: Mapping[str, Any], path: Path, faulty: set[Path]) -> None:
        self._of = part, tree, path, faulty

    def __getattr__(self, name: str) -> Any:
        part, tree, path, faulty = self._of
        if name not in part.model_fields:
            raise AttributeError(name)
        field, place = part.model_fields[name], (*path, name)
        if name not in tree:
            if field.is_required():
                raise _UnseenError
            return field.get_default(call_default_factory=True)
        inner = chosen(fields_of(part)[name], tree[name])
        if inner is not None and place not in faulty:
            return _Seen(inner, tree[name], place, faulty)
        if any(one[: len(place)] == place for one in faulty):
            raise _UnseenError
        if not isinstance(tree[name], list):
            return tree[name]
        kind = inside(fields_of(part)[name], tree[name], 0)
        return [
            item if (inner := chosen(kind, item)) is None else _Seen(inner, item, (*place, number), faulty)
            for number, item in enumerate(tree[name])
        ]


def _broken(part: type[Part], tree: Any, path: Path, faulty: set[Path]) -> Iterator[Fault]:
    if not isinstance(tree, dict):
        return
    seen = _Seen(part, tree, path, faulty)
    for rule in part.rules:
        try:
            found = list(rule(seen))
        except _UnseenError:
            continue
        yield from (Fault((*path, *inner), text) for inner, text in found)
    for name, annotation in fields_of(part).items():
        value = tree.get(name)
        items = [((*path, name), annotation, value)]
        if isinstance(value, list):
            kind = inside(annotation, value, 0)
            items = [((*path, name, number), kind, item) for number, item in enumerate(value)]
        for place, kind, item in items:
            inner = chosen(kind, item)
            if inner is not None:
                yield from _broken(inner, item, place, faulty)
