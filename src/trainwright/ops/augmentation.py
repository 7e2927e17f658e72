"""The role of an augmentation, with the random numbers it draws."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from trainwright.base.random import FRACTION_BITS, Stream, at, bits
from trainwright.ops.described import Described

Features = NDArray[np.float32]
Records = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Augmentation(Described):
    """A random change of the features of a record that leaves its target true, for training only.

    What happens to a record is a pure function of the stream and of its number, so it does not depend on the
    batch it is in. Subclasses are frozen dataclasses as `Described` says.

    Args:
        keeps_places: Class variable: whether each value stays where it is. A target with an answer for each place, such
            as a mask, would not follow one that moves, so only these go with it.

    Example:
        >>> from trainwright.ops.images import HorizontalFlip
        >>> HorizontalFlip(p=0.25).spec
        {'use': 'HorizontalFlip', 'args': {'p': 0.25}}
    """

    keeps_places: ClassVar[bool] = False

    def __call__(self, x: Features, *, stream: Stream, records: Records) -> Features:
        """Changes a batch.

        Args:
            x: Features, shape `(records, ...)`; they are not written to.
            stream: Of its own for each seed, place in the list of augmentations, epoch and view.
            records: Positions of the records in the dataset, shape `(records,)`, from 0 up to 2^31.

        Returns:
            Features of the same shape, float32.

        Raises:
            DataError: If it is not made for records of this shape.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what it does")


def draw(stream: Stream, records: Records, count: int) -> Features:
    """Draws `count` numbers from [0, 1) for each record, on the grid of 2^-24.

    Args:
        stream: From `base.random`.
        records: Positions, from 0 up to 2^31.
        count: How many for each.

    Returns:
        Shape `(records, count)`; a row depends on the stream and its record alone.

    Example:
        >>> from trainwright.base.random import stream
        >>> few, many = (draw(stream(0, "example"), np.arange(n), 2) for n in (1, 9))
        >>> bool((few[0] == many[0]).all())
        True
    """
    if records.size and not 0 <= int(records.min()) <= int(records.max()) < 2**31:
        raise ValueError("positions of records are from 0 up to 2^31")
    keys = at(stream, records.astype(np.int32).reshape(-1, 1))
    whole = bits(keys, np.arange(count, dtype=np.int32)) >> (32 - FRACTION_BITS)
    whole &= (1 << FRACTION_BITS) - 1
    found: Features = whole.astype(np.float32) * np.float32(2.0**-FRACTION_BITS)
    return found


def draw_between(low: float, high: float, *, of: Features) -> Features:
    """Moves numbers from [0, 1) to [low, high), for one number per record."""
    found: Features = (low + (high - low) * of.astype(np.float64)).astype(np.float32)
    return found


def draw_normal(stream: Stream, records: Records, count: int) -> Features:
    r"""Draws `count` numbers from the standard normal distribution for each record.

    .. math:: z_1 = \sqrt{-2 \ln u_1} \cos 2 \pi u_2, \quad z_2 = \sqrt{-2 \ln u_1} \sin 2 \pi u_2

    Returns:
        Shape `(records, count)`; a row depends on the stream and its record alone.

    Source:
        Box and Muller, A Note on the Generation of Random Normal Deviates, 1958.
    """
    half = (count + 1) // 2
    uniform = draw(stream, records, 2 * half)
    # `1 - u` is above 0, where the logarithm is finite.
    radius = np.sqrt(-2.0 * np.log(1.0 - uniform[:, :half]))
    angle = np.float32(2.0 * np.pi) * uniform[:, half:]
    found: Features = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)[:, :count]
    return found


def check_probability(p: float) -> None:
    """Refuses what is no probability.

    Raises:
        ValueError: If it is not from 0 to 1.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"p is a probability, from 0 to 1, not {p}")
