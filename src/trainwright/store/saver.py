"""Saves behind the training: one at a time, and no error is lost."""

import threading
from collections.abc import Callable

from trainwright.base.errors import StaleAttempt, StoreError
from trainwright.store.records import VersionRow


class Version:
    """A checkpoint on its way to the store."""

    def __init__(self) -> None:
        self._finished = threading.Event()
        self._row: VersionRow | None = None
        self._error: Exception | None = None
        self.heard = False

    @property
    def done(self) -> bool:
        """Says whether nothing is left to wait for."""
        return self._finished.is_set()

    @property
    def failed(self) -> bool:
        """Says whether it is done and there is no version."""
        return self._error is not None

    def wait(self, timeout_s: float | None = None) -> VersionRow:
        """Returns its row when it is durable.

        Args:
            timeout_s: How long to wait at most, in seconds.

        Raises:
            StoreError: If it could not be saved.
            TimeoutError: If it took longer.
        """
        if not self._finished.wait(timeout_s):
            raise TimeoutError(f"the version is not durable after {timeout_s} s")
        if self._error is not None:
            self.heard = True
            raise self._error
        assert self._row is not None
        return self._row

    def fulfil(self, write: Callable[[], VersionRow]) -> None:
        """Writes it, a second time if the first fails, and tells whoever waits."""
        try:
            try:
                self._row = write()
            except StaleAttempt:
                raise
            except (StoreError, OSError):
                self._row = write()
        except Exception as error:  # noqa: BLE001 - it is raised to whoever asks next
            self._error = error
        finally:
            self._finished.set()


class Saver:
    """Keeps one save in flight."""

    def __init__(self) -> None:
        self._flying: Version | None = None

    def begin(self, write: Callable[[], VersionRow]) -> Version:
        """Starts a save on a thread of its own, after the one before has ended.

        Args:
            write: Makes the version durable.

        Raises:
            StoreError: If the save before failed and nobody has heard of it yet.
        """
        self.settle()
        self._flying = Version()
        # Not a daemon: a process that ends without a goodbye still ends its save.
        threading.Thread(target=self._flying.fulfil, args=(write,), name="trainwright-save").start()
        return self._flying

    def settle(self) -> None:
        """Waits for the save in flight.

        Raises:
            StoreError: If it failed and nobody has heard of it yet.
        """
        flying = self._flying
        if flying is None:
            return
        if not flying.done or (flying.failed and not flying.heard):
            flying.wait()
