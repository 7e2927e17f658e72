"""Metric rows go through a thread of their own, so that a step of 100 µs does not feel them."""

import atexit
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, NoReturn

from trainwright.base.errors import CannotWrite, StaleAttempt, StoreError
from trainwright.store.batches import COLUMNS, HASHED_ROWS, BatchDigest
from trainwright.store.catalogue import Catalogue
from trainwright.store.reports import TakenReports
from trainwright.store.saver import LAST_TRIES, PAUSES_S

PERIOD_S = 0.5
BATCH_ROWS = 5000  # in one transaction
# In one statement. `executemany` asks for the interpreter once per row; one statement with many rows, once.
STATEMENT_ROWS = HASHED_ROWS
WAKE_ITEMS = 4 * BATCH_ROWS
MAX_ITEMS = 4_000_000  # that may wait while nothing can be written: some 250 MB
_ROW = "(?,?,?,?,?,?,?)"
_INSERT = "INSERT INTO metric (run, attempt, step, grp, name, value, time) VALUES "
_MANY = _INSERT + ",".join([_ROW] * STATEMENT_ROWS)
_ONE = _INSERT + _ROW
_BATCH = "INSERT INTO metric_batch (first, last, run, attempt, digest) VALUES (?,?,?,?,?)"


class MetricWriter:
    """Takes numbers at once and writes them behind the training.

    What cannot be written stays in memory and is tried again, while training goes on, until memory would run out.

    Args:
        catalogue: Where to.
        run: Whose numbers.
        attempt: The fencing token, checked in every transaction.
    """

    def __init__(self, catalogue: Catalogue, run: str, *, attempt: int) -> None:
        self._catalogue = catalogue
        self._run = run
        self._attempt = attempt
        self._waiting: deque[Any] = deque()  # what reports.py tells of
        self._error: Exception | None = None  # for good
        self._heard = False
        self._trouble: StoreError | None = None  # of the latest try; others follow
        self._failures = 0
        self._asked = threading.Event()
        self._closing = False
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def report(self, step: int, metrics: Mapping[str, float], *, group: str) -> None:
        """Takes numbers; no I/O on this thread.

        Raises:
            StoreError: If rows reported earlier could not be written, and no more may wait.
        """
        if self._error is not None or self._thread is None:
            self._begin()
        waiting = self._waiting
        waiting.extend((step, group, time.time(), len(metrics), *metrics, *metrics.values()))
        if len(waiting) >= WAKE_ITEMS and not self._wake.is_set():
            self._wake.set()
            if len(waiting) >= MAX_ITEMS and self._trouble is not None:
                raise self._trouble

    def flush(self) -> None:
        """Returns when everything reported is written.

        Raises:
            StoreError: If something could not be written, though it was tried again; it stays in memory.
        """
        self._settle(LAST_TRIES)
        if self._error is not None:
            self._raise()

    def settle(self) -> None:
        """Returns when everything reported so far is written or can never be, which is raised to others.

        What is reported meanwhile is not waited for: a fast loop would never let a save through.

        Raises:
            StoreError: If it could not be written now; it stays in memory and is tried again.
        """
        self._settle(1)

    def close(self) -> None:
        """Writes what is left and ends the thread; a second time does nothing.

        Raises:
            StoreError: If something could not be written, though it was tried again, and nobody has heard of it yet.
        """
        self._closing = True
        atexit.unregister(self.close)
        if self._thread is not None:
            self._ask()
            self._thread.join()
            self._thread = None
        if self._error is not None and not self._heard:
            self._raise()

    def _settle(self, tries: int) -> None:
        mark, failures = threading.Event(), self._failures + tries
        self._waiting.append(mark)
        self._ask()
        while self._error is None and self._thread is not None and self._thread.is_alive():
            if mark.wait(0.05):
                return
            if self._failures >= failures and self._trouble is not None:
                raise self._trouble

    def _ask(self) -> None:
        self._asked.set()
        self._wake.set()

    def _begin(self) -> None:
        if self._error is not None:
            self._raise()
        if self._closing:
            raise StoreError(f"run {self._run} is finished: nothing more can be reported")
        self._thread = threading.Thread(target=self._work, name="trainwright-metrics", daemon=True)
        self._thread.start()
        # A daemon would be cut off by the end of the process; this comes before.
        atexit.register(self.close)

    def _raise(self) -> NoReturn:
        assert self._error is not None
        self._heard = True
        raise self._error

    def _work(self) -> None:
        try:
            pauses, last_tries = 0, LAST_TRIES
            while self._waiting or not self._closing:
                try:
                    self._write()
                except StaleAttempt:
                    raise
                except (StoreError, OSError) as error:
                    if self._closing:
                        last_tries -= 1
                    if not last_tries:
                        raise CannotWrite(f"metrics could not be written: {error}") from error
                    if self._trouble is None or self._asked.is_set():
                        pauses = 0
                    self._trouble = CannotWrite(f"metrics are in memory only: {error}")
                    self._failures += 1
                    self._asked.clear()
                    self._asked.wait(PAUSES_S[min(pauses, len(PAUSES_S) - 1)])
                    pauses += 1
        except Exception as error:  # noqa: BLE001 - it is raised by the next report, flush or close
            self._error = error

    def _write(self) -> None:
        """Writes until the end, with one connection: after an error, another is made."""
        with self._catalogue.metrics() as connection:
            while self._waiting or not self._closing:
                self._wake.wait(0.0 if self._trouble else PERIOD_S)
                self._wake.clear()
                while self._waiting:
                    self._write_batch(connection)
                    self._trouble = None

    def _write_batch(self, connection: sqlite3.Connection) -> None:
        """Writes waiting reports, about `BATCH_ROWS` rows at most, in one transaction."""
        taken = TakenReports(self._waiting, self._run, attempt=self._attempt)
        try:
            self._write_rows(connection, taken)
        except BaseException:
            taken.put_back()
            raise
        for mark in taken.marks:
            mark.set()

    def _write_rows(self, connection: sqlite3.Connection, taken: TakenReports) -> None:
        with self._catalogue.alone(connection):
            self._check_attempt(connection)
            rows, values, digest = 0, [], BatchDigest()
            while taken and rows < BATCH_ROWS:
                values += taken.next_rows()
                # Few rows at a time, so that the training gets the interpreter back soon.
                while len(values) >= STATEMENT_ROWS * COLUMNS:
                    connection.execute(_MANY, values[: STATEMENT_ROWS * COLUMNS])
                    _hash(digest, values[: STATEMENT_ROWS * COLUMNS])
                    del values[: STATEMENT_ROWS * COLUMNS]
                    rows += STATEMENT_ROWS
            taken.finish()
            tail = range(0, len(values), COLUMNS)
            connection.executemany(_ONE, (values[start : start + COLUMNS] for start in tail))
            if values:
                _hash(digest, values)
            rows += len(values) // COLUMNS
            if rows:
                self._close_batch(connection, digest, rows)

    def _close_batch(self, connection: sqlite3.Connection, digest: BatchDigest, rows: int) -> None:
        # Nobody else writes meanwhile, so the rows have numbers without gaps.
        (last,) = connection.execute("SELECT last_insert_rowid()").fetchone()
        first = last - rows + 1
        named = digest.end(self._run, attempt=self._attempt, first=first, last=last)
        connection.execute(_BATCH, (first, last, self._run, self._attempt, named))

    def _check_attempt(self, connection: sqlite3.Connection) -> None:
        found = connection.execute("SELECT attempt FROM run WHERE id=?", (self._run,)).fetchone()
        if found is None:
            raise StoreError(
                f"the row of run {self._run} is not found any more: `trainwright fsck` says what is hit"
            )
        (latest,) = found
        if latest != self._attempt:
            raise StaleAttempt(
                f"run {self._run}: attempt {self._attempt} can write nothing any more, attempt {latest} "
                "has taken over; end this process"
            )


def _hash(digest: BatchDigest, values: list[Any]) -> None:
    digest.add(*(values[column::COLUMNS] for column in range(2, COLUMNS)))
