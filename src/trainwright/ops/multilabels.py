"""Labels of which a record may have several, each in a column of its own."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.ops.operator import Operator


@dataclass(frozen=True, eq=False)
class MultiLabels(Operator):
    """Names the columns of a matrix of 0 and 1; the values stay as they are.

    Args:
        names: Of the labels, in the order of the columns, each there once; `fit` numbers them where none are given.

    Raises:
        DataError: If a matrix has other columns or other values.

    Example:
        >>> MultiLabels(("rain", "wind"))(np.array([[True, False]]))
        array([[1., 0.]], dtype=float32)
    """

    names: tuple[str, ...] = ()

    catalog_name: ClassVar[str | None] = "MultiLabels"

    def __post_init__(self) -> None:
        names = tuple(self.names)
        if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            raise ValueError("names are text, each there once")
        object.__setattr__(self, "names", names)

    def fit(self, x: Array) -> Self:
        """Checks the matrix, and numbers its columns where they have no names."""
        named = self if self.names or x.ndim != 2 else replace(self, names=tuple(map(str, range(x.shape[1]))))
        named(x)
        return named

    def __call__(self, x: Array) -> Array:
        """Gives float32 0 and 1, shape `(records, labels)`."""
        if x.dtype.kind not in "biuf" or x.ndim != 2 or x.shape[1] != len(self.names):
            raise DataError(
                f"there are {len(self.names)} labels, a column of 0 and 1 for each; these are {x.dtype} of shape "
                f"{x.shape}"
            )
        odd = np.argwhere(~np.isin(x, (0, 1)))
        if len(odd):
            record, label = odd[0].tolist()
            raise DataError(
                f"record {record} holds {x[record, label]} for the label {self.names[label]!r}, not 0 or 1"
            )
        return x.astype(np.float32)

    def invert(self, y: Array) -> Array:
        """Gives the values as they are, probabilities too."""
        return y
