import logging

import numpy as np
import pytest

from trainwright.base.errors import StoreError
from trainwright.store import checkpoints


def test_a_durable_version_is_logged(begin, snapshot, caplog):
    caplog.set_level(logging.INFO, logger="trainwright.store")
    run = begin()
    run.save(snapshot(7)).wait()
    assert f"version 1 of digits is durable (run {run.id}, step 7)" in caplog.messages


def test_a_snapshot_that_cannot_be_spelled_is_an_error(begin, snapshot):
    with pytest.raises(TypeError, match="plain values and arrays"):
        begin().save(snapshot(1, state={"f": object()})).wait()


def test_trouble_while_tidying_up_does_not_undo_a_durable_version(
    registry, begin, snapshot, monkeypatch, caplog
):
    def broken(*_):
        raise StoreError("cannot unlink")

    monkeypatch.setattr(checkpoints, "remove_unused", broken)
    run = begin()
    assert run.save(snapshot(1)).wait().number == 1
    run.flush()
    assert [row.number for row in registry.versions()] == [1]
    assert "stay until `trainwright gc`: cannot unlink" in caplog.text


def test_objects_of_collected_versions_go_while_the_run_goes_on(store, begin, snapshot):
    """Several at a time, but not only at the end: a disk holds what is kept and a few more."""
    run = begin()
    before = len(list(store.blobs.all()))
    run.keep(last=1)
    held = []
    for step in range(1, 31):
        run.save(snapshot(step)).wait()
        held.append(len(list(store.blobs.all())) - before)
    assert max(held) <= 2 + checkpoints.MANY + 2 and min(held[20:]) < 10


def test_much_content_of_collected_versions_goes_at_once(store, begin, snapshot, monkeypatch):
    monkeypatch.setattr(checkpoints, "MUCH_BYTES", 1000)
    run = begin()
    before = len(list(store.blobs.all()))
    run.keep(last=1)
    for step in range(1, 6):
        run.save(snapshot(step, weights={"w": np.full(1000, step, dtype=np.float32)})).wait()
    assert len(list(store.blobs.all())) - before == 2


def test_a_version_needs_at_most_two_new_objects(store, begin, snapshot):
    run = begin()
    before = set(store.blobs.all())
    run.save(snapshot(1)).wait()
    assert len(set(store.blobs.all()) - before) == 2


def test_a_snapshot_without_state_has_no_state(registry, begin, snapshot):
    version = begin().save(snapshot(1, state=None)).wait()
    with pytest.raises(StoreError, match="version 1 of digits was saved without state"):
        registry.state(version)
