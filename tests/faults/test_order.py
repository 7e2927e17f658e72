"""Data before names, names before rows, rows before acknowledgements; and no more syncs than that takes."""

import pytest

from faults.harness import DONE, Call, Point
from faults.lint import breaches, costs
from faults.matrix import failing_commits


@pytest.fixture(scope="module")
def played(stage):
    stage.clear()
    played = stage.play()
    assert played.code == DONE, played.said("broken")
    return played


def test_every_call_of_the_story_is_in_order(played):
    assert list(breaches(played)) == []


def test_what_goes_on_after_a_kill_is_in_order_too(stage, matrix):
    # Each mkdir, rename and sync: what one process has left undone, the next one has to do.
    told = [point for _, point in matrix.points if point.kind == "kill after"][::7]
    for point in told:
        stage.clear()
        first, again = stage.play(point), stage.play()
        assert again.code == DONE
        assert list(breaches(first, again)) == [], point


def test_a_file_whose_sync_failed_is_not_trusted_again(stage, matrix):
    logs = failing_commits(matrix)
    syncs = [call for call in matrix.played.calls if call.operation == "fsync"]
    files = [call for call in syncs if "/tmp/" in call.path.removeprefix(str(stage.home))][::4]
    assert len(logs) >= 8 and len(files) >= 3
    for call in [*logs, *files]:
        stage.clear()
        played = stage.play(Point(call.number, "eio"))
        assert played.hit() is not None and list(breaches(played)) == [], call


def test_an_object_costs_two_syncs_a_prefix_one_and_a_commit_one(played):
    found = list(costs(played))
    assert [cost.what for cost in found].count("version") == 4
    for cost in found:
        assert cost.object_syncs <= 2 * cost.objects + cost.prefixes, cost
        # A log that is begun is synced once more, with its name; closing the one before synced that.
        assert cost.log_syncs <= 1 + 2 * cost.fresh_log, cost
    checkpoints = [cost for cost in found if cost.what == "version"][:3]
    assert all(cost.objects <= 2 and cost.log_syncs == 1 for cost in checkpoints), checkpoints


def test_metrics_cost_no_sync_and_reporting_no_call(stage):
    stage.clear()
    played = stage.play(scene="metrics")
    assert played.code == DONE, played.said("broken")
    reporting, syncs, batches, calls = False, 0, 0, 0
    main = next(call.thread for call in played.calls)
    for event in played.events:
        if not isinstance(event, Call):
            reporting = event[0] == "reporting"
            batches += event[0] == "written"
            if event[0] == "reporting" and event[1] == 0:
                syncs = 0
        else:
            calls += reporting and event.thread == main
            syncs += event.operation == "fsync" and batches < 5
    assert batches == 5 and calls == 0 and syncs == 0
