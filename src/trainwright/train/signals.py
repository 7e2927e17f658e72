"""Turns Ctrl-C and SIGTERM into a wish, so that a run saves before it ends."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def heard_signals(ask: Callable[[Any], None]) -> Iterator[None]:
    """Asks for `stop` at the first signal; a second Ctrl-C interrupts at once.

    Outside the main thread nothing is changed, because Python allows handlers only there.

    Args:
        ask: Called in the handler, so it only sets a flag.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    count = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count > 1 and number == signal.SIGINT:
            raise KeyboardInterrupt
        ask("stop")

    before = {one: signal.signal(one, handle) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
