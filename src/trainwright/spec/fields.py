"""What may stand at each place of a spec, told from the type annotations of its parts."""

import functools
import json
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic.fields import FieldInfo

from trainwright.spec.part import Part

SHOWN = 60  # characters of a wrong value that a message repeats
_SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


@dataclass(frozen=True)
class Option:
    """One kind of value that a place takes.

    Args:
        kind: `int`, `float`, `str`, `bool`, `list`, `dict`, `NoneType`, `Literal`, `Any`, or a `Part`.
        values: The words of a `Literal`.
        item: Annotation of what a list or a mapping holds.
        bounds: Limits of a number, such as `("> 0",)`.
    """

    kind: Any
    values: tuple[Any, ...] = ()
    item: Any = None
    bounds: tuple[str, ...] = ()


@functools.cache
def fields_of(part: type[Part]) -> dict[str, Any]:
    """Gives the annotation of each field, in the order of definition."""
    hints = get_type_hints(part, include_extras=True)
    return {name: hints[name] for name in part.model_fields}


def options(annotation: Any) -> tuple[Option, ...]:
    """Lists the kinds of value that a place takes.

    Example:
        >>> [option.kind.__name__ for option in options(int | list[str] | None)]
        ['int', 'list', 'NoneType']
    """
    return tuple(_options(annotation, ()))


def tagged(annotation: Any) -> Any:
    """Gives the part of an annotation that takes one of several parts, chosen by a tag; None where there is none.

    It is the annotation itself, unless other values, such as the bare name of a loss, may stand there too.
    """
    if get_origin(annotation) in (Union, types.UnionType):
        return next((one for one in get_args(annotation) if tagged(one) is not None), None)
    return annotation if _tag(annotation) is not None else None


def tag_of(annotation: Any) -> str | None:
    """Names the field by which one of several parts is chosen, such as the `name` of an optimizer."""
    return _tag(tagged(annotation))


def variants(annotation: Any) -> dict[str, type[Part]]:
    """Gives the parts one of which is chosen by its tag; none where nothing is chosen so."""
    tag = tag_of(annotation)
    if tag is None:
        return {}
    parts = [option.kind for option in options(annotation) if is_part(option.kind)]
    return {str(get_args(fields_of(part)[tag])[0]): part for part in parts}


def chosen(annotation: Any, value: Any) -> type[Part] | None:
    """Gives the part that a mapping at a place describes; None where it describes none."""
    if not isinstance(value, dict):
        return None
    tag = tag_of(annotation)
    if tag is not None:
        name = value.get(tag)
        return variants(annotation).get(name) if isinstance(name, str) else None
    return next((option.kind for option in options(annotation) if is_part(option.kind)), None)


def inside(annotation: Any, value: Any, key: str | int) -> Any:
    """Gives the annotation of what lies under a key of a value; None where nothing is known of it."""
    part = chosen(annotation, value)
    if part is not None:
        return fields_of(part).get(str(key))
    container = list if isinstance(value, list) else dict
    return next((option.item for option in options(annotation) if option.kind is container), None)


def is_part(kind: Any) -> bool:
    """Says whether a kind is a `Part` with fields."""
    return isinstance(kind, type) and issubclass(kind, Part)


def describe(annotation: Any) -> str:
    """Says in words what a place takes.

    Example:
        >>> from trainwright.spec.train import TrainSpec
        >>> describe(fields_of(TrainSpec)["threads"])
        "a whole number >= 1 or 'auto'"
    """
    names = variants(annotation)
    if names and tagged(annotation) is annotation:
        return f"a mapping with {tag_of(annotation)}: {describe(Literal[tuple(names)])}"
    found = [option for option in options(annotation) if option.kind not in names.values()]
    text = any(option.kind is str for option in found)
    words = [word for option in found if not (text and option.kind is Literal) for word in _words(option)]
    if names:
        words.append(f"a mapping with {tag_of(annotation)} and options")
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def show(value: Any) -> str:
    """Writes a wrong value for a message: short, on one line, text in quotes.

    Example:
        >>> show(True), show("x" * 100), show({"a": [1]})
        ('true', "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'", '{"a": [1]}')
    """
    if isinstance(value, str):
        return repr(value if len(value) <= SHOWN else f"{value[: SHOWN - 3]}...")
    line = json.dumps(_short(value), default=lambda odd: type(odd).__name__, skipkeys=True)
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 3]}..."


def _tag(annotation: Any) -> str | None:
    notes = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    tags = [note.discriminator for note in notes if isinstance(note, FieldInfo)]
    return next((tag for tag in tags if isinstance(tag, str)), None)


def _short(value: Any) -> Any:
    # Cut before spelling: a list of a million records would be spelled whole for 60 characters.
    return value[:SHOWN] if isinstance(value, list) else value


def _options(annotation: Any, bounds: tuple[str, ...]) -> Iterator[Option]:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _options(inner[0], (*bounds, *_bounds(inner[1:])))
    elif origin is Union or origin is types.UnionType:
        for option in inner:
            yield from _options(option, bounds)
    elif origin is Literal:
        yield Option(Literal, values=inner)
    elif origin is list:
        yield Option(list, item=inner[0])
    elif origin is dict:
        yield Option(dict, item=inner[1])
    else:
        yield Option(annotation, bounds=bounds)


def _bounds(notes: Iterable[Any]) -> Iterator[str]:
    for note in notes:
        for limit in note.metadata if isinstance(note, FieldInfo) else ():
            for name, sign in _SIGNS.items():
                if hasattr(limit, name):
                    bound = getattr(limit, name)
                    yield f"{sign} {bound if isinstance(bound, int) else f'{bound:g}'}"


def _words(option: Option) -> list[str]:
    if option.kind is Literal:
        return [repr(value) for value in option.values]
    if option.kind is list:
        return [f"a list (each {describe(option.item)})"]
    if option.kind is dict:
        return ["a mapping"]
    if is_part(option.kind):
        return [f"a mapping with {', '.join(fields_of(option.kind))}"]
    names = {
        int: "a whole number",
        float: "a number",
        str: "text",
        bool: "true or false",
        types.NoneType: "null",
    }
    name = names.get(option.kind, "any value")
    return [f"{name} {' and '.join(option.bounds)}" if option.bounds else name]
