"""Arrays that stay in their file: rows are read by position, into memory of their own."""

import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.data.lazy import LazyRows, Positions
from trainwright.data.npy import Layout, check_npz, locate_npy, locate_npz

READ_BYTES = 2**23  # at most, in one piece
GAP_BYTES = 4096  # between two rows that are read through, because a further call costs more


class MappedArray(LazyRows):
    """The rows of an array in a file.

    Nothing is mapped into memory: what `mmap` reads counts as memory of the process, and a file that was cut
    short would end it. Rows are read in the order in which they lie, neighbours in one piece.

    Args:
        descriptor: Of the open file; it is closed together with this.
        layout: Where the numbers lie; shape `(records,)` is given out as `(records, 1)`.
        name: Of the file, for messages.
        dtype: What rows are given out as; the file's own type unless given.
        scratch: Whether the file is a temporary copy.
    """

    def __init__(
        self,
        descriptor: int,
        layout: Layout,
        *,
        name: str,
        dtype: np.dtype[Any] | None = None,
        scratch: bool = False,
    ) -> None:
        shape = (*layout.shape, 1) if len(layout.shape) == 1 else layout.shape
        super().__init__(shape, dtype or layout.dtype.newbyteorder("="))
        self.name, self.scratch = name, scratch
        self._descriptor, self._offset, self._stored = descriptor, layout.offset, layout.dtype
        self._row_bytes = int(np.prod(shape[1:], dtype=object)) * layout.dtype.itemsize
        weakref.finalize(self, os.close, descriptor)

    @property
    def file_bytes(self) -> int:
        """Counts the bytes that the rows take in the file."""
        return len(self) * self._row_bytes

    def gather(self, rows: Positions) -> Array:
        """Gives the rows at some positions, in the order asked for.

        Raises:
            DataError: If the file has become shorter, or cannot be read.
        """
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and bool((np.diff(rows) == 1).all()):
            return self._given(self._read(int(rows[0]), int(rows[-1]) + 1))
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        found = np.empty((len(rows), *self.shape[1:]), dtype=self.dtype)
        for begin, end in self._pieces(ordered):
            first = int(ordered[begin])
            piece = self._read(first, int(ordered[end - 1]) + 1)
            found[order[begin:end]] = piece[ordered[begin:end] - first]
        return found

    def _pieces(self, ordered: Positions) -> Iterator[tuple[int, int]]:
        """Yields stretches of sorted positions that are read in one piece."""
        most = max(1, READ_BYTES // max(1, self._row_bytes))
        apart = np.flatnonzero((np.diff(ordered) - 1) * self._row_bytes > GAP_BYTES) + 1
        ends = [*apart.tolist(), len(ordered)] if len(ordered) else []
        begin = 0
        for end in ends:
            while begin < end:
                stop = begin + int(np.searchsorted(ordered[begin:end], ordered[begin] + most))
                yield begin, stop
                begin = stop

    def _read(self, first: int, last: int) -> Array:
        """Reads the rows `first` to `last - 1`."""
        piece = np.empty((last - first, *self.shape[1:]), dtype=self._stored)
        view = memoryview(piece.reshape(-1).view(np.uint8).data) if piece.size else memoryview(b"")
        done, at = 0, self._offset + first * self._row_bytes
        while done < len(view):
            try:
                got = os.preadv(self._descriptor, [view[done:]], at + done)
            except OSError as error:
                raise DataError(f"{self.name}: cannot be read: {error}") from error
            if got == 0:
                raise DataError(f"{self.name}: it has become shorter since it was opened; bring it back")
            done += got
        return piece

    def _given(self, piece: Array) -> Array:
        return piece.astype(self.dtype, copy=False)


def map_npy(path: Path) -> Array:
    """Opens an .npy file whose rows are read when they are asked for.

    Raises:
        DataError: As `read_npy`, or if it can only be read whole.
    """
    return _map(path, locate_npy(path), what=path.name)


def map_npz(path: Path, name: str) -> Array:
    """Opens an array of an uncompressed .npz file, after its checksum was compared.

    Raises:
        DataError: As `read_npz`, or if it can only be read whole.
    """
    layout = locate_npz(path, name)
    mapped = _map(path, layout, what=f"{path.name}: array {name!r}")
    check_npz(path, name)
    return mapped


def _map(path: Path, layout: Layout, *, what: str) -> Array:
    if layout.whole:
        raise DataError(f"{what} cannot be read in parts: {layout.whole}")
    if layout.dtype.kind not in "biuf":
        raise DataError(f"{what} holds {layout.dtype}, not numbers")
    if not layout.shape:
        raise DataError(f"{what} is a single number, not records")
    return MappedArray(os.open(path, os.O_RDONLY), layout, name=path.name).stand_in()
