"""Things whose whole configuration can be written down and read back."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np

from trainwright.base.digest import digest_json
from trainwright.base.errors import DataError
from trainwright.base.jsontext import Json, write_json
from trainwright.ops.place import import_place

_NODE = {"use", "args"}


@dataclass(frozen=True, eq=False)
class Described:
    """The role of what is described by its fields alone.

    Subclasses are frozen dataclasses (`eq=False`, equality goes by the spec). A field holds None, booleans,
    numbers, text, arrays of these, other described things, or lists and dicts of them; an array comes back
    from a spec as nested lists, which `__post_init__` turns into an array again.

    Args:
        catalog_name: Class variable: the short name in a catalog; without it a spec says `module:Name`.
    """

    catalog_name: ClassVar[str | None] = None

    @property
    def spec(self) -> dict[str, Json]:
        """Describes the thing, with all it has learnt, as JSON values.

        Raises:
            DataError: If a field holds what JSON cannot, or the class cannot be found by its name.
        """
        fields = dataclasses.fields(self)
        return {
            "use": self._use(),
            "args": {one.name: _plain(getattr(self, one.name), self) for one in fields},
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Described):
            return NotImplemented
        return write_json(self.spec) == write_json(other.spec)

    def __hash__(self) -> int:
        return int(digest_json(self.spec)[:15], 16)

    def _use(self) -> str:
        kind = type(self)
        # A subclass of a catalog entry is another class: the inherited name is not its own.
        name = kind.__dict__.get("catalog_name")
        if name is not None:
            return str(name)
        if kind.__module__ == "__main__" or "." in kind.__qualname__:
            raise DataError(f"{kind.__qualname__} cannot be written down; define it at the top of a module")
        return f"{kind.__module__}:{kind.__qualname__}"


Role = TypeVar("Role", bound=Described)


def revive(tree: Json, catalog: Mapping[str, str], *, role: type[Role]) -> Role:
    """Makes the thing that a spec describes.

    Args:
        tree: From `Described.spec`.
        catalog: Names and the places they stand for, `"package.file:Name"`.
        role: What it must be a subclass of, and what is described inside of it too.

    Raises:
        DataError: If it is no spec, names nothing of that role, or its arguments do not fit.

    Example:
        >>> revive({"use": "os:system", "args": {"command": "true"}}, {}, role=Described)
        Traceback (most recent call last):
        trainwright.base.errors.DataError: operator 'os:system': it is not a Described
    """
    if not _is_node(tree) or not isinstance(tree["use"], str) or not isinstance(tree["args"], dict):
        raise DataError(f"an operator is described by `use` and `args`, not by {tree!r:.80}")
    name = tree["use"]
    made = import_place(name, catalog)
    # Checked before it is called: a spec that was at rest must not start anything but what has the role.
    if not (isinstance(made, type) and issubclass(made, role)):
        article = "an" if role.__name__[0] in "AEIOU" else "a"
        raise DataError(f"operator {name!r}: it is not {article} {role.__name__}")
    args = {key: _revive(value, catalog, role) for key, value in tree["args"].items()}
    try:
        return made(**args)
    except (TypeError, ValueError) as error:
        raise DataError(f"operator {name!r}: {error}") from error


def _is_node(value: Json) -> bool:
    return isinstance(value, dict) and set(value) == _NODE


def _plain(value: Any, owner: Described) -> Json:
    if isinstance(value, Described):
        return value.spec
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind not in "biufU" or np.asarray(value.tolist()).shape != value.shape:
            raise DataError(
                f"{type(owner).__name__}: an array of {value.dtype} {value.shape} cannot be written down"
            )
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item, owner) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value) and not _is_node(value):
        return {key: _plain(item, owner) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise DataError(f"{type(owner).__name__}: a {type(value).__name__} cannot be written down")


def _revive(value: Json, catalog: Mapping[str, str], role: type[Role]) -> Any:
    if _is_node(value):
        return revive(value, catalog, role=role)
    if isinstance(value, list):
        return [_revive(item, catalog, role) for item in value]
    if isinstance(value, dict):
        return {key: _revive(item, catalog, role) for key, item in value.items()}
    return value
