"""From a snapshot to a durable version: objects, one transaction, then what retention leaves over."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from trainwright.base.errors import StaleAttempt, StoreError
from trainwright.base.tensors import Chunks, dump_tensors, dump_tree
from trainwright.store.files import keep_files, keep_list
from trainwright.store.members import list_members
from trainwright.store.records import RunRow, Snapshot, Unsaved, VersionRow
from trainwright.store.retention import Keep, leave_tombstones, objects_of, remove_unused
from trainwright.store.saver import Saver, Version
from trainwright.store.store import Store
from trainwright.store.versions import Draft, commit_version

log = logging.getLogger("trainwright.store")
MANY, MUCH_BYTES = 16, 64 * 2**20  # objects of collected versions that may wait for their removal


class Checkpoints:
    """Makes the versions of one attempt.

    Args:
        store: Where to.
        run: As it was when the attempt began.
        parents: Ids of the versions that the first one comes from.
        settle_metrics: Returns when the metrics reported so far are written; a version comes after them, so that
            the history of a run that is resumed there has no hole.
        tell: Hears what was the matter when checkpoints could not be saved for a while.
    """

    def __init__(
        self,
        store: Store,
        run: RunRow,
        *,
        parents: Sequence[int],
        settle_metrics: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        self.keep = Keep()
        self._settle_metrics = settle_metrics
        self._store = store
        self._run = run
        self._parents = list(parents)
        self._saver = Saver(tell)
        self._unused: set[str] = set()

    @property
    def unsaved(self) -> Unsaved | None:
        """Says since which step nothing could be saved, and why; None if all is well."""
        return self._saver.unsaved

    def save(self, snapshot: Snapshot) -> Version:
        """Saves behind the training, after the save before has ended; what fails is tried again.

        Raises:
            StaleAttempt: If a newer attempt has taken over.
        """
        value = snapshot.metrics.get(self._run.best_metric, math.nan)
        sign = -1.0 if self._run.best_mode == "min" else 1.0
        return self._saver.begin(
            step=snapshot.step,
            spell=lambda: _spell(snapshot),
            write=lambda chunks: self._write(snapshot, *chunks),
            merit=-math.inf if math.isnan(value) else sign * value,
        )

    def save_files(self, folder: Path, *, step: int, epoch: int, metrics: Mapping[str, float]) -> Version:
        """Saves a folder of files before it returns, because they may be changed then.

        Raises:
            StoreError: If they cannot be kept, though it was tried twice, or something before could not be saved.
        """
        self._saver.settle()
        try:
            row = self._write_files(folder, step=step, epoch=epoch, metrics=metrics)
        except StaleAttempt:
            raise
        except (OSError, StoreError):
            row = self._write_files(folder, step=step, epoch=epoch, metrics=metrics)
        return self._saver.saved(row)

    def save_members(self, members: Sequence[VersionRow], *, metrics: Mapping[str, float]) -> VersionRow:
        """Saves a version that is nothing but other versions, which become its parents, before it returns.

        Raises:
            StoreError: If an object of a member is gone, or the row cannot be written.
        """
        self._saver.settle()
        blobs = self._store.blobs
        with self._store.saving():
            listed = list_members(members)
            gone = next((digest for digest in listed.values() if not blobs.has(digest)), None)
            if gone is not None:
                raise StoreError(
                    f"object {gone} of a member is gone: `trainwright fsck` says what is damaged"
                )
            draft = Draft(
                step=0,
                epoch=0,
                metrics=metrics,
                reason="ensemble",
                parents=[row.id for row in members],
                files=keep_list(blobs, listed),
            )
            version, _ = self._commit(draft)
        return version

    def settle(self) -> None:
        """Waits for what is not saved yet, and removes what retention has left over.

        Raises:
            StoreError: If something could not be saved; it stays in memory.
        """
        self._saver.settle()
        self._remove()

    def close(self) -> None:
        """As `settle`, and gives up what cannot be saved.

        Raises:
            StoreError: If something could not be saved.
        """
        self._saver.close()
        self._remove()

    def _write(self, snapshot: Snapshot, weights: Chunks, state: Chunks | None) -> VersionRow:
        blobs = self._store.blobs
        with self._store.saving():
            draft = Draft(
                step=snapshot.step,
                epoch=snapshot.epoch,
                metrics=snapshot.metrics,
                reason=snapshot.reason,
                parents=self._parents,
                weights=blobs.put(weights),
                state=None if state is None else blobs.put(state),
            )
            version, unused = self._commit(draft)
        return self._tidy(version, unused)

    def _write_files(
        self, folder: Path, *, step: int, epoch: int, metrics: Mapping[str, float]
    ) -> VersionRow:
        with self._store.saving():
            files = keep_files(self._store.blobs, folder)
            version, unused = self._commit(
                Draft(
                    step=step,
                    epoch=epoch,
                    metrics=metrics,
                    reason="files",
                    parents=self._parents,
                    files=files,
                )
            )
        return self._tidy(version, unused)

    def _commit(self, draft: Draft) -> tuple[VersionRow, set[str]]:
        run = self._run
        self._settle_metrics()
        with self._store.catalogue.write() as connection:
            version = commit_version(connection, run, attempt=run.attempt, draft=draft)
            gone = leave_tombstones(
                connection, run.id, keep=self.keep, metric=run.best_metric, mode=run.best_mode
            )
        self._parents = [version.id]
        log.info(
            "version %d of %s is durable (run %s, step %d)",
            version.number,
            version.model,
            version.run,
            version.step,
        )
        return version, objects_of(gone)

    def _tidy(self, version: VersionRow, unused: set[str]) -> VersionRow:
        self._unused |= unused
        self._remove(least=MANY)
        return version

    def _remove(self, *, least: int = 0) -> None:
        blobs, unused = self._store.blobs, self._unused
        try:
            # Finding out what is not needed any more costs more than a small checkpoint: several at a time.
            if len(unused) < least and sum(map(blobs.size, filter(blobs.has, unused))) < MUCH_BYTES:
                return
            self._unused = set()
            remove_unused(self._store, unused)
        except (OSError, StoreError) as error:
            # The versions are durable, and what stays is only in the way: not an error of a save.
            log.warning("objects of collected versions stay until `trainwright gc`: %s", error)


def _spell(snapshot: Snapshot) -> tuple[Chunks, Chunks | None]:
    return dump_tensors(snapshot.weights), None if snapshot.state is None else dump_tree(snapshot.state)
