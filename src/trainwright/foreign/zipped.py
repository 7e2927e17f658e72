"""A zip archive that is read member by member, each checked before a byte of it is unpacked."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from trainwright.base.errors import DataError

MAX_MEMBERS = 200_000
SHOWN = 100


class Members:
    """The members of an archive.

    Args:
        archive: Opened.
        size: Of the file, in bytes.
        stored_only: Whether compressed members are refused.
    """

    def __init__(self, archive: zipfile.ZipFile, size: int, *, stored_only: bool) -> None:
        self._archive = archive
        self._infos: dict[str, zipfile.ZipInfo] = {}
        infos = [info for info in archive.infolist() if not (info.is_dir() and info.file_size == 0)]
        if len(infos) > MAX_MEMBERS:
            raise DataError(f"the archive has more than {MAX_MEMBERS:,} members")
        self._methods = (zipfile.ZIP_STORED,) if stored_only else (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        for info in infos:
            name = info.filename
            if name in self._infos:
                raise DataError(f"the archive holds {name[:SHOWN]!r} twice")
            if name.startswith("/") or "\\" in name or {"", ".", ".."} & set(name.split("/")):
                raise DataError(f"the archive holds {name[:SHOWN]!r}, which is no plain name")
            if info.flag_bits & 1:
                raise DataError(f"{name[:SHOWN]!r} is encrypted")
            self._infos[name] = info
        # Members that overlap would give more bytes than the file has.
        if sum(info.compress_size for info in self._infos.values()) > size:
            raise DataError("the members of the archive overlap: together they are longer than the file")

    @property
    def names(self) -> list[str]:
        """Gives the names in the archive's order."""
        return list(self._infos)

    def length(self, name: str) -> int:
        """Gives the unpacked length of a member, in bytes, as the archive claims."""
        return self._infos[name].file_size

    def read(self, name: str, *, limit: int) -> bytes:
        """Unpacks a member.

        Raises:
            DataError: If it is longer than the limit, or not what the archive says.
        """
        info = self._infos[name]
        if info.compress_type not in self._methods:
            raise DataError(f"{name[:SHOWN]!r} is compressed in a way that such a file does not use")
        if info.file_size > limit:
            raise DataError(f"{name[:SHOWN]!r} has {info.file_size:,} bytes, {limit:,} are allowed")
        with self._archive.open(info) as file:
            content = file.read(info.file_size + 1)
        if len(content) != info.file_size:
            raise DataError(f"{name[:SHOWN]!r} is not as long as the archive says")
        return content


@contextmanager
def open_members(stream: IO[bytes], size: int, *, stored_only: bool, kind: str) -> Iterator[Members]:
    """Opens an archive.

    Args:
        stream: The file.
        size: Its length, in bytes.
        stored_only: Whether compressed members are refused.
        kind: What the archive should be, for the error message.

    Raises:
        DataError: If it is no zip archive, is damaged, or has members that such files do not have.
    """
    stream.seek(0)
    if stream.read(4) != b"PK\x03\x04":
        raise DataError(f"it is no {kind}")
    stream.seek(0)
    try:
        with zipfile.ZipFile(stream) as archive:
            yield Members(archive, size, stored_only=stored_only)
    except zipfile.BadZipFile as error:
        raise DataError(f"it is no {kind}, or it is damaged: {error}") from error
    except (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error) as error:
        raise DataError(f"the archive is damaged: {error}") from error
