"""Reads .npy and .npz files without trusting what their headers claim."""

import io
import math
import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np

from trainwright.base.bounds import excerpt, unfolds_too_far
from trainwright.base.errors import DataError
from trainwright.base.machine import hardware
from trainwright.base.tree import Array

_KINDS = "biufUS"
_LOCAL_HEADER = struct.Struct("<26sHH")  # of a zip member: ..., bytes of its name, bytes of its extra field
_CHUNK = 2**20
_MOST_AT_ONCE = 2**21  # bytes; only the list of contents of a zip archive would be read in a larger piece
_MOST_HEADER = 10_000  # bytes; NumPy refuses more, but only once it has read them
_MOST_AXES = 64  # of a NumPy array
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the numbers of an array lie in a file.

    Args:
        offset: Of its first byte.
        shape: Of the array.
        dtype: As it is in the file, byte order included.
        whole: Why it can only be read whole; empty if records can be read one by one.
    """

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    whole: str = ""


def read_npy(path: Path) -> Array:
    """Reads the one array of an .npy file.

    Raises:
        DataError: If it holds objects or anything but plain numbers and text, or not what its header says.
    """
    with _refusing(path.name), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        _check_memory(size, size, path.name)
        return read_array(file, size=size, what=path.name)


def list_npz(path: Path) -> tuple[str, ...]:
    """Names the arrays of an .npz file, in its order.

    Raises:
        DataError: If it is no zip archive, or holds one name twice.
    """
    with _refusing(path.name), _open_zip(path) as archive:
        return tuple(_members(archive, path.name))


def read_npz(path: Path, names: Sequence[str]) -> dict[str, Array]:
    """Reads some arrays of an .npz file.

    Raises:
        DataError: If an array is not there (the message says which are), holds objects or anything but plain
            numbers and text, or is not what its header says.
    """
    found = {}
    with _refusing(path.name), _open_zip(path) as archive:
        members = _members(archive, path.name)
        for name in names:
            if name not in members:
                raise _no_array(name, members, path.name)
            info = members[name]
            what = f"{path.name}: array {name!r}"
            with _open_member(archive, info, what) as file:
                _check_memory(info.file_size, info.compress_size, what)
                found[name] = read_array(file, size=info.file_size, what=what)
    return found


def locate_npy(path: Path) -> Layout:
    """Finds the numbers of an .npy file without reading them.

    Raises:
        DataError: As `read_npy`.
    """
    with _refusing(path.name), path.open("rb") as file:
        return _locate(file, at=0, size=os.fstat(file.fileno()).st_size, what=path.name)


def locate_npz(path: Path, name: str) -> Layout:
    """Finds the numbers of one array of an .npz file without reading them.

    Raises:
        DataError: As `read_npz`.
    """
    with _refusing(path.name), _open_zip(path) as archive:
        members = _members(archive, path.name)
    if name not in members:
        raise _no_array(name, members, path.name)
    info = members[name]
    what = f"{path.name}: array {name!r}"
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
        return Layout(0, (), np.dtype(np.uint8), "it is compressed; save it with numpy.savez")
    with _refusing(path.name), path.open("rb") as file:
        # The local header may be longer than the central one says, so its lengths are read where it lies.
        file.seek(info.header_offset)
        head = file.read(_LOCAL_HEADER.size)
        if len(head) < _LOCAL_HEADER.size or not head.startswith(b"PK\x03\x04"):
            raise DataError(f"{what}: its zip header is damaged; write or copy it again")
        name_bytes, extra_bytes = _LOCAL_HEADER.unpack(head)[1:]
        begin = info.header_offset + _LOCAL_HEADER.size + name_bytes + extra_bytes
        file.seek(begin)
        return _locate(file, at=begin, size=info.file_size, what=what)


def check_npz(path: Path, name: str) -> None:
    """Reads an array of an .npz file through once, so that its checksum is compared.

    Raises:
        DataError: If the checksum is wrong.
    """
    with (
        _refusing(path.name),
        _open_zip(path) as archive,
        _open_member(archive, _members(archive, path.name)[name], path.name) as file,
    ):
        while file.read(_CHUNK):
            pass


@contextmanager
def _open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    with _Bounded(path) as file, zipfile.ZipFile(file) as archive:
        yield archive


class _Bounded(io.FileIO):
    """A file that gives no large pieces: a list of contents in one would name millions of arrays."""

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = os.fstat(self.fileno()).st_size - self.tell() if size is None or size < 0 else size
        if wanted > _MOST_AT_ONCE:
            raise zipfile.BadZipFile(f"its list of contents has {wanted} bytes, {_MOST_AT_ONCE} are allowed")
        return super().read(size) or b""


def _open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, what: str) -> IO[bytes]:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # The others unpack whole pieces at once, each to a million times its size.
        raise DataError(f"{what}: it is packed in a way that NumPy does not write; save it with numpy.savez")
    return archive.open(info)


def _no_array(name: str, members: dict[str, zipfile.ZipInfo], file: str) -> DataError:
    shown = ", ".join(list(members)[:20]) + (", ..." if len(members) > 20 else "")
    return DataError(f"no array {name!r} in {file}, there are: {shown or 'none'}")


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    try:
        yield
    except zipfile.BadZipFile as error:
        raise DataError(f"{name}: not a whole .npz file: {error}; write or copy it again") from error
    except (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error) as error:
        raise DataError(f"{name}: cannot be read: {error}") from error


def _members(archive: zipfile.ZipFile, file: str) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name in found:
            raise DataError(f"{file}: it holds the array {excerpt(name)} twice")
        found[name] = info
    return found


def _locate(file: IO[bytes], *, at: int, size: int, what: str) -> Layout:
    shape, fortran, dtype, header_bytes = _checked_header(file, size=size, what=what)
    columns = fortran and sum(length > 1 for length in shape) > 1
    whole = "it lies column by column (Fortran order); save numpy.ascontiguousarray of it" if columns else ""
    return Layout(at + header_bytes, shape, dtype, whole)


def _checked_header(
    file: IO[bytes], *, size: int, what: str
) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    shape, fortran, dtype, header_bytes = _read_header(file, what)
    if len(shape) > _MOST_AXES or any(not 0 <= length < 2**63 for length in shape):
        raise DataError(
            f"{what}: its header says shape {excerpt(shape)}, which is no array's; write it again"
        )
    if dtype.hasobject:
        raise DataError(
            f"{what}: it holds Python objects, which are never read; save plain numbers, "
            "such as x.astype('float32')"
        )
    if dtype.kind not in _KINDS:
        raise DataError(
            f"{what}: arrays of {str(dtype)[:200]} are not read, only booleans, integers, floats and text"
        )
    count = math.prod(shape)
    claimed = count * dtype.itemsize
    if claimed != size - header_bytes:
        raise DataError(
            f"{what}: its header says shape {shape} of {dtype}, {claimed} bytes, "
            f"but {size - header_bytes} follow; write or copy it again"
        )
    # An axis of no length, or text of no letters, would let the others claim anything.
    if math.prod(length for length in (*shape, dtype.itemsize) if length) >= 2**63 or (
        dtype.itemsize == 0 and count > size
    ):
        raise DataError(
            f"{what}: its header says shape {shape} of {dtype}, which is no array's; write it again"
        )
    return shape, fortran, dtype, header_bytes


def read_array(file: IO[bytes], *, size: int, what: str) -> Array:
    """Reads one array in the .npy format.

    Args:
        file: Opened where the array begins; it ends there too.
        size: Of the whole array with its header, in bytes.
        what: What it is, for the error message.

    Raises:
        DataError: As `read_npy`.
    """
    shape, fortran, dtype, _ = _checked_header(file, size=size, what=what)
    claimed = math.prod(shape) * dtype.itemsize
    content = np.empty(claimed, dtype=np.uint8)
    view, done = memoryview(content.data), 0
    while done < claimed:
        # In pieces: a zip member is read into memory of its own before it is copied.
        got = file.readinto(view[done : done + _CHUNK])  # type: ignore[attr-defined]
        if not got:
            raise DataError(f"{what}: it ends after {done} of {claimed} bytes; write or copy it again")
        done += got
    if file.read(1):
        raise DataError(f"{what}: more bytes follow than its header says; write or copy it again")
    if dtype.itemsize == 0:
        return np.zeros(shape, dtype=dtype)
    flat: Array = content.view(dtype)
    array: Array = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
    if dtype.kind == "S":
        return _decode(array, what)
    if dtype.kind == "U":
        _check_letters(array, what)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _check_memory(size: int, stored: int, what: str) -> None:
    # Zip members can unpack to a thousand times their size, so the true size is checked against the machine.
    memory = int(hardware()["memory_bytes"]) if size > 2**28 else size
    if size > memory:
        raise DataError(f"{what}: its {size / 1e9:.0f} GB do not fit into {memory / 1e9:.0f} GB of memory")
    if unfolds_too_far(size, stored):
        raise DataError(
            f"{what}: {stored} bytes would unfold to {size}, as if made to fill the memory; if they are data, save "
            "them with numpy.savez, without compression"
        )


def _read_header(file: IO[bytes], what: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    counted = _Counted(file)
    try:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise DataError(f"format {version} is not read; save it again with numpy.save")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that Python 2 wrote it, or how its text is spelled
            shape, fortran, dtype = _HEADERS[version](counted)
    except DataError as error:
        raise DataError(f"{what}: not an .npy array: {error}") from error
    except (ValueError, TypeError, SyntaxError, TokenError, RecursionError, MemoryError) as error:
        raise DataError(f"{what}: not an .npy array: {str(error)[:200]}") from error
    return tuple(map(int, shape)), fortran, dtype, np.lib.format.MAGIC_LEN + counted.count


class _Counted(io.RawIOBase):
    """Counts what is read through it, and reads no more than a header."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self.file, self.count = file, 0

    def read(self, size: int = -1, /) -> bytes:
        if size > _MOST_HEADER:
            raise DataError(f"its header claims {size} bytes, {_MOST_HEADER} are allowed")
        content = self.file.read(size)
        self.count += len(content)
        return content


def _decode(array: Array, what: str) -> Array:
    try:
        return np.strings.decode(array.astype(np.bytes_, copy=False), "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{what}: its text is not UTF-8: {error}; save it as a text array (dtype U)"
        ) from error


def _check_letters(array: Array, what: str) -> None:
    """Refuses what is no letter: Python ends, or writes text that nothing reads, once it meets one."""
    codes = np.ascontiguousarray(array).reshape(-1).view(np.uint32)
    if array.dtype.byteorder == ">":
        codes = codes.byteswap()
    if codes.size and bool(((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes <= 0xDFFF))).any()):
        raise DataError(f"{what}: its text holds numbers that are no letters; write or copy it again")
