"""Batches of the caller's own, such as those of a `torch.utils.data.DataLoader`, as arrays."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array

Loader = Iterable[Any]


def gather(loader: Loader) -> dict[str, Array]:
    """Reads all batches of a loader once.

    Args:
        loader: Gives `(x, y)`, `(x, y, weight)`, or mappings with these keys; anything NumPy takes for an array.

    Returns:
        The arrays, one after another.

    Raises:
        DataError: If there is no batch, or one is none of these.

    Example:
        >>> gather([(np.zeros((2, 3)), [0, 1]), (np.ones((1, 3)), [1])])["y"].tolist()
        [0, 1, 1]
    """
    kept: list[dict[str, Array]] = []
    for number, batch in enumerate(loader):
        parts = batch if isinstance(batch, Mapping) else dict(zip(("x", "y", "weight"), batch, strict=False))
        arrays = {
            name: plain_array(one, f"batch {number} of the loader: {name}") for name, one in parts.items()
        }
        if (
            not {"x", "y"} <= set(arrays) <= {"x", "y", "weight"}
            or len({len(one) for one in arrays.values()}) != 1
        ):
            raise DataError(f"batch {number} of the loader is not (x, y) or (x, y, weight) of one length")
        kept.append(arrays)
    if not kept:
        raise DataError(
            "the loader gives no batches; an iterator that was used up gives nothing a second time"
        )
    if any(set(one) != set(kept[0]) for one in kept):
        raise DataError("some batches of the loader have weights, others have not")
    return {name: np.concatenate([one[name] for one in kept]) for name in kept[0]}


def plain_array(value: Any, name: str) -> Array:
    """Gives an array of numbers or text; of objects, if they are all numbers or all text."""
    array = np.asarray(value)
    if array.dtype.kind != "O":
        return array
    kinds = {type(one) for one in array.flat}
    if kinds and all(issubclass(kind, str) for kind in kinds):
        return array.astype(np.str_)
    if kinds and all(issubclass(kind, int | float | np.number | np.bool_) for kind in kinds):
        return np.array(array.tolist())
    raise DataError(
        f"{name}: it holds objects ({', '.join(sorted(kind.__name__ for kind in kinds))}), not numbers or text alone"
    )
