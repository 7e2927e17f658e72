"""Scores of a classifier, from its logits.

Everything is computed in float64. A tie goes to the class of the smaller number. Where a logit is
nan there is no prediction, and every score is nan.
"""

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.validation.weights import Floats, settle_weight, weighted_mean


def check_classes(logits: Array, y: Array, weight: Array | None) -> tuple[NDArray[np.int64], Floats]:
    """Gives class numbers as int64 and weights as float64, once they fit the logits.

    Raises:
        DataError: If the shapes do not belong together, or a class number or a weight is out of range.
    """
    if logits.ndim != 2 or logits.shape[1] == 0 or logits.dtype.kind not in "iuf":
        raise DataError(f"logits are numbers of shape (records, classes), not {logits.dtype} {logits.shape}")
    if y.shape != (len(logits),) or y.dtype.kind not in "iu":
        raise DataError(
            f"class numbers are integers, one per record ({len(logits)}), not {y.dtype} {y.shape}"
        )
    weights = settle_weight(weight, len(logits))
    truth = y.astype(np.int64)
    if truth.min() < 0 or truth.max() >= logits.shape[1]:
        raise DataError(
            f"class numbers go from {truth.min()} to {truth.max()}, the logits have {logits.shape[1]}"
        )
    return truth, weights


def log_probabilities(logits: Array) -> Floats:
    r"""Gives :math:`z_k - \log \sum_j e^{z_j}`, shifted by the largest logit so that nothing overflows.

    Args:
        logits: Shape `(records, classes)`.

    Example:
        >>> log_probabilities(np.array([[1000.0, 1000.0]]))
        array([[-0.69314718, -0.69314718]])
    """
    numbers = logits.astype(np.float64)
    if numbers.ndim != 2 or numbers.shape[1] == 0:
        raise DataError(f"logits have shape (records, classes), not {logits.shape}")
    with np.errstate(invalid="ignore", over="ignore"):
        shifted = numbers - numbers.max(axis=1, keepdims=True)
        logs: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs


def probabilities(logits: Array) -> Floats:
    """Gives the softmax of logits, shape `(records, classes)`; each row sums to one.

    Example:
        >>> probabilities(np.array([[0.0, np.log(3.0)]]))
        array([[0.25, 0.75]])
    """
    chances: Floats = np.exp(log_probabilities(logits))
    return chances


def cross_entropy(logits: Array, y: Array, *, weight: Array | None = None) -> float:
    r"""Measures :math:`-\sum_i w_i \log p_{i, y_i} / \sum_i w_i`, in nats.

    Args:
        logits: Shape `(records, classes)`.
        y: Class numbers from 0, shape `(records,)`.
        weight: Non-negative, shape `(records,)`.

    Raises:
        DataError: If the shapes do not belong together, or a class number or a weight is out of range.

    Example:
        >>> print(f"{cross_entropy(np.zeros((2, 4)), np.array([0, 3])) / np.log(4):.3f}")
        1.000
    """
    truth, weights = check_classes(logits, y, weight)
    losses = -log_probabilities(logits)[np.arange(len(truth)), truth]
    return float(weighted_mean(losses, weights))


def confusion_matrix(logits: Array, y: Array, *, weight: Array | None = None) -> Floats:
    """Adds up weights by true class (rows) and predicted class (columns).

    Args:
        logits: Shape `(records, classes)`.
        y: Class numbers from 0, shape `(records,)`.
        weight: Non-negative, shape `(records,)`.

    Returns:
        Shape `(classes, classes)`; nan everywhere if a logit is nan.

    Raises:
        DataError: As `cross_entropy`.

    Example:
        >>> confusion_matrix(np.array([[2.0, 1.0], [3.0, 0.0]]), np.array([0, 1]))
        array([[1., 0.],
               [1., 0.]])
    """
    truth, weights = check_classes(logits, y, weight)
    classes = logits.shape[1]
    counted = weights > 0
    numbers = logits.astype(np.float64)
    if np.isnan(numbers[counted]).any():
        return np.full((classes, classes), np.nan)
    cells = truth * classes + numbers.argmax(axis=1)
    table: Floats = np.bincount(cells, weights=weights, minlength=classes**2).astype(np.float64)
    return table.reshape(classes, classes)


def accuracy(logits: Array, y: Array, *, weight: Array | None = None) -> float:
    """Measures the share of records whose largest logit is that of their class.

    Raises:
        DataError: As `cross_entropy`.

    Example:
        >>> accuracy(np.array([[2.0, 1.0], [3.0, 0.0]]), np.array([0, 1]), weight=np.array([3.0, 1.0]))
        0.75
    """
    table = confusion_matrix(logits, y, weight=weight)
    return float(np.trace(table) / table.sum())


def balanced_accuracy(logits: Array, y: Array, *, weight: Array | None = None) -> float:
    """Measures the mean recall over the classes that occur.

    Raises:
        DataError: As `cross_entropy`.
    """
    table = confusion_matrix(logits, y, weight=weight)
    there = table.sum(axis=1) != 0  # true for nan
    return float((np.diag(table)[there] / table.sum(axis=1)[there]).mean())


def macro_f1(logits: Array, y: Array, *, weight: Array | None = None) -> float:
    r"""Measures the mean of :math:`2 t / (2 t + f_p + f_n)` over the classes that occur or are predicted.

    Raises:
        DataError: As `cross_entropy`.
    """
    table = confusion_matrix(logits, y, weight=weight)
    both = table.sum(axis=0) + table.sum(axis=1)
    there = both != 0  # true for nan
    return float((2 * np.diag(table)[there] / both[there]).mean())


def in_top(logits: Array, y: Array, k: int) -> NDArray[np.bool_]:
    """Says of each record whether its class is among the `k` of the largest logits.

    Args:
        logits: Shape `(records, classes)`, without nan.
        y: Class numbers from 0, shape `(records,)`.
        k: At least 1.

    Example:
        >>> in_top(np.array([[3.0, 2.0, 2.0], [3.0, 2.0, 2.0]]), np.array([1, 2]), 2)
        array([ True, False])
    """
    if k < 1:
        raise ValueError(f"k {k} is not at least 1")
    numbers, truth = logits.astype(np.float64), y.astype(np.int64)
    own = numbers[np.arange(len(truth)), truth][:, None]
    earlier = np.arange(numbers.shape[1]) < truth[:, None]
    ahead = (numbers > own) | ((numbers == own) & earlier)
    there: NDArray[np.bool_] = ahead.sum(axis=1) < k
    return there


def top_k_accuracy(logits: Array, y: Array, *, k: int = 5, weight: Array | None = None) -> float:
    """Measures the share of records whose class is among the `k` of the largest logits.

    Returns:
        1 where there are no more than `k` classes.

    Raises:
        DataError: As `cross_entropy`.

    Example:
        >>> top_k_accuracy(np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]]), np.array([1, 2]), k=2)
        0.5
    """
    truth, weights = check_classes(logits, y, weight)
    numbers = logits.astype(np.float64)
    right = np.where(np.isnan(numbers).any(axis=1), np.nan, in_top(numbers, truth, k))
    return float(weighted_mean(right, weights))
