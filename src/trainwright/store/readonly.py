"""Reading a catalogue that must not be written: next to a living writer, or else from a private copy.

SQLite reads a file in WAL mode only with its log and the index of the log, which it would have to make where nothing
can be made. To call the file immutable instead would hide what is still in a log, and what somebody who may write does
to it meanwhile: a store that is read-only for us need not be so for others.
"""

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from urllib.parse import quote

from trainwright.base.errors import StoreError

_TRIES = 5
Signature = tuple[tuple[int, int, int] | None, ...]


class ReadOnlyFile:
    """A database file in WAL mode in a folder where nothing can be written.

    Args:
        path: Of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._index = path.with_name(f"{path.name}-shm")
        self._copy: Path | None = None
        self._copied: Signature = ()

    def uri(self) -> str:
        """Says what SQLite is to open now.

        Raises:
            StoreError: If others write to it without end.
            OSError: If it cannot be read or copied.
        """
        if self._log.exists() and self._index.exists():
            return f"file:{quote(str(self._path.absolute()))}?mode=ro"
        if self._copy is None or self.has_changed():
            self._copy = self._make_copy()
        return f"file:{quote(str(self._copy))}?mode=rw"

    def has_changed(self) -> bool:
        """Says whether a copy was made and is out of date."""
        return self._copy is not None and self._copied != self._signature()

    def _make_copy(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="trainwright-"))
        weakref.finalize(self, _remove, folder, os.getpid())
        copy = folder / self._path.name
        for _ in range(_TRIES):
            before = self._signature()
            shutil.copyfile(self._path, copy)
            log = copy.with_name(self._log.name)
            if self._log.exists():
                shutil.copyfile(self._log, log)
            else:
                log.unlink(missing_ok=True)
            if before == self._signature():
                self._copied = before
                return copy
        raise StoreError(f"{self._path} is being written at this moment: try again")

    def _signature(self) -> Signature:
        return tuple(_facts(one) for one in (self._path, self._log, self._index))


def _facts(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _remove(folder: Path, process: int) -> None:
    if process == os.getpid():  # a forked child leaves its parent's copy alone
        shutil.rmtree(folder, ignore_errors=True)
