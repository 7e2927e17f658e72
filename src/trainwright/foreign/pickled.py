"""Follows the opcodes of a pickle and builds plain values; what it names is never imported and never called.

This is no unpickler: it knows a closed list of opcodes, each name is looked up in a closed list of our own
functions, and whatever is not in the lists is refused by its name.
"""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trainwright.base.errors import DataError

MAX_STEPS = 5_000_000
SHOWN = 100
_PLAIN_KEYS = (str, int)

Maker = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Named:
    """A name that the pickle mentions and that the closed list holds; only a word."""

    name: str


class Ordered(dict[Any, Any]):
    """A dict that was an `OrderedDict`; its attributes are left aside."""


@dataclass(frozen=True, slots=True)
class Known:
    """The closed list.

    Args:
        makers: Our own function for each name that may be called.
        words: Further names that may be mentioned.
        persistent: Makes what a persistent id stands for.
        build: Gives a made object its state.
    """

    makers: Mapping[str, Maker]
    words: frozenset[str]
    persistent: Callable[[Any], Any]
    build: Callable[[Any, Any], None]


def follow(content: bytes, known: Known) -> Any:
    """Follows a pickle to its end.

    Args:
        content: The pickle.
        known: What it may name.

    Raises:
        DataError: For an opcode or a name that is not in the lists, or a pickle that is broken.
    """
    machine = _Machine(known)
    end: int | None = None
    try:
        for number, (opcode, argument, end) in enumerate(pickletools.genops(content)):  # noqa: B007
            if number >= MAX_STEPS:
                raise DataError(f"the pickle has more than {MAX_STEPS:,} opcodes")
            machine.step(opcode.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise DataError(f"the pickle is broken: {type(error).__name__}: {str(error)[:SHOWN]}") from error
    if end != len(content) - 1:
        raise DataError("bytes follow the end of the pickle")
    return machine.result()


class _Machine:
    def __init__(self, known: Known) -> None:
        self.known = known
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        if name in _PUSHED:
            self.stack.append(argument)
        elif name in _MADE:
            self.stack.append(_MADE[name]())
        elif name in _STEPS:
            _STEPS[name](self, argument)
        elif name not in _SKIPPED:
            raise DataError(
                f"the pickle has the opcode {name}, which makes objects; only plain values are read"
            )

    def result(self) -> Any:
        if len(self.stack) != 1 or self.marks:
            raise DataError("the pickle is broken: it ends with another number of values than one")
        return self.stack[0]

    def mark(self, _: Any) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def drop_mark(self, _: Any) -> None:
        self.pop_mark()

    def pop(self, _: Any) -> None:
        # As in Python, a POP right behind a mark takes the mark away.
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def duplicate(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def put(self, place: int | None) -> None:
        self.memo[len(self.memo) if place is None else place] = self.stack[-1]

    def get(self, place: int) -> None:
        self.stack.append(self.memo[place])

    def list_of_marked(self, _: Any) -> None:
        items = self.pop_mark()
        self.stack.append(items)

    def tuple_of_marked(self, _: Any) -> None:
        items = self.pop_mark()
        self.stack.append(tuple(items))

    def dict_of_marked(self, _: Any) -> None:
        items = self.pop_mark()
        self.stack.append({})
        self._set(items)

    def tuple_of(self, length: int) -> None:
        items = [self.stack.pop() for _ in range(length)]
        self.stack.append(tuple(reversed(items)))

    def append(self, _: Any) -> None:
        item = self.stack.pop()
        self._list().append(item)

    def extend(self, _: Any) -> None:
        items = self.pop_mark()
        self._list().extend(items)

    def set_item(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def set_items(self, _: Any) -> None:
        items = self.pop_mark()
        self._set(items)

    def name(self, text: str) -> None:
        self._name(*text.split(" ", 1))

    def name_of_stack(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if type(name) is not str or type(module) is not str:
            raise DataError("the pickle names something by what is not text")
        self._name(module, name)

    def reduce(self, _: Any) -> None:
        arguments, made = self.stack.pop(), self.stack.pop()
        if type(made) is not Named or made.name not in self.known.makers:
            raise DataError("the pickle calls something that is not one of the names that are read")
        if type(arguments) is not tuple:
            raise DataError(f"the pickle calls {made.name} with something that is no tuple")
        self.stack.append(self.known.makers[made.name](*arguments))

    def build(self, _: Any) -> None:
        state = self.stack.pop()
        self.known.build(self.stack[-1], state)

    def persistent(self, _: Any) -> None:
        self.stack.append(self.known.persistent(self.stack.pop()))

    def _name(self, module: str, name: str) -> None:
        full = f"{module}.{name}"
        if full not in self.known.makers and full not in self.known.words:
            raise DataError(
                f"the pickle names {full[:SHOWN]!r}, which is no tensor and no plain value; "
                "save the weights alone, such as torch.save(model.state_dict(), ...)"
            )
        self.stack.append(Named(full))

    def _list(self) -> list[Any]:
        if type(self.stack[-1]) is not list:
            raise DataError("the pickle appends to something that is no list")
        return self.stack[-1]

    def _set(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) not in (dict, Ordered) or len(items) % 2:
            raise DataError("the pickle sets items of something that is no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Other keys could be made to take long, and mean nothing as names.
            if type(key) not in _PLAIN_KEYS:
                raise DataError(
                    f"the pickle has a key that is {type(key).__name__}, not text or a whole number"
                )
            target[key] = value


_SKIPPED = frozenset({"PROTO", "FRAME", "STOP"})
_PUSHED = frozenset(
    [
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "UNICODE",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE8",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
    ]
)
_MADE: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": list,
}
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.drop_mark,
    "DUP": _Machine.duplicate,
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.put,
    "GET": _Machine.get,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "LIST": _Machine.list_of_marked,
    "TUPLE": _Machine.tuple_of_marked,
    "FROZENSET": _Machine.list_of_marked,  # sets are read as lists
    "DICT": _Machine.dict_of_marked,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": _Machine.append,
    "APPENDS": _Machine.extend,
    "ADDITEMS": _Machine.extend,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_of_stack,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
}
