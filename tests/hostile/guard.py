"""Watches a reader at work: what it runs, opens and writes, and what it costs.

The audit hook of Python cannot be taken away again, so everything here happens in a process that ends.
"""

import contextlib
import json
import os
import resource
import sys
import sysconfig
import time
import traceback

CPU_S, MEMORY_MB = 1.0, 200.0
_LIBRARIES = tuple(
    {os.path.realpath(place) + os.sep for place in (*sysconfig.get_paths().values(), sys.base_prefix)}
)
# Whatever they are asked to do, no reader has a reason to.
_NEVER = (
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.startfile", "subprocess.",
    "pty.", "socket.", "pickle.find_class", "ctypes.dlopen", "ctypes.dlsym", "webbrowser.", "urllib.", "ftplib.",
    "http.", "smtplib.", "code.__new__", "os.chdir", "os.kill", "os.link", "os.symlink", "mmap.",
)  # fmt: skip
_CHANGES = (
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.truncate",
    "os.chmod",
    "shutil.",
    "sqlite3.connect",
)


class Watch:
    """Notes what happens while it is on.

    Args:
        allowed: Folders in which files may be written.
        code: Folders whose code may be run: libraries and the package.
    """

    def __init__(self, allowed, code):
        self.allowed = tuple(os.path.realpath(one) + os.sep for one in allowed)
        self.code = (*_LIBRARIES, *(os.path.realpath(one) + os.sep for one in code))
        self.known = (
            {name.partition(".")[0] for name in sys.modules} | {"trainwright"} | set(sys.stdlib_module_names)
        )
        self.on, self.found = False, []
        sys.addaudithook(self.hear)

    def hear(self, event, arguments):
        if not self.on or len(self.found) > 20:
            return
        self.on = False  # what is asked below is heard as well
        try:
            told = self.judge(event, arguments)
            if told:
                self.found.append(f"{event}: {told[:200]}")
        finally:
            self.on = True

    def judge(self, event, arguments):
        if event.startswith(_NEVER):
            return repr(arguments)
        if event == "open":
            return self.opened(*arguments)
        if event.startswith(_CHANGES) and event != "sqlite3.connect/handle":
            place = arguments[0]
            if isinstance(place, str) and event == "sqlite3.connect":
                place = place.removeprefix("file:").partition("?")[0]
            return "" if isinstance(place, int) or self.inside(place) else repr(arguments)
        if event == "import":
            top = str(arguments[0]).partition(".")[0]
            return "" if top in self.known or self.ours(arguments[1] or "") else repr(arguments[:2])
        if event in ("exec", "compile"):
            return self.ran(event, arguments)
        return ""

    def opened(self, path, mode, flags):
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND) if flags else False
        writes = writes or (isinstance(mode, str) and set(mode) & set("wax+"))
        if isinstance(path, int) or not writes or self.inside(path):
            return ""
        return f"{path!r} {mode} {flags}"

    def ran(self, event, arguments):
        if event == "compile":
            place = os.fsdecode(arguments[1]) if arguments[1] else ""
            if place == "<unknown>":  # a literal is parsed, not compiled: what NumPy does with a header
                return ""
        else:
            place = arguments[0].co_filename
        if self.ours(place):
            return ""
        # Libraries make code for their own classes, such as named tuples, of text that is their own.
        frame = sys._getframe(3)
        return (
            ""
            if self.ours(frame.f_code.co_filename) and place.startswith("<") and _importing()
            else repr(place)
        )

    def ours(self, place):
        return place.startswith("<frozen") or os.path.realpath(place).startswith(self.code)

    def inside(self, path):
        place = os.path.realpath(os.fsdecode(path))
        return f"{place}{os.sep}".startswith(self.allowed) or place == os.devnull


def _importing():
    frame = sys._getframe()
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def tree_of(folder):
    """Gives each file below a folder with its size and time, as a second eye beside the hook."""
    found = {}
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = os.path.join(place, name)
            status = os.lstat(path)
            what = (status.st_size, status.st_mtime_ns) if name in names else ()
            found[os.path.relpath(path, folder)] = (*what, status.st_mode)
    return found


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(act, watch, folder):
    """Does something and tells what came of it, as plain values."""
    # The mark of the highest memory begins here.
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before, begin, used = resident(), tree_of(folder), time.process_time()
    error, said = None, ""
    watch.on = True
    try:
        act()
    except BaseException as caught:  # noqa: BLE001 - this is what is judged
        error, said = type(caught).__name__, str(caught)
        trace = traceback.format_exception(caught)[-3:]
    finally:
        watch.on = False
    cpu = time.process_time() - used
    peak = _highest() - before
    changed = sorted(name for name, what in tree_of(folder).items() if begin.get(name) != what)
    changed += sorted(f"-{name}" for name in begin if not os.path.lexists(os.path.join(folder, name)))
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        children = file.read().split()
    sockets = [one for one in _descriptors() if one.startswith("socket:")]
    return {
        "error": error, "said": said[:4000], "letters": len(said), "events": watch.found, "cpu": cpu,
        "memory": peak, "wrote": changed, "children": children, "sockets": sockets,
        "trace": "".join(trace)[-1500:] if error else "",
    }  # fmt: skip


def _highest():
    with open("/proc/self/status") as file:
        line = next((one for one in file if one.startswith("VmHWM:")), None)
    if line:
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _descriptors():
    for one in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            yield os.readlink(f"/proc/self/fd/{one}")


def in_child(make, *, allowed, code, folder, seconds=20, spare=3 * 2**30):
    """Forks a child that prepares an act, does it under watch, and ends; gives what it tells.

    Args:
        make: Gives the act.
        allowed: As in `Watch`.
        code: As in `Watch`.
        folder: What is written in it is listed.
        seconds: After so much CPU time the child is ended.
        spare: So much address space it may take.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code_out = 1
        try:
            os.close(reader)
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            with open("/proc/self/statm") as file:
                space = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE") + spare
            resource.setrlimit(resource.RLIMIT_AS, (space, space))
            act = make()
            told = measure(act, Watch(allowed, code), folder)
            with os.fdopen(writer, "w") as out:
                out.write(json.dumps(told))
            code_out = 0
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
        finally:
            os._exit(code_out)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if not told:
        nothing = dict.fromkeys(("events", "wrote", "children", "sockets"), ())
        ended = f"the process ended with status {status}"
        return {"error": ended, "said": "", "letters": 0, "trace": "", "cpu": 0.0, "memory": 0.0, **nothing}
    return json.loads(told)
