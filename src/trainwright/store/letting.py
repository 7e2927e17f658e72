"""Letting go of a lock, which cannot fail."""

import contextlib
import os


def let_go(file: int) -> None:
    """Closes a file that was open for its lock only.

    What an error says here is about bytes that were written, and there are none; the descriptor and its lock are
    gone all the same. Raised, it would make a version that is committed look as if it had failed.
    """
    with contextlib.suppress(OSError):
        os.close(file)
