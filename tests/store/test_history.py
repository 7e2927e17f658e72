from types import SimpleNamespace

import pytest

from trainwright.base.errors import StoreError
from trainwright.store.history import visible_until


@pytest.mark.parametrize(
    ("from_steps", "limits"),
    [
        ([0], {1: None}),
        ([0, 20], {1: 20, 2: None}),
        ([0, 20, 30], {1: 20, 2: 30, 3: None}),
        ([0, 20, 10], {1: 10, 2: 10, 3: None}),  # the third began before the second
    ],
)
def test_each_attempt_is_seen_up_to_where_a_later_one_began(from_steps, limits):
    attempts = [SimpleNamespace(number=n, from_step=step) for n, step in enumerate(from_steps, start=1)]
    assert visible_until(attempts) == limits


def test_an_attempt_that_is_gone_is_told(store, registry, begin, reopen):
    run = begin()
    run.close()
    reopen(run.id, from_step=0).close()
    with store.catalogue.write() as connection:
        connection.exec_driver_sql("DELETE FROM attempt WHERE number = 1")
    with pytest.raises(StoreError, match=f"of the attempts of run {run.id} one is gone"):
        registry.artifacts(run.id)


def test_an_artifact_of_an_attempt_that_is_gone_is_refused(store, registry, begin, reopen):
    run = begin()
    run.close()
    again = reopen(run.id, from_step=0)
    again.artifact("late", 1.0, step=3)
    again.close()
    with store.catalogue.write() as connection:
        connection.exec_driver_sql("DELETE FROM attempt WHERE number = 2")
    with pytest.raises(StoreError, match="has rows of attempt 2, but no such attempt"):
        registry.artifacts(run.id)


def test_after_a_resume_what_was_rolled_back_is_not_seen(registry, begin, reopen):
    run = begin()
    for step in range(1, 8):
        run.report(step, {"loss": 10 + step}, group="train")
    run.artifact("early", 1.0, step=5)
    run.artifact("rolled back", 1.0, step=6)
    run.artifact("without step", 1.0)
    run.close()
    again = reopen(run.id, from_step=5)
    for step in range(6, 9):
        again.report(step, {"loss": 20 + step}, group="train")
    again.artifact("late", 1.0, step=6)
    again.finish("done")

    rows = registry.metrics(run.id)
    assert [(row.step, row.value, row.attempt) for row in rows] == [
        *((step, 10.0 + step, 1) for step in range(1, 6)),
        *((step, 20.0 + step, 2) for step in range(6, 9)),
    ]
    assert [row.name for row in registry.artifacts(run.id)] == ["early", "without step", "late"]
    with registry.store.catalogue.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM metric").scalar() == 10, "nothing is deleted"
