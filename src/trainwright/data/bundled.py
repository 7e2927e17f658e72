"""The small data sets that scikit-learn carries along: nothing is fetched from anywhere."""

import difflib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from trainwright.base.errors import DataError
from trainwright.base.extras import require
from trainwright.base.tree import Array
from trainwright.data.tables import Table

PREFIX = "sklearn:"
BUNDLED = ("iris", "wine", "breast_cancer", "diabetes", "digits", "linnerud")


@dataclass(frozen=True, slots=True)
class Bundled:
    """A data set that comes with a package: a table, or arrays.

    Args:
        name: As it was asked for, `sklearn:iris`.
        table: Features and targets by column; None for images.
        target: Names of the target columns of the table: `target`, or several.
        x: Images, shape `(records, channels, height, width)`; None for a table.
        y: Classes of the images as text, shape `(records,)`; None for a table.
    """

    name: str
    table: Table | None
    target: tuple[str, ...]
    x: Array | None = None
    y: Array | None = None


def read_bundled(name: str) -> Bundled:
    """Reads a data set that scikit-learn carries along.

    Classes are given by their names. `digits` are 1797 images of shape `(1, 8, 8)` with values from 0 to 16;
    `diabetes` has its features centred and scaled, as scikit-learn gives it; `linnerud` has three targets.

    Args:
        name: `sklearn:` and one of `BUNDLED`.

    Raises:
        DataError: If there is none of that name; the nearest is named.
        BackendError: If scikit-learn is not installed.

    Example:
        >>> iris = read_bundled("sklearn:iris")
        >>> len(iris.table), iris.table.columns[-2:], iris.table.values("target")[0]
        (150, ('petal width (cm)', 'target'), np.str_('setosa'))
    """
    bare = name.removeprefix(PREFIX)
    if not name.startswith(PREFIX) or bare not in BUNDLED:
        near = difflib.get_close_matches(bare, BUNDLED, n=1)
        hint = (
            f"nearest: {PREFIX + near[0]!r}"
            if near
            else f"there are: {', '.join(PREFIX + one for one in BUNDLED)}"
        )
        raise DataError(f"there is no bundled data set {name!r}; {hint}")
    require("sklearn", extra="sklearn")
    datasets = require("sklearn.datasets", extra="sklearn")
    found = getattr(datasets, f"load_{bare}")()
    if bare == "digits":
        # Whole numbers from 0 to 16, which scikit-learn keeps as float64.
        return Bundled(name, None, (), found.images.astype(np.uint8)[:, None], _classes(found))
    columns: dict[str, Any] = dict(zip(map(str, found.feature_names), found.data.T, strict=True))
    if bare == "linnerud":
        targets = dict(zip(found.target_names, found.target.T, strict=True))
    else:
        targets = {"target": _classes(found) if "target_names" in found else found.target}
    table = Table(name, pa.table({one: pa.array(values) for one, values in {**columns, **targets}.items()}))
    return Bundled(name, table, tuple(targets))


def _classes(found: Any) -> Array:
    names: Array = np.asarray(found.target_names).astype(np.str_)[found.target]
    return names
