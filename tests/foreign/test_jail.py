"""The jail itself: what a reader that was taken over could still do, and what the parent makes of its end."""

import hashlib
import io
import os
import shutil
import socket
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import trainwright
from foreign.making import read, tensor, text, torch_bytes
from trainwright.base.errors import BackendError, DataError, StoreError
from trainwright.foreign import jail
from trainwright.foreign.formats import FORMATS
from trainwright.foreign.jail import open_checkpoint
from trainwright.foreign.limits import Limits

MIB = 2**20

# Replaces the reader of .npz files by one that an attacker has taken over; what it finds out comes back as values.
PLANTED = """

import ctypes, os, socket, subprocess, sys, threading
import numpy as np

libc = ctypes.CDLL(None, use_errno=True)

def _planted(stream, size, found):
COMMAND

FORMATS = {**FORMATS, ".npz": Format(_planted)}
"""
_SYSCALLS = {
    "open a file for reading": "libc.open(b'/etc/passwd', 0)",
    "open a file for writing": "libc.open(b'%s/ran', 0o101, 0o644)",
    "open a file by another call": "libc.openat(-100, b'/etc/passwd', 0)",
    "remove a file": "libc.unlink(b'%s/victim')",
    "rename a file": "libc.rename(b'%s/victim', b'%s/gone')",
    "make a folder": "libc.mkdir(b'%s/ran', 0o755)",
    "make a link": "libc.symlink(b'/etc', b'%s/ran')",
    "change rights": "libc.chmod(b'%s/victim', 0o777)",
    "a socket to the network": "libc.socket(2, 1, 0)",
    "a socket of this machine": "libc.socket(1, 1, 0)",
    "a pair of sockets": "libc.socketpair(1, 1, 0, (ctypes.c_int * 2)())",
    "fork": "libc.fork()",
    "a process by another call": "libc.syscall(56, 17, 0, 0, 0, 0)",
    "another program": "libc.execve(b'/bin/true', (ctypes.c_char_p * 2)(b'true', None), None)",
    "a signal to the parent": "libc.kill(libc.getppid(), 0)",
    "trace a process": "libc.ptrace(0, 0, 0, 0)",
    "io_uring": "libc.syscall(425, 4, ctypes.create_string_buffer(120))",
    "more memory than allowed": "libc.setrlimit(9, ctypes.create_string_buffer(b'\\\\xff' * 16))",
    "another filter": "libc.prctl(22, 2, 0, 0, 0)",
    "change the owner": "libc.setuid(0)",
    "a file in memory": "libc.memfd_create(b'x', 0)",
    "a device": "libc.ioctl(0, 0x5401, ctypes.create_string_buffer(64))",
    "x32 numbers": "libc.syscall(0x40000000 + 41, 2, 1, 0)",
}


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A copy of the package whose reader of .npz files does what it is told."""
    copy = tmp_path / "planted"
    shutil.copytree(
        Path(trainwright.__file__).parent, copy / "trainwright", ignore=shutil.ignore_patterns("__pycache__")
    )
    place = copy / "trainwright/foreign/formats.py"
    kept = place.read_text()
    real = jail._folders

    def folders(suffix):
        return [str(copy), *real(suffix)[1:]]

    monkeypatch.setattr(jail, "_folders", folders)

    def run(command):
        place.write_text(kept + PLANTED.replace("COMMAND", textwrap.indent(command, "    ")))
        (tmp_path / "command.npz").write_text("not looked at")
        return open_checkpoint(tmp_path / "command.npz").values

    return run


def without_hook(command):
    """The audit hook would refuse such commands first; a reader that was taken over can blind it, not the kernel."""
    return f"import trainwright.foreign.cell as cell\ncell._FORBIDDEN = frozenset()\n{command}"


def test_the_kernel_denies_a_reader_that_was_taken_over(planted, tmp_path):
    (tmp_path / "victim").write_text("here")
    lines = []
    for what, call in _SYSCALLS.items():
        call = call.replace("%s", str(tmp_path))
        lines += [f"answer = {call}", f"found.value(({what!r},), [int(answer), ctypes.get_errno()])"]
    answers = planted(without_hook("\n".join(lines)))
    assert set(answers) == set(_SYSCALLS)
    assert {what: answer for what, answer in answers.items() if answer != [-1, 1]} == {}  # EPERM
    assert (tmp_path / "victim").read_text() == "here" and not (tmp_path / "ran").exists()
    assert os.getppid() > 0


HOOKED = {
    "open": "open('/etc/passwd')",
    "a socket": "socket.socket()",
    "a process": "subprocess.Popen(['true'])",
    "os.system": "os.system('true')",
    "a fork": "os.fork()",
    "an import": "import wave",
    "a listing": "os.listdir('/')",
    "a library": "ctypes.CDLL('libm.so.6')",
    "a removal": "os.remove('/nothing')",
    "eval": "eval('1')",
}


@pytest.mark.parametrize("command", HOOKED.values(), ids=HOOKED)
def test_python_refuses_a_reader_that_asks(planted, command):
    with pytest.raises(DataError, match="is not allowed in the jail"):
        planted(command)


def test_a_thread_cannot_be_started(planted):
    with pytest.raises(DataError, match="can't start new thread"):
        planted(without_hook("threading.Thread(target=print).start()"))


def test_the_process_has_nothing_to_begin_with(planted):
    command = without_hook(
        "found.value(('variables',), [f'{k}={v}' for k, v in os.environ.items()])\n"
        "found.value(('open',), [n for n in range(64) if libc.lseek(n, 0, 1) != -1 or ctypes.get_errno() != 9])\n"
        "found.value(('arguments',), sys.argv[1:2])\n"
        "found.value(('paths',), sys.path)\n"
    )
    values = planted(command)
    assert {one.partition("=")[0] for one in values["variables"]} <= {
        "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "LC_CTYPE",
    }  # fmt: skip
    assert values["open"] == [0, 1, 2]
    assert values["arguments"] == [".npz"] and os.getcwd() not in values["paths"]


def with_limits(monkeypatch, **changes):
    limits = {"cpu_s": 20, "memory_bytes": 512 * MIB, "result_bytes": 64 * MIB} | changes
    monkeypatch.setattr(jail, "limits_for", lambda size: Limits(**limits))


def test_a_reader_without_end_is_stopped_by_its_processor_time(planted, monkeypatch):
    with_limits(monkeypatch, cpu_s=1)
    with pytest.raises(
        DataError, match=r"command\.npz: reading it took more than 1 s of processor time, the limit"
    ):
        planted("while True: pass")


def test_a_reader_that_waits_is_stopped(planted, monkeypatch):
    with_limits(monkeypatch)
    monkeypatch.setattr(Limits, "wall_s", property(lambda self: 1))
    with pytest.raises(DataError, match="reading it took more than 1 s, the limit"):
        planted("lock = threading.Lock(); lock.acquire(); lock.acquire()")


def test_a_reader_that_takes_memory_is_stopped(planted, monkeypatch):
    with_limits(monkeypatch, memory_bytes=300 * 10**6)
    with pytest.raises(DataError, match="more than 300 MB of memory, the limit"):
        planted("held = bytearray(400_000_000)")


def test_an_answer_that_is_too_long_is_not_taken(planted, monkeypatch):
    with_limits(monkeypatch, result_bytes=1000)
    command = without_hook("os.write(1, b'tensors\\n')\nwhile True: os.write(1, bytes(100_000))")
    with pytest.raises(DataError, match="unpacks to more than 1,000 bytes"):
        planted(command)


ANSWERS = {
    "none": ("os._exit(0)", r"without an answer \(exit 0\)"),
    "a crash": ("ctypes.string_at(0)", r"without an answer \(SIGSEGV\)"),
    "no tensors": ("os.write(1, b'tensors\\nhello'); os._exit(0)", "no whole answer"),
    "a false header": ("os.write(1, b'tensors\\n' + b'\\xff' * 16); os._exit(0)", "no whole answer"),
    "nothing but tensors": (
        "os.write(1, b'tensors\\n' + b'\\2' + bytes(7) + b'{}'); os._exit(0)",
        "no whole answer",
    ),
    "a name that is an escape": ("found.tensors['\\x1b[2J'] = np.zeros(1)", "the name .* holds a control"),
    "values in values": ("found.values['a'] = {'b': 1}", "no whole answer: 'a': dict is no plain value"),
    "a name for two": (
        "found.tensors['a'] = np.zeros(1); found.values['a'] = 1",
        "no whole answer: .* twice",
    ),
    "a list of values": ("found.values = []", "no whole answer"),
    "a word of its own": ("os.write(1, b'trust me\\n'); os._exit(0)", "without an answer"),
    "a terminal's escapes": (
        "os.write(1, b'refused\\n\\x1b[2Jevil\\xe2\\x80\\xae'); os._exit(0)",
        r"\\x1b\[2Jevil\\u202e",
    ),
    "a long reason": ("os.write(1, b'refused\\n' + b'x' * 60_000); os._exit(0)", "^command.npz: x{2000}$"),
}


@pytest.mark.parametrize(("command", "says"), ANSWERS.values(), ids=ANSWERS)
def test_a_false_answer_is_refused(planted, command, says):
    with pytest.raises(DataError, match=says):
        planted(without_hook(command))


def test_without_a_lock_nothing_is_read(monkeypatch, planted, tmp_path):
    place = tmp_path / "planted/trainwright/foreign/seccomp.py"
    place.write_text(
        place.read_text().replace(
            "_PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2", "_PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 9"
        )
    )
    with pytest.raises(
        BackendError, match=r"in a jailed process only, and here there is none: the kernel refuses"
    ):
        planted("found.value(('read',), 1)")


def test_a_machine_that_is_not_known_has_no_jail(monkeypatch, planted, tmp_path):
    place = tmp_path / "planted/trainwright/foreign/seccomp.py"
    place.write_text(place.read_text().replace("platform.machine()", "'vax'"))
    with pytest.raises(BackendError, match=r"linux on vax has no seccomp filter.*import it on Linux"):
        planted("found.value(('read',), 1)")


def write(path, content):
    path.write_bytes(content)
    return path


def good():
    return torch_bytes(b"}(" + text("w") + tensor() + text("epoch") + b"K\x03u.")


def test_a_checkpoint_is_its_tensors_its_values_and_its_digest(tmp_path):
    file = write(tmp_path / "model.pt", good())
    content = file.read_bytes()
    found = open_checkpoint(file)
    assert found.tensors["w"].tolist() == [0, 1, 2, 3] and found.values == {"epoch": 3}
    assert found.digest == hashlib.sha256(content).hexdigest() and found.name == "model.pt"


def test_tensors_come_in_the_order_of_the_file(tmp_path):
    np.savez(tmp_path / "a.npz", z=np.zeros(1), a=np.zeros(2, np.int8), k=np.zeros(3))
    assert list(open_checkpoint(tmp_path / "a.npz").tensors) == ["z", "a", "k"]


@pytest.mark.parametrize("suffix", ["pt", "pth", "ckpt", "safetensors", "npz", "keras", "h5", "hdf5"])
def test_every_format_is_refused_from_the_jail_with_the_name_of_the_file(tmp_path, suffix):
    if suffix in ("keras", "h5", "hdf5"):
        pytest.importorskip("h5py")
    with pytest.raises(DataError, match=rf"^bad\.{suffix}: "):
        open_checkpoint(write(tmp_path / f"bad.{suffix}", b"nonsense"))


def arrays(**given):
    content = io.BytesIO()
    np.savez_compressed(content, **given)
    return content.getvalue()


ALIKE = {  # what takes a way of its own through the libraries, which may import when it is too late
    "text as bytes": ("npz", arrays(a=np.array([b"\xc3\xa4", b"b"]))),
    "text": ("npz", arrays(a=np.array("hello"))),
    "text that is not UTF-8": ("npz", arrays(a=np.array([b"\xff"]))),
    "another byte order": ("npz", arrays(a=np.arange(3, dtype=">f8"))),
    "objects": ("npz", arrays(a=np.array([{}]))),
    "an old name in a zip": ("npz", arrays(k=np.zeros(2)).replace(b"k.npy", b"\x84.npy")),
    "old text": ("pt", torch_bytes(b"}Va\\u00e4\nS'b\\\\x41'\ns.")),
    "half a character": ("pt", torch_bytes(b"}Va\\ud800\nNs.")),
    "a broken pickle": ("pt", torch_bytes(b"}X\x01\0\0\0\xff.")),
    "a broken zip": ("pt", good()[:-9]),
    "a broken header": ("safetensors", b"\x02" + bytes(7) + b"{]"),
}


@pytest.mark.parametrize(("suffix", "content"), ALIKE.values(), ids=ALIKE)
def test_the_jail_changes_nothing_of_what_is_read(tmp_path, suffix, content):
    file = write(tmp_path / f"a.{suffix}", content)
    try:
        inside = open_checkpoint(file)
        told = {name: one.tolist() for name, one in inside.tensors.items()}, inside.values
    except DataError as error:
        told = str(error)
    try:
        outside = read(FORMATS[f".{suffix}"].read, content)
        expected = {name: one.tolist() for name, one in outside.tensors.items()}, outside.values
    except (DataError, StoreError) as error:
        expected = f"a.{suffix}: {error}"
    assert told == expected


def test_real_files_are_read_in_the_jail():
    pytest.importorskip("h5py")
    files = Path(__file__).parent / "files"
    for name, kernel in (
        ("small.keras", "layers/dense/vars/0"),
        ("small.h5", "model_weights/first/sequential/first/kernel"),
        ("small.npz", "x"),
    ):
        assert open_checkpoint(files / name).tensors[kernel].shape[1] in (4, 6)


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"model\.onnx: read are \.pt, "):
        open_checkpoint(write(tmp_path / "model.onnx", good()))


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "folder.pt").mkdir()
    os.mkfifo(tmp_path / "pipe.pt")
    for name, says in (
        ("folder.pt", "no regular file"),
        ("pipe.pt", "no regular file"),
        ("none.pt", "No such file"),
    ):
        with pytest.raises(DataError, match=says):
            open_checkpoint(tmp_path / name)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    file = write(tmp_path / "model.pt", good())
    real = jail._ask

    def ask(*arguments):
        answer = real(*arguments)
        time.sleep(0.01)
        os.utime(file)
        return answer

    monkeypatch.setattr(jail, "_ask", ask)
    with pytest.raises(DataError, match="changed while it was read"):
        open_checkpoint(file)


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    threads = threading.active_count()
    open_checkpoint(write(tmp_path / "model.pt", good()))
    with pytest.raises(DataError):
        open_checkpoint(write(tmp_path / "bad.pt", b"nonsense"))
    assert not list((tmp_path / "tmp").iterdir()) and threading.active_count() == threads
    with socket.socket():
        pass  # the lock is the child's: this process can do what it could


def test_a_name_that_misleads_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"^'a\\u202etp\.pt': its name holds"):
        open_checkpoint(write(tmp_path / "a\u202etp.pt", good()))


def test_a_process_that_cannot_be_started_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(jail, "_START", ["/nowhere/python"])
    with pytest.raises(DataError, match=r"model\.pt: it cannot be read: No such file"):
        open_checkpoint(write(tmp_path / "model.pt", good()))


@pytest.mark.parametrize("variable", ["PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME"])
def test_variables_of_the_user_do_not_reach_the_jail(tmp_path, monkeypatch, variable):
    (tmp_path / "numpy.py").write_text("open('ran', 'w')")
    monkeypatch.setenv(variable, str(tmp_path))
    assert open_checkpoint(write(tmp_path / "model.pt", good())).values == {"epoch": 3}
    assert not (tmp_path / "ran").exists()
