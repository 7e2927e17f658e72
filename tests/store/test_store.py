import errno
import subprocess
import sys
from pathlib import Path

import pytest

from trainwright.base.errors import StoreError
from trainwright.store import store as store_module
from trainwright.store.store import Store


def test_a_store_that_is_not_there_is_only_made_when_wanted(tmp_path):
    with pytest.raises(StoreError, match=r"no store at .*nowhere: pass --store, or train"):
        Store.open(tmp_path / "nowhere", create=False)
    assert not (tmp_path / "nowhere").exists()

    Store.open(tmp_path / "nowhere")

    assert Store.open(tmp_path / "nowhere", create=False).home == tmp_path / "nowhere"


@pytest.mark.parametrize(
    ("way", "kind"),
    [("file", "a file, not a folder"), ("file/deep/store", "a file, not a folder"), ("link", "not a folder")],
)
def test_what_is_no_folder_in_the_way_is_told(tmp_path, way, kind):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    told = f"no store can be made at {tmp_path / way}: {tmp_path / way.partition('/')[0]} is {kind}"
    with pytest.raises(StoreError, match=rf"^{told}; choose another folder \(--store\)$"):
        Store.open(tmp_path / way)


def test_a_place_where_no_folder_can_be_made_is_told():
    told = (
        r"no store can be made at /proc/xx/deep: no folder can be made in /proc \(No such file or directory\)"
    )
    with pytest.raises(StoreError, match=rf"^{told}; choose another folder \(--store\)$"):
        Store.open(Path("/proc/xx/deep"))


def test_a_store_is_not_made_on_a_full_disk(tmp_path, monkeypatch):
    def full(path, **_):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(
        StoreError, match=r"left on device; free space .*, or choose another folder \(--store\)$"
    ):
        Store.open(tmp_path / "store")


def test_many_processes_make_one_store(tmp_path):
    code = (
        "import sys; from pathlib import Path; from trainwright.store.store import Store; input();"
        "print(Store.open(Path(sys.argv[1])).catalogue.path.stat().st_ino)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "store")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    makers = [subprocess.Popen(command, **pipes) for _ in range(4)]
    answers = [maker.communicate("\n") for maker in makers]
    assert len({out for out, _ in answers}) == 1 and answers[0][0].strip().isdigit(), answers


def test_a_store_whose_making_was_cut_short_is_made_again(tmp_path):
    home = tmp_path / "store"
    home.mkdir()
    (home / "catalogue.db.new").write_bytes(b"half a catalogue")

    store = Store.open(home)

    assert store.catalogue.path.is_file() and not (home / "catalogue.db.new").exists()


def test_collection_and_savers_keep_out_of_each_others_way(store):
    with store.saving(), store.saving(), store.collecting(wait=False) as alone:
        assert not alone
    with store.collecting(wait=False) as alone:
        assert alone


def test_a_saver_does_not_wait_for_ever_for_a_collection(store, monkeypatch):
    monkeypatch.setattr(store_module, "PATIENCE_S", 0.05)
    with (
        store.collecting(wait=False) as alone,
        pytest.raises(StoreError, match="objects have been collected"),
        store.saving(),
    ):
        pytest.fail("it went in")
    assert alone
