"""How probable each class is, for records whose class is not certain."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.ops.labels import Value
from trainwright.ops.operator import Operator

ROUNDED = 0.02  # by so much a sum may differ from 1: shares are often written with two digits


@dataclass(frozen=True, eq=False)
class SoftLabels(Operator):
    """Names the columns of a matrix of probabilities, one for each class; a row is divided by its sum, which is near 1.

    Args:
        values: The classes, in the order of the columns, each there once.

    Raises:
        DataError: If a matrix has other columns, or a row is no distribution.

    Example:
        >>> soft = SoftLabels(("cat", "dog"))
        >>> soft(np.array([[0.25, 0.75]])), soft.invert(np.array([1]))
        (array([[0.25, 0.75]]), array(['dog'], dtype='<U3'))
    """

    values: tuple[Value, ...]

    catalog_name: ClassVar[str | None] = "SoftLabels"

    def __post_init__(self) -> None:
        values = tuple(self.values)
        if len({type(one) for one in values}) != 1 or len(set(values)) < len(values):
            raise ValueError("values are at least one class, all of one type and each there once")
        object.__setattr__(self, "values", values)

    def fit(self, x: Array) -> Self:
        """Checks the matrix."""
        self(x)
        return self

    def __call__(self, x: Array) -> Array:
        """Gives float64 probabilities, shape `(records, classes)`."""
        if x.dtype.kind not in "biuf" or x.ndim != 2 or x.shape[1] != len(self.values):
            raise DataError(
                f"there are {len(self.values)} classes, a column of probabilities for each; these are {x.dtype} of "
                f"shape {x.shape}"
            )
        numbers = x.astype(np.float64)
        sums = numbers.sum(axis=1, keepdims=True)
        odd = ~((numbers >= 0).all(axis=1) & (np.abs(sums[:, 0] - 1) <= ROUNDED))
        if odd.any():
            first = int(np.argmax(odd))
            raise DataError(
                f"record {first} has the numbers {numbers[first].tolist()}, which are no probabilities of classes: "
                "those are not negative and add to 1"
            )
        shares: Array = numbers / sums
        return shares

    def invert(self, y: Array) -> Array:
        """Gives the classes of their numbers."""
        if y.dtype.kind not in "iu":
            raise DataError(f"class numbers are integers, not {y.dtype}")
        classes: Array = np.array(self.values)[y]
        return classes
