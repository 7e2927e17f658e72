"""Learners whose steps are made together, each trained by a loop of its own: they advance in lock step."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from trainwright.train.feed import Feed
from trainwright.train.learner import Learner

T = TypeVar("T")
L = TypeVar("L", bound=Learner)
Wait = Callable[[int, int], None]


class Company(Protocol):
    """Learners whose steps are made together.

    Attributes:
        learners: Each as its loop sees it. Without a meeting, one that trains moves alone; the others stay.
        wait: Called by a learner with its place and the step it has to tell at; it returns when that is reached.
    """

    learners: Sequence[Learner]
    wait: Wait | None

    def advance(self, dues: Mapping[int, int]) -> Sequence[int]:
        """Makes steps until the first of some learners has to tell.

        Args:
            dues: The step at which each learner that waits has to tell next, by its place.

        Returns:
            The places of those that have reached theirs.
        """
        ...


class LockStep(ABC, Generic[L]):
    """The half of a company that no framework changes: who makes steps, and how far.

    Args:
        learners: By place.
        feeds: Of each.

    Attributes:
        learners: The members.
        wait: As `Company`.
    """

    def __init__(self, learners: Sequence[L], feeds: Sequence[Feed]) -> None:
        self.learners = learners
        self.wait: Wait | None = None
        self._feeds = list(feeds)

    def move(self, place: int, feed: Feed, due: int) -> None:
        """Moves a member to a step: with the others where they meet, otherwise alone."""
        self._feeds[place] = feed
        while self.learners[place].step < due:
            if self.wait is not None:
                self.wait(place, due)
            else:
                self._run([place], due)

    def advance(self, dues: Mapping[int, int]) -> Sequence[int]:
        """Makes the steps of those that are farthest behind, until one of them has to tell or others join them."""
        steps = {place: self.learners[place].step for place in dues}
        start = min(steps.values())
        group = sorted(place for place, step in steps.items() if step == start)
        others = [step for step in steps.values() if step > start]
        self._run(group, min([dues[place] for place in group] + others))
        return [place for place in group if self.learners[place].step >= dues[place]]

    @abstractmethod
    def _run(self, places: Sequence[int], until: int) -> None:
        """Makes the steps of members that are at one step, up to another."""


@dataclass(frozen=True, slots=True)
class Ended(Generic[T]):
    """How one body ended.

    Args:
        value: What it returned.
        error: What it raised.
    """

    value: T | None = None
    error: BaseException | None = None


class Meeting(Generic[T]):
    """Runs bodies in turn until each waits or ends, then lets the company advance, and so on.

    Every body, such as the whole recorded run of a member, has a thread of its own, but only one of them moves at a
    time, always in the order of their places: what happens does not depend on the machine, and nothing is touched
    by two at once. A body that fails ends alone; the others go on.

    Args:
        company: Whose learners the bodies train, by their places.
        bodies: What each does.

    Example:
        >>> class Counting:
        ...     learners, wait, step = (), None, 0
        ...
        ...     def advance(self, dues):
        ...         self.step = min(dues.values())
        ...         return [place for place, due in dues.items() if due == self.step]
        >>> company, heard = Counting(), []
        >>> def body(place, dues):
        ...     for due in dues:
        ...         company.wait(place, due)
        ...         heard.append((place, due))
        >>> ends = Meeting(company, [lambda: body(0, [2, 4]), lambda: body(1, [3])]).run()
        >>> heard
        [(0, 2), (1, 3), (0, 4)]
    """

    def __init__(self, company: Company, bodies: Sequence[Callable[[], T]]) -> None:
        self._company = company
        self._bodies = bodies
        self._go = [threading.Semaphore(0) for _ in bodies]
        self._back = threading.Semaphore(0)
        self._dues: dict[int, int] = {}
        self._ends: dict[int, Ended[T]] = {}
        self._over: BaseException | None = None

    def run(self) -> list[Ended[T]]:
        """Runs all bodies to their ends.

        Returns:
            How each ended, by place.

        Raises:
            BaseException: What the company raised while it advanced, or an interrupt; every body that waits hears it.
        """
        threads = [
            threading.Thread(
                target=copy_context().run,
                args=(self._live, place),
                name=f"trainwright-member-{place}",
                daemon=True,
            )
            for place in range(len(self._bodies))
        ]
        self._company.wait = self._wait
        try:
            for place, thread in enumerate(threads):
                thread.start()
                self._let(place)
            while self._dues:
                for place in sorted(self._company.advance(dict(self._dues))):
                    self._let(place)
        except BaseException as error:
            self._end(error)
            raise
        finally:
            self._company.wait = None
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
        return [self._ends[place] for place in range(len(threads))]

    def _let(self, place: int) -> None:
        """Lets one body move until it waits again or ends."""
        self._dues.pop(place, None)
        self._go[place].release()
        try:
            self._back.acquire()
        except BaseException:
            # An interrupt: nobody is left moving while the others are told.
            self._back.acquire()
            raise

    def _end(self, error: BaseException) -> None:
        self._over = error
        for place in sorted(self._dues):
            self._let(place)

    def _live(self, place: int) -> None:
        self._go[place].acquire()
        try:
            self._ends[place] = Ended(value=self._bodies[place]())
        except BaseException as error:  # noqa: BLE001 - it is handed to whoever called the meeting
            self._ends[place] = Ended(error=error)
        finally:
            self._back.release()

    def _wait(self, place: int, due: int) -> None:
        if self._over is None:
            self._dues[place] = due
            self._back.release()
            self._go[place].acquire()
        if self._over is not None:
            raise self._over
