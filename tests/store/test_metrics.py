import math
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from trainwright.base.errors import StaleAttempt, StoreError
from trainwright.store import metrics as module
from trainwright.store.registry import Registry
from trainwright.store.store import Store


@pytest.mark.parametrize(
    "value", [0.1 + 0.2, 0.0, -5e-324, 1.7976931348623157e308, math.inf, -math.inf, math.nan, 1 / 3]
)
def test_a_number_comes_back_bit_for_bit(registry, begin, value):
    run = begin()
    run.report(3, {"loss": value}, group="train")
    run.flush()
    (row,) = registry.metrics(run.id)
    assert (row.step, row.group, row.name, row.attempt) == (3, "train", "loss", 1)
    assert row.value.hex() == value.hex()


@pytest.mark.parametrize("count", [1, 199, 200, 201, 4999, 5001, 12_345])
def test_every_row_arrives_once_and_in_order(registry, begin, count):
    run = begin()
    for step in range(count):
        run.report(step, {"a": step}, group="train")
    run.finish("done")
    rows = registry.metrics(run.id)
    assert [(row.step, row.value) for row in rows] == [(step, float(step)) for step in range(count)]


def test_a_mapping_may_be_changed_after_it_was_reported(registry, begin):
    run, metrics = begin(), {"a": 1.0}
    run.report(1, metrics, group="train")
    metrics["a"] = 2.0
    run.flush()
    assert [row.value for row in registry.metrics(run.id)] == [1.0]


def test_rows_appear_without_being_asked_for(registry, begin):
    run = begin()
    run.report(1, {"a": 1.0}, group="train")
    deadline = time.monotonic() + 10
    while not registry.metrics(run.id):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_run_closed_without_a_word_loses_no_metrics(registry, begin):
    run = begin()
    run.report(1, {"a": 1.0}, group="train")
    run.close()
    assert len(registry.metrics(run.id)) == 1


