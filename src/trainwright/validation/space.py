"""Takes predictions on a grid apart into places, so that every score of plain records applies to them."""

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array


def to_places(values: Array) -> Array:
    """Turns `(records, channels, *space)` into `(places, channels)`, record after record.

    Example:
        >>> to_places(np.arange(4).reshape(1, 2, 2)).tolist()
        [[0, 2], [1, 3]]
    """
    if values.ndim < 2:
        raise DataError(f"values on a grid have shape (records, channels, *space), not {values.shape}")
    return np.moveaxis(values, 1, -1).reshape(-1, values.shape[1])


def spread_weight(weight: Array | None, like: Array) -> Array | None:
    """Gives every place the weight of its record.

    Args:
        weight: Shape `(records,)`, or None.
        like: Values of shape `(records, channels, *space)`.

    Example:
        >>> spread_weight(np.array([1.0, 3.0]), np.zeros((2, 1, 2))).tolist()
        [1.0, 1.0, 3.0, 3.0]
    """
    if weight is None or weight.shape != (len(like),):
        return weight  # a wrong one is refused by the score
    return np.repeat(weight, int(np.prod(like.shape[2:])))
