"""Saves behind the training, one at a time; what cannot be saved stays in memory and is tried again."""

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any

from trainwright.base.errors import CannotWrite, StaleAttempt, StoreError
from trainwright.store.records import Unsaved, VersionRow

log = logging.getLogger("trainwright.store")
# Before each further try; the last one again and again. Every try writes under a new name.
PAUSES_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
LAST_TRIES = 3  # failures until whoever waits is told
_PASSING = (StoreError, OSError, MemoryError)


class Version:
    """A checkpoint on its way to the store.

    Args:
        step: At which it was taken.
        spell: Gives its content; what fails here fails for good.
        write: Makes the content durable; what the disk does to it is tried again.
        merit: How good it is; the larger the better, minus infinity if that is not known.
        saver: That has it in hand.
    """

    def __init__(
        self,
        *,
        step: int,
        spell: Callable[[], Any],
        write: Callable[[Any], VersionRow],
        merit: float,
        saver: "Saver",
    ) -> None:
        self.step = step
        self.merit = merit
        self.row: VersionRow | None = None
        self.error: Exception | None = None
        self.heard = False
        self._spell: Callable[[], Any] | None = spell
        self._write: Callable[[Any], VersionRow] | None = write
        self._content: Any = None
        self._saver = saver

    @property
    def done(self) -> bool:
        """Says whether nothing is left to wait for."""
        return self.row is not None or self.error is not None

    @property
    def failed(self) -> bool:
        """Says whether it is given up: there is no version and there will be none."""
        return self.error is not None

    def may_succeed(self, error: Exception | None) -> bool:
        """Says whether another try may help after an error: not if it has no content that could be kept."""
        return self._spell is None and isinstance(error, _PASSING) and not isinstance(error, StaleAttempt)

    def wait(self, timeout_s: float | None = None) -> VersionRow:
        """Returns its row when it is durable.

        Args:
            timeout_s: How long to wait at most, in seconds.

        Raises:
            StoreError: If it could not be saved so far, though it was tried again; it stays in memory, and may be
                waited for again.
            TimeoutError: If it took longer.
        """
        return self._saver.wait_for(self, timeout_s)

    def attempt(self) -> VersionRow:
        """Tries to make it durable.

        Raises:
            Exception: Whatever is in the way; another try may help against errors of the store and the system.
        """
        if self._spell is not None:
            self._content = self._spell()
            self._spell = None
        assert self._write is not None
        return self._write(self._content)

    def end(self, row: VersionRow | None, error: Exception | None) -> None:
        """Lets go of its content."""
        self.row, self.error = row, error
        self._content = self._spell = self._write = None


