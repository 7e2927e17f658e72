"""Weights that let rare classes count as much as frequent ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array


def balance_classes(y: Array, classes: int) -> list[float]:
    """Weighs each class by records / (classes * its records), so that all classes weigh the same in sum.

    Args:
        y: Class numbers of the train split, of any shape; or probabilities, shape `(records, classes)`.
        classes: How many there are.

    Raises:
        DataError: If a class does not occur.

    Example:
        >>> balance_classes(np.array([0, 0, 0, 1]), 2)
        [0.6666666666666666, 2.0]

    Source:
        King & Zeng, Logistic Regression in Rare Events Data, 2001, section 4.2; scikit-learn's `balanced`.
    """
    counts: Any = y.sum(axis=0) if y.dtype.kind == "f" else np.bincount(y.reshape(-1), minlength=classes)
    if not (counts > 0).all():
        raise DataError(
            f"train.loss.class_weights: class {int(np.argmin(counts))} (counted from 0) does not occur in train, "
            "nothing balances it; write the weights as a list"
        )
    weights: list[float] = (counts.sum() / (classes * counts)).tolist()
    return weights


def balance_labels(y: Array, names: Sequence[str]) -> list[float]:
    """Weighs the positives of each label by negatives / positives, so that both weigh the same in sum.

    Args:
        y: 0 and 1 of the train split, shape `(records, labels)`.
        names: Of the labels.

    Raises:
        DataError: If a label has no positives or no negatives, so that no weight balances them.

    Example:
        >>> balance_labels(np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]), ["a", "b"])
        [2.0, 0.5]
    """
    positives = np.count_nonzero(y, axis=0)
    for count, name in zip(positives.tolist(), names, strict=True):
        if count in (0, len(y)):
            raise DataError(
                f"train.loss.class_weights: all {len(y)} records of train have {min(count, 1)} for the label "
                f"{name!r}, nothing balances it; write the weights as a list"
            )
    weights: list[float] = ((len(y) - positives) / positives).tolist()
    return weights
