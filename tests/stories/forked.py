"""Command lines in processes of their own that begin at once: forks of one that has imported all and done nothing.

What a process inherits is modules alone: no data, no compiled program, no thread. Two servers with different hash
seeds show what hangs on the order of a set.
"""

import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

PRELOADED = (
    "trainwright.cli.app",
    "trainwright.experiment",
    "trainwright.reproduce",
    "trainwright.studies.folds",
    "trainwright.studies.repeats",
    "trainwright.pipeline",
    "trainwright.callbacks.progress",
    "trainwright.callbacks.stopping",
    "trainwright.callbacks.lines",
    "trainwright.routines.classification",
    "trainwright.backends.torch.backend",
    "trainwright.backends.equinox.backend",
    "stories.served",
    "pyarrow.parquet",
)


class Processes:
    """Runs command lines one after another, each in a fork of a server.

    Args:
        hash_seed: Of the server and all its forks.
        compiled: A folder in which programs that JAX compiled are kept for the next fork; None compiles anew.
        environment: Further variables.
    """

    def __init__(self, hash_seed, *, compiled=None, environment=()):
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONHASHSEED": str(hash_seed),
            "NPROC": "1",
            "OMP_NUM_THREADS": "1",
            **dict(environment),
        }
        if compiled is not None:
            environment |= {
                "JAX_COMPILATION_CACHE_DIR": str(compiled),
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
            }
        self.server = subprocess.Popen(
            [sys.executable, "-c", "from stories.forked import serve; serve()"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.server.stdout.readline() == "ready\n"

    def call(self, *arguments, folder, home, die_at=None, expect=0):
        """Runs a command line, gives its stdout; after an error wanted, stdout and stderr.

        Args:
            arguments: Of `trainwright`, or `module:function` and its arguments.
            folder: Where it works.
            home: The store.
            die_at: The step at which it kills itself instead of saving; everything before is durable.
            expect: Its exit status.
        """
        out, err = self._ask(arguments, folder=folder, home=home, die_at=die_at, expect=expect)
        return out + err if expect else out

    def json(self, *arguments, folder, home, expect=0):
        """Runs a command line with `--json`, gives what it says on stdout, read."""
        return json.loads(self._ask((*arguments, "--json"), folder=folder, home=home, expect=expect)[0])

    def told(self, *arguments, folder):
        """Runs a command line, or code after `-c`, with the usual store; gives its exit status and all it told."""
        with tempfile.TemporaryDirectory() as place:
            both = Path(place) / "told.txt"
            status = self._send(arguments, folder=folder, files=[both, both])
            return status, both.read_text()

    def _ask(self, arguments, *, folder, home, expect, die_at=None):
        with tempfile.TemporaryDirectory() as place:
            files = [Path(place) / "stdout.txt", Path(place) / "stderr.txt"]
            status = self._send(arguments, folder=folder, home=str(home), die_at=die_at, files=files)
            out, err = (file.read_text() for file in files)
        assert status == expect, f"{' '.join(map(str, arguments))}: exit {status}\n{out}\n{err}"
        return out, err

    def _send(self, arguments, *, folder, files, home=None, die_at=None):
        request = {
            "arguments": [str(one) for one in arguments],
            "folder": str(folder),
            "home": home,
            "die_at": die_at,
            "files": [str(file) for file in files],
        }
        print(json.dumps(request), file=self.server.stdin, flush=True)
        return int(self.server.stdout.readline())

    def close(self):
        self.server.stdin.close()
        self.server.wait(timeout=30)
        self.server.stdout.close()


def serve():
    for name in PRELOADED:
        importlib.import_module(name)
    _look_at_packages_once()
    gc.freeze()  # a collection in a fork would copy what it looks at
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _look_at_packages_once():
    """Reading what is installed takes a third of a short run, and finds the same in every fork."""
    provenance = importlib.import_module("trainwright.provenance")
    for name in ("environment_lock", "package_versions"):
        found = getattr(provenance, name)()
        setattr(provenance, name, found.copy)


def _become(request):
    """Turns this fork into the process asked for, and ends it as Python ends."""
    for number, name in enumerate([os.devnull, *request["files"]]):
        descriptor = os.open(
            name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )
        os.dup2(descriptor, number)
    os.chdir(request["folder"])
    os.environ.pop("TRAINWRIGHT_HOME", None)
    if request["home"] is not None:
        os.environ["TRAINWRIGHT_HOME"] = request["home"]
    if request["die_at"] is not None:
        _die_at(request["die_at"])
    first, *rest = request["arguments"]
    try:
        if first == "-c":
            exec(compile(rest[0], "<string>", "exec"), vars(sys.modules["__main__"]))
            raise SystemExit(0)
        if ":" in first:
            module, _, function = first.partition(":")
            getattr(importlib.import_module(module), function)(*rest)
            raise SystemExit(0)
        sys.argv = ["trainwright", first, *rest]
        importlib.import_module("trainwright.cli.app").main()
        raise SystemExit(0)
    except Exception:  # noqa: BLE001 - what Python would do at the top of a program
        traceback.print_exc()
        raise SystemExit(1) from None


def _die_at(step):
    from trainwright.store.run import LocalRun

    save = LocalRun.save

    def save_or_die(self, snapshot):
        if snapshot.step >= step:
            self.flush()  # metrics of this step are written, its version is not
            os.kill(os.getpid(), 9)
        return save(self, snapshot)

    LocalRun.save = save_or_die
