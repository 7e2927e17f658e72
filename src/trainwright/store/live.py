"""Who is alive: a lock held for the life of a process, so that a dead run needs nobody to say so.

The holder also gives a sign of life every few seconds. A process that is stopped (SIGSTOP, a suspended job) holds its
lock and gives none: after the lease, another may take over, and whatever the first one does then comes to nothing.
"""

import fcntl
import logging
import os
import re
import secrets
import threading
import time
from pathlib import Path

from trainwright.base.errors import StoreError
from trainwright.store.locks import FileLock, drop

log = logging.getLogger("trainwright.store")
BEAT_S = 5.0
LEASE_S = 60.0
_RUN = re.compile(r"r\d{8}-\d{6}-[a-z2-7]{4}")
_SIGN = re.compile(rb"(\d{1,18}) (\d{1,18}\.\d{3}) *\n?")
_WIDTH = 40
_PATIENCE_S = 1.0


class LiveLock:
    """Holds the lock of one run until it is released or the process ends, however it ends.

    Args:
        folder: Where the locks lie.
        run: Id of the run.
        take_over: Whether to take it from a process that has given no sign of life during the lease.

    Raises:
        StoreError: If another process is training the run, or the lock cannot be written.
    """

    def __init__(self, folder: Path, run: str, *, take_over: bool = False) -> None:
        path = _lock_path(folder, run)
        try:
            self._lock = _take(path, run, take_over=take_over)
            _give_sign(self._lock)
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error}") from error
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="trainwright-live", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Gives the lock back; a second time does nothing."""
        self._released.set()
        self._thread.join()  # so that it never writes into another file of the same descriptor
        self._lock.close()

    def _beat(self) -> None:
        while not self._released.wait(BEAT_S):
            try:
                _give_sign(self._lock)
            except OSError as error:
                # Nothing is lost by it: somebody who asks for it may take the run over after the lease.
                log.info("no sign of life in %s: %s", self._lock.path, error)


def _take(path: Path, run: str, *, take_over: bool) -> FileLock:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        lock = FileLock(path)
        if lock.take() and lock.is_in_place():
            return lock
        lock.close()
        # Somebody who only looks holds it for an instant.
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    guard = FileLock(path.with_name("take-over.lock"))
    try:
        if not guard.take(patience_s=_PATIENCE_S):
            raise StoreError(f"run {run} is being taken over by another process")
        _refuse_living(path, run, take_over=take_over)
        return _replace(path)
    finally:
        guard.close()


def _refuse_living(path: Path, run: str, *, take_over: bool) -> None:
    process, silent_s = sign_of_life(path)
    if process is None or silent_s is None:
        raise StoreError(
            f"run {run} is being trained by another process: wait for it, or end it; `trainwright show` names it"
        )
    if silent_s < LEASE_S:
        raise StoreError(
            f"run {run} is being trained by another process, {process}, which gave a sign of life {silent_s:.0f} s "
            f"ago: wait for it, or end it with `kill {process}`"
        )
    if not take_over:
        raise StoreError(
            f"run {run} is being trained by another process, {process}, which has given no sign of life for "
            f"{silent_s:.0f} s; is it stopped? `kill -CONT {process}` lets it go on; `trainwright resume {run} "
            "--take-over` goes on without it, and it can write nothing from then on"
        )


def _replace(path: Path) -> FileLock:
    """Puts a locked file in the place of the one that the silent process holds."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    lock = FileLock(draft)
    try:
        lock.take()
        _give_sign(lock)
        draft.rename(path)
    except BaseException:
        lock.close()
        draft.unlink(missing_ok=True)
        raise
    lock.path = path
    return lock


def _give_sign(lock: FileLock) -> None:
    # The monotonic clock stands still while the machine sleeps, and nobody can set it.
    os.pwrite(lock.file, f"{os.getpid()} {time.monotonic():.3f}".ljust(_WIDTH).encode(), 0)


def sign_of_life(path: Path) -> tuple[int | None, float | None]:
    """Gives the process that holds a run's lock, and the seconds since its last sign; None if there is none.

    Args:
        path: The lock.
    """
    found = _SIGN.fullmatch(path.read_bytes()[: 2 * _WIDTH])
    return (None, None) if found is None else (int(found[1]), max(time.monotonic() - float(found[2]), 0.0))


def is_live(folder: Path, run: str) -> bool:
    """Says whether a process holds the lock of a run."""
    try:
        file = os.open(_lock_path(folder, run), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _locked(file, fcntl.LOCK_SH)
    finally:
        drop(file)


def check_run_id(run: str) -> str:
    """Returns the id of a run if it is one.

    Raises:
        StoreError: If it is not.

    Example:
        >>> check_run_id("r20261120-204501-k3fa")
        'r20261120-204501-k3fa'
    """
    if not _RUN.fullmatch(run):
        raise StoreError(f"{run!r} is not the id of a run, such as r20261120-204501-k3fa")
    return run


def _lock_path(folder: Path, run: str) -> Path:
    return folder / f"{check_run_id(run)}.lock"


def _locked(file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
