"""Stores that can only be read: everything that is committed is seen, also what lies in a log, and nothing else."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from trainwright.base.errors import StoreError
from trainwright.store import readonly
from trainwright.store.fsck import check
from trainwright.store.readonly import ReadOnlyFile
from trainwright.store.registry import Registry
from trainwright.store.store import Store

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can mount a folder read-only; root may write all"
)


@contextmanager
def read_only(folder):
    """Gives a view of a folder where nothing can be written, not even by root."""
    view = folder.with_name("view")
    view.mkdir(exist_ok=True)
    made = subprocess.run(["mount", "--bind", folder, view], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no folder can be mounted here: {made.stderr.strip()}")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", view], check=True)
        yield view
    finally:
        subprocess.run(["umount", "-l", view], check=True)


def killed_writer(home, child):
    """Makes a store whose writer was killed after its first version, so that all of it lies in the log."""
    command = [sys.executable, str(child), "die", str(home), "after the commit"]
    shell = subprocess.run(command, capture_output=True, text=True, check=False)
    assert shell.returncode == -signal.SIGKILL, shell.stderr
    assert (home / "catalogue.db-wal").stat().st_size and (home / "catalogue.db-shm").exists()
    return shell.stdout.split()[0]


def numbers(registry):
    return [row.number for row in registry.versions()]


@needs_root
@pytest.mark.parametrize("left", ["nothing", "a log", "a log and its index", "an index"])
def test_everything_committed_is_seen_on_a_read_only_disk(tmp_path, child, left):
    home = tmp_path / "store"
    run = killed_writer(home, child)
    if left in ("nothing", "an index"):
        Store.open(home).close()  # the last one to close it empties the log
        assert not (home / "catalogue.db-wal").exists()
        if left == "an index":
            (home / "catalogue.db-shm").write_bytes(b"")
    elif left == "a log":
        (home / "catalogue.db-shm").unlink()
    before = sorted((item.name, item.stat().st_size) for item in home.iterdir())
    with read_only(home) as view:
        store = Store.open(view, create=False)
        registry = Registry(store)
        assert not store.catalogue.writable
        assert numbers(registry) == [1, 2]
        assert registry.run(run).state == "killed" and registry.weights(registry.latest(run))
        assert [one for one in check(store) if not one.harmless] == []
        for write in (
            lambda: registry.tag("digits@1", "mine"),
            lambda: registry.note(run, "x"),
            lambda: registry.look(run, "test", by="me"),
            lambda: store.blobs.put([b"x"]),
        ):
            with pytest.raises(StoreError, match=r"is read-only|Read-only file system"):
                write()
        store.close()
    assert sorted((item.name, item.stat().st_size) for item in home.iterdir()) == before


@needs_root
@pytest.mark.parametrize("alive", [False, True], ids=["by turns", "at once"])
def test_a_reader_of_a_read_only_view_sees_what_another_writes(tmp_path, child, alive):
    home = tmp_path / "store"
    command = [sys.executable, str(child), "on demand", str(home), "-"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writer = subprocess.Popen(command, **pipes)

    def write():
        writer.stdin.write("write\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "done\n"

    write()
    holder = (
        subprocess.Popen([sys.executable, str(child), "hold", str(home), "-"], **pipes) if alive else None
    )
    if holder:
        holder.stdout.readline()
    try:
        with read_only(home) as view:
            assert Path(f"{view}/catalogue.db-shm").exists() == alive
            registry = Registry(Store.open(view, create=False))
            for count in range(1, 5):
                assert numbers(registry) == list(range(1, count + 1))
                write()
            registry.store.close()
    finally:
        for process in [writer, *([holder] if holder else [])]:
            process.communicate()


@needs_root
def test_a_run_does_not_begin_or_go_on_where_nothing_can_be_written(tmp_path, child):
    from store.conftest import begin_run, reopen_run

    home = tmp_path / "store"
    run = killed_writer(home, child)
    with read_only(home) as view:
        store = Store.open(view, create=False)
        for start in (lambda: begin_run(store), lambda: reopen_run(store, run, from_step=1)):
            with pytest.raises(
                StoreError, match=rf"{view}/live/r\S+ cannot be written: .*Read-only file system"
            ):
                start()
        with (
            pytest.raises(StoreError, match="the file system is read-only: mount it for writing"),
            store.saving(),
        ):
            pass
        with pytest.raises(
            StoreError, match=r"no store can be made .*Read-only file system.*; choose another"
        ):
            Store.open(view / "new")


def test_a_copy_is_made_again_when_the_file_has_changed_and_removed_in_the_end(tmp_path):
    path = tmp_path / "catalogue.db"
    path.write_bytes(b"first")
    file = ReadOnlyFile(path)
    first = file.uri()
    assert file.uri() == first and not file.has_changed()
    copy = Path(first.removeprefix("file:").removesuffix("?mode=rw"))
    assert copy.read_bytes() == b"first" and copy.parent.stat().st_mode & 0o777 == 0o700
    path.write_bytes(b"second, longer")
    assert file.has_changed() and file.uri() != first
    del file
    assert not copy.exists() and not copy.parent.exists()


def test_a_copy_of_a_file_that_never_holds_still_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "catalogue.db"
    path.write_bytes(b"x")
    real = shutil.copyfile

    def copy(source, target):
        real(source, target)
        with open(path, "ab") as file:
            file.write(b"more")

    monkeypatch.setattr(readonly.shutil, "copyfile", copy)
    with pytest.raises(StoreError, match="is being written at this moment: try again"):
        ReadOnlyFile(path).uri()
