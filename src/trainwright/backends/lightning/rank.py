"""What a process does that trains along: it makes its share of each step, and stops where the first one says.

It is started by `ranks.py`; the pipe to the first process is its argument.
"""

import os
import signal
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from trainwright.backends.lightning.place import joined
from trainwright.backends.lightning.ranks import Failed, Job, Measured
from trainwright.backends.lightning.shared import SharedLearner
from trainwright.base.blame import spell_error
from trainwright.train.learner import Answer, Learner


class _Told:
    """The clock of the first process, as it is heard here."""

    def __init__(self, pipe: "Connection[Any, Any]", end: int) -> None:
        self.end = end
        self._pipe = pipe

    def next(self, step: int) -> int:
        due: int = self._pipe.recv()
        return due


def main(descriptor: int) -> None:
    """Trains along until the first process says that it is over, or is gone."""
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)  # the first process hears them too, and answers by a checkpoint
    pipe: Connection[Any, Any] = Connection(descriptor)
    try:
        pipe.send(True)
        _train(pipe, pipe.recv())
    except EOFError:
        os._exit(1)  # the first process is gone
    except BaseException as error:  # noqa: BLE001 - whatever it was, the first process has to know
        with suppress(OSError):
            pipe.send(Failed(spell_error(error), traceback.format_exc()))
        os._exit(1)  # at once, so that nobody waits for this one


def _train(pipe: "Connection[Any, Any]", job: Job) -> None:
    learner = SharedLearner(job.task, job.feed, seed=job.seed, run_on=job.run_on, rank=job.rank)
    learner.load_state(job.state)

    def tell(here: Learner) -> Answer:
        while not isinstance(said := pipe.recv(), Answer):
            if isinstance(said, Measured):
                here.hear(said.scores)
            else:
                pipe.send(learner.kept())
        return said

    with joined(learner.place, job.meeting):
        learner.fit(job.feed, _Told(pipe, job.end), tell)
    pipe.send(learner.kept()[1])


if __name__ == "__main__":
    main(int(sys.argv[1]))
