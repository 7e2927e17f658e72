"""Memory that is used again, because memory fresh from the system costs several times the copy it is for."""

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from trainwright.base.tree import Array

SMALL_BYTES = 2**16  # below, the allocator itself uses memory again


class Buffers:
    """Hands out arrays; their memory comes back when nobody holds them any more, nor any view of them.

    It keeps as much memory as was ever in use at once. It may be used by several threads.

    Example:
        >>> buffers = Buffers()
        >>> first = buffers.take((300, 300), np.float32)
        >>> first.shape, first.dtype
        ((300, 300), dtype('float32'))
        >>> place = first.ctypes.data
        >>> del first
        >>> buffers.take((90_000,), np.float32).ctypes.data == place
        True
    """

    def __init__(self) -> None:
        self._free: dict[int, list[memoryview]] = {}

    def take(self, shape: Sequence[int], dtype: Any) -> Array:
        """Gives an array with whatever is in its memory.

        Args:
            shape: Of the array.
            dtype: Of its elements.
        """
        wanted: Array = np.empty(0, dtype=dtype)
        size = wanted.itemsize * int(np.prod(shape, dtype=np.int64))
        if size < SMALL_BYTES:
            return np.empty(shape, dtype=dtype)
        free = self._free.setdefault(size, [])
        try:
            memory = free.pop()
        except IndexError:
            memory = np.empty(size, dtype=np.uint8).data
        # NumPy lets a view hold the oldest array it comes from. This one is the oldest, since it comes from no array.
        oldest: Array = np.frombuffer(memory, dtype=dtype)
        weakref.finalize(oldest, free.append, memory).atexit = False
        return oldest.reshape(shape)
