"""Bugs planted on purpose, each in a forked process: whoever looks for such a bug must find it."""

import os
import sqlite3
from pathlib import Path

from trainwright.base.errors import StoreError
from trainwright.store import attempts, blobs, run, versions
from trainwright.store.catalogue import Catalogue
from trainwright.store.metrics import MetricWriter
from trainwright.store.records import VersionRow
from trainwright.store.saver import Version


def write_in_place() -> None:
    """An object is written under its final name."""
    real = Path.rename

    def in_place(draft, target):
        if draft.parent.name != "tmp":
            return real(draft, target)
        content = draft.read_bytes()
        with open(target, "wb") as file:
            for start in range(0, len(content), 512):
                file.write(content[start : start + 512])
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o444)
        return draft.unlink()

    Path.rename = in_place


def skip_fsync() -> None:
    """An object is renamed before its bytes are on the disk."""
    real = os.fsync

    def only_folders(file):
        if os.path.isdir(f"/proc/self/fd/{file}"):
            real(file)

    os.fsync = only_folders


def skip_folder_fsync() -> None:
    """The name of an object is not made durable."""
    blobs.sync_folder = lambda folder: None


def commit_normally() -> None:
    """A commit does not wait for the disk."""
    real = Catalogue._connect

    def connect(self, **options):
        connection = real(self, **options)
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    Catalogue._connect = connect


def trust_a_failed_log() -> None:
    """After a failed sync of the log, the next one is believed."""
    Catalogue._renew_log = lambda self, connection: None


def remove_live_drafts() -> None:
    """Whoever opens a store takes every temporary file for a leftover."""

    def abandoned(draft, *, remove):
        if remove:
            draft.unlink(missing_ok=True)
        return True

    blobs._is_abandoned = abandoned


def write_unfenced() -> None:
    """Rows are written whichever attempt is the latest."""
    for module in (attempts, run, versions):
        module.require_attempt = lambda *arguments, **options: None


def report_unfenced() -> None:
    """Metrics are written whichever attempt is the latest."""
    MetricWriter._check_attempt = lambda *arguments, **options: None


def ignore_short_writes() -> None:
    """What the kernel did not take is forgotten, and nobody counts."""
    blobs._write_all = lambda file, chunk: os.write(file, chunk)
    real = os.fstat

    class Believed:
        def __init__(self, found):
            self._found = found

        def __getattr__(self, name):
            return Anything() if name == "st_size" else getattr(self._found, name)

    class Anything(int):
        __hash__ = int.__hash__

        def __ne__(self, other):
            return False

    os.fstat = lambda file: Believed(real(file))


def acknowledge_early() -> None:
    """A save is called durable when it fails."""
    real = Version.attempt

    def attempt(self):
        try:
            return real(self)
        except StoreError:
            found = dict.fromkeys(VersionRow.__dataclass_fields__)
            return VersionRow(**{**found, "number": 1, "step": 0})

    Version.attempt = attempt


def believe_commits() -> None:
    """A commit that failed is called done."""
    real = sqlite3.connect

    class Forgiving(sqlite3.Connection):
        def commit(self):
            try:
                super().commit()
            except sqlite3.OperationalError:
                super().rollback()

    sqlite3.connect = lambda *arguments, **options: real(*arguments, **{**options, "factory": Forgiving})
