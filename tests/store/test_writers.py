"""Many processes at once: the numbers stay gapless, nobody meets a locked database, and all get their turn."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from trainwright.store.fsck import check
from trainwright.store.registry import Registry
from trainwright.store.store import Store


def write_together(home, processes, seconds):
    command = [
        sys.executable,
        str(Path(__file__).with_name("writers.py")),
        str(home),
        str(processes),
        str(seconds),
    ]
    shell = subprocess.run(command, capture_output=True, text=True, check=False)
    assert shell.returncode == 0, shell.stderr
    return json.loads(shell.stdout)


def check_writers(home, processes, seconds):
    answers = write_together(home, processes, seconds)
    assert [answer["error"] for answer in answers if answer["error"]] == []
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
        assert [row.step for row in mine] == steps and tags[f"writer-{answer['me']}"] == mine[-1].id
        assert [row.parents for row in mine] == [[], *([row.id] for row in mine[:-1])]
        assert registry.latest(run) == registry.best(run) == mine[-1]
        metrics = registry.metrics(run)
        assert [row.step for row in metrics if row.name == "train/loss"] == steps
        assert {row.value for row in metrics if row.name == "writer"} == {float(answer["me"])}
        assert registry.run(run).state == "done"
    assert [finding for finding in check(store) if not finding.harmless] == []
    return min(rounds.values()) / max(rounds.values())


def test_ten_processes_write_at_once(tmp_path):
    assert check_writers(tmp_path / "store", 10, 3) >= 0.5


@pytest.mark.faults
def test_sixty_four_processes_write_at_once(tmp_path):
    assert check_writers(tmp_path / "store", 64, 20) >= 0.5
