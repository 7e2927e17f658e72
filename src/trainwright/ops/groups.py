"""Which values of a record share a statistic, and the arithmetic with such statistics."""

from collections.abc import Iterable, Iterator
from math import prod
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.base.tree import Array

Per = Literal["feature", "channel", "all"]
Statistics = NDArray[np.float64]
_BLOCK = 2**20  # elements worked on at once, so that no float64 copy of a large array is made


class Grouped(Protocol):
    """An operator whose statistics belong to features, channels or all values."""

    @property
    def per(self) -> Per:
        """What shares a statistic."""


def settle_statistics(op: Grouped, *learnt: str) -> None:
    """Turns fields that came from a spec into arrays; all of them are given, or none.

    Raises:
        ValueError: If they do not belong together, or the grouping is unknown.
    """
    if op.per not in ("feature", "channel", "all"):
        raise ValueError(f"per is `feature`, `channel` or `all`, not {op.per!r}")
    shapes = set()
    for name in learnt:
        if getattr(op, name) is not None:
            object.__setattr__(op, name, np.asarray(getattr(op, name), dtype=np.float64))
        shapes.add(np.shape(getattr(op, name)))
    if len(shapes) > 1 or len({getattr(op, name) is None for name in learnt}) > 1:
        raise ValueError(f"{' and '.join(learnt)} do not belong together")


def axes_of(op: Grouped, x: Array) -> tuple[int, ...]:
    """Gives the axes that a statistic is taken over."""
    if op.per == "channel":
        return (0, *range(2, x.ndim))
    return (0,) if op.per == "feature" else tuple(range(x.ndim))


def per_of_fitted(op: Grouped, x: Array) -> Per:
    """Gives the grouping that a fitted operator keeps.

    In a matrix the channels are the features. Calling them so keeps `invert` from taking the quantiles of
    `(records, quantiles, features)` for channels.
    """
    return "feature" if op.per == "channel" and x.ndim == 2 else op.per


def read_evenly(blocks: Iterable[Array], op: Grouped) -> Iterator[Array]:
    """Cuts parts of records anew, each but the last with one number of records.

    Sums over these do not depend, in any bit, on how the records were cut before.

    Yields:
        C-contiguous arrays, shape `(records, ...)`.

    Raises:
        DataError: If the parts hold no numbers, are of different shapes, or hold no records together.
    """
    held: list[Array] = []
    count, shape, seen = 0, None, False
    for block in blocks:
        _check_numbers(block, op)
        if shape is not None and block.shape[1:] != shape:
            raise DataError(f"the records change their shape from {shape} to {block.shape[1:]}")
        shape = block.shape[1:]
        rows = max(1, _BLOCK // max(1, prod(shape)))
        begin = 0
        while begin < len(block):
            part = block[begin : begin + rows - count]
            begin, count, seen = begin + len(part), count + len(part), seen or part.size > 0
            if count < rows:
                held.append(part.copy())  # the reader may use its memory again
                continue
            yield np.ascontiguousarray(np.concatenate([*held, part]) if held else part)
            held, count = [], 0
    if held:
        yield np.ascontiguousarray(np.concatenate(held))
    if not seen:
        raise DataError(f"{type(op).__name__} cannot be fitted on no records")


def _check_numbers(x: Array, op: Grouped) -> None:
    name = type(op).__name__
    if x.dtype.kind not in "biuf":
        raise DataError(f"{name} takes numbers, not {x.dtype}")
    if op.per == "channel" and x.ndim < 2:
        raise DataError(f"{name}(per='channel') needs a second axis, the records have shape {x.shape[1:]}")


def finite_numbers(x: Array, op: object) -> Statistics:
    """Gives records as float64, to learn from.

    Raises:
        DataError: If there are none, or a value is no number, missing or infinite.
    """
    name = type(op).__name__
    if x.dtype.kind not in "biuf":
        raise DataError(f"{name} takes numbers, not {x.dtype}")
    if x.size == 0:
        raise DataError(f"{name} cannot be fitted on no records")
    numbers = x.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise DataError(f"{name} cannot be fitted: the records hold nan or inf; Impute fills what is missing")
    return numbers


def refuse_infinite(op: object, *statistics: Statistics) -> None:
    """Refuses statistics that are not finite.

    Raises:
        DataError: If one is not.
    """
    if not all(np.isfinite(one).all() for one in statistics):
        raise DataError(
            f"{type(op).__name__} cannot be fitted: the records hold nan, inf or values too large"
        )


def scale(x: Array, shift: Statistics, divisor: Statistics, *, op: Grouped) -> Array:
    """Gives `(x - shift) / divisor`, computed in float64, as float32.

    Raises:
        DataError: If the records are no numbers, or of another shape than the statistics.
    """
    if x.dtype.kind not in "biuf":
        raise DataError(f"{type(op).__name__} takes numbers, not {x.dtype}")
    shift, divisor = along(shift, x, op), along(divisor, x, op)
    scaled = np.empty(x.shape, dtype=np.float32)
    rows = max(1, _BLOCK * len(x) // max(1, x.size))
    with np.errstate(over="ignore", invalid="ignore"):
        for begin in range(0, len(x), rows):
            block = x[begin : begin + rows].astype(np.float64)
            scaled[begin : begin + rows] = (block - shift) / divisor
    return scaled


def unscale(y: Array, shift: Statistics, divisor: Statistics, *, op: Grouped) -> Array:
    """Gives `y * divisor + shift` as float64, for `(records, ...)` and for `(records, quantiles, ...)`."""
    numbers: Any = y.astype(np.float64)
    result: Array = numbers * along(divisor, y, op, quantiles=True) + along(shift, y, op, quantiles=True)
    return result


def along(statistic: Statistics, x: Array, op: Grouped, *, quantiles: bool = False) -> Statistics:
    """Shapes a statistic so that it stands beside the records it belongs to.

    Args:
        statistic: Shape of one record, `(channels,)` or `()`.
        x: The records.
        op: Whose statistic it is.
        quantiles: Whether there may be one further axis after the first.

    Raises:
        DataError: If the records have another shape.
    """
    if op.per == "feature":
        check_record_shape(x, statistic.shape, op, quantiles=quantiles)
    if op.per == "channel":
        if x.ndim < 2 or x.shape[1:2] != statistic.shape:
            raise DataError(
                f"{type(op).__name__} was fitted on {statistic.size} channels, these records have shape "
                f"{x.shape[1:]}"
            )
        return statistic.reshape(-1, *[1] * (x.ndim - 2))
    return statistic


def check_record_shape(x: Array, shape: tuple[int, ...], op: object, *, quantiles: bool = False) -> None:
    """Refuses records of another shape, instead of stretching a statistic over them.

    Raises:
        DataError: If they have one.
    """
    fits = x.shape[1:] == shape or (quantiles and x.ndim == len(shape) + 2 and x.shape[2:] == shape)
    if not fits:
        raise DataError(
            f"{type(op).__name__} was fitted on records of shape {shape}, these have {x.shape[1:]}"
        )
