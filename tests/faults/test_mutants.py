"""Each way of looking finds the bug it is there for; without the bug it finds nothing."""

import pytest

from faults.harness import DONE, Point
from faults.lint import breaches
from faults.matrix import failing_commits


def by_order(stage, matrix, mutants):
    stage.clear()
    return list(breaches(stage.play(mutants=mutants)))


def by_order_after_failed_syncs(stage, matrix, mutants):
    found = []
    for call in failing_commits(matrix)[2:7]:  # before them, nothing is tried again
        stage.clear()
        found += breaches(stage.play(Point(call.number, "eio"), mutants=mutants))
    return found


def by_points(kinds, sticky=False, part=None, step=1):
    def look(stage, matrix, mutants):
        stage.clear()
        played = stage.play(mutants=mutants)
        assert played.code == DONE, played.said("broken")
        calls = [call for phase, call in played.phases() if call.number and (part is None or part(call))]
        found = []
        for call in calls[::step]:
            for kind in kinds:
                found += matrix.complaints(Point(call.number, kind, sticky), mutants=mutants)[1]
            if found:
                break
        return found

    return look


def by_scene(name):
    def look(stage, matrix, mutants):
        stage.clear()
        played = stage.play(scene=name, mutants=mutants)
        assert played.code == DONE, played.said("broken")
        return [said[0] for said in played.said("wrong")]

    return look


def object_write(call):
    return call.operation == "write" and "/objects/" in call.path


def log_sync(call):
    return call.operation == "fsync" and call.path.endswith("catalogue.db-wal")


FOUND = {
    "write_in_place": [("order", by_order), ("points", by_points(["torn"], part=object_write, step=3))],
    "skip_fsync": [("order", by_order)],
    "skip_folder_fsync": [("order", by_order)],
    "commit_normally": [("order", by_order)],
    "trust_a_failed_log": [("order", by_order_after_failed_syncs)],
    "remove_live_drafts": [("scene", by_scene("live_draft"))],
    "write_unfenced": [("scene", by_scene("stale"))],
    "report_unfenced": [("scene", by_scene("stale"))],
    "ignore_short_writes": [("points", by_points(["short"], part=object_write, step=3))],
    "acknowledge_early": [("points", by_points(["eio"], part=log_sync))],
    "believe_commits": [("points", by_points(["eio"], part=log_sync))],
}
CASES = [(mutant, method, look) for mutant, methods in FOUND.items() for method, look in methods]


@pytest.mark.parametrize(("mutant", "method", "look"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_a_planted_bug_is_found(stage, matrix, mutant, method, look):
    found = look(stage, matrix, [mutant])
    assert found
    print(f"MUTANT {mutant} {method}: {found[0][:160]}")


@pytest.mark.parametrize("scene", ["live_draft", "stale"])
def test_without_a_bug_a_scene_finds_nothing(stage, matrix, scene):
    assert by_scene(scene)(stage, matrix, []) == []
