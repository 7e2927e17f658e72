"""Metric rows go through a thread of their own, so that a step of 100 µs does not feel them."""

import atexit
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, NoReturn

from trainwright.base.errors import StaleAttempt, StoreError
from trainwright.store.catalogue import Catalogue, begin_immediate

PERIOD_S = 0.5
BATCH_ROWS = 5000  # in one transaction
# In one statement. `executemany` asks for the interpreter once per row; one statement with many rows, once.
STATEMENT_ROWS = 200
COLUMNS = 7
WAKE_ITEMS = 4 * BATCH_ROWS
_ROW = "(?,?,?,?,?,?,?)"
_INSERT = "INSERT INTO metric (run, attempt, step, grp, name, value, time) VALUES "
_MANY = _INSERT + ",".join([_ROW] * STATEMENT_ROWS)
_ONE = _INSERT + _ROW


class MetricWriter:
    """Takes numbers at once and writes them behind the training.

    Args:
        catalogue: Where to.
        run: Whose numbers.
        attempt: The fencing token, checked in every transaction.
    """

    def __init__(self, catalogue: Catalogue, run: str, *, attempt: int) -> None:
        self._catalogue = catalogue
        self._run = run
        self._attempt = attempt
        # Flat: step, group, time, number of metrics, names, values, and again; or an event that is set when all
        # before it is written. Tuples would live long enough to
        # make the garbage collector walk through everything there is, which stalls a step for 20 ms.
        self._waiting: deque[Any] = deque()
        self._taken: list[Any] = []  # values of the batch at work, until it is committed
        self._marks: list[threading.Event] = []
        self._failed = False  # the last try to write
        self._error: Exception | None = None
        self._heard = False
        self._closing = False
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def report(self, step: int, metrics: Mapping[str, float], *, group: str) -> None:
        """Takes numbers; no I/O on this thread.

        Raises:
            StoreError: If rows reported earlier could not be written.
        """
        if self._error is not None or self._thread is None:
            self._begin()
        waiting = self._waiting
        waiting.extend((step, group, time.time(), len(metrics), *metrics, *metrics.values()))
        if len(waiting) >= WAKE_ITEMS and not self._wake.is_set():
            self._wake.set()

    def flush(self) -> None:
        """Returns when everything reported is written.

        Raises:
            StoreError: If something could not be written.
        """
        self.settle()
        if self._error is not None:
            self._raise()

    def settle(self) -> None:
        """Returns when everything reported so far is written or an error has come up, which is raised to others.

        What is reported meanwhile is not waited for: a fast loop would never let a save through.
        """
        mark = threading.Event()
        self._waiting.append(mark)
        self._wake.set()
        while self._error is None and self._thread is not None and self._thread.is_alive():
            if mark.wait(0.05):
                return

    def close(self) -> None:
        """Writes what is left and ends the thread; a second time does nothing.

        Raises:
            StoreError: If something could not be written and nobody has heard of it yet.
        """
        self._closing = True
        atexit.unregister(self.close)
        if self._thread is not None:
            self._wake.set()
            self._thread.join()
            self._thread = None
        if self._error is not None and not self._heard:
            self._raise()

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
        while True:
            try:
                with self._catalogue.metrics() as connection:
                    while self._waiting or self._taken or not self._closing:
                        self._wake.wait(PERIOD_S)
                        self._wake.clear()
                        while self._waiting or self._taken:
                            self._write_batch(connection)
                return
            except Exception as error:  # noqa: BLE001 - it is raised by the next report, flush or close
                if self._failed or isinstance(error, StaleAttempt) or not isinstance(error, StoreError):
                    self._error = error
                    return
                # Once more over a new connection: what was taken for a batch is still there.
                self._failed = True
                self._wake.set()

    def _write_batch(self, connection: sqlite3.Connection) -> None:
        """Writes waiting reports, about `BATCH_ROWS` rows at most, in one transaction."""
        begin_immediate(connection, self._catalogue.path)
        try:
            self._check_attempt(connection)
            values, written, much = self._taken, 0, STATEMENT_ROWS * COLUMNS
            while True:
                # Few rows at a time, so that the training gets the interpreter back soon.
                while len(values) - written >= much:
                    connection.execute(_MANY, values[written : written + much])
                    written += much
                if not self._waiting or len(values) >= BATCH_ROWS * COLUMNS:
                    break
                first = self._waiting.popleft()
                if isinstance(first, threading.Event):
                    self._marks.append(first)
                else:
                    values += self._rest_of_report(first)
            tail = range(written, len(values), COLUMNS)
            connection.executemany(_ONE, (values[start : start + COLUMNS] for start in tail))
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        for mark in self._marks:
            mark.set()
        self._taken, self._marks, self._failed = [], [], False

    def _rest_of_report(self, step: int) -> list[Any]:
        take = self._waiting.popleft
        group, seconds, count = take(), take(), take()
        names = [take() for _ in range(count)]
        found: list[Any] = []
        for name in names:
            # SQLite itself turns NaN into NULL; that is how it is read back, too.
            found += (self._run, self._attempt, step, group, name, float(take()), seconds)
        return found

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