class Saver:
    """Keeps one save in flight, and in memory what could not be saved.

    While saves fail, training goes on. Of the states that wait, the newest stays and the best one; the others are
    given up for them, because memory has an end.

    Args:
        tell: Hears, in words, what was the matter when it is over; it must not wait.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._changed = threading.Condition()
        self._waiting: list[Version] = []
        self._flying: Version | None = None
        self._thread: threading.Thread | None = None
        self._unsaved: Unsaved | None = None
        self._given_up: list[int] = []
        self._failures = 0
        self._pauses = 0
        self._hurry = False
        self._failed_at = 0.0
        self._closed = False
        self._unheard: list[Version] = []

    @property
    def unsaved(self) -> Unsaved | None:
        """Says since which step nothing could be saved, and why; None if all is well."""
        return self._unsaved

    def begin(
        self,
        *,
        step: int,
        spell: Callable[[], Any],
        write: Callable[[Any], VersionRow],
        merit: float = -math.inf,
    ) -> Version:
        """Starts a save on a thread of its own, after the one before has ended.

        Args:
            step: At which it was taken.
            spell: Gives its content.
            write: Makes the content durable.
            merit: How good it is; the larger the better.

        Raises:
            StoreError: If a newer attempt has taken over.
            Exception: If a save before failed for good and nobody has heard of it yet.
        """
        version = Version(step=step, spell=spell, write=write, merit=merit, saver=self)
        with self._changed:
            # A training that is faster than the disk waits for it; one whose saves fail does not.
            self._changed.wait_for(lambda: not self._waiting or self._unsaved is not None)
            self._raise_unheard()
            self._waiting.append(version)
            self._give_some_up()
            if time.monotonic() - self._failed_at >= PAUSES_S[1]:
                self._ask()
            if self._thread is None:
                # Not a daemon: a process that ends without a goodbye still ends its save.
                self._thread = threading.Thread(target=self._work, name="trainwright-save")
                self._thread.start()
        return version

    def saved(self, row: VersionRow) -> Version:
        """Gives a version that is durable already."""
        version = Version(step=row.step, spell=list, write=lambda _: row, merit=-math.inf, saver=self)
        version.end(row, None)
        return version

    def wait_for(self, version: Version, timeout_s: float | None) -> VersionRow:
        """Returns the row of a version when it is durable; see `Version.wait`."""
        with self._changed:
            failures = self._failures + LAST_TRIES
            self._ask()
            if not self._changed.wait_for(lambda: version.done or self._failures >= failures, timeout_s):
                raise TimeoutError(f"the version is not durable after {timeout_s} s")
            if version.row is not None:
                return version.row
            version.heard = True
            raise version.error or self._as_error()

    def settle(self) -> None:
        """Waits until everything is saved.

        Raises:
            StoreError: If something could not be saved, though it was tried again; it stays in memory.
            Exception: If a save failed for good and nobody has heard of it yet.
        """
        with self._changed:
            failures = self._failures + LAST_TRIES
            self._ask()
            self._changed.wait_for(lambda: not self._waiting or self._failures >= failures)
            self._raise_unheard()
            if self._waiting:
                raise self._as_error()

    def close(self) -> None:
        """Waits until everything is saved, and gives up what cannot be.

        Raises:
            StoreError: If something could not be saved.
            Exception: If a save failed for good and nobody has heard of it yet.
        """
        try:
            self.settle()
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()
                thread = self._thread
            if thread is not None:
                thread.join()

    def _ask(self) -> None:
        self._pauses, self._hurry = 0, True
        self._changed.notify_all()

    def _as_error(self) -> CannotWrite:
        assert self._unsaved is not None
        return CannotWrite(f"unsaved since step {self._unsaved.since}: {self._unsaved.reason}")

    def _raise_unheard(self) -> None:
        unheard = [version for version in self._unheard if not version.heard]
        self._unheard.clear()
        if unheard:
            unheard[0].heard = True
            assert unheard[0].error is not None
            raise unheard[0].error

    def _give_some_up(self) -> None:
        if len(self._waiting) < 3:
            return
        stay = {id(self._flying), id(self._waiting[-1]), id(max(self._waiting, key=lambda one: one.merit))}
        for version in [one for one in self._waiting if id(one) not in stay]:
            self._waiting.remove(version)
            self._given_up.append(version.step)
            newer = self._waiting[-1].step
            version.end(None, CannotWrite(f"{self._as_error()}; given up for a newer one, of step {newer}"))

    def _work(self) -> None:
        exits = 0
        while self._next():
            version, row, error = self._flying, None, None
            assert version is not None
            try:
                row = version.attempt()
            except Exception as caught:  # noqa: BLE001 - it is raised to whoever asks next
                error = caught
            self._note(version, row, error)
            if row is None and not threading.main_thread().is_alive():
                exits += 1
                if exits == LAST_TRIES:
                    self._closed = True
                    # Nobody is left who could ask.
                    log.error("%s; the process ends without it", self._as_error())

    def _next(self) -> bool:
        """Takes the next version in hand, after a pause if the try before failed."""
        with self._changed:
            self._flying = None
            if self._unsaved is not None:
                ends = time.monotonic() + PAUSES_S[min(self._pauses, len(PAUSES_S) - 1)]
                self._pauses += 1
                while not (self._hurry or self._closed) and (rest := ends - time.monotonic()) > 0:
                    self._changed.wait(min(rest, 0.5))
                    if not threading.main_thread().is_alive():
                        break
            self._hurry = False
            if self._closed:
                for version in self._waiting:
                    version.end(None, self._as_error())
                self._waiting.clear()
            if not self._waiting:
                self._thread = None
                self._changed.notify_all()
                return False
            self._flying = self._waiting[0]
            return True

    def _note(self, version: Version, row: VersionRow | None, error: Exception | None) -> None:
        """Notes how a try ended."""
        with self._changed:
            if row is not None:
                self._waiting.remove(version)
                version.end(row, None)
                self._pauses, self._hurry = 0, True
                if not self._waiting and self._unsaved is not None:
                    self._tell(self._story(row))
                    self._unsaved = None
            elif not version.may_succeed(error):
                # For good; if a newer attempt has taken over, for all that wait.
                hopeless = list(self._waiting) if isinstance(error, StaleAttempt) else [version]
                for one in hopeless:
                    self._waiting.remove(one)
                    one.end(None, error)
                self._unheard += hopeless[:1]
                if not self._waiting:
                    self._unsaved = None
            else:
                since = version.step if self._unsaved is None else self._unsaved.since
                self._unsaved = Unsaved(since, f"{error}")
                self._failures += 1
                self._failed_at = time.monotonic()
            self._changed.notify_all()

    def _story(self, row: VersionRow) -> str:
        assert self._unsaved is not None
        lost = ", ".join(map(str, self._given_up))
        self._given_up.clear()
        kept = f"; the checkpoints of the steps {lost} were given up for newer ones" if lost else ""
        return (
            f"nothing could be saved from step {self._unsaved.since} on ({self._unsaved.reason}){kept}; "
            f"step {row.step} is saved"
        )
