"""Copies of tensors as arrays, into memory that is used again.

A training waits for the copy of a checkpoint. Memory fresh from the system costs several times the copy it is for, and
the first call of a function after a while costs more than the copy of a small tensor: so memory comes back, and all
tensors are copied by one call.
"""

import math
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainwright.base.tree import Array

ALIGNED = 64  # bytes


class Copies:
    """Copies the same tensors again and again.

    The memory of a copy is used again when nobody holds any of its arrays any more, nor a view of one. As much is
    kept as was ever in use at once.

    Args:
        tensors: On any device and in any layout, by name; the tensors of a training, which change in place.

    Example:
        >>> copies = Copies({"w": torch.ones(2)})
        >>> copies.take()
        {'w': array([1., 1.], dtype=float32)}
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._sources = [tensor.detach() for tensor in tensors.values()]
        self._places: list[tuple[str, slice, Any, tuple[int, ...]]] = []
        end = 0
        for name, tensor in tensors.items():
            dtype = np.dtype(str(tensor.dtype).removeprefix("torch."))
            begin = -(-end // ALIGNED) * ALIGNED
            end = begin + dtype.itemsize * math.prod(tensor.shape)
            self._places.append((name, slice(begin, end), dtype, tuple(tensor.shape)))
        self._bytes = end
        self._free: list[_Memory] = []
        self._lent: dict[int, _Loan] = {}

    def take(self) -> dict[str, Array]:
        """Gives the tensors as they are now, in neutral layout."""
        try:
            memory, targets = self._free.pop()
        except IndexError:
            memory = np.empty(self._bytes, dtype=np.uint8).data
            arrays = self._arrays(np.frombuffer(memory, dtype=np.uint8))
            targets = [torch.from_numpy(array) for array in arrays.values()]
        if targets:
            torch._foreach_copy_(targets, self._sources)
        # NumPy lets a view hold the oldest array that it comes from. This one is it, since it comes from no array.
        oldest = np.frombuffer(memory, dtype=np.uint8)
        loan = _Loan(oldest, self._come_back)
        loan.memory = memory, targets
        self._lent[id(loan)] = loan
        return self._arrays(oldest)

    def _arrays(self, oldest: Array) -> dict[str, Array]:
        return {name: oldest[place].view(dtype).reshape(shape) for name, place, dtype, shape in self._places}

    def _come_back(self, loan: "_Loan") -> None:
        # In whatever thread let go last, perhaps while another one takes: each of the two calls is one act.
        del self._lent[id(loan)]
        self._free.append(loan.memory)


_Memory = tuple[memoryview, list[Tensor]]


class _Loan(weakref.ref):
    """Says when nobody holds an array any more."""

    __slots__ = ("memory",)
    memory: _Memory
