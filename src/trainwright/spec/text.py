"""YAML, read strictly: version 1.2, plain values only, each with its position."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from trainwright.base.bounds import excerpt
from trainwright.base.errors import SpecError

MAX_BYTES = 2**20
MAX_DEPTH = 64
MAX_NODES = 100_000
MAX_WRITTEN = 10_000  # without aliases: reading so many takes .4 s of CPU, on a slow machine too
MAX_WORD = 1_000  # letters of a tag, an anchor or an alias, which the parser reads in quadratic time
MOST_FAULTS = 100  # further ones are only counted
_LONG_WORD = re.compile(rf"(?:^|[\s\[{{,])[!&*][^\s,\[\]{{}}]{{{MAX_WORD},}}")
MAX_DIGITS = 400  # a float64 has at most 309 before the point; Python refuses whole numbers above 4300

Path = tuple[str | int, ...]
Json = Any  # None, bool, int, float, str, lists and dicts with string keys


class Mark(NamedTuple):
    """A position in a text; line and column count from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Yaml:
    """A text that was read.

    Args:
        value: Plain values.
        values: Where each value begins, by path.
        keys: Where each key begins, by path.
        faults: What is wrong with it although it could be read, such as a key given twice.
    """

    value: Json
    values: dict[Path, Mark]
    keys: dict[Path, Mark]
    faults: list[tuple[Mark, Path, str]]


@dataclass
class _Node:
    value: Json  # a scalar, a list of nodes, or a dict of (position of the key, node)
    mark: Mark
    size: int = 1
    height: int = 1
    block: bool = False


@dataclass
class _Composer:
    events: Iterator[Any]
    where: str
    anchors: dict[str, _Node] = field(default_factory=dict)
    faults: list[tuple[Mark, Path, str]] = field(default_factory=list)
    nodes: int = 0
    written: int = 0
    further: int = 0

    def blame(self, mark: Mark, path: Path, text: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append((mark, path, text))
        else:
            self.further += 1

    def stop(self, mark: Mark, text: str) -> NoReturn:
        raise SpecError(f"{self.where}:{mark.line}:{mark.column}: {text}")

    def node(self, event: Any, path: Path) -> _Node:
        mark = _mark(event)
        self.written += 1
        if self.written > MAX_WRITTEN:
            self.stop(mark, f"it has more than {MAX_WRITTEN} values; keep data in a data file")
        if isinstance(event, AliasEvent):
            return self._count(self._alias(event.anchor, mark), mark, path)
        tag = event.tag if isinstance(event.tag, str | None) else str(event.tag)
        if tag is not None:
            self.blame(mark, path, f"the tag {excerpt(tag)} is not allowed; write the plain value")
        self._count(_Node(None, mark), mark, path)
        if isinstance(event, ScalarEvent):
            made = _Node(self._scalar(event, mark), mark)
        elif isinstance(event, SequenceStartEvent):
            made = self._sequence(mark, path)
        else:
            made = self._mapping(mark, path)
        made.block = not isinstance(event, ScalarEvent) and not event.flow_style
        if event.anchor is not None:
            self.anchors[str(event.anchor)] = made
        return made

    def _count(self, node: _Node, mark: Mark, path: Path) -> _Node:
        self.nodes += node.size
        if self.nodes > MAX_NODES:
            self.stop(
                mark, f"it has more than {MAX_NODES} values, with aliases expanded; keep data in a data file"
            )
        if len(path) + node.height > MAX_DEPTH:
            self.stop(mark, f"it is nested deeper than {MAX_DEPTH}")
        return node

    def _alias(self, anchor: Any, mark: Mark) -> _Node:
        if str(anchor) not in self.anchors:
            text = f"the alias *{anchor} has no finished anchor &{anchor} before it; text needs quotes"
            self.stop(mark, text)
        return self.anchors[str(anchor)]

    def _scalar(self, event: Any, mark: Mark) -> Json:
        text = event.value
        if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
            self.stop(mark, "the text holds a NUL or half a character (a lone surrogate)")
        if event.style is not None:
            return text
        if len(text) > MAX_DIGITS and not isinstance(resolve(text[:MAX_DIGITS]), str):
            self.stop(mark, f"a number of more than {MAX_DIGITS} characters; text needs quotes")
        return resolve(text)

    def _sequence(self, mark: Mark, path: Path) -> _Node:
        made = _Node([], mark)
        while not isinstance(event := next(self.events), SequenceEndEvent):
            item = self.node(event, (*path, len(made.value)))
            made.value.append(item)
            _grow(made, item)
        return made

    def _mapping(self, mark: Mark, path: Path) -> _Node:
        made = _Node({}, mark)
        while not isinstance(event := next(self.events), MappingEndEvent):
            spot = _mark(event)
            if not isinstance(event, ScalarEvent):
                self.stop(spot, "a key must be text; write `name: value`")
            key = self.node(event, path).value
            if not isinstance(key, str):
                text = f"the key {event.value[:80]} is not text; write it in quotes"
                self.blame(spot, (*path, event.value), text)
                key = event.value
            if key == "<<" and event.style is None:
                self.blame(spot, (*path, key), "merge keys are not part of YAML 1.2; repeat the fields")
            item = self.node(next(self.events), (*path, key))
            if key in made.value:
                first = made.value[key][0].line
                text = f"the key {excerpt(key)} is given twice, first in line {first}; keep one"
                self.blame(spot, (*path, key), text)
            else:
                made.value[key] = (spot, item)
                _grow(made, item)
        return made


def read_text(content: bytes | str, *, where: str = "YAML", flow: bool = False) -> Yaml:
    r"""Reads one YAML 1.2 document of plain values.

    Numbers, `true`, `false` and `null` are those of the core schema, so `1e-3` is a number; `yes`, `1_000`
    and dates are text.

    Args:
        content: The document; bytes must be UTF-8.
        where: What it is, for the error message.
        flow: Whether lists and mappings must be written in brackets, as on a command line.

    Raises:
        SpecError: If it cannot be read, is empty or holds several documents, is larger than 1 MiB, nested
            deeper than 64, or holds more than 10 000 values, 100 000 with aliases expanded. The message has
            the position.

    Example:
        >>> found = read_text("lr: 1e-3\nnames: [yes, 0o17]")
        >>> found.value, found.values["names", 1]
        ({'lr': 0.001, 'names': ['yes', 15]}, Mark(line=2, column=14))
    """
    text = _decode(content, where)
    _check_words(text, where)
    parser = YAML(typ="safe", pure=True)
    composer = _Composer(parser.parse(text), where)
    try:
        node = _document(composer)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        spot = Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)
        raise SpecError(f"{where}:{spot.line}:{spot.column}: {_explain(error, spot, text)}") from error
    except (YAMLError, ValueError, OverflowError, AssertionError) as error:
        # The last three: the parser turns escapes such as "\UFFFFFFFF" into characters unchecked, and asserts that a
        # document says YAML 1.1 or 1.2.
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise SpecError(f"{where}: it cannot be read as YAML: {told[:200]}") from error
    if composer.further:
        composer.faults.append((Mark(1, 1), (), f"{composer.further} further faults are not shown"))
    if flow and node.block:
        raise SpecError(f"{where}: write lists as [1, 2], mappings as {{a: 1}}")
    values: dict[Path, Mark] = {}
    keys: dict[Path, Mark] = {}
    return Yaml(_plain(node, (), values, keys), values, keys, composer.faults)


