"""Nearest neighbours, exactly, block by block: never more than a block of distances is held."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.validation.weights import Floats

Metric = Literal["cosine", "euclidean"]
_BLOCK = 2**22  # distances held at once


def distance_blocks(queries: Array, reference: Array, metric: Metric) -> Iterator[tuple[int, Floats]]:
    """Gives distances of queries to all of a reference set, some queries at a time.

    Args:
        queries: Shape `(records, width)`.
        reference: Shape `(others, width)`.
        metric: `cosine` (one minus the cosine; a zero vector is at distance 1 of everything) or `euclidean`.

    Yields:
        Number of the first query, and distances of shape `(queries, others)`.

    Raises:
        DataError: If the shapes do not belong together.
    """
    if queries.ndim != 2 or reference.ndim != 2 or queries.shape[1] != reference.shape[1]:
        raise DataError(f"embeddings of shape {queries.shape} and {reference.shape} have no distances")
    if metric not in ("cosine", "euclidean"):
        raise ValueError(f"metric is `cosine` or `euclidean`, not {metric!r}")
    first, second = queries.astype(np.float64), reference.astype(np.float64)
    if metric == "cosine":
        first, second = _to_unit(first), _to_unit(second)
    else:  # a common shift changes no distance, but keeps the difference of squares accurate
        shift = second.mean(axis=0)
        first, second = first - shift, second - shift
    squares = np.square(second).sum(axis=1)
    step = max(1, _BLOCK // max(1, len(second)))
    for begin in range(0, len(first), step):
        part = first[begin : begin + step]
        product = part @ second.T
        if metric == "cosine":
            yield begin, 1.0 - product
        else:
            apart = np.square(part).sum(axis=1)[:, None] + squares - 2 * product
            yield begin, np.sqrt(np.maximum(apart, 0.0))


def nearest(
    queries: Array, reference: Array, *, k: int, metric: Metric = "cosine", among_itself: bool = False
) -> NDArray[np.int64]:
    """Gives the `k` nearest of a reference set, the nearest first; of equally near ones, the earlier.

    Args:
        queries: Shape `(records, width)`, without nan.
        reference: Shape `(others, width)`, without nan.
        k: How many; fewer come back where there are not so many.
        metric: As of `distance_blocks`.
        among_itself: The reference set is the queries: none is its own neighbour.

    Returns:
        Positions in the reference set, shape `(records, k)`.

    Raises:
        DataError: If the shapes do not belong together, or there is no neighbour.

    Example:
        >>> nearest(np.array([[0.0], [1.0], [5.0]]), np.array([[0.9], [4.0]]), k=1, metric="euclidean")[:, 0]
        array([0, 0, 1])
    """
    k = min(k, len(reference) - among_itself)
    if k < 1:
        raise DataError(f"{len(reference)} embeddings leave no neighbour to ask")
    found = np.empty((len(queries), k), dtype=np.int64)
    for begin, distances in distance_blocks(queries, reference, metric):
        rows = len(distances)
        if among_itself:
            distances[np.arange(rows), begin + np.arange(rows)] = np.inf
        # All that are as near as the k-th; sorting these few, ties included, by distance and then position.
        limit = np.partition(distances, k - 1, axis=1)[:, k - 1 : k]
        row, column = np.nonzero(distances <= limit)
        order = np.lexsort((column, distances[row, column], row))
        starts = np.searchsorted(row, np.arange(rows))
        found[begin : begin + rows] = column[order][starts[:, None] + np.arange(k)]
    return found


def _to_unit(values: Floats) -> Floats:
    length = np.sqrt(np.square(values).sum(axis=1, keepdims=True))
    unit: Floats = np.divide(values, length, out=np.zeros_like(values), where=length != 0)
    return unit
