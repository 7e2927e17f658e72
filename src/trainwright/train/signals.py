"""Turns Ctrl-C and SIGTERM into a wish, so that a run saves before it ends."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_BESIDE: list[Callable[[Any], None]] = []  # who hears in other threads
_HEARD: list[int] = []  # the signals so far


@contextmanager
def heard_signals(ask: Callable[[Any], None]) -> Iterator[None]:
    """Asks for `stop` at the first signal; a second Ctrl-C interrupts at once.

    Python allows handlers only in the main thread. In another one nothing is changed, but if the main thread hears
    signals at the time, `ask` is called for them too, also for one that came before.

    Args:
        ask: Called in the handler, so it only sets a flag.
    """
    if threading.current_thread() is not threading.main_thread():
        _BESIDE.append(ask)
        if _HEARD:
            ask("stop")
        try:
            yield
        finally:
            _BESIDE.remove(ask)
        return
    count = 0
    _HEARD.clear()

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count > 1 and number == signal.SIGINT:
            raise KeyboardInterrupt
        _HEARD.append(number)
        for one in (ask, *_BESIDE):
            one("stop")

    before = {one: signal.signal(one, handle) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
        _HEARD.clear()
