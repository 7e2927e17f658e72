import os

import pytest

from trainwright.base.errors import StoreError
from trainwright.base.jsontext import write_json
from trainwright.store.files import keep_files, list_files, restore_files
from trainwright.store.fsck import check
from trainwright.store.retention import collect


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "foreign"
    (made / "deep" / "er").mkdir(parents=True)
    (made / "model.bin").write_bytes(b"\x80\x04 never unpickled")
    (made / "deep" / "er" / "name with ä").write_bytes(b"")
    return made


def test_a_folder_comes_back_as_it_was(registry, begin, folder, tmp_path):
    run = begin()
    version = run.save_files(folder, step=5, metrics={"val/loss": 1.0}, epoch=2).wait()
    (folder / "model.bin").write_bytes(b"changed afterwards")

    registry.restore_files(version, tmp_path / "back")

    found = {
        item.relative_to(tmp_path / "back"): item.read_bytes() for item in (tmp_path / "back").rglob("*.bin")
    }
    assert list(found.values()) == [b"\x80\x04 never unpickled"]
    assert (tmp_path / "back" / "deep" / "er" / "name with ä").read_bytes() == b""
    assert (version.step, version.epoch, version.weights, version.state) == (5, 2, None, None)
    assert registry.best(run.id) == version
    assert set(registry.files(version)) == {"model.bin", "deep/er/name with ä"}


def test_collection_and_fsck_know_the_files(store, begin, folder):
    version = begin().save_files(folder, step=1, metrics={}).wait()
    assert collect(store) == (0, 0)
    store.blobs.remove(list_files(store.blobs, version.files)["model.bin"])
    assert [(one.kind, one.versions) for one in check(store)] == [("missing", ("digits@1",))]


@pytest.mark.parametrize(
    "make", [lambda at: at.symlink_to("/etc/passwd"), os.mkfifo, lambda at: at.symlink_to("deep")]
)
def test_links_and_pipes_are_refused(registry, begin, folder, make):
    make(folder / "odd")
    with pytest.raises(StoreError, match=r"odd is not a regular file"):
        begin().save_files(folder, step=1, metrics={})
    assert registry.versions() == []


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "", "a//b", ".", "a\x00b"])
def test_a_path_that_leaves_the_folder_is_refused(store, tmp_path, path):
    digest = store.blobs.put([write_json({path: store.blobs.put([b"x"])}).encode()])
    with pytest.raises(StoreError, match="leaves the folder"):
        restore_files(store.blobs, digest, folder=tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_name_that_is_not_utf_8_is_refused(registry, begin, folder):
    (folder / os.fsdecode(b"odd\xff")).write_bytes(b"")
    with pytest.raises(StoreError, match="its name is not UTF-8; rename it"):
        begin().save_files(folder, step=1, metrics={})
    assert registry.versions() == []


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ({"a": None, "a/b": None}, "'a' is a file and a folder"),
        ({"a": "x"}, "'x' is no digest of an object"),
        ({"a" * 256: None}, "is too long for a file"),
        ({"a/" * 2500 + "a": None}, "is too long for a file"),
    ],
)
def test_a_list_that_no_folder_can_have_is_refused(store, listed, message):
    item = store.blobs.put([b"x"])
    digest = store.blobs.put([write_json({name: one or item for name, one in listed.items()}).encode()])
    with pytest.raises(StoreError, match=message):
        list_files(store.blobs, digest)


@pytest.mark.parametrize("content", [b"[]", b'{"a": 1}', b"{"])
def test_a_broken_list_is_refused(store, content):
    with pytest.raises(StoreError):
        list_files(store.blobs, store.blobs.put([content]))


def test_an_existing_folder_is_not_written_into(store, folder):
    digest = keep_files(store.blobs, folder)
    with pytest.raises(StoreError, match="exists already"):
        restore_files(store.blobs, digest, folder=folder)
