"""The common ground of all specs: frozen, strict, closed."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from trainwright.base.errors import SpecError
from trainwright.base.names import check_name

Auto = Literal["auto"]


class Broken(NamedTuple):
    """What a rule across fields found.

    Args:
        path: Keys from the part the rule belongs to down to the field that is wrong.
        text: What is wrong; after a semicolon, the cure.
    """

    path: tuple[str | int, ...]
    text: str


Rule = Callable[[Any], Iterator[Broken]]


class Part(BaseModel):
    """A frozen description. Unknown keys are faults, and text is never taken for a number.

    A subclass lists in `rules` what must hold across its fields. A rule is a function that reads attributes
    only, because `spec/faults.py` also asks it about a part of which some other field is wrong.
    """

    # The last setting keeps infinities inside `args`; without it they would be written as null.
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, ser_json_inf_nan="constants"
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _obey_the_rules(self) -> Self:
        broken = [fault for rule in self.rules for fault in rule(self)]
        if broken:
            lines = "; ".join(
                f"{'.'.join(map(str, path))}: {text}" if path else text for path, text in broken
            )
            raise PydanticCustomError("rules", "{lines}", {"lines": lines, "broken": broken})
        return self

    def tree(self) -> dict[str, Any]:
        """Gives the spec as plain JSON values, every field there, in the order of definition."""
        return self.model_dump(mode="json")


def _json(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, dict):
        odd = [key for key in value if not isinstance(key, str)]
        if odd:
            raise ValueError(f"the key {odd[0]!r} is not text; write it in quotes")
        return {key: _json(item) for key, item in value.items()}
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise ValueError(
        f"{type(value).__name__} cannot be written to a file; give numbers, text, lists and mappings"
    )


def _name(value: str) -> str:
    try:
        return check_name(value)
    except SpecError as error:
        raise ValueError(str(error)) from error


Name = Annotated[str, AfterValidator(_name)]
Arguments = Annotated[dict[str, Any], AfterValidator(_json)]


def is_own_code(part: Any) -> Iterator[Broken]:
    """Refuses a `use` that names no code of the user's own."""
    if ":" not in part.use:
        yield Broken(("use",), f"{part.use!r} is no code of your own; write module:Name")


class Use(Part):
    """A part chosen by name: a catalog entry, or the user's own code as `module:Name`.

    Args:
        use: The name.
        args: Keyword arguments of its constructor.
    """

    use: str
    args: Arguments = {}
