"""Content on disk, named by its SHA-256: written whole or not at all, verified on every read."""

import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from trainwright.base.errors import CannotWrite, StoreError

CHUNK_BYTES = 2**20
SMALL_BYTES = 2**16  # chunks below are gathered: one call of the kernel for many
STRIDE = 4096  # of a large chunk, every so many bytes one is compared before and after
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{2}")
Chunk = bytes | memoryview
Written = TypeVar("Written")


class Blobs:
    """A folder of immutable objects.

    Writing: temporary file under flock → bytes and SHA-256 → length check → read-only → fsync → rename →
    fsync of the directory. An error of fsync is final for that file (the kernel may have dropped the pages),
    so the object is written once more under a new name before the error is raised.

    Content is hashed once, which is most of what a save costs: content in memory before it is written, so that
    what is there already is not written again, and a file while it is copied, since it may change in between.

    Args:
        folder: Where the objects lie, as `ab/<sha256>`.
        writable: Whether leftovers of dead writers may be removed and objects written.

    Example:
        >>> import tempfile
        >>> blobs = Blobs(Path(tempfile.mkdtemp()))
        >>> name = blobs.put([b"some ", b"content"])
        >>> name[:8], blobs.get(name)
        ('290f493c', b'some content')
    """

    def __init__(self, folder: Path, *, writable: bool = True) -> None:
        self.folder = folder
        self._drafts = folder / "tmp"
        if writable:
            self._drafts.mkdir(parents=True, exist_ok=True)
            self.leftovers(remove=True)

    def put(self, chunks: Sequence[Chunk]) -> str:
        """Keeps content.

        Args:
            chunks: The content in pieces; it must not change meanwhile.

        Returns:
            Its SHA-256, 64 hexadecimal digits.

        Raises:
            StoreError: If it cannot be written, such as on a full disk, or if it was seen to change meanwhile.
        """
        pieces = list(_gathered(chunks))
        before = _samples(pieces)
        digest, length = _digest_of(pieces)

        def write() -> None:
            with self._draft() as (draft, file):
                for piece in pieces:
                    _write_all(file, piece)
                if _samples(pieces) != before:
                    raise StoreError(
                        f"object {digest} changed while it was written: a snapshot must be a copy"
                    )
                self._finish(draft, file, digest=digest, length=length)

        with self._told(digest):
            if not self._is_there(digest):
                _twice(write)
        return digest

    def put_file(self, path: Path) -> str:
        """Keeps the content of a regular file without holding it in memory; links are not followed.

        Raises:
            StoreError: As `put`.
        """

        def write() -> str:
            with self._draft() as (draft, file):
                digest, length = _digest_of(_copied(_chunks_of(path), file))
                if not self._is_there(digest):
                    self._finish(draft, file, digest=digest, length=length)
                return digest

        with self._told(path):
            return _twice(write)

    def get(self, digest: str) -> bytes:
        """Gives content back.

        Raises:
            StoreError: If it is missing, or the file no longer holds what its name says.
        """
        try:
            content = self.path(digest).read_bytes()
        except FileNotFoundError as error:
            raise StoreError(f"object {digest} is missing; `trainwright fsck` names what is hit") from error
        except OSError as error:
            raise StoreError(f"object {digest} cannot be read: {error}") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise StoreError(
                f"object {digest} is damaged: its {len(content)} bytes have another SHA-256; "
                "`trainwright fsck` names what is hit"
            )
        return content

    def has(self, digest: str) -> bool:
        """Says whether a file of that name is there; `intact` says whether it is right."""
        return self.path(digest).is_file()

    def intact(self, digest: str) -> bool:
        """Says whether an object is there and holds what its name says; other read errors are raised."""
        try:
            return _digest_of(_chunks_of(self.path(digest)))[0] == digest
        except FileNotFoundError:
            return False

    def size(self, digest: str) -> int:
        """Gives the bytes of an object.

        Raises:
            StoreError: If it is missing.
        """
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError as error:
            raise StoreError(f"object {digest} is missing; `trainwright fsck` names what is hit") from error

    def remove(self, digest: str) -> None:
        """Removes an object, if it is there; only for collection, under the store's exclusive lock.

        Raises:
            StoreError: If it cannot be removed.
        """
        try:
            self.path(digest).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"object {digest} cannot be removed: {error}; mend the disk") from error

    def all(self) -> Iterator[str]:
        """Yields the digests of all objects in order."""
        for prefix in sorted(item.name for item in self.folder.iterdir() if _PREFIX.fullmatch(item.name)):
            for name in sorted(item.name for item in (self.folder / prefix).iterdir()):
                if _DIGEST.fullmatch(name) and name.startswith(prefix):
                    yield name

    def path(self, digest: str) -> Path:
        """Says where an object lies.

        Raises:
            StoreError: If the digest is not 64 hexadecimal digits.
        """
        if not _DIGEST.fullmatch(digest):
            raise StoreError(f"{digest!r} is not the name of an object: 64 hexadecimal digits are")
        return self.folder / digest[:2] / digest

    def leftovers(self, *, remove: bool = False) -> list[Path]:
        """Lists temporary files whose writer is dead: those whose lock can be taken.

        Args:
            remove: Whether they are removed, too.
        """
        try:
            drafts = sorted(self._drafts.iterdir())
        except FileNotFoundError:
            return []
        return [draft for draft in drafts if _is_abandoned(draft, remove=remove)]

    def _is_there(self, digest: str) -> bool:
        """Says whether an object need not be written, because it is there and right, and stays."""
        if not self.intact(digest):
            return False
        # Whoever renamed it may not have come to the fsync of the directory yet.
        sync_folder(self.path(digest).parent)
        return True

    def _finish(self, draft: Path, file: int, *, digest: str, length: int) -> None:
        """Makes an object of a draft whose bytes have been handed to the kernel."""
        if os.fstat(file).st_size != length:
            raise OSError(f"{os.fstat(file).st_size} of {length} bytes arrived")
        os.fchmod(file, 0o444)
        os.fsync(file)
        target = self.path(digest)
        if not target.parent.is_dir():
            target.parent.mkdir(exist_ok=True)
        if not any(target.parent.iterdir()):
            # New, or made by somebody who may have died before this.
            sync_folder(self.folder)
        draft.rename(target)
        sync_folder(target.parent)

    @contextmanager
    def _told(self, what: str | Path) -> Iterator[None]:
        """Turns an error of the system into one that names what could not be written, and the cure."""
        try:
            yield
        except OSError as error:
            named = f"object {what}" if isinstance(what, str) else str(what)
            raise CannotWrite(
                f"{named} could not be written to {self.folder}: {error}; free space or mend the disk"
            ) from error

    @contextmanager
    def _draft(self) -> Iterator[tuple[Path, int]]:
        while True:
            draft = self._drafts / f"{os.getpid()}-{secrets.token_hex(8)}"
            file = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file).st_nlink:
                break
            os.close(file)  # somebody who opened the store took it for a leftover before it was locked
        try:
            yield draft, file
        finally:
            draft.unlink(missing_ok=True)
            os.close(file)


