import fcntl
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from trainwright.store.locks import FileLock, Line


def test_many_share_a_lock_and_one_has_it_alone(tmp_path):
    locks = [FileLock(tmp_path / "lock") for _ in range(3)]
    assert locks[0].take(shared=True) and locks[1].take(shared=True) and not locks[2].take()
    locks[0].close()
    assert not locks[2].take(patience_s=0.01)
    locks[1].close()
    assert locks[2].take()
    locks[2].close()


def test_whoever_gave_up_does_not_keep_others_out_later(tmp_path):
    first, second, third = (FileLock(tmp_path / "lock") for _ in range(3))
    first.take()
    assert not second.take(patience_s=0.05)
    second.close()
    first.close()
    assert third.take(patience_s=5)
    third.close()


def test_a_lock_knows_whether_its_file_was_replaced(tmp_path):
    lock = FileLock(tmp_path / "lock")
    assert lock.is_in_place()
    (tmp_path / "other").write_text("")
    (tmp_path / "other").rename(tmp_path / "lock")
    assert not lock.is_in_place()
    (tmp_path / "lock").unlink()
    assert not lock.is_in_place()
    lock.close()


def stand(line, order, name, *, let_me_stay=None):
    def wait():
        with line.turn(20) as inside:
            order.append((name, inside))
            if let_me_stay:
                let_me_stay.wait(20)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def next_number(line):
    return int(line.path.read_bytes()[:20])


def test_a_line_lets_everybody_in_by_turns(tmp_path):
    line, order, leave = Line(tmp_path / "line"), [], threading.Event()
    threads = [stand(line, order, 0, let_me_stay=leave)]
    until(lambda: order)
    for name in range(1, 12):
        before = next_number(line)
        threads.append(stand(line, order, name))
        until(lambda: next_number(line) > before)  # noqa: B023 - it is called here
    assert order == [(0, None)]
    leave.set()
    for thread in threads:
        thread.join()
    assert order == [(name, None) for name in range(12)]


def test_whoever_waited_too_long_hears_who_is_inside_and_the_line_goes_on(tmp_path):
    line, order, leave = Line(tmp_path / "line"), [], threading.Event()
    first = stand(line, order, 0, let_me_stay=leave)
    until(lambda: order)
    with line.turn(0.05) as inside:
        assert inside == os.getpid()
    leave.set()
    first.join()
    with line.turn(5) as inside:
        assert inside is None


@pytest.mark.parametrize("content", [b"", b"garbage", b"9" * 40, b"-3", b"\xff" * 40])
def test_a_line_whose_file_is_damaged_lets_people_in(tmp_path, content):
    line = Line(tmp_path / "line")
    line.path.write_bytes(content)
    for _ in range(3):
        with line.turn(5) as inside:
            assert inside is None


def test_a_process_that_dies_in_the_line_leaves_no_gap(tmp_path):
    code = (
        "import sys; from pathlib import Path; from trainwright.store.locks import Line\n"
        "with Line(Path(sys.argv[1])).turn(60) as inside: print('inside', flush=True); input()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "line")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    line, order = Line(tmp_path / "line"), []
    inside = subprocess.Popen(command, **pipes)
    assert inside.stdout.readline() == "inside\n"
    before = next_number(line)
    waiting = subprocess.Popen(command, **pipes)
    until(lambda: next_number(line) > before)
    behind = stand(line, order, "behind")
    until(lambda: next_number(line) > before + 1)
    for process in (waiting, inside):
        process.send_signal(signal.SIGKILL)
        process.communicate()
    behind.join()
    assert order == [("behind", None)]


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # JAX in the same test process
def test_a_forked_child_keeps_nothing_locked(tmp_path):
    lock, line = FileLock(tmp_path / "lock"), Line(tmp_path / "line")
    read, write = os.pipe()
    ready, tell = os.pipe()
    lock.take()
    with line.turn(5):
        pid = os.fork()
        if pid == 0:
            os.write(tell, b"x")
            os.read(read, 1)
            os._exit(0)
        os.read(ready, 1)
    lock.close()
    try:
        other = FileLock(tmp_path / "lock")
        assert other.take()
        other.close()
        with line.turn(1) as inside:
            assert inside is None
    finally:
        os.write(write, b"x")
        os.waitpid(pid, 0)


def test_what_was_done_under_a_lock_does_not_fail_because_letting_go_does(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(5, "Input/output error")

    line, lock, done = Line(tmp_path / "line"), FileLock(tmp_path / "lock"), []
    assert lock.take()
    with line.turn(5):
        done.append(1)
        monkeypatch.setattr(fcntl, "fcntl", broken)
        monkeypatch.setattr(fcntl, "flock", broken)
    lock.close()
    monkeypatch.undo()
    assert done
    with line.turn(5) as inside:
        assert inside is None
