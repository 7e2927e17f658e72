"""The other processes of a training, as the first one sees them: it starts them, tells them, and ends them."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from trainwright.base.errors import BackendError
from trainwright.base.tree import Tree
from trainwright.models.task import ModelTask
from trainwright.train.clock import Clock
from trainwright.train.feed import Feed
from trainwright.train.learner import Answer, Learner, Resolved

GRACE_S = 5.0  # for a process to say why it broke off, and to end
STATE = "state"


@dataclass(frozen=True, slots=True)
class Job:
    """What a process needs to train along.

    Args:
        rank: Which one it is.
        meeting: As of `joined`.
        task: What is trained.
        feed: The whole one.
        seed: Of dropout.
        run_on: Device and threads.
        state: Of the learner, as the first process has it, but for the callbacks.
        end: The last step.
    """

    rank: int
    meeting: Path
    task: ModelTask
    feed: Feed
    seed: int
    run_on: Resolved
    state: Tree
    end: int


@dataclass(frozen=True, slots=True)
class Failed:
    """What a process says before it ends too early.

    Args:
        text: The error.
        trace: Where it was raised.
    """

    text: str
    trace: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured at the present step, before states are kept.

    Args:
        scores: By name.
    """

    scores: Mapping[str, float]


class Ranks:
    """The processes 1, 2, ... while they train along; leaving it ends them.

    Only the first process has a clock, a loop and a run. The others are told the step to stop at next, wait there until
    they are told the answer, and end when the pipe to the first one does, however that ended.

    Args:
        jobs: One for each, by rank.

    Attributes:
        heard: The states of their callbacks, once they have ended.
    """

    def __init__(self, jobs: list[Job]) -> None:
        self._jobs = jobs
        self._pipes: list[Connection[Any, Any]] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self.heard: list[Tree] = []

    def __enter__(self) -> Self:
        try:
            for _ in self._jobs:
                self._start()
            for pipe, job in zip(self._pipes, self._jobs, strict=True):
                pipe.recv()  # that it is there; otherwise the group would wait for it
                pipe.send(job)
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        why = None
        try:
            if error is None:
                self.heard = self._hear()  # what they say last
            else:
                why = self._why(error)
        finally:
            for pipe in self._pipes:
                pipe.close()
            for process in self._processes:
                if error is not None:
                    process.kill()
                try:
                    process.wait(GRACE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        if why is not None:
            raise why from error

    def _start(self) -> None:
        ours, theirs = Pipe()
        self._pipes.append(ours)
        # A program of its own instead of a fork or a spawn: those would take over locks of our threads, or run the
        # user's script again.
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "trainwright.backends.lightning.rank", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the first process
            )
        self._processes.append(process)

    def clock(self, clock: Clock) -> Clock:
        """Gives a clock that the others go by too."""
        return _Shared(clock, self._say)

    def tell(self, tell: Callable[[Learner], Answer]) -> Callable[[Learner], Answer]:
        """Gives a `tell` whose answer the others get too."""

        def both(learner: Learner) -> Answer:
            answer = tell(learner)
            self._say(answer)
            return answer

        return both

    def hear(self, measured: Mapping[str, float]) -> None:
        """Lets the others hear what was measured; only where they have been told to stop."""
        self._say(Measured(dict(measured)))

    def states(self, digest: str) -> list[Tree]:
        """Asks for the states of their callbacks; only where they have been told to stop.

        Args:
            digest: Of what this process has trained.

        Raises:
            BackendError: If another one has trained something else.
        """
        self._say(STATE)
        found = self._hear()
        for rank, (theirs, _) in enumerate(found, 1):
            if theirs != digest:
                raise BackendError(
                    f"lightning: process {rank} holds other weights than process 0; does a callback change them?"
                )
        return [heard for _, heard in found]

    def _say(self, message: Any) -> None:
        for pipe in self._pipes:
            pipe.send(message)

    def _hear(self) -> list[Any]:
        found = [pipe.recv() for pipe in self._pipes]
        failed = next(((rank, one) for rank, one in enumerate(found, 1) if isinstance(one, Failed)), None)
        if failed is not None:
            raise _error(*failed)
        return found

    def _why(self, error: BaseException) -> BackendError | None:
        """Says whether another process was the reason; then the error of this one is what came of it."""
        if not isinstance(error, RuntimeError | OSError | EOFError):
            return None
        ready = wait(self._pipes, GRACE_S)
        for rank, pipe in enumerate(self._pipes, 1):
            if pipe not in ready:
                continue
            try:
                while True:
                    said = pipe.recv()
                    if isinstance(said, Failed):
                        return _error(rank, said)
            except (EOFError, OSError):
                return BackendError(f"lightning: process {rank} {self._end(rank)}; the run needs all of them")
        return None

    def _end(self, rank: int) -> str:
        try:
            code = self._processes[rank - 1].wait(GRACE_S)
        except subprocess.TimeoutExpired:
            return "broke off"
        return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"


class _Shared:
    """A clock that tells others what it said."""

    def __init__(self, clock: Clock, say: Callable[[int], None]) -> None:
        self.end = clock.end
        self._clock, self._say = clock, say

    def next(self, step: int) -> int:
        due = self._clock.next(step)
        self._say(due)
        return due


def _error(rank: int, failed: Failed) -> BackendError:
    error = BackendError(f"lightning: process {rank} failed: {failed.text}")
    error.add_note(failed.trace)
    return error
