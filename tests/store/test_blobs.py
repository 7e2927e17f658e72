import fcntl
import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from trainwright.base.errors import StoreError
from trainwright.store import blobs as module
from trainwright.store.blobs import Blobs


@pytest.fixture
def blobs(tmp_path):
    return Blobs(tmp_path / "objects")


@pytest.mark.parametrize("chunks", [[], [b""], [b"abc"], [b"a", memoryview(b"bc")], [b"x" * 3_000_000]])
def test_content_comes_back_under_its_sha256(blobs, chunks):
    content = b"".join(chunks)

    digest = blobs.put(chunks)

    assert digest == hashlib.sha256(content).hexdigest()
    assert blobs.get(digest) == content
    assert blobs.size(digest) == len(content)
    assert list(blobs.all()) == [digest]


def test_an_object_is_read_only_and_no_draft_is_left(blobs):
    path = blobs.path(blobs.put([b"abc"]))

    assert path.stat().st_mode & 0o777 == 0o444
    assert list((blobs.folder / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],  # truncated
        lambda content: b"",  # emptied
        lambda content: bytes([content[0] ^ 1]) + content[1:],  # one bit flipped
        lambda content: content + b"!",  # longer
    ],
)
def test_a_damaged_object_is_refused_by_name(blobs, damage):
    digest = blobs.put([b"precious"])
    path = blobs.path(digest)
    path.chmod(0o644)
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(StoreError, match=f"{digest} is damaged.*trainwright fsck"):
        blobs.get(digest)
    assert not blobs.intact(digest)


def test_a_missing_object_is_refused_by_name(blobs):
    with pytest.raises(StoreError, match=r"0000 is missing.*trainwright fsck"):
        blobs.get("0" * 64)


def test_an_object_that_cannot_be_read_is_refused_with_the_reason(blobs):
    name = blobs.put([b"content"])
    blobs.path(name).unlink()
    blobs.path(name).mkdir()
    with pytest.raises(StoreError, match=f"object {name} cannot be read: .*Is a directory"):
        blobs.get(name)


def test_only_objects_are_listed(blobs):
    name = blobs.put([b"content"])
    for other in ("note", f"{name[:2]}note", "f" * 64 if name[:2] != "ff" else "0" * 64):
        (blobs.path(name).parent / other).write_bytes(b"")
    assert list(blobs.all()) == [name]


def test_writing_heals_a_damaged_object(blobs):
    digest = blobs.put([b"precious"])
    blobs.path(digest).chmod(0o644)
    blobs.path(digest).write_bytes(b"spoiled!")

    assert blobs.put([b"precious"]) == digest
    assert blobs.get(digest) == b"precious"


def test_an_intact_object_is_not_written_again(blobs, monkeypatch):
    digest = blobs.put([b"precious"])
    before = blobs.path(digest).stat().st_ino
    monkeypatch.setattr(module, "_write_all", None)

    assert blobs.put([b"precious"]) == digest
    assert blobs.path(digest).stat().st_ino == before


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n", "g" * 64])
def test_only_a_digest_becomes_a_path(blobs, name):
    with pytest.raises(StoreError, match="64 hexadecimal digits"):
        blobs.get(name)


def failing(real, times):
    calls = []

    def fsync(file):
        if os.fstat(file).st_mode & 0o100000 and len(calls) < times:
            calls.append(os.readlink(f"/proc/self/fd/{file}"))
            raise OSError(5, "Input/output error")
        real(file)

    return fsync, calls


def test_after_a_failed_fsync_the_object_is_written_under_a_new_name(blobs, monkeypatch):
    fsync, calls = failing(os.fsync, 1)
    monkeypatch.setattr(os, "fsync", fsync)
    written = []
    real = module._write_all
    monkeypatch.setattr(module, "_write_all", lambda file, chunk: (written.append(chunk), real(file, chunk)))

    assert blobs.get(blobs.put([b"abc"])) == b"abc"
    assert len(calls) == 1 and len(written) == 2


def test_a_second_failed_fsync_is_an_error_and_leaves_nothing(blobs, monkeypatch):
    fsync, calls = failing(os.fsync, 2)
    monkeypatch.setattr(os, "fsync", fsync)

    with pytest.raises(StoreError, match=r"could not be written.*Input/output error"):
        blobs.put([b"abc"])
    assert len(set(calls)) == 2, "the second try must use another file"
    assert list(blobs.all()) == [] and list((blobs.folder / "tmp").iterdir()) == []


def test_the_folder_of_somebody_who_died_before_it_was_durable_is_synced(blobs, monkeypatch):
    synced, real = [], module.sync_folder
    monkeypatch.setattr(module, "sync_folder", lambda folder: (synced.append(folder), real(folder)))
    first = digest_of("first")
    blobs.path(first).parent.mkdir()

    assert blobs.put([b"first"]) == first
    assert synced == [blobs.folder, blobs.path(first).parent]

    other = next(word for word in map(str, range(9999)) if digest_of(word).startswith(first[:2]))
    blobs.put([other.encode()])
    assert synced[2:] == [blobs.path(first).parent], "a folder with an object in it is durable already"