def resolve(text: str) -> Json:
    """Gives the value of a word without quotes, by the core schema of YAML 1.2.

    Example:
        >>> [resolve(word) for word in ("1e-3", "017", "0x1F", "~", "True", "yes", "1_000", "-.inf")]
        [0.001, 17, 31, None, True, 'yes', '1_000', -inf]

    Source:
        YAML 1.2.2, section 10.3.2. https://yaml.org/spec/1.2.2/
    """
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    if re.fullmatch(r"[-+]?[0-9]+", text, re.ASCII):
        return int(text)
    if re.fullmatch(r"0o[0-7]+|0x[0-9a-fA-F]+", text):
        return int(text, 0)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", text, re.ASCII):
        return float(text)
    if re.fullmatch(r"[-+]?\.(inf|Inf|INF)", text):
        return float(text.replace(".", ""))
    return float("nan") if text in (".nan", ".NaN", ".NAN") else text


def _decode(content: bytes | str, where: str) -> str:
    if isinstance(content, str) and len(content) <= MAX_BYTES:
        return content
    if isinstance(content, str) or len(content) > MAX_BYTES:
        raise SpecError(f"{where}: {len(content)} bytes, {MAX_BYTES} are allowed; keep data in a data file")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise SpecError(f"{where}: it is UTF-16; save it as UTF-8")
    if b"\x00" in content:
        line = content.count(b"\n", 0, content.index(b"\x00")) + 1
        raise SpecError(f"{where}:{line}:1: it holds NUL bytes; save it as UTF-8 text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SpecError(f"{where}:{line}:1: it is not UTF-8 text; save it as UTF-8") from error


def _check_words(text: str, where: str) -> None:
    found = _LONG_WORD.search(text)
    if found:
        line = text.count("\n", 0, found.end()) + 1
        raise SpecError(f"{where}:{line}:1: a tag, an anchor or an alias of more than {MAX_WORD} letters")


def _document(composer: _Composer) -> _Node:
    node: _Node | None = None
    for event in composer.events:
        if isinstance(event, DocumentStartEvent):
            mark = _mark(event)
            if node is not None:
                composer.stop(mark, "a second document begins here; one file holds one experiment")
            if event.version is not None or event.tags:
                composer.stop(mark, "directives (lines that begin with %) are not allowed; leave them out")
            node = composer.node(next(composer.events), ())
    if node is None:
        composer.stop(Mark(1, 1), "it is empty")
    return node


def _explain(error: Any, spot: Mark, text: str) -> str:
    lines = text.splitlines()
    line = lines[spot.line - 1] if spot.line <= len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "a tab in the indentation; indent with spaces"
    problem = str(error.problem or error.context)
    if problem.startswith("mapping values"):
        return "`: ` does not fit here; put text with a colon in quotes, or check the indentation"
    if "cannot start any token" in problem:
        return f"{problem}; put the text in quotes"
    return f"{error.context}: {problem}" if error.context and error.problem else problem


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)


def _grow(node: _Node, item: _Node) -> None:
    node.size += item.size
    node.height = max(node.height, item.height + 1)


def _plain(node: _Node, path: Path, values: dict[Path, Mark], keys: dict[Path, Mark]) -> Json:
    values[path] = node.mark
    if isinstance(node.value, list):
        return [_plain(item, (*path, number), values, keys) for number, item in enumerate(node.value)]
    if isinstance(node.value, dict):
        keys.update({(*path, key): spot for key, (spot, _) in node.value.items()})
        return {key: _plain(item, (*path, key), values, keys) for key, (_, item) in node.value.items()}
    return node.value
