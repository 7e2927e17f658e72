"""Many processes at once: the numbers stay gapless, nobody meets a locked database, and all get their turn."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainwright.store.fsck import check
from trainwright.store.registry import Registry
from trainwright.store.store import Store


def together(script, *arguments):
    tests = Path(__file__).parents[1]
    command = [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments)]
    paths = os.pathsep.join([str(tests), *sys.path])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    shell = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert shell.returncode == 0, shell.stderr
    answers = json.loads(shell.stdout)
    assert [answer["error"] for answer in answers if answer["error"]] == []
    return answers


def check_writers(home, processes, seconds):
    answers = [answer["result"] for answer in together("writers.py", home, processes, seconds)]
    rounds = {answer["run"]: answer["rounds"] for answer in answers}
    assert len(rounds) == processes

    store = Store.open(home)
    registry = Registry(store)
    versions = registry.versions(model="digits")
    assert [row.number for row in versions] == list(range(1, sum(rounds.values()) + 1))
    tags = {row.name: row.version for row in registry.tags(model="digits")}
    for answer in answers:
        run = answer["run"]
        mine = [row for row in versions if row.run == run]
        steps = list(range(1, rounds[run] + 1))
        assert [row.step for row in mine] == steps and tags[f"writer-{answer['process']}"] == mine[-1].id
        assert [row.parents for row in mine] == [[], *([row.id] for row in mine[:-1])]
        assert registry.latest(run) == registry.best(run) == mine[-1]
        metrics = registry.metrics(run)
        assert [row.step for row in metrics if row.name == "train/loss"] == steps
        assert {row.value for row in metrics if row.name == "writer"} == {float(answer["process"])}
        assert registry.run(run).state == "done"
    assert [finding for finding in check(store) if not finding.harmless] == []
    return min(rounds.values()) / max(rounds.values())


def test_ten_processes_write_at_once(tmp_path):
    assert check_writers(tmp_path / "store", 10, 3) >= 0.5


@pytest.mark.faults
def test_sixty_four_processes_write_at_once(tmp_path):
    assert check_writers(tmp_path / "store", 64, 20) >= 0.5


def check_collecting(home, seconds, *counts):
    answers = together("collecting.py", home, seconds, *counts)
    done = {
        name: sum(one["result"] for one in answers if one["name"] == name)
        for name in ("write", "read", "collect", "come")
    }
    assert min(done.values()) > 0, done
    store = Store.open(home)
    registry = Registry(store)
    versions = registry.versions(model="digits")
    assert [row.number for row in versions] == list(range(1, done["write"] + 1))
    kept = [row for row in versions if row.status == "kept"]
    assert 0 < len(kept) < len(versions)
    for row in kept:
        assert set(registry.weights(row)["w"]) == {row.step % 4} and registry.state(row) == {
            "phase": row.step % 3
        }
    found = check(store)
    assert [finding for finding in found if not finding.harmless] == []
    assert [
        finding for finding in found if finding.kind == "log"
    ] == []  # none was taken for a cut one meanwhile
    return done


def test_collection_takes_nothing_from_writers_and_readers(tmp_path):
    check_collecting(tmp_path / "store", 2.5, 3, 2, 1, 1)


@pytest.mark.faults
def test_long_collection_takes_nothing_from_many_writers_and_readers(tmp_path):
    check_collecting(tmp_path / "store", 20, 12, 4, 2, 2)
