"""Disks that are full, without inodes, read-only or gone: errors name the file and the cure, and nothing is lost."""

import os
import shutil
import subprocess
import time
from contextlib import contextmanager

import numpy as np
import pytest

from store.conftest import begin_run, let_go, make_snapshot
from trainwright.base.errors import StoreError
from trainwright.store import metrics, saver
from trainwright.store.fsck import check
from trainwright.store.registry import Registry
from trainwright.store.store import Store

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for module in (saver, metrics):
        monkeypatch.setattr(module, "PAUSES_S", (0.0, 0.02))


@contextmanager
def mounted(folder, options):
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder):
    with open(folder / "filler", "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def crowd(folder):
    (folder / "crowd").mkdir()
    for number in range(10_000):
        (folder / "crowd" / str(number)).touch()


@contextmanager
def full_disk(folder):
    with pytest.raises(OSError, match="No space left"):
        fill(folder)
    yield
    (folder / "filler").unlink()


@contextmanager
def no_inodes(folder):
    with pytest.raises(OSError, match="No space left"):
        crowd(folder)
    yield
    shutil.rmtree(folder / "crowd")


@contextmanager
def vanished(folder):
    (folder / "store").rename(folder / "elsewhere")
    yield
    (folder / "elsewhere").rename(folder / "store")


def big(step):
    return make_snapshot(step, loss=1 / step, weights={"w": np.full(20_000, step, dtype=np.float64)})


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


FAULTS = {
    "full": (full_disk, "size=4m", r"/store/\S+ .*(No space left|disk is full).*free space"),
    "without inodes": (no_inodes, "size=40m,nr_inodes=120", r"/store/\S+ .*No space left.*free space"),
    "gone": (vanished, "size=40m", r"/store\S* .*has vanished.*put the store back"),
}


@needs_root
@pytest.mark.parametrize("name", FAULTS)
def test_a_disk_in_trouble_loses_nothing(tmp_path, name):
    fault, options, message = FAULTS[name]
    with mounted(tmp_path / "disk", options) as disk:
        store = Store.open(disk / "store")
        registry, run = Registry(store), begin_run(store)
        run.report(1, {"a": 1.0}, group="train")
        run.save(big(1)).wait()
        with fault(disk):
            run.report(2, {"a": 2.0}, group="train")
            run.save(big(2))
            until(lambda: run.unsaved is not None)
            run.warn("in the dark")
            run.report(3, {"a": 3.0}, group="train")
            run.save(big(3))
            with pytest.raises(StoreError, match=message) as error:
                run.save(big(4)).wait()
            assert str(error.value).startswith("unsaved since step 2: ")
            with pytest.raises(StoreError, match=message):
                run.flush()
            with pytest.raises(StoreError, match=message):
                run.artifact("array", np.zeros(20_000))
            run.report(4, {"a": 4.0}, group="train")
        run.flush()
        assert run.unsaved is None
        run.finish("done", final=registry.latest(run.id))

        row = registry.final(run.id)
        np.testing.assert_array_equal(registry.weights(row)["w"], big(4).weights["w"])
        assert [one.value for one in registry.metrics(run.id)] == [1.0, 2.0, 3.0, 4.0]
        assert registry.notes(run.id)[0].text == "in the dark"
        assert "nothing could be saved from step 2 on" in registry.notes(run.id)[1].text
        assert registry.run(run.id).state == "done"
        assert [one for one in check(store) if not one.harmless] == []
        store.close()


@needs_root
@pytest.mark.parametrize("name", FAULTS)
def test_a_run_on_a_disk_that_is_never_mended_fails_and_keeps_what_it_had(tmp_path, name):
    fault, options, message = FAULTS[name]
    with mounted(tmp_path / "disk", options) as disk:
        store = Store.open(disk / "store")
        registry, run = Registry(store), begin_run(store)
        run.save(big(1)).wait()
        with fault(disk):
            run.save(big(2))
            with pytest.raises(StoreError, match=message) as error:
                run.finish("done")
            assert str(error.value).startswith("unsaved since step 2: ")
            let_go(run)
        assert registry.run(run.id).state in ("failed", "killed")
        assert registry.latest(run.id).step == 1
        assert [one for one in check(store) if not one.harmless] == []
        store.close()


@needs_root
@pytest.mark.parametrize("name", ["full", "without inodes"])
def test_a_run_does_not_begin_on_a_disk_in_trouble(tmp_path, name):
    fault, options, _ = FAULTS[name]
    with mounted(tmp_path / "disk", options) as disk:
        with fault(disk), pytest.raises(StoreError, match=r"No space left|disk is full"):
            Store.open(disk / "store")
        store = Store.open(disk / "store")
        with fault(disk), pytest.raises(StoreError, match=r"No space left|disk is full"):
            begin_run(store)
        assert Registry(store).runs() == []
        let_go(begin_run(store))
        store.close()
