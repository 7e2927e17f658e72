import os
import subprocess
import sys
import time

import pytest

from trainwright.base.errors import StoreError
from trainwright.store import live
from trainwright.store.live import LiveLock, is_live

RUN = "r20261120-204501-k3fa"


def test_a_run_lives_from_taking_the_lock_to_letting_go(tmp_path):
    assert not is_live(tmp_path, RUN)
    lock = LiveLock(tmp_path, RUN)
    assert is_live(tmp_path, RUN)
    lock.release()
    lock.release()
    assert not is_live(tmp_path, RUN)


def test_nobody_else_can_take_the_run_of_a_living_process(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "_PATIENCE_S", 0.0)
    lock = LiveLock(tmp_path, RUN)
    with pytest.raises(StoreError, match="is being trained by another process"):
        LiveLock(tmp_path, RUN)
    lock.release()
    LiveLock(tmp_path, RUN).release()


def test_a_killed_process_leaves_no_lock(tmp_path):
    code = (
        "import sys; from pathlib import Path; from trainwright.store.live import LiveLock;"
        "lock = LiveLock(Path(sys.argv[1]), sys.argv[2]); print(1, flush=True); input()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), RUN], **pipes)
    process.stdout.readline()
    assert is_live(tmp_path, RUN)
    process.kill()
    process.communicate()
    assert not is_live(tmp_path, RUN)


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # JAX in the same test process
def test_a_forked_helper_does_not_keep_the_run_alive(tmp_path):
    lock = LiveLock(tmp_path, RUN)
    read, write = os.pipe()
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(tell, b"x")
        os.read(read, 1)
        os._exit(0)
    os.read(ready, 1)
    assert is_live(tmp_path, RUN), "the helper's copy going away must not end the run either"
    lock.release()
    alive = is_live(tmp_path, RUN)
    os.write(write, b"x")
    os.waitpid(pid, 0)
    assert not alive


@pytest.mark.parametrize("run", ["", "../x", "r20261120-204501-K3FA", RUN + "\n", "digits"])
def test_only_the_id_of_a_run_becomes_a_path(tmp_path, run):
    with pytest.raises(StoreError, match="not the id of a run"):
        LiveLock(tmp_path, run)


def test_a_living_process_is_not_taken_over_and_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "_PATIENCE_S", 0.0)
    lock = LiveLock(tmp_path, RUN)
    message = rf"another process, {os.getpid()}, which gave a sign of life 0 s ago"
    with pytest.raises(StoreError, match=message):
        LiveLock(tmp_path, RUN, take_over=True)
    lock.release()


def test_a_process_goes_on_giving_signs(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "BEAT_S", 0.01)
    lock = LiveLock(tmp_path, RUN)
    path = tmp_path / f"{RUN}.lock"
    first = path.read_bytes()
    deadline = time.monotonic() + 20
    while path.read_bytes() == first:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    lock.release()


@pytest.mark.parametrize("content", [b"", b"x", b"1", b"1 nan", b"12 0x1.000", b"9" * 30 + b" 1.000"])
def test_a_process_that_never_gave_a_sign_is_not_taken_over(tmp_path, monkeypatch, content):
    monkeypatch.setattr(live, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(live, "LEASE_S", 0.0)
    lock = LiveLock(tmp_path, RUN)
    (tmp_path / f"{RUN}.lock").write_bytes(content)
    with pytest.raises(StoreError, match="is being trained by another process: wait for it"):
        LiveLock(tmp_path, RUN, take_over=True)
    lock.release()


def test_a_silent_process_is_taken_over_once_and_only_when_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(live, "BEAT_S", 3600.0)
    old = LiveLock(tmp_path, RUN)
    (tmp_path / f"{RUN}.lock").write_bytes(b"123 0.500".ljust(40))
    message = r"no sign of life for \d+ s; .* `kill -CONT 123` .* `trainwright resume r2026.* --take-over`"
    with pytest.raises(StoreError, match=message):
        LiveLock(tmp_path, RUN)
    new = LiveLock(tmp_path, RUN, take_over=True)
    with pytest.raises(StoreError, match=f"{os.getpid()}, which gave a sign of life 0 s ago"):
        LiveLock(tmp_path, RUN, take_over=True)
    old.release()
    assert is_live(tmp_path, RUN), "the old one lets go of a file that is not there any more"
    new.release()
    assert not is_live(tmp_path, RUN)
    assert sorted(item.name for item in tmp_path.iterdir()) == [f"{RUN}.lock", "take-over.lock"]
