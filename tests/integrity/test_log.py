"""Bits of a log that was never brought into the catalogue: an earlier moment at worst, and never without a word."""

import os
import random
import shutil
import sqlite3
import threading
import time
from collections import Counter
from contextlib import suppress
from functools import partial

import pytest

from integrity.making import TABLES, fill, open_small
from trainwright.base.errors import StoreError
from trainwright.store import log
from trainwright.store.catalogue import writers_turn
from trainwright.store.fsck import check
from trainwright.store.log import FRAME, HEADER, find_cut, keep_cut_log
from trainwright.store.registry import Registry
from trainwright.store.store import Store

WHOLE = FRAME + 512


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store whose process died: all that was written lies in the log."""
    return make(tmp_path_factory.mktemp("log"))


def make(folder, *, checkpointed=False):
    home = folder / "alive"
    store = open_small(home)
    fill(store)
    if checkpointed:
        raw = sqlite3.connect(home / "catalogue.db")
        raw.execute("PRAGMA wal_checkpoint(PASSIVE)")
        raw.close()
    kept = home.with_name("dead")
    shutil.copytree(home, kept, ignore=shutil.ignore_patterns("*-shm"))
    store.close()
    return kept


class Logged:
    """The catalogue and its log in a folder of its own, put back before each look."""

    def __init__(self, made, folder):
        self.made, self.home = made, folder / "store"
        shutil.copytree(made, self.home)
        self.path = self.home / "catalogue.db-wal"
        self.log = (made / "catalogue.db-wal").read_bytes()
        self.catalogue = (made / "catalogue.db").read_bytes()

    def put(self, log):
        shutil.rmtree(self.home / "quarantine", ignore_errors=True)
        (self.home / "catalogue.db-shm").unlink(missing_ok=True)
        (self.home / "catalogue.db").write_bytes(self.catalogue)
        self.path.write_bytes(log)

    def rows(self, log):
        """Gives the rows as SQLite reads them."""
        self.put(log)
        raw = sqlite3.connect(self.home / "catalogue.db")
        raw.text_factory = bytes
        try:
            return repr([raw.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES])
        except sqlite3.Error:
            return None
        finally:
            raw.close()

    def said(self, log):
        """Says whether `fsck`, as the first that opens it, has anything to say."""
        self.put(log)
        try:
            store = Store.open(self.home, examine=False)
        except StoreError:
            return True
        try:
            return any(not one.harmless or one.kind == "log" for one in check(store))
        finally:
            store.close()


@pytest.fixture
def logged(made, tmp_path):
    return Logged(made, tmp_path)


def flipped(log, place, bit):
    return log[:place] + bytes([log[place] ^ 1 << bit]) + log[place + 1 :]


def campaign(logged, places):
    moments = {logged.rows(logged.log[:end]) for end in range(HEADER, len(logged.log) + 1, WHOLE)}
    whole, found, chosen = logged.rows(logged.log), Counter(), random.Random(4)
    assert len(moments) > 15 and not logged.said(logged.log)
    for place in places:
        cut = flipped(logged.log, place, chosen.randrange(8))
        rows, said = logged.rows(cut), logged.said(cut)
        assert rows is None or rows in moments, place  # a moment that there was, never a mixture
        assert said or rows == whole, place
        found["tried"] += 1
        found["all there" if rows == whole else "an earlier moment, reported"] += 1
    return found


def last_frame(logged):
    """Where the last frame says that it ends a commit: the one place where damage looks like a cut-off write."""
    end = HEADER + (len(logged.log) - HEADER) // WHOLE * WHOLE
    return range(end - WHOLE + 4, end - WHOLE + 16)


def test_a_sample_of_flipped_bits(logged):
    found = campaign(logged, range(7, len(logged.log), 2999))
    assert found["an earlier moment, reported"] > 10


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_every_53rd_byte(logged):
    found = campaign(logged, [one for one in range(0, len(logged.log), 53) if one not in last_frame(logged)])
    print(f"\nlog: {dict(found)}")


def test_without_a_look_at_the_log_commits_are_lost_without_a_word(logged, monkeypatch):
    monkeypatch.setattr(log, "find_cut", lambda path: None)
    with pytest.raises(AssertionError):
        campaign(logged, range(7, len(logged.log), 2999))


def test_a_log_that_was_brought_into_the_catalogue_already(tmp_path):
    """SQLite would lay the old pages of its beginning over newer ones: such a store is not opened at all."""
    logged = Logged(make(tmp_path / "made", checkpointed=True), tmp_path)
    whole, found = logged.rows(logged.log), Counter()
    assert not logged.said(logged.log)
    for place in range(11, len(logged.log), 2999):
        cut = flipped(logged.log, place, place % 8)
        same = logged.rows(cut) == whole
        logged.put(cut)
        refusal = why_not_opened(logged.home)
        if refusal is None:
            assert same, place
        else:
            assert "lay old pages over new ones: move the log away" in refusal
            logged.path.unlink()  # as it says
            assert not [one for one in check(Store.open(logged.home)) if not one.harmless]
            assert logged.rows(b"") == whole
        found["refused" if refusal else "opened"] += 1
        assert logged.said(cut)
    assert found["refused"] > 5


def why_not_opened(home):
    try:
        Store.open(home).close()
    except StoreError as error:
        return str(error)


def test_a_cut_log_is_kept_and_told_of_until_somebody_settles_it(logged, caplog):
    cut = flipped(logged.log, len(logged.log) // 2, 3)
    logged.put(cut)
    Store.open(logged.home).close()
    assert "does not fit" in caplog.text and "commits from there on are not read" in caplog.text
    (kept,) = (logged.home / "quarantine").iterdir()
    assert kept.read_bytes() == cut and kept.name.startswith("catalogue.db-wal.")
    for _ in range(2):  # the log itself is gone by now
        store = Store.open(logged.home)
        (found,) = [one for one in check(store) if one.kind == "log"]
        assert found.harmless and str(kept) in found.what
        store.close()
    kept.unlink()
    store = Store.open(logged.home)
    assert not [one for one in check(store) if one.kind == "log"]
    store.close()


def test_on_a_disk_that_cannot_be_written_a_cut_log_is_told_of_and_left_alone(logged, caplog):
    cut = flipped(logged.log, len(logged.log) // 2, 3)
    logged.put(cut)
    keep_cut_log(logged.home, writable=False, turn=None)
    assert "commits from there on are not read" in caplog.text
    assert not (logged.home / "quarantine").exists() and logged.path.read_bytes() == cut
    (said,) = log.cut_logs(logged.home)
    assert str(logged.path) in said


def test_on_a_disk_that_cannot_be_written_old_pages_are_not_laid_over_new_ones(tmp_path):
    logged = Logged(make(tmp_path / "made", checkpointed=True), tmp_path)
    refused = 0
    for place in range(11, len(logged.log), 2999):
        logged.put(flipped(logged.log, place, place % 8))
        with suppress(StoreError):
            keep_cut_log(logged.home, writable=False, turn=None)
            continue
        with pytest.raises(StoreError, match="lay old pages over new ones"):
            keep_cut_log(logged.home, writable=False, turn=None)
        refused += 1
    assert refused > 5


def test_a_log_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "catalogue.db-wal").mkdir()
    with pytest.raises(StoreError, match=r"cannot be read: .*Is a directory.*mend the disk"):
        find_cut(tmp_path / "catalogue.db-wal")


def test_a_log_that_was_cut_off_while_it_was_written_is_no_fault(logged):
    for length in (0, 20, HEADER, HEADER + 10, len(logged.log) - 5, len(logged.log) - WHOLE - 5):
        logged.put(logged.log[:length])
        assert find_cut(logged.path) is None, length
    logged.path.unlink()
    assert find_cut(logged.path) is None


def test_a_living_log_is_whole(tmp_path):
    store = Store.open(tmp_path / "store")
    fill(store)
    assert os.path.getsize(tmp_path / "store" / "catalogue.db-wal") > 4096
    assert find_cut(tmp_path / "store" / "catalogue.db-wal") is None
    other = Store.open(tmp_path / "store")
    assert len(Registry(other).versions()) == 4 and not (tmp_path / "store" / "quarantine").exists()
    other.close()
    store.close()


@pytest.mark.parametrize("writable", [True, False])
def test_a_log_that_is_being_written_is_not_cut(logged, writable, monkeypatch, caplog):
    """It looks cut: the head of its last frame is there, its page is not."""
    half = logged.log[: -WHOLE + FRAME] + bytes(512)
    logged.put(half)
    assert find_cut(logged.path) is not None
    inside = threading.Event()

    def write():
        with writers_turn(logged.home / "catalogue.db"):
            inside.set()
            time.sleep(0.2)
            logged.path.write_bytes(logged.log)

    monkeypatch.setattr(log, "AGAIN_S", 0.4)
    writer = threading.Thread(target=write)
    writer.start()
    assert inside.wait(10)
    keep_cut_log(logged.home, writable=writable, turn=partial(writers_turn, logged.home / "catalogue.db"))
    writer.join()
    assert not (logged.home / "quarantine").exists() and not caplog.text
    assert not logged.said(logged.path.read_bytes())


def test_a_log_that_goes_on_after_a_killed_writer_is_whole(logged):
    """Frames of a transaction that nobody committed stay behind the new ones, of the same log."""
    raw = sqlite3.connect(logged.home / "catalogue.db")
    raw.execute("PRAGMA cache_size=1")
    raw.execute("PRAGMA wal_autocheckpoint=0")
    raw.execute("BEGIN")
    raw.executemany("INSERT INTO note VALUES ('r', 1, '', '', ?, '')", [("x" * 300,) for _ in range(50)])
    spilled = logged.path.read_bytes()
    raw.close()
    assert len(spilled) > len(logged.log) + 5 * WHOLE
    logged.put(spilled)
    assert find_cut(logged.path) is None
    raw = sqlite3.connect(logged.home / "catalogue.db")
    raw.execute("PRAGMA wal_autocheckpoint=0")
    raw.execute("INSERT INTO note VALUES ('r', 1, '', '', '', '')")
    raw.commit()
    later = logged.path.read_bytes()
    raw.close()
    assert len(later) == len(spilled)  # the new commit lies over the beginning of what was spilled
    logged.put(later)
    assert find_cut(logged.path) is None


@pytest.mark.parametrize("place", [0, 9, 17, 25])
def test_a_damaged_head_of_the_log_is_told(logged, place):
    assert logged.said(flipped(logged.log, place, 0))
