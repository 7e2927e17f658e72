"""Reads .npz: arrays of NumPy, objects refused."""

import io
from typing import IO

import numpy as np

from trainwright.base.errors import DataError
from trainwright.data.npy import read_array
from trainwright.foreign.collector import Collector
from trainwright.foreign.zipped import open_members


def read_npz(stream: IO[bytes], size: int, found: Collector) -> None:
    """Reads the arrays of an .npz file; text becomes plain values.

    Raises:
        DataError: If it is damaged, or holds objects or anything but plain numbers and text.
    """
    with open_members(
        stream, size, stored_only=False, kind=".npz file (a zip archive of .npy files)"
    ) as members:
        for member in members.names:
            name = member.removesuffix(".npy")
            if name == member:
                raise DataError(f"the archive holds {member[:100]!r}, which is no .npy file")
            length = members.length(member)
            found.reserve((length,), 1, what=name)
            content = members.read(member, limit=length)
            array = read_array(io.BytesIO(content), size=length, what=f"array {name[:100]!r}")
            if array.dtype.kind == "U":
                values = array.reshape(-1).tolist()
                found.value((name,), values if array.ndim else values[0])
            elif array.dtype.itemsize > np.dtype(np.float64).itemsize:
                raise DataError(f"array {name[:100]!r}: {array.dtype} is no type of a tensor")
            else:
                found.tensor((name,), array)
