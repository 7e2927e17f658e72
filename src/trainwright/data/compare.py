"""How the splits of a dataset differ: in their targets, and by what was already seen in train."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from trainwright.base.tree import Array

MOST_BYTES = 2**28  # of inputs that are compared record by record, which takes about a second per gigabyte
MOST_CLASSES = 20


def count_seen(inputs: Mapping[str, Any]) -> dict[str, int]:
    """Counts the records of each other split whose inputs are those of a train record, bit for bit.

    Args:
        inputs: What the model gets, by split, shapes `(records, ...)`.

    Returns:
        Counts by split; empty if the inputs are not arrays in memory, or are larger than 256 MiB.

    Example:
        >>> count_seen({"train": np.eye(3), "val": np.eye(2, 3), "test": np.zeros((4, 3))})
        {'val': 2, 'test': 0}
    """
    if not all(isinstance(x, np.ndarray) for x in inputs.values()):
        return {}
    if sum(x.nbytes for x in inputs.values()) > MOST_BYTES:
        return {}
    seen = set(_keys(inputs["train"]))
    return {
        name: sum(key in seen for key in _keys(x)) for name, x in inputs.items() if name != "train" and len(x)
    }


def explain_seen(seen: Mapping[str, int], sizes: Mapping[str, int]) -> dict[str, str]:
    """Says what `count_seen` found, as a remark by the path of the field that mends it.

    Example:
        >>> explain_seen({"val": 0, "test": 2}, {"val": 9, "test": 7})
        {'data.split': '2 of 7 test records have the features of a train record: a grouped split keeps copies together'}
    """
    found = [f"{count} of {sizes[name]} {name} records" for name, count in seen.items() if count]
    if not found:
        return {}
    told = f"{' and '.join(found)} have the features of a train record: a grouped split keeps copies together"
    return {"data.split": told}


def summarize_targets(targets: Mapping[str, Array], task_type: str) -> dict[str, dict[str, Any]]:
    """Gives the distribution of the target in each split.

    Args:
        targets: As they are written, by split, shapes `(records,)` or `(records, 1)`; or `(records, classes)`.
        task_type: What they are.

    Returns:
        Shares of the records by class, for at most 20 classes; or `mean`, `deviation`, `lowest` and `highest` of a
        single quantity; nothing for any other target.

    Example:
        >>> summarize_targets({"train": np.array(["no", "no", "yes", "no"])}, "classification")
        {'train': {'no': 0.75, 'yes': 0.25}}
        >>> summarize_targets({"val": np.array([[1.0], [3.0]])}, "regression")
        {'val': {'mean': 2.0, 'deviation': 1.0, 'lowest': 1.0, 'highest': 3.0}}
    """
    there = {name: y.reshape(-1) for name, y in targets.items() if len(y) and y.size == len(y)}
    if task_type == "regression":
        return {
            name: {
                "mean": float(y.mean()),
                "deviation": float(y.std()),
                "lowest": float(y.min()),
                "highest": float(y.max()),
            }
            for name, y in there.items()
        }
    if task_type != "classification" or not there:
        return {}
    classes: Any = np.unique(np.concatenate(list(there.values())))
    if len(classes) > MOST_CLASSES:
        return {}
    return {name: {str(one): float((y == one).mean()) for one in classes} for name, y in there.items()}


def _keys(x: Array) -> list[int]:
    return [hash(row.tobytes()) for row in np.ascontiguousarray(x).reshape(len(x), -1)]
