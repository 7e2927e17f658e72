"""Refuses records that cannot be trained on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.data.lazy import find_odd

TASK_TYPES = ("classification", "regression")
FEW = 20


def infer_task_type(y: Array) -> str:
    """Decides by the values of a target whether it is a class or a quantity.

    Text and booleans are classes. So are single integers, if at most 20 different ones occur, or they are 0
    to K-1 without a gap, and if each occurs often enough for it: twice on average in the first case, 20 times
    in the second. Everything else is a quantity.

    Example:
        >>> infer_task_type(np.array([3, 5, 3, 5])), infer_task_type(np.array([3, 5, 7, 9]))
        ('classification', 'regression')
        >>> infer_task_type(np.array([0.0, 1.0, 0.0, 1.0]))
        'regression'
    """
    if y.dtype.kind in "bU":
        return "classification"
    if y.dtype.kind not in "iu" or y[0].size != 1:
        return "regression"
    values: Any = np.unique(y)
    often = y.size / len(values)
    few = len(values) <= FEW and often >= 2
    gapless = values[0] == 0 and values[-1] == len(values) - 1 and often >= FEW
    return "classification" if few or gapless else "regression"


def settle_target(y: Array, task_type: str, *, at: str) -> Array:
    """Gives a target the form of its task type.

    Returns:
        Classes: integers, booleans or text, shape `(records,)`. Quantities: float64, shape `(records,)` or
        `(records, outputs)`.

    Raises:
        DataError: If its values or its shape are not those of the task type, or there is one class only.
    """
    if task_type == "classification":
        if y.ndim == 2 and y.shape[1] == 1:
            y = y[:, 0]
        if y.ndim != 1:
            raise DataError(
                f"{at}classification needs one class per record, this has shape {y.shape}; take the argmax"
            )
        if y.dtype.kind == "f":
            y = _whole(y, at)
        first: Any = y[0]
        if (y == first).all():
            raise DataError(
                f"{at}all {len(y)} records are of one class, {first.item()!r}; nothing can be learnt"
            )
        return y
    if y.dtype.kind == "U":
        raise DataError(f"{at}regression needs numbers, this is text such as {str(y.flat[0])!r}")
    if y.ndim not in (1, 2) or (y.ndim == 2 and y.shape[1] == 0):
        raise DataError(f"{at}regression needs shape (records,) or (records, outputs), not {y.shape}")
    return y.astype(np.float64)


def check_finite(values: Array, *, at: str, what: str, columns: Sequence[str] | None = None) -> None:
    """Refuses nan and infinities.

    Raises:
        DataError: If there are any; the first record and how many there are is said.
    """
    found = find_odd(values)
    if found is None:
        return
    if columns is not None and len(found.first) > 1:
        what = f"column {columns[found.first[1]]!r}"
    raise DataError(
        f"{at}{what} holds {found.value} in record {found.first[0]} (counted from 0; "
        f"{found.count} such values in all); remove or replace them first"
    )


def check_weight(weight: Array, count: int, *, at: str) -> Array:
    """Gives record weights as float64.

    Raises:
        DataError: If they are not numbers, one per record, finite and non-negative.
    """
    if weight.shape != (count,) or weight.dtype.kind not in "biuf":
        raise DataError(
            f"{at}weights are numbers, one per record ({count}), not {weight.dtype} of shape {weight.shape}"
        )
    numbers = weight.astype(np.float64)
    check_finite(numbers, at=at, what="it")
    if (numbers < 0).any():
        first = int(np.argmax(numbers < 0))
        raise DataError(f"{at}the weight of record {first} is {numbers[first]}; weights are not negative")
    return numbers


def check_ids(ids: Array, count: int, *, at: str) -> Array:
    """Gives names of records.

    Raises:
        DataError: If they are not integers or text, one per record.
    """
    if ids.shape != (count,) or ids.dtype.kind not in "iuU":
        raise DataError(
            f"{at}ids are integers or text, one per record ({count}), not {ids.dtype} of shape {ids.shape}"
        )
    return ids


def _whole(y: Array, at: str) -> Array:
    values: Any = y
    odd = values != np.rint(values)
    if odd.any():
        first = int(np.argmax(odd))
        raise DataError(
            f"{at}classification needs integers, booleans or text; record {first} holds {y[first]}; "
            "for a quantity, say model.task_type: regression"
        )
    return y.astype(np.int64)
