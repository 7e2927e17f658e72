"""The watch over the readers sees what it is there for: each reader here does what no reader may."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hostile.asking import TESTS, judge
from hostile.guard import in_child


def runs_code(folder):
    eval(compile("1 + 1", "data", "eval"))


def executes_code(folder):
    exec("import os")


def starts_a_process(folder):
    subprocess.run(["true"], check=True)


def starts_a_shell(folder):
    os.system("true")


def forks(folder):
    if os.fork() == 0:
        os._exit(0)
    os.wait()


def opens_a_socket(folder):
    socket.socket().close()


def unpickles(folder):
    import pickle

    pickle.loads(b"cos\ngetcwd\n(tR.")


def loads_a_library(folder):
    import ctypes

    ctypes.CDLL(None)


def imports_what_lies_beside(folder):
    (folder / "inner" / "planted_module.py").write_text("")
    sys.path.insert(0, str(folder / "inner"))
    import planted_module  # noqa: F401


def writes_beside(folder):
    (folder / "pwned").write_text("")


def writes_by_descriptor(folder):
    os.close(os.open(folder / "pwned", os.O_CREAT | os.O_WRONLY))


def writes_through_a_link(folder):
    (folder / "inner" / "link").symlink_to(folder / "pwned")
    (folder / "inner" / "link").write_text("")


def removes(folder):
    (folder / "there").unlink()


def renames(folder):
    (folder / "there").rename(folder / "gone")


def makes_a_folder(folder):
    (folder / "pwned").mkdir()


def writes_unheard(folder):
    """pyarrow writes without Python's knowing: only the look at the folder sees it."""
    import pyarrow as pa

    with pa.OSFile(str(folder / "pwned"), "wb") as file:
        file.write(b"x")


def takes_memory(folder):
    return len(bytearray(300 * 2**20).replace(b"\0", b"\1"))


def takes_time(folder):
    import time

    begin = time.process_time()
    while time.process_time() - begin < 1.2:
        pass
    raise OSError


def fails_untyped(folder):
    return [][1]


def says_everything(folder):
    raise RuntimeError("a" * 30_000)


PLANTED = {
    runs_code: "compile", executes_code: "exec", starts_a_process: "subprocess.Popen", starts_a_shell: "os.system",
    forks: "os.fork", opens_a_socket: "socket.", unpickles: "pickle.find_class", loads_a_library: "ctypes.dlopen",
    imports_what_lies_beside: "import: ", writes_beside: "open: ", writes_by_descriptor: "open: ",
    writes_through_a_link: "open: ", removes: "os.remove", renames: "os.rename", makes_a_folder: "os.mkdir",
    writes_unheard: "written: ['pwned']", takes_memory: "MB, 200", takes_time: "s of CPU, 1.0",
    fails_untyped: "IndexError", says_everything: "a message of 30000 letters",
}  # fmt: skip


def told_of(reader, folder):
    (folder / "inner").mkdir()
    (folder / "there").write_text("")
    # In a process of its own: this one may have threads by now, of frameworks that other tests imported.
    command = [sys.executable, "-m", "hostile.test_guard", reader.__name__, str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)])}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.parametrize(("reader", "caught"), PLANTED.items(), ids=[one.__name__ for one in PLANTED])
def test_a_reader_that_does_what_it_must_not_is_caught(tmp_path, reader, caught):
    found = judge(told_of(reader, tmp_path), None, "", written=("inner",))
    assert any(caught in one for one in found), found


def harmless(folder):
    import ast

    (folder / "inner" / "new").write_text(str(ast.literal_eval("{'a': [1]}")))


def test_a_reader_that_does_what_it_may_is_not(tmp_path):
    assert judge(told_of(harmless, tmp_path), None, "", written=("inner",)) == []
    (tmp_path / "again").mkdir()
    assert judge(told_of(harmless, tmp_path / "again"), None, "") == ["written: ['inner/new']"]


def dies(folder):
    os.kill(os.getpid(), 9)


def test_a_reader_that_ends_the_process_is_caught(tmp_path):
    assert any("ended with status 9" in one for one in judge(told_of(dies, tmp_path), None, ""))


if __name__ == "__main__":
    planted, place = globals()[sys.argv[1]], Path(sys.argv[2])
    told = in_child(lambda: lambda: planted(place), allowed=[place / "inner"], code=[], folder=place)
    print(json.dumps(told))
