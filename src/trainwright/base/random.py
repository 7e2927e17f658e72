r"""Random numbers as a pure function of (seed, purpose, step or epoch, layer, index).

There is no generator and no state: whoever knows the position knows the number, so order, dropout and initial values
are equal on NumPy, torch and JAX, bit for bit, and do not depend on workers, threads or where a run was cut.

A stream is named by `stream(seed, purpose, layer)`: two 32-bit keys, the first half of a SHA-256. `at` moves it to a
step or epoch, and index `i` of it is

.. math:: b_i = m(m(i \oplus k_1) + k_2 \bmod 2^{32})

with the integer hash :math:`m` "triple32". For given keys this is a bijection of the 32-bit numbers, so the bits of
one stream never repeat and sorting them gives a permutation without ties.

Everything is written in signed 32-bit arithmetic with masked shifts, because that is what NumPy, torch and JAX share.

Source:
    Wellons, Prospecting for Hash Functions, 2018 (triple32). https://github.com/skeeto/hash-prospector
"""

import hashlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FRACTION_BITS = 24  # a float32 holds every multiple of 2^-24 in [0, 1) exactly


class Stream(NamedTuple):
    """Two 32-bit keys, as signed integers or 0-d arrays of one framework."""

    first: Any
    second: Any


def stream(seed: int, purpose: str, layer: str = "") -> Stream:
    """Names a stream of random numbers; other seeds, purposes and layers share nothing with it.

    Args:
        seed: Any integer.
        purpose: What the numbers are for, such as `"order"`.
        layer: Which layer or parameter, where there are several.

    Example:
        >>> stream(0, "order") == stream(0, "order"), stream(0, "order") == stream(1, "order")
        (True, False)
    """
    digest = hashlib.sha256(f"{seed}\x00{purpose}\x00{layer}".encode()).digest()
    return Stream(
        _signed(int.from_bytes(digest[:4], "little")), _signed(int.from_bytes(digest[4:8], "little"))
    )


def at(base: Stream, position: Any) -> Stream:
    """Moves a stream to a step or an epoch.

    Args:
        base: From `stream`.
        position: A Python integer below 2^31, or an int32 array of torch or JAX (traced ones too).

    Returns:
        Python integers for a Python integer, otherwise 0-d arrays of the same framework; the numbers are equal.
    """
    if isinstance(position, int):
        first = _mix_integer(_mix_integer(position ^ base.first) + base.second)
        return Stream(first, _mix_integer(_mix_integer(position ^ base.second) + base.first))
    return Stream(
        _mix(_mix(position ^ base.first) + base.second), _mix(_mix(position ^ base.second) + base.first)
    )


def bits(keys: Stream, index: Any) -> Any:
    """Gives 32 random bits for each index, as signed integers.

    Args:
        keys: From `at` or `stream`.
        index: An int32 array of NumPy, torch or JAX.

    Returns:
        An int32 array of the same framework and shape.

    Example:
        >>> bits(stream(0, "example"), np.arange(3, dtype=np.int32)).dtype
        dtype('int32')
    """
    return _mix(_mix(index ^ keys.first) + keys.second)


def keep_mask(keys: Stream, index: Any, drop: float) -> Any:
    """Says which elements survive a dropout of probability `drop`, rounded to a multiple of 2^-24.

    Returns:
        A boolean array of the framework and shape of `index`.
    """
    return keep_above(keys, index, drop_limit(drop))


def drop_limit(drop: float) -> int:
    """Gives below which number of 24 bits an element is dropped.

    Example:
        >>> drop_limit(0.5) == 2**23
        True
    """
    limit: int = round(drop * 2**FRACTION_BITS)
    return limit


def keep_above(keys: Stream, index: Any, limit: Any) -> Any:
    """Says which elements survive a dropout whose limit is known as a number, or as an int32 array when it is traced.

    Args:
        keys: From `at` or `stream`.
        index: An int32 array.
        limit: From `drop_limit`.
    """
    return _shift(bits(keys, index), 32 - FRACTION_BITS) >= limit


def uniform(keys: Stream, count: int) -> NDArray[np.float32]:
    """Draws from [0, 1) on the grid of 2^-24, shape `(count,)`.

    Example:
        >>> u = uniform(stream(0, "example"), 100_000)
        >>> print(f"{u.mean():.2f} {u.var() * 12:.2f}")
        0.50 1.00
    """
    whole = _shift(bits(keys, np.arange(count, dtype=np.int32)), 32 - FRACTION_BITS)
    found: NDArray[np.float32] = whole.astype(np.float32) * np.float32(2.0**-FRACTION_BITS)
    return found


def permutation(keys: Stream, count: int) -> NDArray[np.int64]:
    """Gives the order that sorts `count` random numbers; there are no ties.

    Example:
        >>> permutation(at(stream(7, "order"), 0), 5)
        array([1, 0, 4, 2, 3])
    """
    # Sorting (bits, index) pairs packed into one integer is several times faster than an argsort.
    high = bits(keys, np.arange(count, dtype=np.int32)).astype(np.int64) << 32
    packed: NDArray[np.int64] = high | np.arange(count, dtype=np.int64)
    packed.sort()
    return packed & 0xFFFFFFFF


def _shift(value: Any, by: int) -> Any:
    # TensorFlow has no operator for a shift; of a signed number it is a floor division.
    shifted = value >> by if hasattr(value, "__rshift__") else value // (1 << by)
    return shifted & ((1 << (32 - by)) - 1)


def _signed(value: int) -> int:
    return ((value + 0x80000000) & 0xFFFFFFFF) - 0x80000000


_FACTORS = (_signed(0xED5AD4BB), _signed(0xAC4C1B51), _signed(0x31848BAB))


def _mix(h: Any) -> Any:
    h = (h ^ _shift(h, 17)) * _FACTORS[0]
    h = (h ^ _shift(h, 11)) * _FACTORS[1]
    h = (h ^ _shift(h, 15)) * _FACTORS[2]
    return h ^ _shift(h, 14)


def _mix_integer(h: int) -> int:
    h &= 0xFFFFFFFF
    h = ((h ^ (h >> 17)) * 0xED5AD4BB) & 0xFFFFFFFF
    h = ((h ^ (h >> 11)) * 0xAC4C1B51) & 0xFFFFFFFF
    h = ((h ^ (h >> 15)) * 0x31848BAB) & 0xFFFFFFFF
    return _signed(h ^ (h >> 14))
