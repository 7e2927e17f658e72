import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from trainwright.base.errors import StoreError
from trainwright.store import catalogue as module
from trainwright.store.catalogue import Catalogue, create_catalogue, explain
from trainwright.store.rows import add as insert_row
from trainwright.store.store import Store
from trainwright.store.tables import model, note


@pytest.fixture
def path(tmp_path):
    create_catalogue(tmp_path / "catalogue.db")
    return tmp_path / "catalogue.db"


def names(catalogue):
    with catalogue.read() as connection:
        return list(connection.execute(select(model.c.name).order_by(model.c.name)).scalars())


def add(catalogue, name):
    with catalogue.write() as connection:
        insert_row(connection, model, {"id": zlib.crc32(name.encode()), "name": name, "created": "now"})


def test_the_file_says_whose_it_is_and_which_schema(path):
    raw = sqlite3.connect(path)
    facts = [
        raw.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version", "journal_mode")
    ]
    raw.close()

    assert facts == [0x74726E77, 2, "wal"]


def test_what_a_block_wrote_is_there_when_it_ends_and_gone_when_it_fails(path):
    catalogue = Catalogue(path)
    add(catalogue, "a")

    with pytest.raises(ZeroDivisionError), catalogue.write() as connection:
        1 / len(insert_row(connection, model, {"id": 2, "name": "b", "created": "now"})) / 0

    assert names(catalogue) == ["a"]


def test_a_reader_sees_one_moment(path):
    catalogue = Catalogue(path)
    with catalogue.read() as connection:
        connection.execute(select(model)).all()
        add(catalogue, "late")
        assert connection.execute(select(model)).all() == []
    assert names(catalogue) == ["late"]


def test_commits_are_flushed_to_disk_and_foreign_keys_are_checked(path):
    catalogue = Catalogue(path)
    with catalogue.write() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    with catalogue.metrics() as raw:
        assert raw.execute("PRAGMA synchronous").fetchone() == (1,)


def test_a_row_about_a_run_that_does_not_exist_is_refused(path):
    with pytest.raises(StoreError, match="rows contradict each other"), Catalogue(path).write() as connection:
        connection.execute(
            insert(note).values(run="nobody", attempt=1, time="", level="", text="", digest="")
        )


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (sqlite3.SQLITE_CORRUPT, "is damaged .*put back a copy"),
        (sqlite3.SQLITE_NOTADB, "is damaged .*put back a copy"),
        (sqlite3.SQLITE_CONSTRAINT, "rows contradict each other"),
        (sqlite3.SQLITE_READONLY, "cannot be opened or written .*check its permissions"),
        (sqlite3.SQLITE_FULL, "cannot be written .*free space"),
        (sqlite3.SQLITE_IOERR_FSYNC, "cannot be written .*free space"),
        (sqlite3.SQLITE_MISMATCH, "catalogue.db: what SQLite says$"),
    ],
)
def test_a_fault_of_sqlite_names_its_cure(path, code, message):
    error = sqlite3.Error("what SQLite says")
    error.sqlite_errorcode = code
    assert re.search(message, str(explain(path, error)))


def test_after_a_failed_sync_the_log_is_begun_anew(path):
    catalogue = Catalogue(path)
    add(catalogue, "a")
    log = path.with_name(f"{path.name}-wal")
    before = log.stat().st_size
    catalogue._distrusted = True
    add(catalogue, "b")
    assert 0 < log.stat().st_size <= before and not catalogue._distrusted
    assert names(catalogue) == ["a", "b"]
    add(catalogue, "c")
    assert log.stat().st_size > before, "only once"


def test_a_writer_waits_its_turn(path):
    first, second = Catalogue(path), Catalogue(path)
    order = []

    def other():
        with second.write():
            order.append("second")

    with first.write():
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.1)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_writer_that_waits_too_long_says_so(path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    first, second = Catalogue(path), Catalogue(path)
    with first.write(), pytest.raises(StoreError, match="other processes have been writing"), second.write():
        pass


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"garbage " * 2000, "is damaged"),
        (b"", "not a catalogue of trainwright"),  # truncated to nothing
    ],
)
def test_a_file_that_is_no_catalogue_is_refused(path, content, message):
    path.write_bytes(content)
    with pytest.raises(StoreError, match=message):
        Catalogue(path)


