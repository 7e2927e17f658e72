"""Python's search for garbage, put off while much is made that stays."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Lets no search for circular garbage run meanwhile.

    Importing a framework makes hundreds of thousands of objects that stay. To look through them again and again takes
    a sixth of that time, and finds nothing.

    Example:
        >>> with uncollected():
        ...     import wave
        >>> gc.isenabled()
        True
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
