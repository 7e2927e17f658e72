"""Opens a foreign checkpoint: only a jailed process looks at its bytes, and what comes back is checked again."""

import hashlib
import importlib.util
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from trainwright.base.errors import BackendError, DataError, TrainwrightError
from trainwright.base.extras import installed
from trainwright.base.jsontext import Json, read_json
from trainwright.base.tensors import MAX_HEADER_BYTES, read_tensors
from trainwright.base.tree import Array
from trainwright.foreign.cell import MEMORY, NO_JAIL, ORDER, REFUSED, TENSORS, VALUES
from trainwright.foreign.collector import Collector
from trainwright.foreign.formats import FORMATS
from trainwright.foreign.limits import Limits, limits_for

MAX_REASON_BYTES = 2_000
# -I: no variable and no folder of the user's changes what is imported; -S: no .pth file is run; -B: nothing is written.
_START = [sys.executable, "-I", "-S", "-B", "-c"]
_PROGRAM = """\
import sys
sys.path += sys.argv[5:]
import os
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
from trainwright.foreign.cell import main
from trainwright.foreign.limits import Limits
main(sys.argv[1], Limits(*map(int, sys.argv[2:5])))
"""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a foreign checkpoint holds.

    Args:
        name: Of the file.
        digest: SHA-256 of the file.
        tensors: By name.
        values: Plain values, or lists of them, by name.
    """

    name: str
    digest: str
    tensors: Mapping[str, Array]
    values: Mapping[str, Json]


def open_checkpoint(path: Path) -> Checkpoint:
    """Reads the tensors and plain values of a foreign checkpoint, and nothing else of it.

    Args:
        path: A .pt, .pth, .ckpt, .safetensors, .npz, .keras, .h5 or .hdf5 file.

    Raises:
        DataError: If it is none of these, is damaged, holds more than tensors and plain values, or takes more
            processor time or memory than its size allows; the message says which.
        BackendError: If this system has no jail, or h5py is needed and not installed.
    """
    if not path.name.isprintable():
        raise DataError(f"{path.name!a}: its name holds characters that are not seen; give it another one")
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise DataError(f"{path.name}: read are {', '.join(FORMATS)}")
    package = FORMATS[suffix].package
    if package is not None and not installed(package[0]):
        raise BackendError(
            f"{path.name}: {package[0]} is not installed: pip install 'trainwright[{package[1]}]'"
        )
    try:
        # A pipe would block here and has no size.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise DataError(f"{path.name}: it cannot be opened: {error.strerror}") from error
    before = os.fstat(number)
    if not stat.S_ISREG(before.st_mode):
        os.close(number)
        raise DataError(f"{path.name}: it is no regular file")
    try:
        with os.fdopen(number, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            limits = limits_for(before.st_size)
            answer = _ask(file, path.name, suffix, limits)
            after = os.fstat(number)
    except OSError as error:
        raise DataError(f"{path.name}: it cannot be read: {error.strerror}") from error
    if any(getattr(before, one) != getattr(after, one) for one in ("st_size", "st_mtime_ns", "st_ctime_ns")):
        raise DataError(f"{path.name}: it was changed while it was read; copy it and import the copy")
    try:
        found = _check(answer, limits)
    except (TrainwrightError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path.name}: the jailed process gave no whole answer: {error}") from error
    return Checkpoint(path.name, digest, found.tensors, found.values)


def _check(answer: memoryview, limits: Limits) -> Collector:
    """Takes the answer as if nobody had looked at it: its writer may have been taken over by the file."""
    tensors, metadata = read_tensors(answer, what="tensors")
    found = Collector(limits.result_bytes)
    for name in read_json(metadata[ORDER], what="order"):
        found.reserve(tensors[name].shape, tensors[name].itemsize, what=name)
        found.tensor((name,), tensors[name])
    for name, value in read_json(metadata[VALUES], what="values").items():
        found.value((name,), value)
    return found


def _ask(file: IO[bytes], name: str, suffix: str, limits: Limits) -> memoryview:
    """Starts the jailed process and gives its answer, if it is tensors."""
    most = limits.result_bytes + MAX_HEADER_BYTES + 64
    numbers = map(str, (limits.cpu_s, limits.memory_bytes, limits.result_bytes))
    with tempfile.TemporaryDirectory(prefix="trainwright-jail-") as empty:
        child = subprocess.Popen(
            [*_START, _PROGRAM, suffix, *numbers, *_folders(suffix)],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=empty,
            env={},
            start_new_session=True,
        )
        late = threading.Event()

        def stop() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(limits.wall_s, stop)
        timer.start()
        try:
            assert child.stdout is not None
            answer = child.stdout.read(most + 1)
        finally:
            timer.cancel()
            timer.join()
            child.kill()
            child.wait()
            child.stdout.close()  # type: ignore[union-attr]
    word, _, _ = answer[:16].partition(b"\n")
    rest = memoryview(answer)[len(word) + 1 :]
    if len(answer) <= most and word + b"\n" == TENSORS:
        return rest
    raise _refusal(
        name, word + b"\n", bytes(rest[:MAX_REASON_BYTES]), child.returncode, limits, late.is_set()
    )


def _refusal(
    name: str, word: bytes, text: bytes, code: int, limits: Limits, late: bool
) -> DataError | BackendError:
    reason = re.sub(
        r"[^ -~]", lambda found: found[0].encode("unicode_escape").decode(), text.decode(errors="replace")
    )
    if word == NO_JAIL:
        return BackendError(
            f"{name}: foreign checkpoints are opened in a jailed process only, and here there is none: {reason}; "
            "import it on Linux (x86_64 or aarch64) with seccomp"
        )
    if word == REFUSED:
        return DataError(f"{name}: {reason}")
    if word == MEMORY:
        megabytes = limits.memory_bytes // 10**6
        return DataError(
            f"{name}: reading it took more than {megabytes:,} MB of memory, the limit for its size"
        )
    if word == TENSORS:
        return DataError(
            f"{name}: it unpacks to more than {limits.result_bytes:,} bytes, the limit for its size"
        )
    if late:
        return DataError(f"{name}: reading it took more than {limits.wall_s} s, the limit for its size")
    if code == -signal.SIGXCPU:
        return DataError(
            f"{name}: reading it took more than {limits.cpu_s} s of processor time, the limit for its size"
        )
    ending = signal.Signals(-code).name if code < 0 else f"exit {code}"
    return DataError(f"{name}: the jailed process that read it ended without an answer ({ending})")


def _folders(suffix: str) -> list[str]:
    """Gives the folders that the jailed process imports from; the standard library is there already."""
    assert np.__file__ is not None
    found = [str(Path(__file__).resolve().parents[2]), str(Path(np.__file__).resolve().parents[1])]
    package = FORMATS[suffix].package
    spec = importlib.util.find_spec(package[0]) if package else None
    if spec is not None and spec.origin is not None:
        found.append(str(Path(spec.origin).resolve().parents[1]))
    return list(dict.fromkeys(found))
