"""Cuts records by the values of a column, so that a score can be looked at part by part."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.validation.weights import Floats

BINS = 4
MOST_VALUES = 12


def cut_column(values: Array, *, bins: int = BINS, most: int = MOST_VALUES) -> dict[str, NDArray[np.int64]]:
    """Groups records by a column.

    Numbers with more than `most` different values are cut at their quantiles; everything else is grouped by
    value, the rarest ones together.

    Args:
        values: Numbers, booleans or text, shape `(records,)`.
        bins: Quantile bins of a numeric column; ties may leave fewer.
        most: Different values that get a group each.

    Returns:
        Positions of records, by what they have in common, in the order of the values; `missing` for nan.
        Groups are disjoint and no record is left out.

    Raises:
        DataError: If it is not one value per record.

    Example:
        >>> {name: rows.tolist() for name, rows in cut_column(np.array(["b", "a", "b"])).items()}
        {'a': [1], 'b': [0, 2]}
        >>> list(cut_column(np.arange(100.0), bins=2))
        ['0 to 49', '50 to 99']
    """
    if values.ndim != 1 or values.dtype.kind not in "biufU":
        raise DataError(f"a column holds one number or text per record, not {values.dtype} {values.shape}")
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), dtype=bool)
    rows = np.flatnonzero(~missing)
    different, number, sizes = np.unique(values[rows], return_inverse=True, return_counts=True)
    if values.dtype.kind in "iuf" and len(different) > most:
        groups = _cut_numbers(values, rows, bins)
    else:
        common = np.sort(np.argsort(-sizes, kind="stable")[: most if len(sizes) <= most else most - 1])
        groups = {str(different[one]): rows[number == one] for one in common}
        if len(common) < len(sizes):
            # A value may itself be called so.
            groups[_free("other values", groups)] = rows[~np.isin(number, common)]
    if missing.any():
        groups[_free("missing", groups)] = np.flatnonzero(missing)
    return groups


def score_slices(
    columns: Mapping[str, Array],
    measures: Mapping[str, Callable[[Floats], Floats]],
    *,
    count: int,
    weight: Floats,
) -> list[dict[str, Any]]:
    """Measures each group of each column.

    Args:
        columns: Raw columns by name, one value per record.
        measures: Scores by name, functions of counts as for `bootstrap_interval`.
        count: Number of records.
        weight: Of the records, shape `(count,)`.

    Returns:
        A row for each group: `column`, `value`, `records`, `weight` and the scores; nan where a group weighs
        nothing.

    Raises:
        DataError: If a column is not one value per record.

    Example:
        >>> score = {"mean": lambda counts: counts @ np.array([1.0, 3.0, 5.0]) / counts.sum(axis=1)}
        >>> rows = score_slices({"k": np.array(["a", "a", "b"])}, score, count=3, weight=np.ones(3))
        >>> [(row["value"], row["records"], row["mean"]) for row in rows]
        [('a', 2, 2.0), ('b', 1, 5.0)]
    """
    found: list[dict[str, Any]] = []
    for column, values in columns.items():
        if values.shape != (count,):
            raise DataError(f"column {column!r} has shape {values.shape}, but there are {count} records")
        for label, rows in cut_column(values).items():
            counts = np.zeros((1, count))
            counts[0, rows] = 1.0
            mass = float(weight[rows].sum())
            scores = {
                name: float(score(counts)[0]) if mass > 0 else float("nan")
                for name, score in measures.items()
            }
            head = {"column": column, "value": label, "records": len(rows), "weight": mass}
            found.append(head | scores)
    return found


def _cut_numbers(values: Array, rows: NDArray[np.int64], bins: int) -> dict[str, NDArray[np.int64]]:
    numbers = values[rows].astype(np.float64)
    inner = np.unique(np.quantile(numbers, np.arange(1, bins) / bins, method="inverted_cdf"))
    place = np.searchsorted(inner, numbers)
    groups: dict[str, NDArray[np.int64]] = {}
    for one in np.unique(place):
        part = numbers[place == one]
        groups[_free(f"{part.min():.6g} to {part.max():.6g}", groups)] = rows[place == one]
    return groups


def _free(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name += " "
    return name
