"""Which reader reads which file, and what it must have imported before the jail is locked."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO

from trainwright.base.tensors import read_tensors
from trainwright.foreign.collector import Collector
from trainwright.foreign.hdf5_file import read_hdf5, read_keras
from trainwright.foreign.npz_file import read_npz
from trainwright.foreign.torch_file import read_torch

Reader = Callable[[IO[bytes], int, Collector], None]


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file.

    Args:
        read: Its reader.
        package: An optional package that it needs, with the extra that installs it.
    """

    read: Reader
    package: tuple[str, str] | None = None

    def load(self) -> None:
        """Imports what the reader needs: in the jail no file can be opened."""
        # zipfile, pickletools and NumPy look these up only when they need them.
        for name in (
            "numpy.strings",
            "encodings.cp437",
            "encodings.latin_1",
            "encodings.utf_8",
            "encodings.raw_unicode_escape",
        ):
            importlib.import_module(name)
        if self.package is not None:
            importlib.import_module(self.package[0])


def read_safetensors(stream: IO[bytes], size: int, found: Collector) -> None:
    """Reads a safetensors file; its metadata become plain values.

    Raises:
        StoreError: If its header is broken or does not describe exactly the bytes that follow it.
        DataError: If a name or a value is not allowed.
    """
    tensors, metadata = read_tensors(stream.read(), what="safetensors", widen=True)
    for name, array in tensors.items():
        found.reserve(array.shape, array.itemsize, what=name)
        found.tensor((name,), array)
    for name, text in metadata.items():
        found.value(("metadata", name), text)


_TORCH, _HDF5 = Format(read_torch), Format(read_hdf5, ("h5py", "hdf5"))
FORMATS: Mapping[str, Format] = {
    ".pt": _TORCH,
    ".pth": _TORCH,
    ".ckpt": _TORCH,
    ".safetensors": Format(read_safetensors),
    ".npz": Format(read_npz),
    ".h5": _HDF5,
    ".hdf5": _HDF5,
    ".keras": Format(read_keras, ("h5py", "hdf5")),
}
