"""Asks the server of forks about items of the corpus, and judges what it answers."""

import json
import os
import subprocess
import sys
from pathlib import Path

from hostile.guard import CPU_S, MEMORY_MB

TESTS = Path(__file__).parents[1]
TYPED = ("SpecError", "DataError", "StoreError", "BackendError", "Exit")
MOST_LETTERS = 20_000  # of a message


class Server:
    """The process that forks a child for each item."""

    def __init__(self):
        places = [str(TESTS), *(one for one in sys.path if one)]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(places),
            "NPROC": "1",
            "OMP_NUM_THREADS": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hostile.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"

    def ask(self, item, door):
        """Gives what came of an item; of three tries, if it takes that many, the one with the least CPU time.

        What others do on the machine adds to it, and never takes away.
        """
        told = self._ask(item, door)
        for _ in range(2):
            if told["cpu"] > CPU_S:
                told = min(told, self._ask(item, door), key=lambda one: one["cpu"])
        return told

    def _ask(self, item, door):
        self.process.stdin.write(json.dumps({"item": item, "door": door}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0
        self.process.stdout.close()


def judge(told, error, says, *, written=()):
    """Lists what is wrong with the way a reader dealt with an item."""
    found = [f"forbidden: {one}" for one in told["events"]]
    found += [f"a process: {one}" for one in told["children"]] + [
        f"a socket: {one}" for one in told["sockets"]
    ]
    if told["error"] != error or (error and says not in told["said"]):
        found.append(f"{told['error']}: {told['said'][:600]}, not {error}: {says}\n{told['trace']}")
    if error is not None and told["error"] not in TYPED:
        found.append(f"{told['error']} is no error of ours")
    wrote = [one for one in told["wrote"] if not one.removeprefix("-").startswith(tuple(written))]
    if wrote:
        found.append(f"written: {wrote}")
    if told["cpu"] > CPU_S:
        found.append(f"{told['cpu']:.2f} s of CPU, {CPU_S} are allowed")
    if told["memory"] > MEMORY_MB:
        found.append(f"{told['memory']:.0f} MB, {MEMORY_MB} are allowed")
    if told["letters"] > MOST_LETTERS:
        found.append(f"a message of {told['letters']} letters")
    return found
