"""A second eye: strace, which knows nothing of the shim, counts the same calls and lets them fail."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter

import pytest

from faults.harness import DONE, HERE, KILLED, REFUSED, Played, environment

CODE = """
import json, os, sys
from pathlib import Path
from faults import story
from trainwright.base.errors import TrainwrightError
try:
    story.play(Path(sys.argv[1]), lambda *words: os.write(1, json.dumps(words).encode() + b"\\n"))
except TrainwrightError:
    os._exit(3)
os._exit(0)
"""
INJECTED = [
    f"{calls}:{fault}"
    for calls in ("fsync,fdatasync", "rename", "pwrite64", "unlink", "mkdir")
    for fault in ("error=EIO", "error=ENOSPC", "signal=KILL")
]


def traced(stage, tmp_path, *options):
    """Plays the story in a process of its own under strace."""
    if shutil.which("strace") is None:
        pytest.skip("no strace")
    trace = tmp_path / "trace"
    plain = {name: value for name, value in environment(HERE, stage.under).items() if name != "LD_PRELOAD"}
    command = ["strace", "-f", "-y", "-o", str(trace), *options, sys.executable, "-c", CODE, str(stage.home)]
    done = subprocess.run(command, env=plain, capture_output=True, text=True)
    if "ptrace" in done.stderr.lower():
        pytest.skip(f"strace may not look: {done.stderr[:100]}")
    assert done.returncode in (DONE, REFUSED, KILLED), done.stderr[-2000:]
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    return Played(done.returncode, events), trace.read_text()


def test_strace_counts_the_same_syncs(stage, matrix, tmp_path):
    stage.clear()
    played, text = traced(stage, tmp_path, "-e", "trace=fsync,fdatasync")
    assert played.code == DONE
    seen = Counter(re.findall(r"(?:fsync|fdatasync)\(\d+<([^>]*)>", text))
    ours = Counter(call.path for call in matrix.played.calls if call.operation == "fsync")
    kinds = [Counter(), Counter()]
    for kind, counted in zip(kinds, (seen, ours), strict=True):
        for path, count in counted.items():
            if path.startswith(f"{stage.under}"):
                kind[re.sub(r"tmp/[^/]*$", "tmp/draft", path)] += count
    assert kinds[0] == kinds[1] and kinds[0].total() > 50
    print(f"SYNCS {kinds[1].total()} by the shim, {kinds[0].total()} by strace")


def inject(matrix, tmp_path, what, number):
    stage = matrix.stage
    stage.clear()
    calls = what.partition(":")[0]
    played, text = traced(stage, tmp_path, "-e", f"trace={calls}", "-e", f"inject={what}:when={number}")
    found = stage.tell()
    wrong = matrix.after_kill(played, found)
    assert wrong == [], (what, number)
    after = stage.tell(go_on=True)
    assert after == matrix.reference, (what, number)
    # A save is tried again, so a fault may leave no trace but strace's own word.
    return played.code, "INJECTED" in text or played.code == KILLED


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("what", INJECTED)
def test_what_strace_lets_fail_loses_nothing(matrix, tmp_path, what):
    # Calls are counted by thread, and a save has one of its own: the later numbers may never come.
    tried = [inject(matrix, tmp_path, what, number) for number in (2, 7, 15)]
    assert any(injected for _, injected in tried), "nothing was let fail"
    ends = Counter(code for code, _ in tried)
    print(f"STRACE {what}: {dict(ends)}")
