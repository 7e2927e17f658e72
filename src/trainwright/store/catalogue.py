"""The catalogue: one SQLite file, with short transactions for reading, for writing, and for metrics."""

import errno
import os
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import sqlalchemy.exc
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import QueuePool

from trainwright.base.errors import CannotWrite, StoreError
from trainwright.store.locks import Line
from trainwright.store.prepared import driver
from trainwright.store.readonly import ReadOnlyFile
from trainwright.store.structure import check_structure, record_structure
from trainwright.store.tables import SCHEMA, metadata

APPLICATION = 0x7472_6E77  # "trnw": tells our file from other programs' databases
PATIENCE_S = 60.0
LOG_PATIENCE_S = 5
CURE = "free space or inodes (`df -h`, `df -i`), or mend the disk"
_CURES = {
    errno.ENOENT: "the folder has vanished: put the store back",
    errno.EROFS: "the file system is read-only: mount it for writing, or name another store (--store)",
    errno.EACCES: "you may not write there: name another store (--store)",
    errno.EPERM: "you may not write there: name another store (--store)",
}
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_ROTTEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FORBIDDEN = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)
_BROKEN = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


class Catalogue:
    """Opens the catalogue and hands out connections.

    Args:
        path: The database file, made by `create_catalogue`.
        writable: False for a store on a read-only disk.
        examine: False only for `fsck`, which lists what is damaged instead of refusing it.

    Raises:
        StoreError: If the file is missing, unreadable, damaged, another program's, or from another version.
    """

    def __init__(self, path: Path, *, writable: bool = True, examine: bool = True) -> None:
        self.path = path
        self.writable = writable
        if not path.is_file():
            raise StoreError(f"{path} is missing: the folder is no store, or it was only partly copied")
        self._file = ReadOnlyFile(path)
        there = os.stat(path)
        self._place = (there.st_dev, there.st_ino)
        self._pid = os.getpid()
        self._distrusted = False
        self._readers = self._engine(write=False)
        self._writers = self._engine(write=True)
        self._check_schema()
        if examine:
            with self.read() as connection:
                check_structure(connection, path=path)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Gives a connection that sees one consistent moment.

        Raises:
            StoreError: If the file cannot be read.
        """
        if not self.writable and self._file.has_changed():
            self._readers.dispose()
        with self._explained(), self._own(self._readers).connect() as connection:
            connection.exec_driver_sql("BEGIN")
            yield connection
            connection.rollback()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Gives a connection that is alone in writing; what it wrote is durable when the block ends.

        An exception in the block takes everything back.

        Raises:
            StoreError: If the store is read-only, the disk is full or broken, or others wrote for 60 s.
        """
        if not self.writable:
            raise StoreError(f"{self.path} is read-only: nothing can be recorded in it")
        with (
            self._explained(),
            self._own(self._writers).connect() as connection,
            self.alone(driver(connection)),
        ):
            yield connection

    @contextmanager
    def alone(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Keeps all other writers out for one transaction of a connection, which is committed at the end.

        Writers stand in a line, in the order of their coming: SQLite's own waiting backs off to 100 ms, so that
        newcomers overtake whoever has waited long, and short random waits are a lottery that costs a processor.

        Raises:
            StoreError: If others wrote for 60 s on end, or the file is not in its place any more.
        """
        with writers_turn(self.path):
            if self._distrusted:
                self._renew_log(connection)
            _begin_immediate(connection, self.path)
            try:
                self._check_place()
                yield
                connection.commit()
            except BaseException as error:
                if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_FSYNC:
                    self._distrusted = True
                connection.rollback()
                raise

    @contextmanager
    def metrics(self) -> Iterator[sqlite3.Connection]:
        """Gives a driver's connection for rows that may be lost when the machine (not the process) dies.

        Raises:
            StoreError: As `write`.
        """
        with self._explained():
            self._check_place()
            connection = self._connect(busy_s=0.0)
            try:
                connection.execute("PRAGMA synchronous=NORMAL")
                yield connection
            finally:
                connection.close()

    def close(self) -> None:
        """Closes the connections that are not in use."""
        self._readers.dispose()
        self._writers.dispose()

    def _renew_log(self, connection: sqlite3.Connection) -> None:
        """Begins the log anew after a sync of it failed.

        The kernel forgets what it could not write: the next sync would succeed although metrics that came before,
        which are not synced one by one, are not on the disk, and what is behind a hole in the log is not read.
        """
        connection.execute(f"PRAGMA busy_timeout={LOG_PATIENCE_S * 1000}")
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        connection.execute("PRAGMA busy_timeout=0")
        if busy:
            raise CannotWrite(
                f"{self.path}: a sync of its log failed, and others read it, so that it cannot be begun anew: "
                "end them"
            )
        self._distrusted = False

    def _check_place(self) -> None:
        # SQLite writes happily into a file that was removed or replaced while it was open: nobody would find the rows.
        try:
            there = os.stat(self.path)
        except OSError as error:
            raise CannotWrite(f"{self.path} has vanished ({error.strerror}): put the store back") from error
        if (there.st_dev, there.st_ino) != self._place:
            raise CannotWrite(
                f"{self.path} was replaced by another file while it was in use: end this process"
            )

    def _engine(self, *, write: bool) -> Engine:
        # Writers wait in the line; readers wait only for the recovery after a crash.
        busy_s = 0.0 if write else PATIENCE_S
        return create_engine(
            "sqlite://",
            creator=lambda: self._connect(busy_s=busy_s),
            poolclass=QueuePool,
            pool_size=2,
            max_overflow=-1,
        )

    def _connect(self, *, busy_s: float) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._uri(), uri=True, isolation_level=None, check_same_thread=False, timeout=PATIENCE_S
        )
        try:
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(f"PRAGMA busy_timeout={int(busy_s * 1000)}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _uri(self) -> str:
        if self.writable:
            return f"file:{quote(str(self.path.absolute()))}?mode=rw"
        try:
            return self._file.uri()
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error}; {cure_of(error)}") from error

    def _own(self, engine: Engine) -> Engine:
        if self._pid != os.getpid():
            # A connection must not cross a fork; the parent goes on using (and will close) its own.
            self._readers.dispose(close=False)
            self._writers.dispose(close=False)
            self._pid = os.getpid()
        return engine

    def _check_schema(self) -> None:
        with self.read() as connection:
            application = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
            schema = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        if application != APPLICATION:
            raise StoreError(
                f"{self.path} is not a catalogue of trainwright: choose another folder for the store"
            )
        if schema > SCHEMA:
            raise StoreError(
                f"{self.path}: the store was written by a newer trainwright (schema {schema}, this one knows "
                f"{SCHEMA}): pip install -U trainwright"
            )
        if schema < SCHEMA:
            raise StoreError(
                f"{self.path}: the store was written by an older trainwright (schema {schema}, this one knows "
                f"{SCHEMA}): read it with the version that wrote it, or train again into a new folder (--store)"
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlalchemy.exc.DBAPIError as error:
            raise explain(self.path, error.orig or error) from error
        except sqlalchemy.exc.NoResultFound as error:
            # Whoever asks for exactly one row knows that it was written.
            raise StoreError(
                f"{self.path}: a row that was written is not found any more: `trainwright fsck` says what is hit"
            ) from error
        except sqlite3.Error as error:
            raise explain(self.path, error) from error
        except UnicodeDecodeError as error:
            # A name in a damaged schema: Python cannot even read SQLite's message about it.
            raise explain(self.path, sqlite3.DatabaseError("text that is not UTF-8")) from error


@contextmanager
def writers_turn(catalogue: Path) -> Iterator[None]:
    """Keeps all writers out of a catalogue until the block ends; they come in the order of their asking.

    Raises:
        StoreError: If others wrote for 60 s on end, or the line cannot be joined.
    """
    path = catalogue.with_name("writers.lock")
    with ExitStack() as stack:
        try:
            inside = stack.enter_context(Line(path).turn(PATIENCE_S))
        except OSError as error:
            raise CannotWrite(
                f"{path} cannot be written: {error.strerror or error}; {cure_of(error)}"
            ) from error
        if inside is not None:
            raise StoreError(
                f"{catalogue}: other processes have been writing for {PATIENCE_S:.0f} s; is process {inside} "
                f"hung or stopped? `kill -CONT {inside}` lets it go on, `kill {inside}` ends it"
            )
        yield


def create_catalogue(path: Path) -> None:
    """Makes an empty catalogue; the caller holds a lock, so that nobody else makes one at the same time.

    It is complete before it has its name, so whoever is killed here leaves nothing that looks like a store.

    Raises:
        StoreError: If it cannot be written.
    """
    draft = path.with_name(f"{path.name}.new")
    for leftover in (draft, Path(f"{draft}-wal"), Path(f"{draft}-shm")):
        leftover.unlink(missing_ok=True)
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(draft, isolation_level=None))
    try:
        with engine.connect() as connection:
            # One transaction, and no log: what is in a log would be moved into the file when it is closed, and
            # an error there is not told. It is synced below, before it has its name.
            for setting in ("journal_mode=MEMORY", "synchronous=OFF"):
                connection.exec_driver_sql(f"PRAGMA {setting}")
            connection.exec_driver_sql("BEGIN")
            connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION}")
            connection.exec_driver_sql(f"PRAGMA user_version={SCHEMA}")
            metadata.create_all(connection)
            record_structure(connection)
            connection.commit()
            mode = connection.exec_driver_sql("PRAGMA journal_mode=WAL").scalar_one()
        if mode != "wal":
            raise StoreError(f"{path} cannot be made: this SQLite or this disk keeps no write-ahead log")
    except sqlalchemy.exc.DBAPIError as error:
        raise explain(path, error.orig or error) from error
    finally:
        engine.dispose()
    for item in (draft, path.parent):
        file = os.open(item, os.O_RDONLY | os.O_CLOEXEC)
        os.fsync(file)
        os.close(file)
        if item is draft:
            draft.rename(path)


def _begin_immediate(connection: sqlite3.Connection, path: Path) -> None:
    # Whoever comes here is first in the line; only a recovery after a crash, or another program, is in the way.
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if _code(error) not in _BUSY:
                raise
            if time.monotonic() > deadline:
                raise StoreError(
                    f"{path}: another program has been writing for {PATIENCE_S:.0f} s: end it"
                ) from error
        time.sleep(random.uniform(0.0003, 0.003))  # noqa: S311 - fairness, not secrecy


def explain(path: Path, error: BaseException) -> StoreError:
    """Turns a fault of SQLite into one that names the cure."""
    code = _code(error)
    if code in _ROTTEN:
        return StoreError(
            f"{path} is damaged ({error}): move it away and put back a copy of it; objects are not touched. "
            "`trainwright fsck` says what is hit"
        )
    if code == sqlite3.SQLITE_CONSTRAINT:
        # The package never writes such a row on purpose: what the tables promise and what they hold differ.
        return StoreError(
            f"{path}: rows contradict each other ({error}): `trainwright fsck` says what is hit"
        )
    if code in _FORBIDDEN:
        return CannotWrite(
            f"{path} cannot be opened or written ({error}): check its permissions and its disk; {CURE}"
        )
    if code in _BROKEN:
        return CannotWrite(f"{path} cannot be written ({error}): {CURE}")
    return StoreError(f"{path}: {error}")


def cure_of(error: OSError) -> str:
    """Says what to do about an error of the file system."""
    return _CURES.get(error.errno or 0, CURE)


def _code(error: BaseException) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
