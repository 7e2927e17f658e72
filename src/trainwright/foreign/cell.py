"""What runs in the jailed process: limits, lock, then the file; tensors and values go out through a pipe.

The file is standard input and the pipe standard output; there is nothing else. It is started by `jail.py`.
"""

import os
import resource
import sys
import warnings
from collections.abc import Iterable
from contextlib import suppress

from trainwright.base.errors import TrainwrightError
from trainwright.base.jsontext import write_json
from trainwright.base.tensors import dump_tensors
from trainwright.foreign.collector import Collector
from trainwright.foreign.formats import FORMATS
from trainwright.foreign.limits import Limits
from trainwright.foreign.seccomp import lock_process

TENSORS, REFUSED, MEMORY, NO_JAIL = b"tensors\n", b"refused\n", b"memory\n", b"no jail\n"
VALUES, ORDER = (
    "values",
    "order",
)  # in the metadata of the answer: the plain values, and the names as they were
_FORBIDDEN = frozenset(
    {
        "open",
        "socket",
        "subprocess",
        "os",
        "exec",
        "import",
        "ctypes",
        "pickle",
        "marshal",
        "shutil",
        "tempfile",
    }
)


def main(suffix: str, limits: Limits) -> None:
    """Reads the file that is standard input and ends the process.

    Args:
        suffix: Of the file, which says what it is.
        limits: Of this process.
    """
    chosen = FORMATS[suffix]
    stream = os.fdopen(0, "rb", closefd=False)
    try:
        size = os.fstat(0).st_size
        chosen.load()
        warnings.simplefilter("ignore")  # showing one would open a file
        _limit(limits)
        lock_process()
        sys.addaudithook(_refuse)
    except (TrainwrightError, OSError, ValueError, ImportError) as error:
        _answer(NO_JAIL, [str(error).encode()])
        return
    found = Collector(limits.result_bytes)
    try:
        chosen.read(stream, size, found)
        more = {VALUES: write_json(found.values), ORDER: write_json(list(found.tensors))}
        _answer(TENSORS, dump_tensors(found.tensors, metadata=more))
    except TrainwrightError as error:
        _answer(REFUSED, [str(error).encode("utf-8", "backslashreplace")])
    except MemoryError:
        found.tensors.clear()
        _answer(MEMORY, [])
    except BaseException as error:  # noqa: BLE001 - whatever the file did to its reader, it is refused
        text = f"reading it failed: {type(error).__name__}: {error}"
        _answer(REFUSED, [text.encode("utf-8", "backslashreplace")])


def _limit(limits: Limits) -> None:
    # Address space as it is now, plus what reading may take.
    with open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    memory = now + limits.memory_bytes
    for what, soft, hard in (
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_CPU, limits.cpu_s, limits.cpu_s + 1),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NPROC, 0, 0),
        (resource.RLIMIT_NOFILE, 8, 8),
    ):
        resource.setrlimit(what, (soft, hard))


def _refuse(event: str, arguments: object) -> None:
    """Hears of everything that the interpreter is asked to do; the kernel would deny most of it too."""
    if event.partition(".")[0] in _FORBIDDEN:
        raise PermissionError(f"{event} is not allowed in the jail")


def _answer(word: bytes, chunks: Iterable[bytes | memoryview]) -> None:
    with suppress(BrokenPipeError):  # nobody wants the answer any more
        for chunk in (word, *chunks):
            rest = memoryview(chunk).cast("B") if len(chunk) else memoryview(b"")
            while len(rest):
                rest = rest[os.write(1, rest) :]
    os._exit(0)