def digest_of(text):
    return hashlib.sha256(text.encode()).hexdigest()


def changing(monkeypatch, content, change):
    """Changes content when it has been hashed and before it is written."""
    real = module._digest_of

    def then_changed(chunks):
        found = real(chunks)
        change(content)
        return found

    monkeypatch.setattr(module, "_digest_of", then_changed)


def test_large_content_that_changes_while_it_is_written_is_refused(blobs, monkeypatch):
    content = np.ones(300_000, dtype=np.float32)
    changing(monkeypatch, content, lambda array: np.multiply(array, 1 + 1e-6, out=array))
    with pytest.raises(StoreError, match="changed while it was written"):
        blobs.put([b"head", content.view(np.uint8).data])
    assert list(blobs.all()) == [] and list((blobs.folder / "tmp").iterdir()) == []


def test_small_content_is_kept_as_it_was_when_it_was_hashed(blobs, monkeypatch):
    content = bytearray(b"abc")
    changing(monkeypatch, content, lambda found: found.__setitem__(0, 0))
    assert blobs.get(blobs.put([bytes(9), memoryview(content)])) == bytes(9) + b"abc"
    assert content == b"\0bc"


@pytest.mark.parametrize("sizes", [[1] * 5000, [70_000, 1, 2, 70_000], [60_000] * 40, [0, 0, 3_000_000, 0]])
def test_many_chunks_are_written_by_few_calls(blobs, monkeypatch, sizes):
    chunks = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    calls, real = [], os.write
    monkeypatch.setattr(os, "write", lambda file, data: (calls.append(len(data)), real(file, data))[1])
    assert blobs.get(blobs.put(chunks)) == b"".join(chunks)
    assert len(calls) <= 7


def test_content_is_hashed_once(blobs, monkeypatch, tmp_path):
    hashed = []

    class Counting:
        def __init__(self):
            self.real = hashlib.new("sha256")
            self.hexdigest = self.real.hexdigest

        def update(self, data):
            hashed.append(len(data))
            self.real.update(data)

    monkeypatch.setattr(module.hashlib, "sha256", Counting)
    blobs.put([bytes(3_000_000)])
    assert sum(hashed) == 3_000_000
    file = tmp_path / "file"
    file.write_bytes(b"x" * 3_000_000)
    hashed.clear()
    blobs.put_file(file)
    assert sum(hashed) == 3_000_000


def test_a_file_that_is_there_already_stays_the_object_it_is(blobs, tmp_path):
    (tmp_path / "file").write_bytes(b"precious")
    digest = blobs.put([b"precious"])
    before = blobs.path(digest).stat().st_ino
    assert blobs.put_file(tmp_path / "file") == digest
    assert blobs.path(digest).stat().st_ino == before
    assert list((blobs.folder / "tmp").iterdir()) == []


def test_a_short_write_is_seen_by_the_length(blobs, monkeypatch):
    real = module._write_all
    monkeypatch.setattr(module, "_write_all", lambda file, chunk: real(file, chunk[:-1]))
    with pytest.raises(StoreError, match="2 of 3 bytes arrived"):
        blobs.put([b"abc"])
    assert list(blobs.all()) == []


def test_leftovers_of_the_dead_are_removed_and_those_of_the_living_survive(blobs):
    dead, living = (blobs.folder / "tmp" / name for name in ("dead", "living"))
    dead.write_bytes(b"half")
    code = "import fcntl, sys; f = open(sys.argv[1], 'wb'); fcntl.flock(f, 2); print(1, flush=True); input()"
    writer = subprocess.Popen(
        [sys.executable, "-c", code, living], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        writer.stdout.readline()
        assert blobs.leftovers() == [dead]
        Blobs(blobs.folder)
        assert not dead.exists() and living.exists()
    finally:
        writer.communicate(b"\n")
    assert blobs.leftovers() == [living]


def test_a_reader_removes_nothing(blobs):
    dead = blobs.folder / "tmp" / "dead"
    dead.write_bytes(b"half")

    Blobs(blobs.folder, writable=False)

    assert dead.exists()


def test_a_draft_taken_for_a_leftover_before_it_was_locked_is_made_anew(blobs, monkeypatch):
    real, stolen = fcntl.flock, []

    def steal_first(file, how):
        if not stolen:
            stolen.append(os.readlink(f"/proc/self/fd/{file}"))
            os.unlink(stolen[0])
        real(file, how)

    monkeypatch.setattr(fcntl, "flock", steal_first)
    assert blobs.get(blobs.put([b"abc"])) == b"abc" and stolen
