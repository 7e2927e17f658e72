"""The recorder of one run: whatever a training leaves behind goes through it."""

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from trainwright.base.errors import StaleAttempt, StoreError
from trainwright.base.jsontext import Json
from trainwright.base.names import check_name
from trainwright.base.tree import Tree
from trainwright.store import tables
from trainwright.store.artifacts import spell_artifact
from trainwright.store.attempts import (
    close_attempt,
    new_run_id,
    require_attempt,
)
from trainwright.store.checkpoints import Checkpoints
from trainwright.store.live import LiveLock
from trainwright.store.metrics import MetricWriter
from trainwright.store.opening import Describable, record_attempt, record_run
from trainwright.store.records import Mode, RunRow, Snapshot, Unsaved, VersionRow
from trainwright.store.retention import Keep
from trainwright.store.rows import add, now_text
from trainwright.store.saver import Version
from trainwright.store.store import Store
from trainwright.store.versions import move_tag, resume_version, run_scope

log = logging.getLogger("trainwright.store")
Wish = Literal["go", "save", "pause", "stop"]
Ending = Literal["paused", "stopped", "done", "failed"]


class LocalRun:
    """Records one attempt of one run in a store on this machine.

    Made by `begin` or `reopen`. Metrics and checkpoints are written behind the training; `finish`
    waits for both.

    Attributes:
        id: Of the run.
        attempt: The fencing token of everything written here.
        resolved: What is trained.
        seed: Of the run.
        store: Where it is recorded.
    """

    def __init__(
        self, store: Store, row: RunRow, *, resolved: Describable, lock: LiveLock, parents: Sequence[int]
    ) -> None:
        self.id = row.id
        self.attempt = row.attempt
        self.resolved = resolved
        self.seed = row.seed
        self.store = store
        self._row = row
        self._lock = lock
        self._metrics = MetricWriter(store.catalogue, row.id, attempt=row.attempt)
        self._notes: deque[str] = deque()
        self._checkpoints = Checkpoints(
            store, row, parents=parents, settle_metrics=self._metrics.settle, tell=self._notes.append
        )
        self._wish: Wish = "go"
        self._open = True

    @classmethod
    def begin(
        cls,
        store: Store,
        *,
        name: str,
        resolved: Describable,
        folder: str,
        seed: int,
        backend: str,
        dataset: str | None,
        operator: Tree,
        environment: Mapping[str, Json],
        best: tuple[str, Mode],
        parent: VersionRow | None = None,
        inexact: Sequence[str] | None = None,
    ) -> "LocalRun":
        """Begins a run; it is a row from here on.

        Args:
            store: Where to.
            name: Of the model whose versions it makes.
            resolved: What is trained, every `auto` decided.
            folder: Where relative paths of the experiment begin.
            seed: Of the run.
            backend: That trains.
            dataset: Digest of a registered dataset.
            operator: All that a version needs besides its weights.
            environment: What the run depends on outside its spec.
            best: The metric that makes a version the best one, and whether `min` or `max` is good.
            parent: The version it begins from.
            inexact: What differs from the attempt that made the parent, if it does not go on exactly.

        Raises:
            SpecError: If the name is not allowed.
            StoreError: If the dataset is not registered, or the store cannot be written.
        """
        check_name(name)
        run = new_run_id()
        lock = LiveLock(store.live, run)
        try:
            columns = {"id": run, "model": name, "seed": seed, "folder": folder, "backend": backend}
            columns |= {"dataset": dataset, "best_metric": best[0], "best_mode": best[1]}
            described = {"spec": resolved.tree(), "environment": dict(environment)}
            row = record_run(
                store, columns, described=described, operator=operator, parent=parent, inexact=inexact
            )
            parents = [] if parent is None else [parent.id]
            return cls(store, row, resolved=resolved, lock=lock, parents=parents)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def reopen(
        cls,
        store: Store,
        run_id: str,
        *,
        resolved: Describable,
        environment: Mapping[str, Json],
        from_step: int,
        inexact: Sequence[str] | None = None,
        take_over: bool = False,
    ) -> "LocalRun":
        """Begins the next attempt of a run; the one before can write nothing from here on.

        Args:
            store: Where the run is.
            run_id: Its id.
            resolved: What is trained from here on.
            environment: Of this process.
            from_step: Step of the checkpoint it goes on from.
            inexact: What differs from the attempt before, if it does not go on exactly.
            take_over: Go on although another process holds the run, if that gave no sign of life during the lease.

        Raises:
            StoreError: If there is no such run, or another process is training it.
        """
        lock = LiveLock(store.live, run_id, take_over=take_over)
        try:
            described = {"spec": resolved.tree(), "environment": dict(environment)}
            found = record_attempt(store, run_id, described=described, from_step=from_step, inexact=inexact)
            return cls(store, found[0], resolved=resolved, lock=lock, parents=found[1])
        except BaseException:
            lock.release()
            raise

    def report(self, step: int, metrics: Mapping[str, float], *, group: str) -> None:
        """Takes metrics; no I/O on this thread.

        Raises:
            StoreError: If metrics reported earlier could not be written, though it was tried again and again, and no
                more fit into memory.
        """
        self._metrics.report(step, metrics, group=group)

    def save(self, snapshot: Snapshot) -> Version:
        """Takes a checkpoint; it is durable when `wait` returns.

        At most one is in flight: a second one waits for the first. What cannot be saved stays in memory and is
        tried again, while training goes on; `unsaved` says so.

        Raises:
            StaleAttempt: If a newer attempt has taken over.
        """
        self._check_open()
        if self._wish == "save":
            self._wish = "go"
        return self._checkpoints.save(snapshot)

    def save_files(self, folder: Path, *, step: int, metrics: Mapping[str, float], epoch: int = 0) -> Version:
        """Takes the opaque files of a foreign framework; they may be changed again when it returns.

        Args:
            folder: Regular files and folders only.
            step: Updates done.
            metrics: Measured at this step.
            epoch: Full passes done.

        Raises:
            StoreError: If there is a link in the folder, or the files cannot be kept.
        """
        self._check_open()
        return self._checkpoints.save_files(folder, step=step, epoch=epoch, metrics=metrics)

    def save_members(self, members: Sequence[VersionRow], *, metrics: Mapping[str, float]) -> VersionRow:
        """Makes a version of several others: it has no weights of its own, and keeps theirs alive.

        Args:
            members: They have weights, and become its parents.
            metrics: Measured of all of them together.

        Raises:
            StoreError: If an object of a member is gone, or the version cannot be kept.
        """
        self._check_open()
        return self._checkpoints.save_members(members, metrics=metrics)

    def resume_point(self, call: int = 0) -> VersionRow | None:
        """Gives the version to go on from: the newest of this run, else the one it began from, or None.

        Args:
            call: Which training of a script; only the first can be resumed.
        """
        if call:
            return None
        with self.store.catalogue.read() as connection:
            return resume_version(connection, self._row)

    def keep(self, *, last: int | None = None, best: int | None = None) -> None:
        """Sets how many versions stay from the next save on; tagged ones and the newest always do.

        Args:
            last: The newest ones.
            best: The best ones.
        """
        self._checkpoints.keep = Keep(last=last, best=best)

    def artifact(self, name: str, value: Any, *, step: int | None = None) -> None:
        """Keeps a score, an array, a plot, a table (a dict) or text.

        Raises:
            StoreError: If the value is none of these, or cannot be written.
        """
        kind, chunks = spell_artifact(name, value)
        with self.store.saving():
            digest = self.store.blobs.put(chunks)
            row = {"attempt": self.attempt, "step": step, "name": name, "kind": kind, "object": digest}
            self._insert(tables.artifact, {**row, "created": now_text()})

    def warn(self, text: str) -> None:
        """Keeps a warning; one that cannot be written now is written later.

        Raises:
            StaleAttempt: If a newer attempt has taken over.
        """
        self._check_open()
        self._notes.append(text)
        try:
            self._write_notes()
        except StaleAttempt:
            raise
        except StoreError as error:
            log.info("a warning is kept in memory for now: %s", error)

    def look(self, split: str, by: str) -> None:
        """Counts a look at a split.

        Args:
            split: Such as `test`.
            by: Who looked.
        """
        self._insert(tables.look, {"split": split, "time": now_text(), "by": by})

    def edge(self, kind: Literal["used", "made"], what: str, *, target: str) -> None:
        """Keeps what the run used beyond its dataset and its parent, or made beyond its versions.

        Args:
            kind: `used` or `made`.
            what: Such as `file`.
            target: Its name or digest.
        """
        self._insert(tables.edge, {"kind": kind, "what": what, "target": target})

    @property
    def unsaved(self) -> Unsaved | None:
        """Says since which step nothing could be saved, and why; None if all is well."""
        return self._checkpoints.unsaved

    def wish(self) -> Wish:
        """Says what signals and people ask for; `save` is answered by the next save."""
        return self._wish

    def ask(self, word: Wish) -> None:
        """Asks for a word; safe in a signal handler."""
        self._wish = word

    def flush(self) -> None:
        """Returns when everything reported and saved so far is in the store.

        Raises:
            StoreError: If something could not be written.
        """
        self._metrics.flush()
        self._checkpoints.settle()
        self._write_notes()

    def finish(self, state: Ending, reason: str = "", *, final: VersionRow | None = None) -> None:
        """Ends this attempt: drains metrics and saves, moves the tag `final`, lets go of the run.

        After an error it may be called again with `failed`. A run that fails anyway keeps what could not be
        written in its reason, so that the first error is the one that is raised.

        Args:
            state: How it ended.
            reason: For the reader.
            final: The version the run ends with.

        Raises:
            StoreError: If something saved or reported could not be written and nobody has heard of it yet;
                the run is recorded as failed then.
        """
        if not self._open:
            if state == "failed":
                return
            self._check_open()
        self._open, failed = False, state == "failed"
        lost = self._drain()
        if lost is not None:
            what = f"{type(lost).__name__}: {lost}"
            told = what if not failed else reason if str(lost) in reason else f"{reason}; {what}"
            state, reason, final = "failed", told, None
        try:
            with self.store.catalogue.write() as connection:
                close_attempt(connection, self.id, attempt=self.attempt, state=state, reason=reason)
                if final is not None:
                    move_tag(connection, run_scope(self.id), name="final", version=final.id)
        except StoreError as error:
            # What was lost matters more than that nobody could write it down.
            if lost is None or failed or isinstance(error, StaleAttempt):
                raise
            raise lost from error
        finally:
            self._lock.release()
        if lost is not None and not failed:
            raise lost

    def close(self) -> None:
        """Lets go of the run without saying how it ended: it is shown as killed; nothing reported is lost.

        Raises:
            StoreError: As `finish`.
        """
        if self._open:
            self._open = False
            lost = self._drain()
            self._lock.release()
            if lost is not None:
                raise lost

    def _drain(self) -> Exception | None:
        lost: Exception | None = None
        for end in (self._metrics.close, self._checkpoints.close, self._write_notes):
            try:
                end()
            except Exception as error:  # noqa: BLE001 - the other is drained first, then it is raised
                lost = lost or error
        return lost

    def _write_notes(self) -> None:
        while self._notes:
            with self.store.catalogue.write() as connection:
                require_attempt(connection, self.id, attempt=self.attempt)
                row = {
                    "attempt": self.attempt,
                    "time": now_text(),
                    "level": "warning",
                    "text": self._notes[0],
                }
                add(connection, tables.note, {"run": self.id, **row})
            self._notes.popleft()

    def _check_open(self) -> None:
        if not self._open:
            raise StoreError(f"run {self.id} is finished: nothing more can be recorded by this attempt")

    def _insert(self, table: Any, row: Mapping[str, Any]) -> None:
        self._check_open()
        with self.store.catalogue.write() as connection:
            require_attempt(connection, self.id, attempt=self.attempt)
            add(connection, table, {"run": self.id, **row})