def test_a_process_that_just_ends_loses_neither_metrics_nor_its_save(tmp_path, child):
    home = tmp_path / "store"
    command = [sys.executable, str(child), "leave", str(home), "-"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    registry = Registry(Store.open(home))
    assert [row.value for row in registry.metrics(out.strip())] == [0.5]
    assert registry.latest(out.strip()).step == 1
    assert registry.run(out.strip()).state == "killed"


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(module, "PAUSES_S", (0.0, 0.01))


def break_writes(monkeypatch, *, times, error=None, late=False):
    """Lets the first writes of batches fail, before or after their rows were handed over."""
    real, calls = module.MetricWriter._write_rows, []

    def write(self, connection, taken):
        calls.append(1)
        if len(calls) > times:
            return real(self, connection, taken)
        if late:
            with monkeypatch.context() as patch:
                patch.setattr(module, "_ONE", "INSERT INTO nothing VALUES (?,?,?,?,?,?,?)")
                real(self, connection, taken)
        with self._catalogue.alone(connection):
            taken.next_rows()
            raise error or sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(module.MetricWriter, "_write_rows", write)
    return calls


@pytest.mark.parametrize("late", [False, True], ids=["at once", "at its last row"])
@pytest.mark.parametrize("times", [1, 2, 7])
def test_a_batch_that_fails_is_written_later_once_and_in_order(
    registry, begin, monkeypatch, quick, times, late
):
    run = begin()
    calls = break_writes(monkeypatch, times=times, late=late)
    for step in range(300):
        run.report(step, {"a": step, "b": math.nan}, group="train")
    deadline = time.monotonic() + 20
    while not (rows := registry.metrics(run.id)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run.flush()
    run.report(300, {"a": 300.0}, group="train")
    run.finish("done")
    rows = [row for row in registry.metrics(run.id) if row.name == "a"]
    assert [(row.step, row.value) for row in rows] == [(step, float(step)) for step in range(301)]
    assert len(calls) > times


def test_rows_that_cannot_be_written_wait_in_memory_and_whoever_asks_is_told(
    registry, begin, monkeypatch, quick
):
    run = begin()
    with monkeypatch.context() as patch:
        break_writes(patch, times=10**9)
        run.report(1, {"a": 1.0}, group="train")
        with pytest.raises(StoreError, match=r"metrics are in memory only: .*disk I/O error"):
            run.flush()
        run.report(2, {"a": 2.0}, group="train")
        with pytest.raises(StoreError, match="disk I/O error"):
            run.flush()
        assert registry.metrics(run.id) == []
    run.finish("done")
    assert [row.step for row in registry.metrics(run.id)] == [1, 2]
    assert registry.run(run.id).state == "done"


def test_a_run_whose_rows_are_never_written_fails(registry, begin, monkeypatch, quick):
    run = begin()
    break_writes(monkeypatch, times=10**9)
    run.report(1, {"a": 1.0}, group="train")
    with pytest.raises(StoreError, match=r"metrics could not be written: .*disk I/O error"):
        run.finish("done")
    row = registry.run(run.id)
    assert row.state == "failed" and "disk I/O error" in row.reason


def test_a_report_fails_before_memory_does(begin, monkeypatch, quick):
    run = begin()
    monkeypatch.setattr(module, "WAKE_ITEMS", 50)
    monkeypatch.setattr(module, "MAX_ITEMS", 100)
    break_writes(monkeypatch, times=10**9)

    def report():
        for step in range(10_000):
            run.report(step, {"a": 1.0}, group="train")
            time.sleep(0.001)

    with pytest.raises(StoreError, match="metrics are in memory only"):
        report()
    with pytest.raises(StoreError):
        run.close()


def test_a_version_comes_after_its_metrics_even_when_these_fail(
    registry, begin, snapshot, monkeypatch, quick
):
    run = begin()
    break_writes(monkeypatch, times=2)
    run.report(1, {"a": 1.0}, group="train")
    run.save(snapshot(1)).wait()
    assert [row.step for row in registry.metrics(run.id)] == [1]


def test_rows_that_could_not_be_written_make_finish_fail(registry, begin, monkeypatch):
    run = begin()
    monkeypatch.setattr(module.MetricWriter, "_write_batch", lambda *_: 1 / 0)
    run.report(1, {"a": 1.0}, group="train")
    with pytest.raises(ZeroDivisionError):
        run.finish("done")
    row = registry.run(run.id)
    assert row.state == "failed" and "ZeroDivisionError" in row.reason


@pytest.mark.parametrize("place", ["BEGIN", "INSERT", "COMMIT"])
def test_an_error_that_passes_loses_no_row_and_doubles_none(registry, begin, monkeypatch, place):
    failed = []

    class Failing(sqlite3.Connection):
        def execute(self, text, *values):
            self._fail_at(text)
            return super().execute(text, *values)

        def commit(self):
            self._fail_at("COMMIT")
            super().commit()

        def _fail_at(self, text):
            if (
                text.startswith(place)
                and threading.current_thread().name == "trainwright-metrics"
                and not failed
            ):
                failed.append(text)
                raise sqlite3.OperationalError("disk I/O error")

    real = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *given, **more: real(*given, **{**more, "factory": Failing})
    )
    run = begin()
    for step in range(300):
        run.report(step, {"a": step}, group="train")
    run.flush()
    assert failed
    assert [row.step for row in registry.metrics(run.id)] == list(range(300))


def test_a_value_that_is_no_number_is_an_error(begin):
    run = begin()
    run.report(1, {"a": "much"}, group="train")
    with pytest.raises(ValueError, match="much"):
        run.flush()


def test_a_stale_attempt_reports_nothing(registry, begin, reopen):
    run = begin()
    run._lock.release()  # as if its machine had lost the lock, and came back
    reopen(run.id, from_step=0)
    run.report(1, {"a": 1.0}, group="train")
    with pytest.raises(StaleAttempt):
        run.flush()
    assert registry.metrics(run.id) == []


def test_nothing_can_be_reported_after_the_end(begin):
    run = begin()
    run.finish("done")
    with pytest.raises(StoreError, match="is finished"):
        run.report(1, {"a": 1.0}, group="train")


def test_a_report_costs_little_cpu_on_the_training_thread(begin):
    run = begin()
    run.report(0, {"a": 1.0}, group="train")
    metrics = {"train/loss": 0.5, "train/grad": 1.0, "lr": 1e-3}
    costs = []
    for _ in range(5):
        began = time.thread_time()
        for step in range(2000):
            run.report(step, metrics, group="train")
        costs.append((time.thread_time() - began) / 2000)
    assert min(costs) < 5e-6


def test_waiting_reports_leave_the_garbage_collector_nothing_to_walk_through(begin, monkeypatch):
    # Tuples that wait half a second would grow old and start full collections: 20 ms each.
    import gc

    monkeypatch.setattr(module.MetricWriter, "_work", lambda self: None)
    run, metrics = begin(), {"train/loss": 0.5}
    run.report(0, metrics, group="train")
    gc.collect()
    before = len(gc.get_objects())
    for step in range(5000):
        run.report(step, metrics, group="train")
    assert len(gc.get_objects()) - before < 100
    run._metrics._waiting.clear()


def test_a_save_gets_through_although_metrics_never_stop_coming(begin, snapshot, monkeypatch):
    run, real, enough = begin(), module.MetricWriter._write_batch, threading.Event()

    def one_more(self, connection):
        real(self, connection)
        if not enough.is_set():
            self.report(0, {"a": 1.0}, group="train")

    monkeypatch.setattr(module.MetricWriter, "_write_batch", one_more)
    run.report(0, {"a": 1.0}, group="train")
    try:
        assert run.save(snapshot(1)).wait(10).step == 1
    finally:
        enough.set()


def test_metrics_are_written_before_the_version_that_follows_them(registry, begin, snapshot):
    run = begin()
    for step in range(1, 20):
        run.report(step, {"a": 1.0}, group="train")
        run.save(snapshot(step)).wait()
        assert registry.metrics(run.id)[-1].step == step


def test_the_writer_ends_with_the_run(begin):
    run = begin()
    run.report(1, {"a": 1.0}, group="train")
    run.finish("done")
    assert not [thread for thread in threading.enumerate() if thread.name == "trainwright-metrics"]


def failing(run, monkeypatch, *, pauses, times, until):
    """Lets writes fail, and returns once so many have."""
    monkeypatch.setattr(module, "PAUSES_S", pauses)
    calls = break_writes(monkeypatch, times=times)
    run.report(1, {"a": 1.0}, group="train")
    while len(calls) < until:
        time.sleep(0.005)
    time.sleep(0.02)  # the latest has failed, too
    return calls


def test_whoever_asks_or_reports_much_does_not_wait_for_the_period(registry, begin, monkeypatch):
    monkeypatch.setattr(module, "PERIOD_S", 60.0)
    monkeypatch.setattr(module, "WAKE_ITEMS", 60)
    run, began = begin(), time.monotonic()
    run.report(0, {"a": 0.0}, group="train")
    run.flush()
    time.sleep(0.05)  # the writer waits again
    for step in range(1, 11):
        run.report(step, {"a": 1.0}, group="train")
    while len(registry.metrics(run.id)) < 11:
        assert time.monotonic() - began < 20
        time.sleep(0.01)
    run.report(11, {"a": 1.0}, group="train")
    run.close()
    assert time.monotonic() - began < 20 and len(registry.metrics(run.id)) == 12


def test_a_writer_that_has_nothing_to_do_takes_no_processor(begin):
    run = begin()
    run.report(0, {"a": 0.0}, group="train")
    run.flush()
    used = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - used < 0.2


def test_whoever_asks_after_trouble_that_has_passed_is_told_of_none_and_waits_no_pause(
    registry, begin, monkeypatch
):
    run = begin()
    failing(run, monkeypatch, pauses=(0.0, 60.0), times=2, until=2)
    began = time.monotonic()
    run.flush()
    assert time.monotonic() - began < 20 and len(registry.metrics(run.id)) == 1


def test_whoever_asks_begins_the_pauses_anew(begin, monkeypatch):
    run = begin()
    calls = failing(run, monkeypatch, pauses=(0.0, 0.0, 60.0), times=10**9, until=3)
    began = time.monotonic()
    with pytest.raises(StoreError, match="metrics are in memory only"):
        run.flush()
    assert time.monotonic() - began < 20
    made = len(calls)
    time.sleep(0.3)
    assert len(calls) <= made + 1, "it is asked once, and tries for ever"
    with pytest.raises(StoreError):
        run.close()


def test_an_error_that_somebody_was_told_is_not_told_again_at_the_end(begin):
    run = begin()
    run.report(1, {"a": "much"}, group="train")
    with pytest.raises(ValueError, match="much"):
        run.flush()
    run.close()


def test_a_run_whose_row_is_gone_is_named(store, begin, monkeypatch, quick):
    run = begin()
    with sqlite3.connect(store.home / "catalogue.db") as connection:
        connection.execute("DELETE FROM run WHERE id=?", (run.id,))
    connection.close()
    run.report(1, {"a": 1.0}, group="train")
    with pytest.raises(
        StoreError, match=f"the row of run {run.id} is not found any more: `trainwright fsck`"
    ):
        run.flush()
    with pytest.raises(StoreError):
        run.close()
