"""Waits with everything imported; for each line on its input it forks a process that does what the line says.

So a point of the fault matrix costs milliseconds instead of the start of an interpreter. The shim is loaded when this
process starts and armed in the forked ones only.
"""

import contextlib
import ctypes
import gc
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

from faults import mutants, power, scenes, story
from trainwright.base.errors import TrainwrightError

shim = ctypes.CDLL(None)
DONE, REFUSED, BROKEN = 0, 3, 4
LIMIT_S = 60


def say(*words):
    shim.fault_mark(json.dumps(words).encode())


def play(home, order):
    for name in order.get("mutants", ()):
        getattr(mutants, name)()
    scene = getattr(scenes, order["scene"]) if "scene" in order else story.play
    shim.fault_log(order["log"].encode())
    if order.get("arm"):
        shim.fault_arm(*order["arm"])
    try:
        scene(home, say)
    except TrainwrightError as error:
        say("refused", type(error).__name__, str(error))
        return REFUSED
    return DONE


def tell(home, order):
    """Reads everything in a process that wrote nothing; with `go_on` the story is brought to its end first."""
    answer = {}
    try:
        if order.get("go_on"):
            story.play(home, lambda *words: None)
        answer = story.told(home)
    except TrainwrightError as error:
        answer = {"refused": str(error)}
        with contextlib.suppress(TrainwrightError), story.opened(home) as store:
            answer["fsck"] = [[one.kind, one.what, list(one.versions)] for one in story.check(store)]
    Path(order["answer"]).write_text(json.dumps(answer))
    return DONE


def said(log, word):
    return Path(log).read_text().count(f'mark\t["{word}"') if os.path.exists(log) else 0


def size_of(log):
    return os.path.getsize(log) if os.path.exists(log) else 0


def ended(pid):
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def serve():
    gc.freeze()  # a collection in a fork would copy what it looks at
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if not pid:
            signal.alarm(LIMIT_S)
            code = BROKEN
            try:
                code = {"play": play, "tell": tell}[order["do"]](Path(order["home"]), order)
            except BaseException:  # noqa: BLE001 - it is handed to the test
                say("broken", traceback.format_exc()[-3000:])
            os._exit(code)
        if "kill_after_s" in order:
            deadline = time.monotonic() + LIMIT_S / 2
            while said(order["log"], "version") < order.get("versions", 0) and time.monotonic() < deadline:
                time.sleep(0.005)
            while size_of(order["log"]) < order.get("log_bytes", 0) and not ended(pid):
                time.sleep(0.0005)
            time.sleep(order["kill_after_s"])
            if "cut" in order:
                shim.fault_log(order["log"].encode())
                say("cut")
                power.cut(order["cut"])
                say("dark")
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    serve()
