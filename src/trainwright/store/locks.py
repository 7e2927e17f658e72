"""Locks between processes, with an end to their patience: let go of when the process ends, however it ends."""

import fcntl
import os
import struct
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class FileLock:
    """A file that one process locks alone, or several share.

    A forked child loses its copy, so that it keeps nothing locked after its parent is gone.

    Args:
        path: The file, made if there is none.

    Raises:
        OSError: If it cannot be opened.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> first, second = FileLock(folder / "lock"), FileLock(folder / "lock")
        >>> first.take(), second.take()
        (True, False)
        >>> first.close()
        >>> second.take()
        True
        >>> second.close()
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        self.closed = False
        _OPEN.add(self)

    def take(self, *, shared: bool = False, patience_s: float = 0.0) -> bool:
        """Locks the file.

        Args:
            shared: Whether others may share it.
            patience_s: How long to wait for others, in seconds.

        Returns:
            Whether it is locked now.
        """
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(self.file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return patience_s > 0 and wait_for(self.file, lambda file: fcntl.flock(file, how), patience_s)
        return True

    def let_go(self) -> None:
        """Unlocks the file and keeps it open."""
        fcntl.flock(self.file, fcntl.LOCK_UN)

    def is_in_place(self) -> bool:
        """Says whether the file is still the one of that name."""
        mine = os.fstat(self.file)
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            return False
        return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)

    def close(self) -> None:
        """Lets go; a second time does nothing."""
        if not self.closed:
            # Said aloud: a process that is being forked at this instant has a copy for a moment. Closing lets go too,
            # so an error here must not make what was done under the lock look as if it had failed.
            with suppress(OSError):
                self.let_go()
            self.forget()

    def forget(self) -> None:
        """Closes this copy of the file; other copies keep it locked."""
        self.closed = True
        _OPEN.discard(self)
        drop(self.file)


def drop(file: int) -> None:
    """Closes a file that was open for its lock only.

    What an error says here is about bytes that were written, and nobody reads them any more; the descriptor and its
    lock are gone all the same. Raised, it would make a version that is committed look as if it had failed.
    """
    with suppress(OSError):
        os.close(file)


class Line:
    """A line before a door: one comes in at a time, in the order of their coming.

    Everybody takes a number and waits, in the kernel, for whoever has the number before; that costs no processor, and
    whoever dies leaves no gap behind.

    Args:
        path: A small file, made if there is none: the next number, and who is inside.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def turn(self, patience_s: float) -> Iterator[int | None]:
        """Waits for its turn, which lasts until the block ends.

        Args:
            patience_s: How long to wait, in seconds.

        Yields:
            None when it is its turn; if that never came, the process that is inside.

        Raises:
            OSError: If the file cannot be opened or written.
        """
        lock = FileLock(self.path)
        try:
            number = self._take_number(lock, patience_s)
            if not _free(lock.file, number - 1) and not wait_for(
                lock.file, lambda file: _lock(file, fcntl.F_OFD_SETLKW, fcntl.F_RDLCK, number - 1), patience_s
            ):
                yield _number_in(os.pread(lock.file, _WIDTH, _WIDTH))
                return
            os.pwrite(lock.file, f"{os.getpid():<{_WIDTH}}".encode(), _WIDTH)
            yield None
        finally:
            if not lock.closed:  # in a forked child it is
                with suppress(OSError):  # as in `close`
                    _lock(lock.file, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, 0, length=0)
            lock.close()

    def _take_number(self, lock: FileLock, patience_s: float) -> int:
        if not lock.take(patience_s=patience_s):
            raise TimeoutError(f"{self.path} is locked by another program")
        # Byte `number` stands for a place in the line; 1 is the first, so that there is one before.
        number = max(_number_in(os.pread(lock.file, _WIDTH, 0)) or 1, 1)
        while not _try(lock.file, number):  # a damaged file begins anew, in front of those who wait
            number += 1
        os.pwrite(lock.file, f"{number + 1:<{_WIDTH}}".encode(), 0)
        lock.let_go()
        return number


def wait_for(file: int, lock: Callable[[int], object], patience_s: float) -> bool:
    """Waits for a lock of an open file, which the kernel would do for ever.

    Asking again and again instead would be a lottery that costs a processor.

    Args:
        file: A descriptor.
        lock: Locks the descriptor it is given, and returns when that is done.
        patience_s: How long to wait, in seconds.

    Returns:
        Whether it is locked; if not, it is as if nobody had asked, once `file` is closed.
    """
    # The copy is the thread's own: if we give up, it lets go as soon as it is let in.
    mine, let_in = os.dup(file), threading.Event()
    _WAITING.add(mine)

    def wait() -> None:
        try:
            lock(mine)
        finally:
            _WAITING.discard(mine)
            os.close(mine)
        let_in.set()

    threading.Thread(target=wait, name="trainwright-lock", daemon=True).start()
    return let_in.wait(patience_s)


_WIDTH = 20
_FLOCK = "hhqqi4x"  # struct flock of Linux: type, whence, start, length, pid


def _lock(file: int, command: int, kind: int, start: int, *, length: int = 1) -> None:
    fcntl.fcntl(file, command, struct.pack(_FLOCK, kind, os.SEEK_SET, start, length, 0))


def _try(file: int, number: int) -> bool:
    with suppress(BlockingIOError, PermissionError):
        _lock(file, fcntl.F_OFD_SETLK, fcntl.F_WRLCK, number)
        return True
    return False


def _free(file: int, number: int) -> bool:
    with suppress(BlockingIOError, PermissionError):
        _lock(file, fcntl.F_OFD_SETLK, fcntl.F_RDLCK, number)
        return True
    return False


def _number_in(text: bytes) -> int | None:
    text = text.strip()
    return int(text) if text.isdigit() and len(text) < _WIDTH else None


_OPEN: weakref.WeakSet[FileLock] = weakref.WeakSet()
_WAITING: set[int] = set()


def _forget_in_child() -> None:
    for lock in list(_OPEN):
        lock.forget()
    for file in _WAITING:
        os.close(file)
    _WAITING.clear()


os.register_at_fork(after_in_child=_forget_in_child)
