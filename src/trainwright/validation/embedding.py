"""Scores of an embedding: whether what belongs together lies together.

Neighbours vote alike, whatever they weigh; the queries count with their weight. From nan comes nan.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.validation.neighbours import Metric, distance_blocks, nearest
from trainwright.validation.weights import Floats, settle_weight, weighted_mean


class Around(NamedTuple):
    """The classes of the neighbours of some queries.

    Args:
        classes: Shape `(records, k)`, of the nearest first.
        unknown: Whether the neighbours are not known, because of nan, shape `(records,)`.
    """

    classes: NDArray[np.int64]
    unknown: NDArray[np.bool_]


def look_around(
    queries: Array,
    reference: Array,
    *,
    reference_y: Array,
    k: int = 5,
    metric: Metric = "cosine",
    among_itself: bool = False,
) -> Around:
    """Finds the classes of the `k` nearest neighbours, once for all scores of them.

    Args:
        queries: Embeddings, shape `(records, width)`.
        reference: Embeddings that are asked, shape `(others, width)`.
        reference_y: Their classes, shape `(others,)`.
        k: How many; all where there are fewer.
        metric: `cosine` or `euclidean`.
        among_itself: The reference set is the queries: none is its own neighbour.

    Raises:
        DataError: If the shapes do not belong together, or there is no neighbour.
    """
    _check(reference, reference_y)
    if k < 1:
        raise ValueError(f"k {k} is not at least 1")
    unknown = np.asarray(np.isnan(queries).any(axis=1) | np.isnan(reference).any())
    known = [np.nan_to_num(one) for one in (queries, reference)]
    around = nearest(known[0], known[1], k=k, metric=metric, among_itself=among_itself)
    return Around(reference_y.astype(np.int64)[around], unknown)


def vote_terms(around: Around, y: Array) -> Floats:
    """Says of each record whether most of its neighbours are of its class; a tie goes to the smaller class.

    Returns:
        1 and 0, shape `(records,)`; nan where the neighbours are not known.
    """
    classes, number = np.unique(around.classes, return_inverse=True)
    votes = np.zeros((len(y), len(classes)), dtype=np.int64)
    np.add.at(votes, (np.arange(len(y))[:, None], number.reshape(around.classes.shape)), 1)
    return np.where(around.unknown, np.nan, classes[votes.argmax(axis=1)] == y)


def recall_terms(around: Around, y: Array, *, k: int) -> Floats:
    """Says of each record whether one of its `k` nearest neighbours is of its class; as `vote_terms`."""
    return np.where(around.unknown, np.nan, (around.classes[:, :k] == y[:, None]).any(axis=1))


def knn_accuracy(
    queries: Array,
    y: Array,
    *,
    reference: Array,
    reference_y: Array,
    k: int = 5,
    metric: Metric = "cosine",
    weight: Array | None = None,
) -> float:
    """Measures the share of queries that the majority of their `k` neighbours classifies rightly.

    Args:
        queries: Embeddings, shape `(records, width)`.
        y: Their classes, shape `(records,)`.
        reference: As of `look_around`.
        reference_y: As of `look_around`.
        k: As of `look_around`.
        metric: As of `look_around`.
        weight: Of the queries, shape `(records,)`.

    Raises:
        DataError: As `look_around`, or if the weights are wrong.

    Example:
        >>> others, classes = np.array([[0.0], [0.1], [5.0], [5.1]]), np.array([0, 0, 1, 1])
        >>> near = {"reference": others, "reference_y": classes, "metric": "euclidean"}
        >>> knn_accuracy(np.array([[0.2], [4.9]]), np.array([0, 0]), k=2, **near)
        0.5
    """
    _check(queries, y)
    around = look_around(queries, reference, reference_y=reference_y, k=k, metric=metric)
    return float(weighted_mean(vote_terms(around, y), settle_weight(weight, len(y))))


def recall_at(
    queries: Array,
    y: Array,
    *,
    k: int,
    reference: Array,
    reference_y: Array,
    metric: Metric = "cosine",
    weight: Array | None = None,
) -> float:
    """Measures the share of queries with one of their own class among the `k` nearest.

    Raises:
        DataError: As `knn_accuracy`.

    Source:
        Oh Song et al., Deep metric learning via lifted structured feature embedding, 2016, section 5.
    """
    _check(queries, y)
    around = look_around(queries, reference, reference_y=reference_y, k=k, metric=metric)
    return float(weighted_mean(recall_terms(around, y, k=k), settle_weight(weight, len(y))))


def silhouette_terms(embedding: Array, y: Array, *, metric: Metric = "euclidean") -> Floats:
    r"""Gives :math:`(b - a) / \max(a, b)` of each record.

    :math:`a` is its mean distance to the others of its class, :math:`b` the least mean distance to another class.

    Args:
        embedding: Shape `(records, width)`.
        y: Classes, shape `(records,)`.
        metric: `cosine` or `euclidean`.

    Returns:
        Shape `(records,)`; 0 for a record that is alone in its class. All nan where there is one class only, or
        every record is alone (scikit-learn refuses both), or a value is nan.

    Raises:
        DataError: If the shapes do not belong together.

    Source:
        Rousseeuw, Silhouettes: a graphical aid to the interpretation and validation of cluster analysis, 1987.
    """
    _check(embedding, y)
    _, number, sizes = np.unique(y, return_inverse=True, return_counts=True)
    if np.isnan(embedding).any() or len(sizes) < 2 or sizes.max() == 1:
        return np.full(len(y), np.nan)
    members = np.zeros((len(y), len(sizes)))
    members[np.arange(len(y)), number] = 1.0
    terms = np.empty(len(y))
    for begin, distances in distance_blocks(embedding, embedding, metric):
        rows = np.arange(len(distances))
        own = number[begin : begin + len(rows)]
        distances[rows, begin + rows] = 0.0  # rounding leaves a tiny distance to oneself
        sums = distances @ members
        with np.errstate(invalid="ignore", divide="ignore"):
            near = sums[rows, own] / (sizes[own] - 1)
            means = sums / sizes
            means[rows, own] = np.inf
            other = means.min(axis=1)
            found = (other - near) / np.maximum(near, other)
        alone = (sizes[own] == 1) | (np.maximum(near, other) == 0)
        terms[begin : begin + len(rows)] = np.where(alone, 0.0, found)
    return terms


def silhouette(embedding: Array, y: Array, *, metric: Metric = "euclidean") -> float:
    """Measures the mean of `silhouette_terms`, from -1 to 1. Records count alike.

    Raises:
        DataError: If the shapes do not belong together.

    Example:
        >>> print(f"{silhouette(np.array([[0.0], [1.0], [10.0], [11.0]]), np.array([0, 0, 1, 1])):.3f}")
        0.900
    """
    return float(silhouette_terms(embedding, y, metric=metric).mean())


def project(embedding: Array, *, axes: int = 2) -> Floats:
    """Gives the coordinates along the directions in which records differ most (principal components).

    Args:
        embedding: Shape `(records, width)`.
        axes: How many; those beyond the width are zero.

    Returns:
        Shape `(records, axes)`. Each axis points to where its largest coefficient is positive, so that the
        same embedding always gives the same picture. All nan if a value is.

    Example:
        >>> project(np.array([[0.0, 0.0], [2.0, 0.0]])).tolist()
        [[-1.0, 0.0], [1.0, 0.0]]
    """
    numbers = embedding.astype(np.float64).reshape(len(embedding), -1)
    if not np.isfinite(numbers).all():
        return np.full((len(numbers), axes), np.nan)
    moved = numbers - numbers.mean(axis=0)
    # The eigenvectors of (width, width) cost less than a decomposition of all records, and are the same.
    _, vectors = np.linalg.eigh(moved.T @ moved)
    chosen = vectors[:, ::-1][:, :axes]
    largest = np.abs(chosen).argmax(axis=0)
    chosen = chosen * np.sign(chosen[largest, np.arange(chosen.shape[1])])
    found = np.zeros((len(numbers), axes))
    found[:, : chosen.shape[1]] = moved @ chosen
    return found + 0.0  # no minus zero


def _check(embedding: Array, y: Array) -> None:
    if embedding.ndim != 2 or embedding.size == 0 or embedding.dtype.kind not in "iuf":
        raise DataError(f"embeddings are numbers of shape (records, width), not {embedding.shape}")
    if y.shape != (len(embedding),) or y.dtype.kind not in "iu":
        raise DataError(f"classes are integers, one per record ({len(embedding)}), not {y.dtype} {y.shape}")
