import signal
import subprocess
import sys

import numpy as np
import pytest

from trainwright.store.fsck import check
from trainwright.store.registry import Registry
from trainwright.store.store import Store


def start(child, role, home, detail="-"):
    command = [sys.executable, str(child), role, str(home), str(detail)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_eight_processes_number_their_versions_without_gaps(tmp_path, child):
    home = tmp_path / "store"
    registry = Registry(Store.open(home))
    writers = [start(child, "many", home, 100) for _ in range(8)]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n", writer.communicate()
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    ends = [writer.communicate() for writer in writers]

    assert [writer.returncode for writer in writers] == [0] * 8, ends
    rows = registry.versions(model="digits")
    assert [row.number for row in rows] == list(range(1, 801))
    assert {row.run: sum(one.run == row.run for one in rows) for row in rows} == {
        run.id: 100 for run in registry.runs(state="done")
    }


POINTS = [
    "writing an object",
    "before the rename",
    "after the rename",
    "between objects and row",
    "moving a tag",
    "before the commit",
    "after the commit",
]


@pytest.mark.parametrize("point", POINTS)
def test_a_process_killed_at_any_point_loses_nothing_it_was_told_is_durable(
    tmp_path, child, reopen_at, point
):
    home = tmp_path / "store"
    dying = start(child, "die", home, point)
    out, errors = dying.communicate()
    assert dying.returncode == -signal.SIGKILL, errors
    run, told = out.split()

    store = Store.open(home)
    registry = Registry(store)
    assert [finding for finding in check(store) if not finding.harmless] == []
    first = registry.version(int(told))
    assert registry.state(first) == {"step": 1}
    assert registry.weights(first)["w"].shape == (1000,)
    # Whole or not at all: tags and row are one commit.
    survived = 2 if point == "after the commit" else 1
    assert [row.step for row in registry.versions()] == list(range(1, survived + 1))
    assert registry.best(run).step == registry.latest(run).step == survived
    assert registry.run(run).state == "killed"

    resumed, snapshot = reopen_at(store, run, survived)
    assert resumed.save(snapshot).wait().number == survived + 1
    resumed.finish("done")
    assert [finding.kind for finding in check(store) if not finding.harmless] == []
    assert store.blobs.leftovers() == []


@pytest.fixture
def reopen_at(snapshot):
    from trainwright.store.run import LocalRun

    class Described:
        def tree(self):
            return {}

    def make(store, run, step):
        resumed = LocalRun.reopen(store, run, resolved=Described(), environment={}, from_step=step)
        return resumed, snapshot(step + 1)

    return make


def test_a_number_is_the_next_of_its_model(store, begin, snapshot):
    a, b, a_again = begin("a"), begin("b"), begin("a")
    numbers = [run.save(snapshot(1)).wait().number for run in (a, b, a_again, b)]
    assert numbers == [1, 1, 2, 2]


def test_a_collected_number_is_not_used_again(store, begin, snapshot):
    run = begin()
    run.keep(last=1)
    for step in (1, 2, 3):
        run.save(snapshot(step)).wait()
    assert run.save(snapshot(4)).wait().number == 4


def test_parents_make_a_chain(registry, begin, snapshot, reopen):
    run = begin()
    first, second = (run.save(snapshot(step)).wait() for step in (1, 2))
    run.close()
    again = reopen(run.id, from_step=1)  # goes on from the first, so the second is a branch that ends
    third = again.save(snapshot(2)).wait()
    child = begin(parent=third)
    fourth = child.save(snapshot(3)).wait()

    assert [row.parents for row in (first, second, third, fourth)] == [[], [first.id], [first.id], [third.id]]


@pytest.mark.parametrize(
    ("mode", "losses", "best"),
    [
        ("min", [3.0, 1.0, 2.0], 2),
        ("max", [3.0, 1.0, 2.0], 1),
        ("min", [1.0, 1.0], 1),  # equal is not better
        ("min", [float("nan"), 5.0, float("nan")], 2),  # NaN never
        ("min", [None, 5.0], 2),  # not measured at this step
        ("min", [float("inf"), 5.0], 2),
        ("max", [float("-inf"), float("nan")], 1),
        ("min", [float("nan"), None], None),
    ],
)
def test_best_is_the_version_with_the_best_metric(registry, begin, snapshot, mode, losses, best):
    run = begin(best=("val/loss", mode))
    for step, loss in enumerate(losses, start=1):
        run.save(snapshot(step, loss=loss)).wait()

    found = registry.best(run.id)
    assert (found and found.number) == best
    assert registry.latest(run.id).number == len(losses)


def test_the_metrics_of_a_version_keep_nan_and_infinities(registry, begin, snapshot):
    run = begin()
    version = run.save(snapshot(1, loss=float("nan"))).wait()
    assert np.isnan(registry.version(version.id).metrics["val/loss"])
