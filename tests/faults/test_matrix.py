"""Whichever I/O call goes wrong, in whichever way: nothing that was acknowledged is lost, and nothing false is told."""

from collections import Counter

import pytest

from faults.harness import KINDS, OPERATIONS, Point
from faults.story import PHASES

WAYS = [
    *((kind, False) for kind in KINDS[1:]),
    *((kind, True) for kind in ("short", "eio", "enospc")),
]
names = [f"{kind}, from then on" if sticky else kind for kind, sticky in WAYS]
QUICK = 30


def try_all(matrix, points):
    wrong, outcomes = [], Counter()
    for phase, point in points:
        outcome, complaints = matrix.complaints(point)
        outcomes[outcome] += 1
        if complaints:
            wrong.append(f"{phase}: {point}: {outcome}\n  " + "\n  ".join(complaints))
    assert not wrong, f"{len(wrong)} of {len(points)} points\n" + "\n".join(wrong[:8])
    return outcomes


def test_the_shim_sees_every_kind_of_call_in_every_part(matrix):
    seen = Counter((phase, call.operation) for phase, call in matrix.played.phases())
    assert {phase for phase, _ in seen} == set(PHASES)
    assert {operation for _, operation in seen} == set(OPERATIONS)
    # SQLite's own calls, too: its log is written and synced.
    log = {call.operation for call in matrix.played.calls if call.path.endswith("catalogue.db-wal")}
    assert {"open", "write", "fsync", "read"} <= log
    assert len(matrix.points) > 3000 and {point.kind for _, point in matrix.points} == set(KINDS[1:])


def test_some_points_spread_over_all_calls(matrix):
    step = len(matrix.points) / QUICK
    outcomes = try_all(matrix, [matrix.points[int(number * step)] for number in range(QUICK)])
    assert min(outcomes[word] for word in ("killed", "refused", "done")) >= 3, outcomes


def test_a_bit_that_flips_on_its_way_into_an_object_is_named(matrix):
    kept = [call for phase, call in matrix.played.phases() if phase in ("files", "register")]
    writes = [call for call in kept if call.operation == "write" and "/objects/" in call.path]
    outcomes = try_all(matrix, [("", Point(call.number, "flip last")) for call in writes[::3]])
    assert outcomes["named"] >= 3 and set(outcomes) == {"named"}


def test_points_that_once_went_wrong(matrix):
    calls = [(phase, call) for phase, call in matrix.played.phases() if call.number]
    saving = [call for phase, call in calls if phase == "checkpoint"]
    picked = [
        # The catalogue got its name although moving its log into it had failed.
        *[call for _, call in calls if call.operation == "write" and call.path.endswith("catalogue.db.new")][
            ::9
        ],
        # A version that was committed was committed a second time, because its lock could not be closed.
        *[call for call in saving if call.operation == "close" and call.path.endswith("objects.lock")],
        # Metrics were lost that a version came after.
        *[call for call in saving if call.operation == "open" and call.path.endswith("catalogue.db-wal")],
        *[call for call in saving if call.operation == "write" and call.path.endswith("catalogue.db-wal")][
            :2
        ],
        # Collection gave up with an error that named no cure.
        *[
            call
            for phase, call in calls
            if phase == "gc" and call.operation == "unlink" and "/ob" in call.path
        ],
    ]
    points = [("", Point(call.number, "eio", sticky)) for call in picked for sticky in (False, True)]
    assert len(points) >= 16
    try_all(matrix, points)


@pytest.mark.faults
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("kind", "sticky"), WAYS, ids=names)
def test_every_point(matrix, kind, sticky):
    points = [
        (phase, point) for phase, point in matrix.points if (point.kind, point.sticky) == (kind, sticky)
    ]
    outcomes = try_all(matrix, points)
    by_phase = Counter(phase for phase, _ in points)
    print(f"MATRIX {kind} {sticky} {dict(by_phase)} {dict(outcomes)}")
