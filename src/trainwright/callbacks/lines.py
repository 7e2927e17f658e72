"""Writes what a run measures to a file of JSON lines, for other programs."""

import math
import os
import tempfile
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Any

from trainwright.base.errors import SpecError, StoreError
from trainwright.base.jsontext import Json, read_json, write_json
from trainwright.train.callback import Callback
from trainwright.train.moment import Moment, Outcome, Warn

KEYS = {"event", "run", "step", "epoch", "seconds", "metrics"}  # of every line
BEGINNING = b'{"epoch":'  # of every line: the keys are sorted


class JSONLines(Callback):
    """Adds a line to a file at the start, at each validation and epoch, and at the end of the run.

    Each line is a JSON object with `event` (`start`, `validation`, `epoch` or `end`), `run`, `step`, `epoch`,
    `seconds` (since this attempt began) and `metrics` (those measured at this step; at the end, the latest of each).
    A validation at the end of an epoch is part of that epoch's line. `start` has `resumed`, `end` has `outcome` and
    `reason`. NaN and infinities are the texts `nan`, `inf` and `-inf`.

    Several runs may share a file. A run that is resumed first takes back its lines of steps that will be done again.
    A file that cannot be written ends the run before its first step; later, it is a warning, and no more lines follow.

    Args:
        path: The file, relative to the folder of the experiment; its folder must exist.

    Example:
        >>> JSONLines("metrics.jsonl").path
        'metrics.jsonl'
    """

    def __init__(self, path: str) -> None:
        if not isinstance(path, str) or not path or "\0" in path:
            raise ValueError(f"path: {path!r} is not the name of a file")
        self.path = path
        self._file: FileIO | None = None

    def on_start(self, moment: Moment) -> None:
        """Opens the file.

        Raises:
            SpecError: If it cannot be written, or holds something else.
        """
        try:
            # Later changes of the directory, and replacing the file, must not lose a link.
            path = (moment.folder / self.path).resolve()
            _take_back(path, run=moment.run, step=moment.step if moment.resumed else None)
            self._file = FileIO(path, "ab")
            self._write("start", moment, {"resumed": moment.resumed})
        except OSError as error:
            self._close()
            cure = "name a file in a folder that exists and can be written"
            raise SpecError(f"{_where(self.path)}: {error.strerror or error}; {cure}") from error

    def on_validation(self, moment: Moment) -> Warn | None:
        """Writes a line, unless the epoch's line follows."""
        if moment.step % moment.steps_per_epoch == 0:
            return None
        return self._add("validation", moment, {})

    def on_epoch(self, moment: Moment) -> Warn | None:
        """Writes a line."""
        return self._add("epoch", moment, {})

    def on_end(self, moment: Moment, outcome: Outcome) -> Warn | None:
        """Writes the last line."""
        told = {"outcome": outcome.kind, "reason": outcome.reason, "metrics": _spell(moment.metrics)}
        heard = self._add("end", moment, told)
        self._close()
        return heard

    def _add(self, event: str, moment: Moment, more: Mapping[str, Any]) -> Warn | None:
        if self._file is None:
            return None
        try:
            self._write(event, moment, more)
        except OSError as error:
            self._close()
            return Warn(f"JSONLines: {self.path}: {error.strerror or error}; no more lines are written")
        return None

    def _write(self, event: str, moment: Moment, more: Mapping[str, Any]) -> None:
        told = {
            "event": event,
            "run": moment.run,
            "step": moment.step,
            "epoch": moment.epoch,
            "seconds": moment.seconds,
            "metrics": _spell(moment.measured),
        }
        line = f"{write_json({**told, **more})}\n".encode()
        assert self._file is not None
        # One call per line, past all buffers: whoever reads along sees whole lines, and so does a killed run's heir.
        if self._file.write(line) != len(line):
            raise OSError(f"only a part of a line of {len(line)} bytes was written")

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _spell(metrics: Mapping[str, float]) -> dict[str, float | str]:
    numbers = {name: float(value) for name, value in metrics.items()}
    return {name: value if math.isfinite(value) else str(value) for name, value in numbers.items()}


def _take_back(path: Path, *, run: str, step: int | None) -> None:
    """Removes a torn last line, and with a step the lines of a run beyond it; other lines stay as they are."""
    if not path.exists():
        return
    if not path.is_file():
        raise SpecError(f"{_where(path)}: it is not a regular file; name one, or one that does not exist yet")
    content = path.read_bytes()
    kept = []
    for number, line in enumerate(content.splitlines(keepends=True), 1):
        found = _read(line)
        if found is None and _is_torn(line):
            continue
        ours = isinstance(found, dict) and found.keys() >= KEYS and type(found["step"]) is int
        if not ours:
            cure = "name another file, nothing is done to this one"
            raise SpecError(f"{_where(path)}: line {number} was not written by JSONLines; {cure}")
        if step is None or found["run"] != run or found["step"] <= step:
            kept.append(line.rstrip(b"\n") + b"\n")
    if b"".join(kept) != content:
        _replace(path, b"".join(kept))


def _read(line: bytes) -> Json:
    try:
        return read_json(line)
    except StoreError:
        return None


def _is_torn(line: bytes) -> bool:
    return not line.endswith(b"\n") and (BEGINNING.startswith(line) or line.startswith(BEGINNING))


def _replace(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.", delete=False) as draft:
        try:
            draft.write(content)
            draft.flush()
            os.fsync(draft.fileno())
            os.chmod(draft.name, path.stat().st_mode & 0o777)
            os.replace(draft.name, path)
        except BaseException:
            Path(draft.name).unlink(missing_ok=True)
            raise


def _where(path: Path | str) -> str:
    return f"train.callbacks: JSONLines: path {path}"
