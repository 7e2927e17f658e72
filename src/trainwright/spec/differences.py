"""Where two specs differ."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from trainwright.base.jsontext import Json, write_json
from trainwright.spec.experiment import Experiment
from trainwright.spec.faults import Path, spell
from trainwright.spec.fields import chosen, fields_of, inside


class Absent(StrEnum):
    """Stands for a value that one side does not have; `null` is a value. In JSON it is the word `absent`."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT
Difference = tuple[str, Json | Absent, Json | Absent]


def differences(left: dict[str, Any], right: dict[str, Any]) -> list[Difference]:
    """Lists the fields in which two resolved specs differ, in the order of the spec.

    Two specs have no differences exactly when their digests are equal; so `1` and `1.0` inside `args` differ.
    Lists of single values are compared as wholes, lists of parts item by item.

    Args:
        left: Plain values of one spec.
        right: Plain values of the other.

    Returns:
        Path, left value, right value; `ABSENT` where a side has none.

    Example:
        >>> differences({"seed": 1, "train": {"epochs": 3}}, {"seed": 1, "train": {"epochs": 4}})
        [('train.epochs', 3, 4)]
    """
    return [(spell(path), one, other) for path, one, other in _differences(left, right, Experiment, ())]


def _differences(left: Any, right: Any, annotation: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    if isinstance(left, dict) and isinstance(right, dict) and (left or right):
        for key in _keys(left, right, annotation):
            one, other = left.get(key, ABSENT), right.get(key, ABSENT)
            known = inside(annotation, left if key in left else right, key)
            yield from _differences(one, other, known, (*path, key))
    elif _holds_parts(left) and _holds_parts(right):
        for number in range(max(len(left), len(right))):
            one = left[number] if number < len(left) else ABSENT
            other = right[number] if number < len(right) else ABSENT
            yield from _differences(one, other, inside(annotation, left or right, number), (*path, number))
    elif not _equal(left, right):
        yield path, left, right


def _keys(left: dict[str, Any], right: dict[str, Any], annotation: Any) -> list[str]:
    parts = [part for part in (chosen(annotation, left), chosen(annotation, right)) if part is not None]
    known = [name for part in parts for name in fields_of(part)]
    return sorted({*left, *right}, key=lambda key: (known.index(key) if key in known else len(known), key))


def _holds_parts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _equal(left: Any, right: Any) -> bool:
    if left is ABSENT or right is ABSENT:
        return left is right
    return write_json(left) == write_json(right)
