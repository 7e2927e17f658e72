"""The role of an operator, with the composition that `|` makes."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from trainwright.base.digest import digest_json
from trainwright.base.errors import DataError
from trainwright.base.jsontext import Json, write_json
from trainwright.base.tree import Array
from trainwright.ops.place import import_place

_NODE = {"use", "args"}


@dataclass(frozen=True, eq=False)
class Operator:
    """A pure step from array to array whose whole configuration can be written down.

    Subclasses are frozen dataclasses (`eq=False`, equality goes by the spec). What `fit` learns is a field
    like any other, so that a fitted operator is described by its fields alone. A field holds None, booleans,
    numbers, text, arrays of these, other operators, or lists and dicts of them; an array comes back from a
    spec as nested lists, which `__post_init__` turns into an array again.

    Args:
        catalog_name: Class variable: the short name in a catalog; without it a spec says `module:Name`.

    Example:
        >>> from trainwright.ops.scaling import Standardize
        >>> (Standardize() | Standardize(per="all")).spec["use"]
        'Sequential'
    """

    catalog_name: ClassVar[str | None] = None

    def fit(self, x: Array) -> Self:
        """Gives the operator that has learnt from records; one that learns nothing gives itself."""
        del x
        return self

    def __call__(self, x: Array) -> Array:
        """Applies the step."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it does")

    def invert(self, y: Array) -> Array:
        """Undoes the step.

        Raises:
            DataError: If the step cannot be undone.
        """
        del y
        raise DataError(f"{type(self).__name__} cannot be inverted")

    @property
    def spec(self) -> dict[str, Json]:
        """Describes the operator, with all it has learnt, as JSON values.

        Raises:
            DataError: If a field holds what JSON cannot, or the class cannot be found by its name.
        """
        fields = dataclasses.fields(self)
        return {
            "use": self._use(),
            "args": {one.name: _plain(getattr(self, one.name), self) for one in fields},
        }

    def __or__(self, other: "Operator") -> "Sequential":
        if not isinstance(other, Operator):
            return NotImplemented
        return Sequential((*_steps(self), *_steps(other)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Operator):
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


@dataclass(frozen=True, eq=False)
class Sequential(Operator):
    """One operator after another; with no steps, it changes nothing.

    Args:
        steps: In the order of application.

    Example:
        >>> from trainwright.ops.scaling import MinMax, Standardize
        >>> x = np.array([[1.0], [3.0]])
        >>> both = Sequential((Standardize(), MinMax())).fit(x)
        >>> both(x).ravel(), both.invert(both(x)).ravel()
        (array([0., 1.], dtype=float32), array([1., 3.]))
    """

    steps: tuple[Operator, ...] = ()

    catalog_name: ClassVar[str | None] = "Sequential"

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        for number, step in enumerate(self.steps):
            if not isinstance(step, Operator):
                raise TypeError(f"step {number} is a {type(step).__name__}, not an operator")

    def fit(self, x: Array) -> Self:
        """Fits each step on what the fitted ones before it give."""
        fitted: list[Operator] = []
        for number, step in enumerate(self.steps):
            fitted.append(step.fit(x))
            if number + 1 < len(self.steps):
                x = fitted[-1](x)
        return dataclasses.replace(self, steps=tuple(fitted))

    def __call__(self, x: Array) -> Array:
        """Applies the steps, the first one first."""
        for step in self.steps:
            x = step(x)
        return x

    def invert(self, y: Array) -> Array:
        """Undoes the steps, the last one first."""
        for step in reversed(self.steps):
            y = step.invert(y)
        return y


def from_spec(tree: Json, catalog: Mapping[str, str]) -> Operator:
    """Makes the operator that a spec describes.

    Args:
        tree: From `Operator.spec`.
        catalog: Names and the places they stand for, `"package.file:Name"`.

    Raises:
        DataError: If it is no spec, names no operator, or its arguments do not fit.

    Example:
        >>> from_spec({"use": "Sequential", "args": {"steps": []}}, {"Sequential": f"{__name__}:Sequential"})
        Sequential(steps=())
        >>> from_spec({"use": "os:system", "args": {"command": "true"}}, {})
        Traceback (most recent call last):
        trainwright.base.errors.DataError: operator 'os:system': it is not an Operator
    """
    if not _is_node(tree) or not isinstance(tree["use"], str) or not isinstance(tree["args"], dict):
        raise DataError(f"an operator is described by `use` and `args`, not by {tree!r:.80}")
    name = tree["use"]
    made = import_place(name, catalog)
    # Checked before it is called: a spec that was at rest must not start anything but an operator.
    if not (isinstance(made, type) and issubclass(made, Operator)):
        raise DataError(f"operator {name!r}: it is not an Operator")
    args = {key: _revive(value, catalog) for key, value in tree["args"].items()}
    try:
        return made(**args)
    except (TypeError, ValueError) as error:
        raise DataError(f"operator {name!r}: {error}") from error


def _steps(one: Operator) -> tuple[Operator, ...]:
    return one.steps if type(one) is Sequential else (one,)


def _is_node(value: Json) -> bool:
    return isinstance(value, dict) and set(value) == _NODE


def _plain(value: Any, owner: Operator) -> Json:
    if isinstance(value, Operator):
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


def _revive(value: Json, catalog: Mapping[str, str]) -> Any:
    if _is_node(value):
        return from_spec(value, catalog)
    if isinstance(value, list):
        return [_revive(item, catalog) for item in value]
    if isinstance(value, dict):
        return {key: _revive(item, catalog) for key, item in value.items()}
    return value
