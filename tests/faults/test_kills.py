"""A thousand kills at random moments lose nothing that was acknowledged."""

import random
from collections import Counter

import pytest

from faults.harness import DONE, KILLED, Played
from faults.matrix import different

KILLS = 1000


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_a_thousand_kills_at_random_moments_lose_nothing(matrix):
    stage, dice = matrix.stage, random.Random(0)
    much = int(1.2 * matrix.log_bytes)
    kills, acknowledged, phases = 0, Counter(), Counter()
    while kills < KILLS:
        # One store from its beginning to its end, killed on the way.
        stage.clear()
        whole = Played(DONE)
        while True:
            # By what it has done and not by time, so that a slow machine comes to the end, too.
            played = stage.play(log_bytes=dice.randint(0, much), kill_after_s=dice.uniform(0.0, 0.002))
            whole.events += played.events
            acknowledged.update(event[0] for event in played.events if isinstance(event, list))
            found = stage.tell()
            assert matrix.after_kill(whole, found) == []
            if played.code == DONE:
                assert different(found, matrix.reference) == []
                break
            assert played.code == KILLED, played.said("broken") or played.said("refused")
            kills += 1
            phases[next((phase for phase, _ in reversed(list(played.phases()))), "start")] += 1
    assert kills >= KILLS and min(phases[phase] for phase in ("create", "checkpoint", "tag", "gc")) >= 5, (
        phases
    )
    print(f"KILLS {kills} by part {dict(phases)}, acknowledged {dict(acknowledged)}")
