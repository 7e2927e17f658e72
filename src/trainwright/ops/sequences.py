"""Augmentations of sequences, shape `(records, length)` or `(records, channels, length)`.

A ragged sequence is padded with zeros, and its last channel is a mask: 1 where there is a value, 0 in the padding.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.base.random import Stream
from trainwright.ops.augmentation import (
    Augmentation,
    Features,
    Records,
    check_probability,
    draw,
    draw_between,
    draw_normal,
)

_BLOCK = 2**16  # values worked on at once, so that they stay in the cache


@dataclass(frozen=True, eq=False)
class RandomShift(Augmentation):
    """Moves a sequence in time; a mask moves along.

    Args:
        max_shift: By at most so many places, either way.
        mode: What comes in: `zeros`, what goes out at the other end (`wrap`), or the value at the `edge`.

    Raises:
        DataError: If the sequence is not longer than `max_shift`.
    """

    max_shift: int
    mode: Literal["zeros", "wrap", "edge"] = "zeros"

    catalog_name: ClassVar[str | None] = "RandomShift"

    def __post_init__(self) -> None:
        if self.max_shift < 1:
            raise ValueError(f"max_shift is at least 1 place, not {self.max_shift}")
        if self.mode not in ("zeros", "wrap", "edge"):
            raise ValueError(f"mode is `zeros`, `wrap` or `edge`, not {self.mode!r}")

    def __call__(self, x: Features, *, stream: Stream, records: Records) -> Features:
        """Moves each sequence by a number of places that is drawn evenly."""
        values, _ = _take_apart(x, mask=False, op=self)
        length = x.shape[-1]
        if length <= self.max_shift:
            raise DataError(
                f"RandomShift by up to {self.max_shift} places needs longer sequences than {length}"
            )
        shift = (
            np.floor(draw(stream, records, 1) * (2 * self.max_shift + 1)).astype(np.int64) - self.max_shift
        )
        source = np.arange(length) - shift
        inside = source % length if self.mode == "wrap" else np.clip(source, 0, length - 1)
        moved = np.take_along_axis(values, inside[:, None, :], axis=2)
        if self.mode == "zeros":
            moved *= (source == inside)[:, None, :]
        return moved.reshape(x.shape)


@dataclass(frozen=True, eq=False)
class RandomScale(Augmentation):
    """Multiplies a record by a factor; also for records of other shapes.

    Args:
        low: The smallest factor.
        high: The largest factor.
        mask: Whether the last channel is a mask, which is left as it is.
    """

    low: float
    high: float
    mask: bool = False

    catalog_name: ClassVar[str | None] = "RandomScale"
    keeps_places: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_factors(self.low, self.high)

    def __call__(self, x: Features, *, stream: Stream, records: Records) -> Features:
        """Multiplies each record by a factor that is drawn evenly."""
        factor = draw_between(self.low, self.high, of=draw(stream, records, 1))
        if not self.mask:
            return (x.reshape(len(x), -1) * factor).reshape(x.shape)
        values, present = _take_apart(x, mask=True, op=self)
        return _join(values * factor[:, :, None], present)


@dataclass(frozen=True, eq=False)
class GaussianNoise(Augmentation):
    """Adds independent normal noise to each value; also for records of other shapes.

    Args:
        std: The standard deviation of the noise, in the unit of the features after their operators.
        mask: Whether the last channel is a mask: it is left as it is, and the padding stays zero.
    """

    std: float
    mask: bool = False

    catalog_name: ClassVar[str | None] = "GaussianNoise"
    keeps_places: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0.0 < self.std < np.inf:
            raise ValueError(f"std is above 0, not {self.std}")

    def __call__(self, x: Features, *, stream: Stream, records: Records) -> Features:
        """Adds noise to each record."""
        values, present = _take_apart(x, mask=True, op=self) if self.mask else (x, None)
        each = values.reshape(len(x), -1)
        noisy = np.empty(each.shape, dtype=np.float32)
        rows = max(1, _BLOCK // max(1, each.shape[1]))
        for begin in range(0, len(x), rows):
            part = slice(begin, begin + rows)
            noise = draw_normal(stream, records[part], each.shape[1])
            np.add(each[part], np.float32(self.std) * noise, out=noisy[part])
        if present is None:
            return noisy.reshape(x.shape)
        return _join(noisy.reshape(values.shape) * (present > 0)[:, None, :], present)


@dataclass(frozen=True, eq=False)
class TimeMask(Augmentation):
    """Sets a span of a sequence to zero, in all channels.

    Args:
        width: How many places. A ragged sequence that is shorter loses all of its values.
        p: The probability.
        mask: Whether the last channel is a mask: it is left as it is, and the span lies where values are.

    Raises:
        DataError: If the sequences are not longer than the span.

    Source:
        Park et al., SpecAugment, 2019, section 2; with spans of one width.
    """

    width: int
    p: float = 0.5
    mask: bool = False

    catalog_name: ClassVar[str | None] = "TimeMask"
    keeps_places: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_probability(self.p)
        if self.width < 1:
            raise ValueError(f"width is at least 1 place, not {self.width}")

    def __call__(self, x: Features, *, stream: Stream, records: Records) -> Features:
        """Erases a span of the sequences that are drawn."""
        values, present = _take_apart(x, mask=self.mask, op=self)
        length = x.shape[-1]
        if length <= self.width:
            raise DataError(f"TimeMask of {self.width} places needs longer sequences than {length}")
        first, end = _extent(present, length)
        chosen, where = draw(stream, records, 2).T
        begin = first + np.floor(where * (np.maximum(end - first - self.width, 0) + 1)).astype(np.int64)
        place = np.arange(length)
        erased = (place >= begin[:, None]) & (place < begin[:, None] + self.width)
        erased &= (chosen < self.p)[:, None]
        kept = np.where(erased[:, None, :], np.float32(0.0), values)
        return kept.reshape(x.shape) if present is None else _join(kept, present)


@dataclass(frozen=True, eq=False)
class RandomResample(Augmentation):
    """Makes a sequence slower or faster, with linear interpolation; its length stays.

    It is stretched about its middle, and beyond its ends the values there are held. A ragged one is stretched
    from its beginning, and where it ends now the padding begins.

    Args:
        low: The smallest factor of its duration, above 0.
        high: The largest factor.
        mask: Whether the last channel is a mask, which is stretched along and stays 0 or 1.
    """

    low: float
    high: float
    mask: bool = False

    catalog_name: ClassVar[str | None] = "RandomResample"

    def __post_init__(self) -> None:
        _check_factors(self.low, self.high)
        if self.low <= 0.0:
            raise ValueError(f"low is above 0, not {self.low}")

    def __call__(self, x: Features, *, stream: Stream, records: Records) -> Features:
        """Stretches each sequence by a factor that is drawn evenly."""
        values, present = _take_apart(x, mask=self.mask, op=self)
        length = x.shape[-1]
        factor = draw_between(self.low, self.high, of=draw(stream, records, 1)).astype(np.float64)
        first, _ = _extent(present, length)
        centre = (
            np.full((len(x), 1), (length - 1) / 2) if present is None else first[:, None].astype(np.float64)
        )
        wanted = centre + (np.arange(length) - centre) / factor
        source = np.clip(wanted, 0.0, length - 1.0)
        before = source.astype(np.int64)
        after = np.minimum(before + 1, length - 1)
        way = (source - before).astype(np.float32)
        a, b = (np.take_along_axis(values, one[:, None, :], axis=2) for one in (before, after))
        stretched = a + way[:, None, :] * (b - a)
        if present is None:
            return stretched.reshape(x.shape)
        # A value between a present one and the padding is no value.
        known = np.take_along_axis(present, before, axis=1) > 0
        known &= (way == 0.0) | (np.take_along_axis(present, after, axis=1) > 0)
        known &= wanted == source
        return _join(stretched * known[:, None, :], known.astype(np.float32))


def _take_apart(x: Features, *, mask: bool, op: Augmentation) -> tuple[Features, Features | None]:
    """Gives the channels of values, shape `(records, channels, length)`, and the mask, `(records, length)`."""
    if x.ndim not in (2, 3) or (mask and (x.ndim != 3 or x.shape[1] < 2)):
        raise DataError(
            f"{type(op).__name__} is for sequences, records of shape (length,) or (channels, length)"
            f"{', the last channel a mask' if mask else ''}, not {x.shape[1:]}"
        )
    if not mask:
        return x.reshape(len(x), -1, x.shape[-1]) if x.ndim == 3 else x[:, None, :], None
    return x[:, :-1], x[:, -1]


def _join(values: Features, present: Features | None) -> Features:
    assert present is not None
    return np.concatenate([values, present[:, None, :]], axis=1)


def _extent(present: Features | None, length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Gives where the values of each record begin, and where they end."""
    if present is None:
        return np.array(0), np.array(length)
    there = present > 0
    first = there.argmax(axis=1)
    return first, np.where(there.any(axis=1), length - there[:, ::-1].argmax(axis=1), first)


def _check_factors(low: float, high: float) -> None:
    if not -np.inf < low <= high < np.inf:
        raise ValueError(f"low is at most high, and both are finite; not {low} and {high}")
