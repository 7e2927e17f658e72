"""Refuses records that cannot be trained on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.data.lazy import find_odd
from trainwright.ops.softlabels import SoftLabels

TASK_TYPES = ("classification", "multi_label", "segmentation", "regression", "embedding")
FEW = 20
NO_CLASS = -1  # stands for the class of every record where there is no target


def infer_task_type(y: Array) -> str:
    """Decides by the values of a target whether it is classes or quantities; an embedding has to be asked for.

    Text and booleans are classes. So are single integers, if at most 20 different ones occur, or they are 0
    to K-1 without a gap, and if each occurs often enough for it: twice on average in the first case, 20 times
    in the second. Several columns that are all booleans, or integers 0 and 1, are labels. Integers and booleans
    with two or more axes per record are the classes of pixels. Everything else is a quantity.

    Raises:
        DataError: If labels look like one class per record, written with a 1 in its own column.

    Example:
        >>> infer_task_type(np.array([3, 5, 3, 5])), infer_task_type(np.array([3, 5, 7, 9]))
        ('classification', 'regression')
        >>> infer_task_type(np.array([0.0, 1.0, 0.0, 1.0]))
        'regression'
        >>> infer_task_type(np.array([[1, 0], [1, 1], [0, 0]])), infer_task_type(np.zeros((9, 28, 28), bool))
        ('multi_label', 'segmentation')
    """
    if y.ndim > 2:
        return "segmentation" if y.dtype.kind in "biu" else "regression"
    if y.ndim == 2 and y.shape[1] > 1 and (y.dtype.kind == "b" or _is_zero_or_one(y)):
        if (np.count_nonzero(y, axis=1) == 1).all():
            raise DataError(
                "data.target: every record has exactly one 1, like classes in columns of their own; save the number "
                "of the column instead (argmax), or say model.task_type: multi_label"
            )
        return "multi_label"
    if y.dtype.kind in "bU":
        return "classification"
    if y.dtype.kind not in "iu" or y[0].size != 1:
        return "regression"
    values: Any = np.unique(y)
    often = y.size / len(values)
    few = len(values) <= FEW and often >= 2
    gapless = values[0] == 0 and values[-1] == len(values) - 1 and often >= FEW
    return "classification" if few or gapless else "regression"


def explain_scale(x: Any) -> dict[str, str]:
    """Points at inputs that most networks learn badly from: far from zero, or of large or tiny spread.

    Args:
        x: Inputs after preprocessing, shape `(records, ...)`; only floats in memory are looked at, and the first
            thousand records of them.

    Returns:
        A remark by the path of the field that mends it, or nothing.

    Example:
        >>> explain_scale(np.linspace(0.0, 255.0, 100)[:, None])
        {'data.operators': 'the features have mean 127.5 and spread 74.4: Standardize or MinMax would help'}
        >>> explain_scale(np.linspace(0.0, 1.0, 100)[:, None])
        {}
    """
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        return {}
    some: Any = x[:1000]
    mean, spread = float(some.mean()), float(some.std())
    if (abs(mean) <= 10 and 0.01 <= spread <= 10) or spread == 0:
        return {}
    return {
        "data.operators": f"the features have mean {mean:.4g} and spread {spread:.3g}: Standardize or MinMax would help"
    }


def settle_target(y: Array, task_type: str, *, at: str) -> Array:
    """Gives a target the form of its task type.

    Returns:
        Classes, for an embedding too: integers, booleans or text, shape `(records,)`; for a classification also their
        probabilities, float64, shape `(records, classes)`. Labels: float32 0 and 1, shape
        `(records, labels)`. Classes of pixels: integers or booleans, shape `(records, ...)`. Quantities: float64,
        shape `(records,)`, `(records, outputs)` or `(records, channels, ...)`.

    Raises:
        DataError: If its values or its shape are not those of the task type, or there is one class only.
    """
    if task_type == "classification" and y.ndim == 2 and y.shape[1] > 1:
        return _settle_shares(y, at)
    if task_type in ("classification", "embedding"):
        return _settle_classes(y, task_type, at)
    if task_type == "multi_label":
        return _settle_labels(y, at)
    if task_type == "segmentation":
        return _settle_pixels(y, at)
    if y.dtype.kind == "U":
        raise DataError(f"{at}regression needs numbers, this is text such as {str(y.flat[0])!r}")
    if y.ndim == 0 or 0 in y.shape:
        raise DataError(
            f"{at}regression needs shape (records,), (records, outputs) or (records, channels, ...), not {y.shape}"
        )
    return y.astype(np.float64)


def without_target(count: int) -> Array:
    """Gives the target of records that have none, for an embedding that learns from the records alone.

    Example:
        >>> without_target(2)
        array([-1, -1])
    """
    return np.full(count, NO_CLASS, dtype=np.int64)


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


def _is_zero_or_one(y: Array) -> bool:
    return y.dtype.kind in "iu" and bool(np.isin(y, (0, 1)).all())


def _settle_classes(y: Array, task_type: str, at: str) -> Array:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(
            f"{at}{task_type} needs one class per record, this has shape {y.shape}; take the argmax"
        )
    if y.dtype.kind == "f":
        cure = (
            "for a quantity, say model.task_type: regression"
            if task_type == "classification"
            else "a loss such as reconstruction needs no target"
        )
        y = _whole(y, task_type, cure, at=at)
    _several_classes(y, "records", at)
    return y


def _settle_shares(y: Array, at: str) -> Array:
    try:
        shares = SoftLabels(tuple(range(y.shape[1])))(y)
    except DataError as error:
        cure = "for quantities, say model.task_type: regression; for several labels, multi_label"
        raise DataError(f"{at}{error}; {cure}") from error
    if (shares == shares[0]).all():
        raise DataError(f"{at}all {len(y)} records have one target, {y[0].tolist()}; nothing can be learnt")
    return shares


def _settle_labels(y: Array, at: str) -> Array:
    labels = y.reshape(-1, 1) if y.ndim == 1 else y
    if labels.ndim != 2 or labels.shape[1] == 0:
        raise DataError(f"{at}multi_label needs shape (records, labels), not {y.shape}")
    if y.dtype.kind == "U":
        raise DataError(f"{at}multi_label needs 0 and 1 or booleans, this is text such as {str(y.flat[0])!r}")
    odd = np.argwhere(~np.isin(labels, (0, 1)))
    if len(odd):
        record, label = odd[0].tolist()
        raise DataError(
            f"{at}multi_label needs 0 and 1 or booleans; record {record} holds {labels[record, label]} for label "
            f"{label}"
        )
    return labels.astype(np.float32)


def _settle_pixels(y: Array, at: str) -> Array:
    if y.ndim < 2 or 0 in y.shape:
        raise DataError(f"{at}segmentation needs a class for each pixel, shape (records, ...), not {y.shape}")
    if y.dtype.kind == "U":
        raise DataError(
            f"{at}segmentation needs integers or booleans, this is text such as {str(y.flat[0])!r}"
        )
    if y.dtype.kind == "f":
        y = _whole(y, "segmentation", "for quantities, say model.task_type: regression", at=at)
    _several_classes(y, "pixels", at)
    return y


def _several_classes(y: Array, what: str, at: str) -> None:
    first: Any = y.flat[0]
    if (y == first).all():
        raise DataError(f"{at}all {y.size} {what} are of one class, {first.item()!r}; nothing can be learnt")


def _whole(y: Array, task_type: str, cure: str, *, at: str) -> Array:
    values: Any = y
    odd = np.argwhere(values != np.rint(values))
    if len(odd):
        place = tuple(odd[0].tolist())
        raise DataError(
            f"{at}{task_type} needs {'integers or booleans' if y.ndim > 1 else 'integers, booleans or text'}; "
            f"record {place[0]} holds {y[place]}; {cure}"
        )
    return y.astype(np.int64)
