from dataclasses import replace

import pytest

from trainwright.base.errors import StoreError
from trainwright.store.shown import object_of, shown_run


def test_a_run_that_finished_between_the_two_looks_is_not_shown_as_killed(store, registry, begin):
    run = begin()
    read_before = registry.run(run.id)
    run.finish("done")
    assert read_before.state == "running"
    assert shown_run(store, read_before).state == "done"


def test_a_collected_version_whose_weights_are_shared_can_still_be_loaded(store, begin, snapshot):
    version = begin().save(snapshot(1)).wait()
    collected = replace(version, status="collected")
    assert object_of(store, collected, kind="weights") == store.blobs.get(version.weights)
    store.blobs.remove(version.weights)
    with pytest.raises(StoreError, match="collected by retention"):
        object_of(store, collected, kind="weights")


def test_an_object_that_somebody_removed_is_missing_not_collected(store, begin, snapshot):
    version = begin().save(snapshot(1)).wait()
    store.blobs.remove(version.weights)
    with pytest.raises(StoreError, match=f"object {version.weights} is missing"):
        object_of(store, version, kind="weights")


def test_an_object_that_is_collected_while_it_is_read_was_collected(
    store, registry, begin, snapshot, monkeypatch
):
    run = begin()
    run.keep(last=1)
    row, real = run.save(snapshot(1)).wait(), store.blobs.get
    assert row.status == "kept"

    def get(digest):
        monkeypatch.setattr(store.blobs, "get", real)
        run.save(snapshot(2)).wait()  # collects the first
        run.flush()
        return real(digest)

    monkeypatch.setattr(store.blobs, "get", get)
    with pytest.raises(StoreError, match="was collected by retention: its state is gone"):
        object_of(store, row, kind="state")


def test_an_object_that_is_written_again_while_it_is_asked_about_is_read(store, begin, snapshot, monkeypatch):
    row, real = begin().save(snapshot(1)).wait(), store.blobs.get
    content = real(row.state)
    store.blobs.remove(row.state)

    def get(digest):
        monkeypatch.setattr(store.blobs, "get", real)
        try:
            return real(digest)
        finally:
            store.blobs.put([content])

    monkeypatch.setattr(store.blobs, "get", get)
    assert object_of(store, row, kind="state") == content
