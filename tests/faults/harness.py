"""Drives the child: arms a fault, lets the story run into it, and says what is wrong afterwards."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trainwright

HERE = Path(__file__).parent
# The order is that of the enums in shim.c.
OPERATIONS = ("open", "write", "fsync", "rename", "unlink", "truncate", "chmod", "mkdir", "close", "read")
KINDS = ("none", "kill before", "kill after", "torn", "short", "eio", "enospc", "flip middle", "flip last")
CHANGING = OPERATIONS[:-1]
DONE, REFUSED, KILLED = 0, 3, -9


@dataclass(frozen=True)
class Call:
    """One I/O call of a log."""

    number: int
    operation: str
    file: int
    size: int
    thread: int
    fault: str
    path: str
    path2: str


@dataclass
class Played:
    """What a process did before it ended, however it ended.

    Args:
        code: Its exit status: 0, 3 after a typed error, -9 killed, anything else is a fault of ours.
        events: Calls and what it said, in order.
    """

    code: int
    events: list[Call | list[Any]] = field(default_factory=list)

    @property
    def calls(self) -> list[Call]:
        return [event for event in self.events if isinstance(event, Call)]

    def said(self, word: str) -> list[list[Any]]:
        return [event[1:] for event in self.events if isinstance(event, list) and event[0] == word]

    def phases(self) -> Iterator[tuple[str, Call]]:
        """Yields each call with the part of the story in which it was made."""
        phase = ""
        for event in self.events:
            if isinstance(event, Call):
                yield phase, event
            elif event[0] == "phase":
                phase = event[1]

    def hit(self) -> tuple[str, Call] | None:
        """Gives the first call that went wrong."""
        return next((pair for pair in self.phases() if pair[1].fault != "none"), None)


@dataclass(frozen=True)
class Point:
    """One call that goes wrong in one way.

    Args:
        call: Its number among the calls of these operations.
        kind: How.
        sticky: Whether all later calls go wrong, too.
        operations: Which calls are counted.
    """

    call: int
    kind: str
    sticky: bool = False
    operations: tuple[str, ...] = CHANGING

    @property
    def arm(self) -> list[int]:
        return [mask(self.operations), self.call, KINDS.index(self.kind), int(self.sticky)]


def mask(operations: Sequence[str]) -> int:
    return sum(1 << OPERATIONS.index(name) for name in operations)


def build_shim(folder: Path) -> Path:
    shim = folder / "shim.so"
    command = ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", str(shim), str(HERE / "shim.c")]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return shim


def environment(shim: Path, under: Path) -> dict[str, str]:
    """Gives the environment in which a program meets the shim."""
    places = [str(Path(trainwright.__file__).parent.parent), str(HERE.parent)]
    more = {"LD_PRELOAD": str(shim), "FAULTS_UNDER": str(under), "PYTHONPATH": os.pathsep.join(places)}
    return {**os.environ, **more, "NPROC": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def read_log(path: Path) -> list[Call | list[Any]]:
    events: list[Call | list[Any]] = []
    if not path.exists():
        return events
    # Whoever is killed from outside may die in the middle of its last line, before the call that it is about.
    for line in path.read_text().split("\n")[:-1]:
        if line.startswith("mark\t"):
            events.append(json.loads(line[5:]))
            continue
        number, operation, file, size, thread, fault, before, after = line.split("\t")
        numbers = int(number), operation, int(file), int(size), int(thread)
        events.append(Call(*numbers, KINDS[int(fault)], before, after))
    return events


class Stage:
    """A folder in which stories are played again and again, by processes forked from a warm one.

    Args:
        folder: Where stores and logs lie.
        shim: The built library.
    """

    def __init__(self, folder: Path, shim: Path) -> None:
        self.folder = folder
        self.under = folder / "watched"
        self.under.mkdir()
        self.home = self.under / "store"
        self.log, self._answer = folder / "log", folder / "answer.json"
        self._server = subprocess.Popen(
            [sys.executable, str(HERE / "child.py")],
            env=environment(shim, self.under),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.close()
        self._server.stdout.close()
        self._server.wait()

    def clear(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)

    def play(self, point: Point | None = None, **more: Any) -> Played:
        """Lets the story, or another scene, run from where the store stands, into a fault if there is one.

        Args:
            point: The fault.
            more: `scene`, a function of scenes.py; `mutants`, functions of mutants.py; `kill_after_s`, counted
                from when so many `versions` were acknowledged or the log has `log_bytes`; `cut`, a disk
                that loses its power then.
        """
        arm = [mask(CHANGING), 0, 0, 0] if point is None else point.arm
        self.log.unlink(missing_ok=True)
        code = self._ask(do="play", arm=arm, log=str(self.log), **more)
        return Played(code, read_log(self.log))

    def tell(self, *, go_on: bool = False) -> dict[str, Any]:
        """Reads the store in a fresh process, after going on to the end of the story if that is wanted."""
        self._answer.unlink(missing_ok=True)
        self.log.unlink(missing_ok=True)
        code = self._ask(do="tell", answer=str(self._answer), go_on=go_on)
        assert code == DONE, f"the reader ended with {code}; see its standard error"
        answer: dict[str, Any] = json.loads(self._answer.read_text())
        return answer

    def _ask(self, **order: Any) -> int:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(json.dumps({"home": str(self.home), **order}) + "\n")
        self._server.stdin.flush()
        return int(json.loads(self._server.stdout.readline())["code"])
