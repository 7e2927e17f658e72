"""Reads HDF5 (.h5, and the weights in a .keras file): what the file itself holds, and nothing it points to."""

import io
import math
from typing import IO, Any

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.extras import require
from trainwright.foreign.collector import Collector, Parts
from trainwright.foreign.zipped import open_members

MAX_DEPTH = 32
MAX_LINKS = 200_000
_FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32"}  # built into the library: no plugin is ever loaded
_MAGIC = b"\x89HDF\r\n\x1a\n"


def read_hdf5(stream: IO[bytes], size: int, found: Collector) -> None:
    """Reads the datasets of an HDF5 file.

    Args:
        stream: The file.
        size: Its length, in bytes.
        found: Takes them; a dataset is named by its path.

    Raises:
        DataError: If it is damaged, or holds links that are not hard, external or virtual storage, references,
            objects, or filters beyond the library's own.
    """
    h5py = require("h5py", extra="hdf5")
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise DataError("it is no HDF5 file")
    stream.seek(0)
    try:
        with h5py.File(stream, "r") as file:
            _Walk(h5py, found).group(file, ())
    except (DataError, MemoryError):
        raise
    except Exception as error:  # what a damaged file does to the library has no end of names
        raise DataError(f"the HDF5 file is damaged: {type(error).__name__}: {str(error)[:200]}") from error


def read_keras(stream: IO[bytes], size: int, found: Collector) -> None:
    """Reads the weights of a .keras file; its description of the model, which may hold code, is left unread.

    Raises:
        DataError: As `read_hdf5`, or if it is no such archive.
    """
    with open_members(stream, size, stored_only=False, kind=".keras file (a zip archive)") as members:
        name = "model.weights.h5"
        if name not in members.names:
            raise DataError(
                f"the archive has no {name}: {', '.join(members.names[:5])[:200] or 'it is empty'}"
            )
        length = members.length(name)
        found.reserve((length,), 1, what=name)
        read_hdf5(io.BytesIO(members.read(name, limit=length)), length, found)


class _Walk:
    def __init__(self, h5py: Any, found: Collector) -> None:
        self.h5py, self.found = h5py, found
        self.links = 0
        self.seen: set[tuple[int, Any]] = set()

    def group(self, group: Any, parts: Parts) -> None:
        if len(parts) > MAX_DEPTH:
            raise DataError(f"groups are nested deeper than {MAX_DEPTH}")
        for name in group:
            self.links += 1
            if self.links > MAX_LINKS:
                raise DataError(f"more than {MAX_LINKS:,} links")
            here = (*parts, name)
            link = group.get(name, getlink=True)
            if type(link) is not self.h5py.HardLink:
                raise DataError(
                    f"{_spell(here)} is a {type(link).__name__}, which leads elsewhere; only hard links are read"
                )
            one = group[name]
            if isinstance(one, self.h5py.Group):
                self.once(one, here)
                self.group(one, here)
            elif isinstance(one, self.h5py.Dataset):
                self.dataset(one, here)
            else:
                raise DataError(f"{_spell(here)} is a {type(one).__name__}, neither a group nor a dataset")

    def once(self, group: Any, parts: Parts) -> None:
        info = self.h5py.h5o.get_info(group.id)
        if (info.fileno, info.addr) in self.seen:
            raise DataError(f"{_spell(parts)} is a group that another name leads to already")
        self.seen.add((info.fileno, info.addr))

    def dataset(self, one: Any, parts: Parts) -> None:
        name, dtype = _spell(parts), one.dtype
        # Where the numbers lie comes first: looking at them might follow the file out of itself.
        if one.external is not None or one.is_virtual:
            raise DataError(f"{name} keeps its numbers in another file; only the file itself is read")
        description = one.id.get_create_plist()
        for number in range(description.get_nfilters()):
            code = description.get_filter(number)[0]
            if code not in _FILTERS:
                raise DataError(
                    f"{name} is packed by the filter {code}; read are {', '.join(_FILTERS.values())}"
                )
        if dtype.kind not in "biuf" or dtype.itemsize > np.dtype(np.float64).itemsize or one.shape is None:
            raise DataError(f"{name} holds {str(dtype)[:60]}, not booleans, integers or floats")
        self.found.reserve(one.shape, dtype.itemsize, what="/".join(parts))
        if one.chunks is not None and math.prod(one.chunks) > 4 * max(math.prod(one.shape), 2**20):
            raise DataError(f"{name} has chunks of shape {one.chunks}, far larger than itself")
        self.found.tensor(parts, np.asarray(one[()]))


def _spell(parts: Parts) -> str:
    return repr("/".join(parts)[:100])
