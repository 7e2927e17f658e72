"""The recorder of one training, as the loop sees it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from trainwright.store.records import Snapshot, Unsaved

Wish = Literal["go", "save", "pause", "stop"]


class Version(Protocol):
    """A checkpoint on its way to the store."""

    def wait(self) -> Any:
        """Returns its row when it is durable, or raises why it is not."""
        ...


class Run(Protocol):
    """Takes what a training leaves behind."""

    id: str
    attempt: int
    seed: int

    @property
    def unsaved(self) -> Unsaved | None:
        """Says since which step no checkpoint could be saved, and why; None if all is well."""
        ...

    def report(self, step: int, metrics: Mapping[str, float], *, group: str) -> None:
        """Keeps metrics; no I/O on this thread."""
        ...

    def save(self, snapshot: Snapshot) -> Version:
        """Takes a checkpoint; it is durable when `wait` returns."""
        ...

    def save_files(self, folder: Path, *, step: int, metrics: Mapping[str, float]) -> Version:
        """Takes the opaque files of a foreign framework."""
        ...

    def resume_point(self, call: int = 0) -> Any:
        """Gives the version to go on from, or None."""
        ...

    def wish(self) -> Wish:
        """Says what signals and people ask for."""
        ...

    def artifact(self, name: str, value: Any, *, step: int | None = None) -> None:
        """Keeps a score, an array, a plot or text."""
        ...

    def warn(self, text: str) -> None:
        """Keeps a warning; it is counted at the end."""
        ...

    def look(self, split: str, by: str) -> None:
        """Counts a look at a split."""
        ...


class _Kept:
    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def wait(self) -> Snapshot:
        return self.snapshot


class NullRun:
    """Records in memory only; used where nothing may be kept, such as when a run is reproduced.

    Attributes:
        metrics: Rows `(step, name, value)`.
        last: The latest snapshot.
    """

    def __init__(self, *, seed: int = 0, resolved: Any = None) -> None:
        self.id = "none"
        self.attempt = 1
        self.seed = seed
        self.resolved = resolved
        self.metrics: list[tuple[int, str, float]] = []
        self.last: Snapshot | None = None
        self.warnings: list[str] = []
        self.unsaved: Unsaved | None = None
        self._wish: Wish = "go"

    def report(self, step: int, metrics: Mapping[str, float], *, group: str) -> None:
        """Keeps metrics in memory."""
        self.metrics.extend((step, name, value) for name, value in metrics.items())

    def save(self, snapshot: Snapshot) -> _Kept:
        """Keeps the latest snapshot in memory."""
        self.last = snapshot
        return _Kept(snapshot)

    def save_files(self, folder: Path, *, step: int, metrics: Mapping[str, float]) -> _Kept:
        """Keeps nothing but the step."""
        return self.save(Snapshot(step=step, epoch=0, weights={}, state=None, metrics=metrics))

    def resume_point(self, call: int = 0) -> None:
        """Gives None: there is nothing to go on from."""

    def wish(self) -> Wish:
        """Says what was asked for."""
        return self._wish

    def ask(self, word: Wish) -> None:
        """Asks for a word; safe in a signal handler."""
        self._wish = word

    def artifact(self, name: str, value: Any, *, step: int | None = None) -> None:
        """Keeps nothing."""

    def warn(self, text: str) -> None:
        """Keeps the text in memory."""
        self.warnings.append(text)

    def look(self, split: str, by: str) -> None:
        """Counts nothing."""