def _twice(write: Callable[[], Written]) -> Written:
    try:
        return write()
    except OSError:
        return write()


def _gathered(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Yields chunks as they are, several small ones in a row as one copy."""
    small: list[Chunk] = []
    waiting = 0
    for chunk in chunks:
        if len(chunk) < SMALL_BYTES and waiting < CHUNK_BYTES:
            small.append(chunk)
            waiting += len(chunk)
            continue
        yield b"".join(small)
        small, waiting = [], 0
        yield chunk
    yield b"".join(small)


def _samples(chunks: Iterable[Chunk]) -> list[bytes]:
    """Gives a byte of each page: an array that is trained on meanwhile changes all over, and hashing is dear."""
    return [bytes(memoryview(chunk)[::STRIDE]) for chunk in chunks]


def _copied(chunks: Iterable[Chunk], file: int) -> Iterator[Chunk]:
    for chunk in chunks:
        _write_all(file, chunk)
        yield chunk


def _write_all(file: int, chunk: Chunk) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(file, rest) :]


def _digest_of(chunks: Iterable[Chunk]) -> tuple[str, int]:
    hasher, length = hashlib.sha256(), 0
    for chunk in chunks:
        hasher.update(chunk)
        length += len(chunk)
    return hasher.hexdigest(), length


def _chunks_of(path: Path) -> Iterator[bytes]:
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(file, "rb", buffering=0) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk


def sync_folder(folder: Path) -> None:
    """Makes durable which names are in a folder."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _is_abandoned(draft: Path, *, remove: bool) -> bool:
    try:
        file = os.open(draft, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if remove:
            draft.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True
