import pytest

from trainwright.base.errors import StoreError
from trainwright.store.batches import BatchDigest


@pytest.fixture
def run(begin):
    begun = begin()
    for step in range(450):  # three parts of one batch
        begun.report(step, {"loss": step / 3, "rate": float("nan")}, group="train")
    begun.flush()
    begun.report(450, {"loss": -0.0}, group="train")
    begun.flush()
    return begun


def test_rows_come_back_as_they_were_reported(registry, run):
    rows = registry.metrics(run.id)
    assert [(row.step, row.value) for row in rows if row.name == "loss"] == [
        *((step, step / 3) for step in range(450)),
        (450, 0.0),
    ]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE metric SET value = 9 WHERE step = 300 AND name = 'loss'", "do not match their digest"),
        ("UPDATE metric SET value = NULL WHERE step = 300 AND name = 'loss'", "do not match their digest"),
        ("UPDATE metric SET value = 'much' WHERE step = 300", "do not match their digest"),
        ("UPDATE metric SET step = 2 WHERE step = 1", "do not match their digest"),
        ("UPDATE metric SET name = x'00' WHERE step = 1", "do not match their digest"),
        ("UPDATE metric SET grp = 'val' WHERE step = 1", "do not match their digest"),
        ("UPDATE metric SET time = 1 WHERE step = 1", "do not match their digest"),
        ("UPDATE metric SET attempt = 2 WHERE step = 1", "another attempt"),
        ("UPDATE metric SET run = 'other' WHERE step = 1", "some are gone"),
        ("DELETE FROM metric WHERE step = 1", "some are gone"),
        ("DELETE FROM metric WHERE step = 450", "some are gone"),
        ("UPDATE metric SET rowid = 7000 WHERE rowid = 3", "some are gone"),
        ("INSERT INTO metric SELECT * FROM metric WHERE step = 1", "belong to no batch"),
        ("DELETE FROM metric_batch WHERE first > 1", "belong to no batch"),
        ("DELETE FROM metric_batch WHERE first = 1", "some are gone"),
        ("UPDATE metric_batch SET digest = 'x' WHERE first = 1", "do not match their digest"),
        ("UPDATE metric_batch SET last = last - 1 WHERE first = 1", "do not match their digest"),
        ("UPDATE metric_batch SET last = 'x'", "a batch from row 1 to 'x'"),
    ],
)
def test_damage_is_refused(store, registry, run, statement, message):
    with store.catalogue.write() as connection:
        connection.exec_driver_sql(statement)
    with pytest.raises(StoreError, match=f"the metrics of run {run.id} are damaged: .*{message}.*fsck"):
        registry.metrics(run.id)


def test_a_row_of_an_attempt_that_is_gone_is_refused(store, registry, run, reopen):
    run.finish("done")
    second = reopen(run.id, from_step=450)
    second.report(451, {"loss": 1.0}, group="train")
    second.flush()
    with store.catalogue.write() as connection:
        connection.exec_driver_sql("DELETE FROM attempt WHERE number = 2")
    with pytest.raises(StoreError, match="rows of attempt 2, but no such attempt"):
        registry.metrics(run.id)


def test_each_column_and_its_place_is_in_the_digest():
    def named(steps=(1, 2), groups=("a", "b"), names=("c", "d"), values=(0.5, 1.5), times=(2.0, 3.0), **end):
        digest = BatchDigest()
        digest.add(list(steps), list(groups), list(names), list(values), list(times))
        return digest.end(**{"run": "r", "attempt": 1, "first": 1, "last": 2, **end})

    others = [
        {"steps": (2, 1)},
        {"groups": ("b", "a")},
        {"names": ("d", "c")},
        {"values": (1.5, 0.5)},
        {"times": (3.0, 2.0)},
        {"groups": ("c", "d"), "names": ("a", "b")},
        {"run": "s"},
        {"attempt": 2},
        {"first": 2},
        {"last": 3},
    ]
    assert len({named(), *(named(**other) for other in others)}) == len(others) + 1
