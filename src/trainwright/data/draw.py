"""Draws records for a split: at random, by class, by group, by time, by fold."""

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.base.random import permutation, stream
from trainwright.base.tree import Array

Indices = NDArray[np.int64]
Chosen = NDArray[np.bool_]
TENTHS = 10
CLASSES = ("classification", "embedding")  # task types whose targets are classes


def strata_of(y: Array, *, task_type: str) -> Indices:
    """Numbers what a stratified split shares out alike: classes, or the tenths by rank of a quantity.

    Args:
        y: Targets, shape `(records,)` or `(records, 1)`.
        task_type: `classification` or `embedding` for classes; otherwise the target is a quantity.

    Returns:
        A number from 0 for each record, shape `(records,)`.

    Raises:
        DataError: If a record has several targets: they have no common classes to go by.

    Example:
        >>> strata_of(np.array(["b", "a", "b"]), task_type="classification")
        array([1, 0, 1])
    """
    if y.size != len(y):
        raise DataError(
            f"data.split.method: a stratified split goes by one class or one value per record, but the target "
            f"has shape {y.shape[1:]} per record; use method random, grouped or kfold"
        )
    if task_type in CLASSES:
        return np.unique(y.reshape(-1), return_inverse=True)[1].astype(np.int64)
    rank = np.empty(len(y), dtype=np.int64)
    rank[np.argsort(y.reshape(-1), kind="stable")] = np.arange(len(y))
    return rank * TENTHS // max(1, len(y))


def choose_records(strata: Indices, fraction: float, *, keep: int) -> Chosen:
    """Marks, in an order that is random already, the first records of each stratum that are chosen.

    Args:
        strata: Number of the stratum of each record, in the order of the draw.
        fraction: Of all records, rounded (halves up), at least one.
        keep: How many records of each stratum are left over at least, where there are several strata.

    Example:
        >>> choose_records(np.array([0, 1, 1, 0, 1, 1]), 0.5, keep=1)
        array([ True,  True,  True, False, False, False])
    """
    sizes = np.bincount(strata)
    shares = (
        _apportion(sizes, fraction, keep=keep)
        if len(sizes) > 1
        else np.array([_rounded(fraction * len(strata))])
    )
    chosen: Chosen = _place_in_group(strata, sizes) < shares[strata]
    return chosen


def choose_groups(groups: Indices, fraction: float, *, order: Indices, leave: int = 1) -> Chosen:
    """Marks the records of whole groups whose number comes as near to a fraction as the draw allows.

    The groups are drawn in a random order; one that would lead further away from the fraction is passed over.
    At least one group is chosen (the smallest, if each is far too large) and at least `leave` are left.

    Args:
        groups: Number of the group of each record.
        fraction: Of all records.
        order: The groups in the order of the draw; those without records are passed over.
        leave: How many groups the other splits need.

    Example:
        >>> choose_groups(np.array([0, 0, 1, 2]), 0.5, order=np.array([1, 0, 2]))
        array([False, False,  True,  True])
    """
    sizes = np.bincount(groups, minlength=len(order))
    there = order[sizes[order] > 0]
    wanted = _rounded(fraction * len(groups))
    taken: list[int] = []
    total = 0
    for group in there.tolist():
        if len(taken) < len(there) - leave and abs(total + sizes[group] - wanted) < abs(total - wanted):
            taken.append(group)
            total += int(sizes[group])
    if not taken and len(there) > 1:
        taken = [int(there[np.argmin(sizes[there])])]
    return np.isin(groups, taken)


def choose_latest(times: Array, fraction: float, *, leave: int = 1) -> Chosen:
    """Marks the latest records; records of one time are on one side of the boundary, whichever is nearer.

    Args:
        times: When each record was made, in any unit.
        fraction: Of all records; at least one time is chosen.
        leave: How many times are left at least, if there are as many; one in any case.

    Example:
        >>> choose_latest(np.array([3, 1, 3, 2]), 0.25)
        array([ True, False,  True, False])
    """
    place, counts = np.unique(times, return_inverse=True, return_counts=True)[1:]
    most = max(1, len(counts) - leave)
    after = np.cumsum(counts[::-1])[:most]  # records chosen if the last 1, 2, ... times are
    if len(counts) == 1:
        return np.zeros(len(times), dtype=np.bool_)
    last = 1 + int(np.argmin(np.abs(after - _rounded(fraction * len(times)))))
    chosen: Chosen = place.reshape(-1) >= len(counts) - last
    return chosen


def fold_of_records(strata: Indices, folds: int) -> Indices:
    """Numbers the fold of each record, in an order that is random already.

    The sizes of the folds differ by one record at most, and so do the numbers of records of each stratum.

    Args:
        strata: Number of the stratum of each record; all the same where folds are not stratified.
        folds: How many.

    Example:
        >>> fold_of_records(np.array([0, 1, 0, 1, 1]), 2)
        array([0, 0, 1, 1, 0])
    """
    numbers = np.empty_like(strata)
    numbers[np.argsort(strata, kind="stable")] = np.arange(len(strata)) % folds
    return numbers


def fold_of_groups(groups: Indices, folds: int, *, order: Indices) -> Indices:
    """Numbers the fold of each record so that groups stay whole: the largest goes first, to the emptiest fold.

    Args:
        groups: Number of the group of each record.
        folds: How many.
        order: The groups in a random order, in which those of one size go.

    Raises:
        DataError: If there are fewer groups than folds.

    Source:
        Graham, Bounds on Multiprocessing Timing Anomalies, SIAM J. Appl. Math. 17, 1969, section 5 (LPT rule).
    """
    sizes = np.bincount(groups, minlength=len(order))
    there = order[sizes[order] > 0]
    if len(there) < folds:
        raise DataError(f"data.split.folds: {folds} folds, but only {len(there)} groups that are not in test")
    fold, filled = np.full(len(order), -1, dtype=np.int64), np.zeros(folds, dtype=np.int64)
    for group in there[np.argsort(-sizes[there], kind="stable")].tolist():
        fold[group] = np.argmin(filled)
        filled[fold[group]] += sizes[group]
    return fold[groups]


def random_groups(groups: Indices, *, seed: int) -> Indices:
    """Puts the numbers of groups into a random order."""
    return permutation(stream(seed, "split", "groups"), int(groups.max(initial=-1)) + 1)


def _place_in_group(groups: Indices, sizes: Indices) -> Indices:
    """Gives the place of each record among those of its own group."""
    by_group = np.argsort(groups, kind="stable")
    place = np.empty_like(groups)
    place[by_group] = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return place


def _apportion(sizes: Indices, fraction: float, *, keep: int) -> Indices:
    quota = fraction * sizes
    limit = np.maximum(sizes - keep, 0)
    shares: Indices = np.minimum(np.floor(quota).astype(np.int64), limit)
    wanted = _rounded(fraction * int(sizes.sum()))
    # Largest remainder first; equal ones in the order of the classes.
    for group in np.argsort(-(quota - np.floor(quota)), kind="stable"):
        if shares.sum() < wanted and shares[group] < limit[group]:
            shares[group] += 1
    return shares


def _rounded(records: float) -> int:
    return max(1, int(np.floor(records + 0.5)))
