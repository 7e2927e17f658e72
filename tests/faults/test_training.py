"""Real training on a disk where something goes wrong: it says so, and resumed it ends where it would have ended."""

import json
import shutil

import pytest

from faults.harness import CHANGING, KINDS, environment, mask, read_log
from stories.conftest import Lab
from trainwright.store.fsck import check
from trainwright.store.registry import Registry
from trainwright.store.store import Store

WAYS = [("kill before", 0), ("torn", 0), ("eio", 0), ("enospc", 0), ("eio", 1), ("short", 1)]
POINTS = 18


@pytest.fixture
def preloaded(shim, tmp_path, monkeypatch):
    lab = Lab(tmp_path, fresh=True)  # a process that is there has imported no shim
    for name in ("LD_PRELOAD", "FAULTS_UNDER", "PYTHONPATH"):
        monkeypatch.setenv(name, environment(shim, lab.home)[name])
    return lab


def final_weights(home):
    store = Store.open(home)
    registry = Registry(store)
    row = registry.final(registry.runs()[-1].id)
    store.close()
    return None if row is None else row.weights


def complaints(home):
    return [one for one in check(Store.open(home)) if not one.harmless]


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_a_run_goes_on_from_any_fault_to_the_same_weights(preloaded, monkeypatch, tmp_path):
    lab, log = preloaded, tmp_path / "log"
    monkeypatch.setenv("FAULTS_LOG", str(log))
    monkeypatch.setenv("FAULTS_ARM", f"{mask(CHANGING)} 0 0 0")
    lab.run()
    reference = final_weights(lab.home)
    calls = [event.number for event in read_log(log) if not isinstance(event, list) and event.number]
    assert reference is not None and len(calls) > 200
    ends = {}
    for number in range(POINTS):
        kind, sticky = WAYS[number % len(WAYS)]
        call = calls[(2 * number + 1) * len(calls) // (2 * POINTS)]
        shutil.rmtree(lab.home)
        monkeypatch.setenv("FAULTS_ARM", f"{mask(CHANGING)} {call} {KINDS.index(kind)} {sticky}")
        process = lab.start("run", lab.file, "-q", "--json")
        out, err = process.communicate(timeout=200)
        what = f"{kind} {sticky} at {call}: exit {process.returncode}\n{out}\n{err}"
        assert process.returncode in ((-9, 0) if kind in ("kill before", "torn") else (0, 1)), what
        assert "Traceback" not in err, what
        print(f"{kind} {sticky} at {call} of {len(calls)}: exit {process.returncode}")
        ends[process.returncode] = ends.get(process.returncode, 0) + 1
        monkeypatch.delenv("FAULTS_ARM")
        registry = Registry(Store.open(lab.home))
        runs = registry.runs()
        assert complaints(lab.home) == [], what
        if process.returncode == 0:
            assert runs[0].state == "done", what
        elif not runs or registry.resume_point(runs[0].id) is None:
            lab.run()  # there is nothing to go on from yet
        elif runs[0].state != "done":
            done = json.loads(lab.call("resume", runs[0].id, "-q", "--json"))
            assert done["outcome"] == "done", what
        assert final_weights(lab.home) == reference, what
        assert complaints(lab.home) == [], what
    assert ends.get(-9, 0) >= 3 and ends.get(1, 0) >= 3, ends
    print(f"TRAINING {POINTS} points of {len(calls)} calls, exits {ends}")
