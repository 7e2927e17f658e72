"""Until where a learner may run freely: the sorted union of all cadences."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Epochs:
    """Every so many epochs."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class Steps:
    """Every so many steps."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class Seconds:
    """Every so many seconds, at the next told step; not repeatable by nature."""

    count: float = 1.0


Period = Epochs | Steps | Seconds
FREE_SECONDS = 1.0  # signals, wishes and progress are heard at least about this often


class Clock(Protocol):
    """Says at which step a learner has to tell next."""

    end: int

    def next(self, step: int) -> int:
        """Gives the next step to tell at: more than `step`, at most `end`."""
        ...


def due_steps(period: Period, steps_per_epoch: int) -> int | None:
    """Gives a period in steps, None for seconds.

    Example:
        >>> due_steps(Epochs(2), 10), due_steps(Steps(3), 10), due_steps(Seconds(1), 10)
        (20, 3, None)
    """
    if isinstance(period, Seconds):
        return None
    return period.count * steps_per_epoch if isinstance(period, Epochs) else period.count


class Cadences:
    """The clock of a run: epoch ends, every period asked for, and a limit on running freely.

    Args:
        end: The last step.
        steps_per_epoch: Steps of one epoch; each epoch's end is told.
        periods: What else is to be told.
        early: Whether the step before each due step is told too, for those who hear the start of a step.
        now: Gives seconds.

    Example:
        >>> clock = Cadences(end=25, steps_per_epoch=10, periods=[Steps(4)], now=lambda: 0.0)
        >>> clock.next(0), clock.next(4), clock.next(8), clock.next(24)
        (4, 8, 10, 25)
    """

    def __init__(
        self,
        *,
        end: int,
        steps_per_epoch: int,
        periods: Sequence[Period] = (),
        early: Sequence[Period] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.end = end
        self._every = sorted({steps_per_epoch} | {n for p in periods if (n := due_steps(p, steps_per_epoch))})
        self._early = sorted({n for p in early if (n := due_steps(p, steps_per_epoch))})
        seconds = [period.count for period in periods if isinstance(period, Seconds)]
        self._free_seconds = min([FREE_SECONDS, *seconds])
        self._now = now
        self._last: tuple[float, int] | None = None
        self._free = 1

    def next(self, step: int) -> int:
        """Gives the next step to tell at: more than `step`, at most `end`."""
        found = min(step + n - step % n for n in self._every)
        for n in self._early:
            before = step + n - step % n - 1
            found = min(found, before if before > step else before + n)
        return min(found, self.end, step + self._may_run(step))

    def _may_run(self, step: int) -> int:
        now = self._now()
        if self._last is not None and step > self._last[1]:
            seconds = max(now - self._last[0], 1e-9)
            affordable = int((step - self._last[1]) / seconds * self._free_seconds)
            self._free = max(1, min(4 * self._free, affordable))
        elif self._last is None:
            self._free = 4
        self._last = (now, step)
        return self._free
