"""Takes what a reader finds: tensors and plain values by name, and no more of them than is allowed."""

import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trainwright.base.errors import DataError
from trainwright.base.jsontext import Json
from trainwright.base.tensors import MAX_TENSORS
from trainwright.base.tree import Array

MAX_VALUES = 100_000
MAX_TEXT_BYTES = 4 * 2**20  # of names and values together
MAX_NAME_BYTES = 500
MAX_BITS = 64
SHOWN = 100

Parts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lazy:
    """A tensor that is read when it is taken.

    Args:
        shape: Of it.
        itemsize: Bytes of one number, as it will be in memory.
        read: Gives it.
    """

    shape: tuple[int, ...]
    itemsize: int
    read: Callable[[], Array]


class Collector:
    """Takes tensors and values in the jailed process.

    Args:
        limit: Of the bytes of all tensors together.

    Attributes:
        tensors: By name.
        values: Plain ones by name, or lists of them.
    """

    def __init__(self, limit: int) -> None:
        self.tensors: dict[str, Array] = {}
        self.values: dict[str, Json] = {}
        self._limit = limit
        self._taken = 0
        self._text = 0

    def reserve(self, shape: Sequence[int], itemsize: int, *, what: str) -> None:
        """Counts the bytes of a tensor before they are read.

        Raises:
            DataError: If all tensors together are too large.
        """
        self._taken += math.prod(shape) * itemsize
        if self._taken > self._limit:
            raise DataError(
                f"tensor {what[:SHOWN]!r} of shape {tuple(shape)}: all tensors together may have "
                f"{self._limit:,} bytes, four times the file and 64 MiB"
            )

    def tensor(self, parts: Parts, array: Array) -> None:
        """Takes a tensor.

        Args:
            parts: Of its name.
            array: Booleans, integers or floats; it was reserved.

        Raises:
            DataError: If the name is not allowed or taken, or there are too many.
        """
        if len(self.tensors) >= MAX_TENSORS:
            raise DataError(f"more than {MAX_TENSORS:,} tensors")
        self.tensors[self._name(parts)] = array

    def value(self, parts: Parts, value: Json) -> None:
        """Takes a plain value or a list of plain values.

        Raises:
            DataError: As `tensor`, or if it is no plain value.
        """
        if len(self.values) >= MAX_VALUES:
            raise DataError(f"more than {MAX_VALUES:,} plain values")
        name = self._name(parts)
        for one in value if isinstance(value, list) else [value]:
            self._check(one, name)
        self.values[name] = value

    def _name(self, parts: Parts) -> str:
        name = "/".join(parts)
        if any(unicodedata.category(letter).startswith("C") for letter in name):
            raise DataError(
                f"the name {name[:SHOWN]!r} holds control characters or characters that are not seen"
            )
        size = len(name.encode("utf-8"))
        if not 1 <= size <= MAX_NAME_BYTES:
            raise DataError(
                f"the name {name[:SHOWN]!r} has {size:,} bytes, 1 to {MAX_NAME_BYTES} are allowed"
            )
        if name in self.tensors or name in self.values:
            raise DataError(f"the name {name[:SHOWN]!r} is given twice")
        self._count_text(size)
        return name

    def _check(self, value: Json, name: str) -> None:
        if isinstance(value, str):
            try:
                self._count_text(len(value.encode("utf-8")))
            except UnicodeEncodeError as error:
                raise DataError(f"{name[:SHOWN]!r}: its text holds a lone surrogate") from error
        elif type(value) is int:
            if value.bit_length() > MAX_BITS:
                raise DataError(f"{name[:SHOWN]!r}: a whole number of {value.bit_length():,} bits")
        elif value is not None and type(value) not in (bool, float):
            raise DataError(f"{name[:SHOWN]!r}: {type(value).__name__} is no plain value")

    def _count_text(self, size: int) -> None:
        self._text += size + 8
        if self._text > MAX_TEXT_BYTES:
            raise DataError(f"names and values have more than {MAX_TEXT_BYTES:,} bytes")


def take_tree(found: Collector, root: object) -> None:
    """Takes the leaves of nested dicts, lists and tuples; the name of a leaf is the keys that lead to it.

    Nothing is taken for granted about the tree: parts may be shared a million times, or hold themselves.

    Args:
        found: Takes them.
        root: Leaves are `Lazy` tensors and plain values; bytes are told by their number only.

    Raises:
        DataError: If it is deeper than 64, has more than 200 000 nodes, or holds something else.
    """
    _Walk(found).visit(root, ())


class _Walk:
    MAX_DEPTH, MAX_NODES = 64, 200_000

    def __init__(self, found: Collector) -> None:
        self.found, self.nodes = found, 0

    def visit(self, node: object, parts: Parts) -> None:
        self.count(1)
        if len(parts) > self.MAX_DEPTH:
            raise DataError(f"nested deeper than {self.MAX_DEPTH}")
        if isinstance(node, dict):
            for key, item in node.items():
                self.visit(item, (*parts, _spell_key(key)))
        elif isinstance(node, list | tuple) and not (node and all(map(_is_plain, node))):
            for number, item in enumerate(node):
                self.visit(item, (*parts, str(number)))
        elif isinstance(node, list | tuple):
            self.count(len(node))
            self.found.value(parts or ("value",), [_plain(item) for item in node])
        elif isinstance(node, Lazy):
            parts = parts or ("tensor",)
            self.found.reserve(node.shape, node.itemsize, what="/".join(parts))
            self.found.tensor(parts, node.read())
        else:
            self.found.value(parts or ("value",), _plain(node))

    def count(self, number: int) -> None:
        self.nodes += number
        if self.nodes > self.MAX_NODES:
            raise DataError(f"more than {self.MAX_NODES:,} parts, with shared ones counted each time")


def _spell_key(key: object) -> str:
    if type(key) is str:
        return key
    if type(key) is int and key.bit_length() <= MAX_BITS:
        return str(key)
    raise DataError(f"a key is {type(key).__name__}, not text or a whole number")


def _is_plain(node: object) -> bool:
    return node is None or type(node) in (bool, int, float, str, bytes)


def _plain(node: object) -> Json:
    if isinstance(node, bytes):
        return f"({len(node):,} bytes)"
    if not _is_plain(node):
        raise DataError(f"{type(node).__name__.lower()} stands where a plain value or a tensor should be")
    return node
