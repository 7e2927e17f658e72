import pytest

from trainwright.store.fsck import check
from trainwright.store.retention import collect


def kept(registry):
    return [row.number for row in registry.versions() if row.status == "kept"]


LOSSES = [5.0, 1.0, 4.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("last", "best", "stay"),
    [
        (None, None, [1, 2, 3, 4, 5]),
        (1, None, [2, 5]),  # 2 is tagged best
        (2, None, [2, 4, 5]),
        (None, 2, [2, 4, 5]),  # the newest always stays
        (1, 3, [2, 4, 5]),
        (0, 0, [2, 5]),
        (9, 9, [1, 2, 3, 4, 5]),
    ],
)
def test_versions_stay_that_are_new_or_good_or_tagged(registry, begin, snapshot, last, best, stay):
    run = begin()
    run.keep(last=last, best=best)
    for step, loss in enumerate(LOSSES, start=1):
        run.save(snapshot(step, loss=loss)).wait()
    assert kept(registry) == stay
    assert [row.number for row in registry.versions()] == [1, 2, 3, 4, 5], "tombstones stay"


def test_versions_without_the_metric_or_with_nan_are_never_good(registry, begin, snapshot):
    run = begin()
    run.keep(best=2)
    for step, loss in enumerate([float("nan"), 3.0, None, 4.0, 5.0, None], start=1):
        run.save(snapshot(step, loss=loss)).wait()
    assert kept(registry) == [2, 4, 6]


def test_tagged_versions_and_those_a_run_began_from_stay(registry, begin, snapshot):
    run = begin()
    for step in (1, 2, 3):
        run.save(snapshot(step)).wait()
    registry.tag("digits@1", "production")
    child = begin(parent=registry.resolve("digits@2"))
    run.keep(last=1)
    run.save(snapshot(4)).wait()
    assert kept(registry) == [1, 2, 4]
    assert child.resume_point().number == 2


def test_only_versions_of_the_same_run_are_collected(registry, begin, snapshot):
    other, run = begin(), begin()
    other.save(snapshot(1)).wait()
    run.keep(last=1)
    for step in (2, 3):
        run.save(snapshot(step)).wait()
    assert kept(registry) == [1, 3]


def test_objects_of_collected_versions_are_removed_and_shared_ones_stay(store, begin, snapshot):
    run = begin()
    run.keep(last=1)
    first = run.save(snapshot(1)).wait()
    second = run.save(snapshot(2, weights={"w": snapshot(1).weights["w"]})).wait()
    run.flush()
    assert first.weights == second.weights and store.blobs.has(first.weights)
    assert not store.blobs.has(first.state) and store.blobs.has(second.state)
    assert check(store) == []


def test_while_somebody_saves_objects_are_left_for_collection(store, begin, snapshot):
    run = begin()
    run.keep(last=1)
    first = run.save(snapshot(1)).wait()
    with store.saving():
        run.save(snapshot(2)).wait()
        run.flush()
        assert store.blobs.has(first.weights)
    sizes = sum(store.blobs.size(name) for name in (first.weights, first.state))

    assert collect(store, dry=True) == (2, sizes)
    assert store.blobs.has(first.weights)
    assert collect(store) == (2, sizes)
    assert not store.blobs.has(first.weights)
    assert collect(store) == (0, 0)


def test_collection_takes_nothing_that_somebody_refers_to(store, registry, begin, snapshot):
    import numpy as np

    from trainwright.store.datasets import register

    data = {"recipe": {}, "recipe_digest": "r", "content_digest": "c", "splits": {"train": np.arange(3)}}
    run = begin(dataset=register(store, name=None, **data).digest)
    run.save(snapshot(1)).wait()
    run.artifact("curve", np.arange(4.0))
    run.finish("done")
    before = set(store.blobs.all())
    orphan = store.blobs.put([b"nobody's"])

    assert collect(store) == (1, len(b"nobody's"))
    assert set(store.blobs.all()) == before and not store.blobs.has(orphan)
    assert check(store) == []


def test_a_version_that_a_run_took_its_weights_from_stays(registry, begin, snapshot):
    run = begin()
    for step in (1, 2, 3):
        run.save(snapshot(step)).wait()
    begin("tuned").edge("used", "fine_tuned_from", target="digits@2")
    begin("other").edge("used", "file", target="digits@1")
    run.keep(last=1)
    run.save(snapshot(4)).wait()
    assert kept(registry) == [2, 4]
