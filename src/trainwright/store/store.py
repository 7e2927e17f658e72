"""One folder that keeps everything: objects, the catalogue, and the locks that keep them together."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trainwright.base.errors import CannotWrite, StoreError
from trainwright.store.blobs import Blobs, sync_folder
from trainwright.store.catalogue import PATIENCE_S, Catalogue, create_catalogue, cure_of, writers_turn
from trainwright.store.locks import FileLock
from trainwright.store.log import keep_cut_log


@dataclass(frozen=True, slots=True)
class Store:
    """Where runs are kept. A row may name only objects that are there already.

    Args:
        home: The folder.
        blobs: Content.
        catalogue: Rows.
    """

    home: Path
    blobs: Blobs
    catalogue: Catalogue

    @classmethod
    def open(cls, home: Path, *, create: bool = True, examine: bool = True) -> "Store":
        """Opens a store.

        Args:
            home: The folder.
            create: Whether to make one where there is none.
            examine: Whether a damaged catalogue is refused; only `fsck` opens one to say what is hit.

        Raises:
            StoreError: If there is none and none may be made, or it is damaged, unreadable or too new.

        Example:
            >>> Store.open(Path("nowhere"), create=False)
            Traceback (most recent call last):
            trainwright.base.errors.StoreError: no store at nowhere: pass --store, or train something first
        """
        path = home / "catalogue.db"
        try:
            if not path.exists():
                if not create:
                    raise StoreError(f"no store at {home}: pass --store, or train something first")
                _create(home, path)
            writable = os.access(home, os.W_OK) and os.access(path, os.W_OK)
            keep_cut_log(home, writable=writable, turn=partial(writers_turn, path))
            catalogue = Catalogue(path, writable=writable, examine=examine)
            return cls(home, Blobs(home / "objects", writable=writable), catalogue)
        except OSError as error:
            raise StoreError(f"the store at {home} cannot be opened: {error}; {cure_of(error)}") from error

    @property
    def live(self) -> Path:
        """Names the folder of the locks of living runs."""
        return self.home / "live"

    @property
    def quarantine(self) -> Path:
        """Names the folder of damaged objects; it is made when the first one is found."""
        return self.home / "quarantine"

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Keeps collection away from the first object written until the row that names it is committed.

        Raises:
            StoreError: If a collection has been at work for 60 s, or the store cannot be written.
        """
        with self._holding(shared=True, patience_s=PATIENCE_S) as inside:
            if not inside:
                raise StoreError(
                    f"{self.home}: objects have been collected for {PATIENCE_S:.0f} s; is `trainwright gc` hung?"
                )
            yield

    @contextmanager
    def collecting(self, *, wait: bool) -> Iterator[bool]:
        """Keeps savers away.

        Args:
            wait: Whether to wait for savers that are at work.

        Yields:
            Whether the caller is alone.

        Raises:
            StoreError: If savers were waited for and one was at work for 60 s, or the store cannot be written.
        """
        with self._holding(shared=False, patience_s=PATIENCE_S if wait else 0.0) as alone:
            if wait and not alone:
                raise StoreError(
                    f"{self.home}: another process has been saving for {PATIENCE_S:.0f} s; is one of them hung or "
                    "stopped? `trainwright ls` names the runs; nothing was removed"
                )
            yield alone

    @contextmanager
    def _holding(self, *, shared: bool, patience_s: float) -> Iterator[bool]:
        # Savers that overlap would keep a collection waiting for ever; at the gate they wait behind it.
        with _lock(self.home, "objects.gate") as gate, _lock(self.home, "objects.lock") as lock:
            inside = gate.take(patience_s=patience_s) and lock.take(shared=shared, patience_s=patience_s)
            gate.let_go()
            yield inside

    def close(self) -> None:
        """Closes connections; what is committed is durable already."""
        self.catalogue.close()


def _create(home: Path, path: Path) -> None:
    # The folder itself may be there already, made by somebody who died before it was durable.
    made = [home, *(folder for folder in home.parents if not folder.exists())]
    try:
        for folder in (home / "objects" / "tmp", home / "live"):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in made:
            sync_folder(folder.parent)
    except OSError as error:
        raise StoreError(
            f"no store can be made at {home}: {_why_not(error, home)}choose another folder (--store)"
        ) from error
    with _lock(home, "objects.lock") as lock:
        if not lock.take(patience_s=PATIENCE_S):
            raise StoreError(
                f"another process has been making a store at {home} for {PATIENCE_S:.0f} s: end it"
            )
        if not path.exists():  # another process may have made it meanwhile
            create_catalogue(path)


def _why_not(error: OSError, home: Path) -> str:
    """Says why a folder could not be made, in words that a choice of another one, or else a cure, follows."""
    asked = Path(error.filename or home)
    there = next((one for one in (asked, *asked.parents) if os.path.lexists(one)), home)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{error.strerror}; free space or inodes (`df -h`, `df -i`), or "
    if not there.is_dir():
        return f"{there} is {'a file, ' if there.is_file() else ''}not a folder; "
    return f"no folder can be made in {there} ({error.strerror}); "


@contextmanager
def _lock(home: Path, name: str) -> Iterator[FileLock]:
    try:
        lock = FileLock(home / name)
    except OSError as error:
        raise CannotWrite(
            f"the store at {home} cannot be written: {error.strerror or error}; {cure_of(error)}"
        ) from error
    try:
        yield lock
    finally:
        lock.close()
