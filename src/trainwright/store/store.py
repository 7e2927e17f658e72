"""One folder that keeps everything: objects, the catalogue, and the locks that keep them together."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trainwright.base.errors import StoreError
from trainwright.store.blobs import Blobs
from trainwright.store.catalogue import Catalogue, create_catalogue
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
            keep_cut_log(home, writable=writable)
            catalogue = Catalogue(path, writable=writable, examine=examine)
            return cls(home, Blobs(home / "objects", writable=writable), catalogue)
        except OSError as error:
            raise StoreError(f"the store at {home} cannot be opened: {error}") from error

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
        """Keeps collection away from the first object written until the row that names it is committed."""
        with _lock(self.home) as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield

    @contextmanager
    def collecting(self, *, wait: bool) -> Iterator[bool]:
        """Keeps savers away.

        Args:
            wait: Whether to wait for savers that are at work.

        Yields:
            Whether the caller is alone.
        """
        with _lock(self.home) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True

    def close(self) -> None:
        """Closes connections; what is committed is durable already."""
        self.catalogue.close()


def _create(home: Path, path: Path) -> None:
    for folder in (home / "objects" / "tmp", home / "live"):
        folder.mkdir(parents=True, exist_ok=True)
    with _lock(home) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not path.exists():  # another process may have made it meanwhile
            create_catalogue(path)


@contextmanager
def _lock(home: Path) -> Iterator[int]:
    try:
        file = os.open(home / "objects.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(f"the store at {home} cannot be written: {error}") from error
    try:
        yield file
    finally:
        os.close(file)
