"""Who is alive: a lock held for the life of a process, so that a dead run needs nobody to say so."""

import fcntl
import os
import re
import time
import weakref
from pathlib import Path

from trainwright.base.errors import StoreError
from trainwright.store.letting import let_go

_RUN = re.compile(r"r\d{8}-\d{6}-[a-z2-7]{4}")
_PATIENCE_S = 1.0


class LiveLock:
    """Holds the lock of one run until it is released or the process ends, however it ends.

    Args:
        folder: Where the locks lie.
        run: Id of the run.

    Raises:
        StoreError: If another process is training the run.
    """

    def __init__(self, folder: Path, run: str) -> None:
        path = _lock_path(folder, run)
        try:
            self._file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error}") from error
        deadline = time.monotonic() + _PATIENCE_S
        while not _locked(self._file, fcntl.LOCK_EX):
            # Somebody who only looks holds it for an instant.
            if time.monotonic() > deadline:
                os.close(self._file)
                raise StoreError(
                    f"run {run} is being trained by another process: wait for it, "
                    "or end it with `kill <pid>`; `trainwright show` names the process"
                )
            time.sleep(0.01)
        _HELD.add(self)

    def release(self) -> None:
        """Gives the lock back; a second time does nothing."""
        if self in _HELD:
            _HELD.discard(self)
            let_go(self._file)


def is_live(folder: Path, run: str) -> bool:
    """Says whether a process holds the lock of a run."""
    try:
        file = os.open(_lock_path(folder, run), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _locked(file, fcntl.LOCK_SH)
    finally:
        let_go(file)


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


_HELD: weakref.WeakSet[LiveLock] = weakref.WeakSet()


def _forget_in_child() -> None:
    # A forked helper shares the lock; it must not keep the run alive after the trainer is gone.
    for lock in list(_HELD):
        lock.release()


os.register_at_fork(after_in_child=_forget_in_child)
