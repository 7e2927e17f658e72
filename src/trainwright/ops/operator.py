"""The role of an operator, with the composition that `|` makes."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from trainwright.base.errors import DataError
from trainwright.base.jsontext import Json
from trainwright.base.tree import Array
from trainwright.ops.described import Described, revive

# Records in parts, from their beginning at each call. Each part is an array, or a dict of columns for `Columns`.
Blocks = Callable[[], Iterator[Any]]


@dataclass(frozen=True, eq=False)
class Operator(Described):
    """A pure step from array to array whose whole configuration can be written down.

    Subclasses are frozen dataclasses as `Described` says. What `fit` learns is a field like any other, so
    that a fitted operator is described by its fields alone. What an operator takes is an array with one
    record per entry of its first axis; only `Columns` takes a dict of such arrays.

    Args:
        affine: Class variable: whether it only shifts and scales, so that a variance can be carried back.
        increasing: Class variable: whether a larger value never becomes a smaller one, so that quantiles
            can be carried back.

    Example:
        >>> from trainwright.ops.scaling import Standardize
        >>> (Standardize() | Standardize(per="all")).spec["use"]
        'Sequential'
    """

    affine: ClassVar[bool] = False
    increasing: ClassVar[bool] = False

    def fit(self, x: Any) -> Self:
        """Gives the operator that has learnt from records; one that learns nothing gives itself."""
        del x
        return self

    def fit_blocks(self, blocks: Blocks) -> Self:
        """Gives the operator that has learnt from records that are too many to be held at once.

        Args:
            blocks: Gives the records in parts, from their beginning at each call.

        Raises:
            DataError: If it must see all records at once.
        """
        del blocks
        if type(self).fit is Operator.fit:
            return self
        raise DataError(
            f"{type(self).__name__} cannot be fitted on data that is read in parts; use one that can, such "
            "as Standardize or MinMax, or give data that fit into memory"
        )

    def __call__(self, x: Any) -> Array:
        """Applies the step."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it does")

    def invert(self, y: Array) -> Array:
        """Undoes the step.

        Args:
            y: What came out, shape `(records, ...)`. If it works on each value by itself it also takes
                `(records, quantiles, ...)`.

        Raises:
            DataError: If the step cannot be undone.
        """
        del y
        raise DataError(f"{type(self).__name__} cannot be inverted")

    def output_names(self, *names: str) -> list[str]:
        """Names the columns that come out for columns of some names going in."""
        return list(names)

    def output_categories(self, count: int) -> list[int]:
        """Says for each of the `count` columns that come out how many codes it has, 0 for a number."""
        return [0] * count

    def __or__(self, other: "Operator") -> "Sequential":
        if not isinstance(other, Operator):
            return NotImplemented
        return Sequential((*_steps(self), *_steps(other)))


@dataclass(frozen=True, eq=False)
class Sequential(Operator):
    """One operator after another; with no steps, it changes nothing.

    Args:
        steps: In the order of application.

    Example:
        >>> import numpy as np
        >>> from trainwright.ops.scaling import MinMax, Standardize
        >>> x = np.array([[1.0], [3.0]])
        >>> both = Sequential((Standardize(), MinMax())).fit(x)
        >>> both(x).ravel(), both.invert(both(x)).ravel()
        (array([0., 1.], dtype=float32), array([1., 3.]))
        >>> both.affine
        True
    """

    steps: tuple[Operator, ...] = ()

    catalog_name: ClassVar[str | None] = "Sequential"

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        for number, step in enumerate(self.steps):
            if not isinstance(step, Operator):
                raise TypeError(f"step {number} is a {type(step).__name__}, not an operator")
        # What holds for every operator of another class holds here for these steps only.
        object.__setattr__(self, "affine", all(step.affine for step in self.steps))
        object.__setattr__(self, "increasing", all(step.increasing for step in self.steps))

    def fit(self, x: Any) -> Self:
        """Fits each step on what the fitted ones before it give."""
        fitted: list[Operator] = []
        for number, step in enumerate(self.steps):
            fitted.append(step.fit(x))
            if number + 1 < len(self.steps):
                x = fitted[-1](x)
        return dataclasses.replace(self, steps=tuple(fitted))

    def fit_blocks(self, blocks: Blocks) -> Self:
        """Fits each step on what the fitted ones before it give, a part at a time.

        Raises:
            DataError: If a step must see all records at once.
        """
        fitted: list[Operator] = []
        for step in self.steps:
            # Each step reads the data anew: nothing of it is kept.
            fitted.append(step.fit_blocks(_after(Sequential(tuple(fitted)), blocks)))
        return dataclasses.replace(self, steps=tuple(fitted))

    def __call__(self, x: Any) -> Array:
        """Applies the steps, the first one first."""
        for step in self.steps:
            x = step(x)
        result: Array = x
        return result

    def invert(self, y: Array) -> Array:
        """Undoes the steps, the last one first."""
        for step in reversed(self.steps):
            y = step.invert(y)
        return y

    def output_names(self, *names: str) -> list[str]:
        """Names the columns that come out of the last step."""
        for step in self.steps:
            names = tuple(step.output_names(*names))
        return list(names)

    def output_categories(self, count: int) -> list[int]:
        """Says how many codes each column has that comes out of the last step."""
        return self.steps[-1].output_categories(count) if self.steps else [0] * count


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
    return revive(tree, catalog, role=Operator)


def _after(op: Operator, blocks: Blocks) -> Blocks:
    return lambda: map(op, blocks())


def _steps(one: Operator) -> tuple[Operator, ...]:
    return one.steps if type(one) is Sequential else (one,)
