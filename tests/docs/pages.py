"""Runs the code blocks of a page in order, as a reader would."""

import functools
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from stories.forked import Processes

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w-]+\.(?:yaml|py))\n")
INTERRUPT = "^C"
Call = Callable[[list[str], Path, str], str]


class Block(NamedTuple):
    """A fenced block: its language, its text, and the line it begins at."""

    language: str
    text: str
    line: int


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(found[1], found[2], text.count("\n", 0, found.start()) + 1) for found in _FENCE.finditer(text)
    ]


def run_page(page: Path, folder: Path, *, fresh: bool = False) -> list[str]:
    """Runs the blocks of a page in a folder; gives what was run.

    * A block whose first line is `# name.yaml` or `# name.py` is written to that file.
    * Another python block is run in a process of its own; a text block right after it is what it prints.
    * Each line of a console block that begins with `$ ` is run; the lines after it are what it prints, `...`
      stands for anything. It must end with 0; after `^C` it is interrupted and must end with 130.

    Args:
        page: Markdown.
        folder: Where its reader works.
        fresh: Whether each process imports everything anew, as a reader's does, which takes two seconds more.
    """
    done: list[str] = []
    call = _call if fresh else _call_fork
    blocks = blocks_of(page)
    for number, block in enumerate(blocks):
        where = f"{page.name}:{block.line}"
        named = _FILE.match(block.text)
        if named:
            (folder / named[1]).write_text(block.text)
        elif block.language == "python":
            found = call([sys.executable, "-c", block.text], folder, where)
            follows = blocks[number + 1] if number + 1 < len(blocks) else block
            if follows.language == "text":
                check_output(follows.text, found, where)
            done.append(where)
        elif block.language == "console":
            for command, expected in commands_of(block.text):
                _run_line(command, expected, folder, f"{where}: {command}", call)
                done.append(command)
    return done


def commands_of(text: str) -> list[tuple[str, str]]:
    """Splits a console block into commands and what they print."""
    found = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        found.append((command, expected))
    return found


def check_output(expected: str, found: str, where: str) -> None:
    """Compares word by word, whatever the spaces; `...` stands for anything."""
    pattern = ".*".join(re.escape(" ".join(part.split())) for part in expected.split("..."))
    # Spaces beside an ellipsis are gone by now: tables have as many as their widest cell.
    pattern = pattern.replace("\\ ", " ").replace(" ", r"\s+")
    ok = re.fullmatch(rf"\s*{pattern}\s*", found, re.DOTALL)
    assert ok, f"{where}\n--- expected\n{expected}\n--- found\n{found}"


def _run_line(command: str, expected: str, folder: Path, where: str, call: Call) -> None:
    if INTERRUPT in expected.splitlines():
        before, _, after = expected.partition(f"{INTERRUPT}\n")
        check_output(f"{before}...{after}", _interrupt(command, folder, _last_word(before), where), where)
        return
    found = call(["bash", "-c", command], folder, where)
    if expected.strip():
        check_output(expected, found, where)


def _last_word(before: str) -> str:
    """Gives the part of the last line before `^C` that does not change from run to run."""
    return before.strip().splitlines()[-1].split("...")[0].strip()


def _environment() -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
        "NPROC": "1",
        "TRAINWRIGHT_ROOT": str(ROOT),
    }


@functools.cache
def _processes() -> Processes:
    """Starts, once in a session, what commands and code are forked from."""
    return Processes(hash_seed=0, environment=_environment())


def _call_fork(arguments: list[str], folder: Path, where: str) -> str:
    """As `_call`, but code and plain commands of `trainwright` run in forks of a process that has imported all."""
    command = shlex.split(arguments[2])[1:] if arguments[2].startswith("trainwright ") else None
    if arguments[0] == sys.executable:
        command = arguments[1:]
    elif command is None or re.search(r"[|&;<>$*~`\n]", arguments[2]):
        return _call(arguments, folder, where)
    status, out = _processes().told(*command, folder=folder)
    assert status == 0, f"{where}: exit {status}\n{out}"
    return out


def _start(arguments: list[str], folder: Path) -> "subprocess.Popen[str]":
    inherited = {key: one for key, one in os.environ.items() if key not in ("TRAINWRIGHT_HOME", "PYTHONPATH")}
    return subprocess.Popen(
        arguments,
        cwd=folder,
        # A page tells of the sources it lies beside.
        env={**inherited, **_environment(), "PYTHONPATH": str(ROOT / "src")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _call(arguments: list[str], folder: Path, where: str) -> str:
    process = _start(arguments, folder)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, f"{where}: exit {process.returncode}\n{out}"
    return out


def _interrupt(command: str, folder: Path, sign: str, where: str) -> str:
    process = _start(["bash", "-c", command], folder)
    assert process.stdout is not None
    lines, deadline = [], time.monotonic() + 60
    for line in process.stdout:
        lines.append(line)
        if " ".join(line.split()).startswith(sign):
            # To the whole group, as a terminal does.
            os.killpg(process.pid, signal.SIGINT)
            break
        assert time.monotonic() < deadline, f"{where}: {sign!r} never came\n{''.join(lines)}"
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, f"{where}: exit {process.returncode}\n{''.join(lines)}{out}"
    return "".join(lines) + out
