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