def test_a_truncated_catalogue_is_refused(path):
    path.write_bytes(path.read_bytes()[: 4096 * 3 + 100])
    with pytest.raises(StoreError, match="is damaged"):
        names(Catalogue(path))


def test_a_folder_in_its_place_is_refused(tmp_path):
    (tmp_path / "catalogue.db").mkdir()
    with pytest.raises(StoreError, match="is missing"):
        Catalogue(tmp_path / "catalogue.db")


def test_a_newer_store_names_the_cure(path):
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA user_version=3")
    raw.close()
    message = r"written by a newer trainwright \(schema 3, this one knows 2\): pip install -U trainwright"
    with pytest.raises(StoreError, match=message):
        Catalogue(path)


def test_an_older_store_names_the_cure(path):
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA user_version=1")
    raw.close()
    message = (
        r"written by an older trainwright \(schema 1, this one knows 2\): .*train again into a new folder"
    )
    with pytest.raises(StoreError, match=message):
        Catalogue(path)


def test_another_programs_database_is_refused(path):
    path.unlink()
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE t (x)")
    raw.close()
    with pytest.raises(StoreError, match="not a catalogue of trainwright"):
        Catalogue(path)


@pytest.mark.parametrize("pending", [False, True], ids=["closed cleanly", "with a log"])
def test_a_read_only_catalogue_can_be_read_and_not_written(path, pending):
    writer = Catalogue(path)
    add(writer, "a")
    if not pending:
        writer.close()
    reader = Catalogue(path, writable=False)

    assert names(reader) == ["a"]
    with pytest.raises(StoreError, match="read-only"), reader.write():
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not write")
def test_somebody_who_may_not_write_can_read_the_store():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        store = Store.open(Path(folder) / "store")
        add(store.catalogue, "a")
        store.close()
        code = (
            "import os, sys; from pathlib import Path; from trainwright.store.store import Store;"
            "from trainwright.store.registry import Registry; os.setgid(65534); os.setuid(65534);"
            "store = Store.open(Path(sys.argv[1])); print([m.name for m in Registry(store).models()]);"
            "print(store.catalogue.writable)"
        )
        command = [sys.executable, "-c", code, str(store.home)]
        shell = subprocess.run(command, capture_output=True, text=True, check=False)
        assert shell.stdout.split("\n")[:2] == ["['a']", "False"], shell.stderr


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # JAX in the same test process
def test_a_forked_child_uses_connections_of_its_own(path):
    catalogue = Catalogue(path)
    add(catalogue, "parent")
    pid = os.fork()
    if pid == 0:
        try:
            add(catalogue, "child")
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    add(catalogue, "parent again")
    assert names(catalogue) == ["child", "parent", "parent again"]


def test_a_stopped_writer_is_named(path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 0.3)
    code = (
        "import sys; from pathlib import Path; from trainwright.store.catalogue import Catalogue\n"
        "with Catalogue(Path(sys.argv[1])).write(): print('inside', flush=True); input()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], **pipes)
    process.stdout.readline()
    process.send_signal(signal.SIGSTOP)
    try:
        message = rf"is process {process.pid} hung or stopped\? `kill -CONT {process.pid}`"
        with pytest.raises(StoreError, match=message), Catalogue(path).write():
            pass
        assert names(Catalogue(path)) == [], "reading goes on"
    finally:
        process.kill()
        process.communicate()
    add(Catalogue(path), "a")


@pytest.mark.parametrize("fate", ["vanished", "was replaced"])
def test_nothing_is_written_into_a_file_that_is_not_there_any_more(path, fate):
    catalogue = Catalogue(path)
    add(catalogue, "a")
    path.rename(path.with_name("elsewhere"))
    if fate == "was replaced":
        create_catalogue(path)
    with pytest.raises(StoreError, match=fate):
        add(catalogue, "b")
    with pytest.raises(StoreError, match=fate), catalogue.metrics() as raw, catalogue.alone(raw):
        pass
    path.with_name("elsewhere").rename(path)
    add(catalogue, "c")
    assert names(Catalogue(path)) == ["a", "c"]


def test_what_python_cannot_decode_is_damage(store):
    with (
        pytest.raises(StoreError, match=r"catalogue\.db.*text that is not UTF-8"),
        store.catalogue.read(),
    ):
        b"\xff".decode()
