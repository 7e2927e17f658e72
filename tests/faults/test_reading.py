"""A disk that reads wrongly: whoever reads is told the truth or is refused, never anything else."""

import json
from collections import Counter

import pytest

from faults.harness import CHANGING, DONE, REFUSED, Point
from faults.matrix import ALL_SEALED, different

KINDS = ("eio", "short", "flip middle", "flip last")


def outcome(stage, reference, point):
    played = stage.play(point, scene="read_all")
    if played.code == REFUSED:
        return "refused", []
    if played.code != DONE:
        return "broken", [f"it ended with {played.code}: {played.said('broken')}"]
    found = json.loads((stage.folder / "told.json").read_text())
    if found["fsck"]:
        return "named", []
    wrong = different(found, reference)
    if not ALL_SEALED and point.kind.startswith("flip") and all(text.startswith("runs ") for text in wrong):
        return "true", []
    return "true", wrong


def try_all(stage, reference, points):
    wrong, outcomes = [], Counter()
    for point in points:
        word, complaints = outcome(stage, reference, point)
        outcomes[point.kind, word] += 1
        wrong += [f"{point}: {text}" for text in complaints]
    assert stage.tell() == reference, "reading has changed the store"
    assert not wrong, f"{len(wrong)} of {len(points)}\n" + "\n".join(wrong[:8])
    return outcomes


@pytest.fixture(scope="module")
def points(matrix):
    stage = matrix.stage
    stage.clear()
    assert stage.play().code == DONE
    quiet = stage.play(Point(0, "none", False, ("read",)), scene="read_all")
    assert quiet.code == DONE
    reads = [call for call in quiet.calls if call.operation == "read"]
    assert {"objects", "store"} <= {part for call in reads for part in call.path.split("/")} and len(
        reads
    ) > 40
    calls = [Point(call.number, kind, False, ("read",)) for call in reads for kind in KINDS]
    changing = stage.play(scene="read_all")
    opened = [call for call in changing.calls if call.operation in CHANGING and call.number]
    return calls + [Point(call.number, "eio") for call in opened]


def test_some_wrong_reads_tell_nothing_false(matrix, points):
    outcomes = try_all(matrix.stage, matrix.reference, points[::13])
    assert sum(count for (_, word), count in outcomes.items() if word == "refused") >= 5, outcomes


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_no_wrong_read_tells_anything_false(matrix, points):
    outcomes = try_all(matrix.stage, matrix.reference, points)
    print(f"READING {len(points)} points: {dict(outcomes)}")
