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


def test_an_error_is_raised_by_the_next_report_and_the_run_is_told(registry, begin, monkeypatch):
    run = begin()

    def full(*_):
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(module.MetricWriter, "_write_batch", full)
    run.report(1, {"a": 1.0}, group="train")
    with pytest.raises(StoreError, match="disk I/O error"):
        run.flush()
    with pytest.raises(StoreError, match="disk I/O error"):
        run.report(2, {"a": 1.0}, group="train")
    run.finish("failed", "could not report")
    assert registry.run(run.id).state == "failed"


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
