"""A version that is several others: it keeps what they hold, whatever becomes of them."""

import numpy as np
import pytest

from trainwright.base.errors import StoreError
from trainwright.store.fsck import check
from trainwright.store.lineage import lineage, prov_json
from trainwright.store.members import count_members
from trainwright.store.pins import check_pins, pin_versions
from trainwright.store.retention import collect


@pytest.fixture
def ensemble(begin, snapshot):
    """Two runs of one version each, and a run whose version is both."""
    members = []
    for step, kind in ((1, "one"), (2, "other")):
        run = begin(operator={"format": 1, "kind": kind})
        members.append(run.save(snapshot(step, loss=1.0)).wait())
        run.finish("done", final=members[-1])
    run = begin(operator={"format": 1, "kind": "both"})
    version = run.save_members(members, metrics={"val/loss": 0.5})
    run.finish("done", final=version)
    return members, version


def test_it_has_the_weights_and_operators_of_its_members_in_their_order(registry, ensemble):
    members, version = ensemble
    found = registry.member_models(version)
    assert [one["kind"] for one, _ in found] == ["one", "other"]
    assert [weights["w"].tolist() for _, weights in found] == [[1.0] * 3, [2.0] * 3]
    assert registry.members(version) == members and registry.members(members[0]) == []
    assert (version.number, version.weights, version.state) == (3, None, None)
    assert version.parents == [one.id for one in members]
    assert registry.resolve("digits@best") == version and version.metrics == {"val/loss": 0.5}
    with pytest.raises(StoreError, match="saved without weights"):
        registry.weights(version)


def test_it_keeps_what_its_members_hold_also_when_these_are_collected(store, registry, begin, snapshot):
    run = begin()
    run.keep(last=1)
    member = run.save(snapshot(1, loss=2.0)).wait()
    version = begin().save_members([member], metrics={})
    run.save(snapshot(2, loss=1.0)).wait()  # nothing names the first one any more
    run.flush()
    assert registry.version(member.id).status == "collected"
    collect(store)
    assert store.blobs.has(member.weights) and not store.blobs.has(member.state)
    [(_, weights)] = registry.member_models(version)
    np.testing.assert_array_equal(weights["w"], [1, 1, 1])
    assert check(store) == []


def test_what_a_member_has_lost_hits_both(store, ensemble):
    members, _ = ensemble
    store.blobs.remove(members[1].weights)
    assert [(one.kind, one.versions) for one in check(store)] == [("missing", ("digits@2", "digits@3"))]


def test_it_is_pinned_by_its_members(registry, begin, ensemble):
    members, version = ensemble
    assert begin().save_members(members, metrics={}).files == version.files
    assert begin().save_members(members[::-1], metrics={}).files != version.files
    pins = pin_versions(registry, ["digits@3"])
    assert pins[0].weights == version.files and check_pins(registry, pins)[0].word == "identical"


def test_it_descends_from_its_members(registry, ensemble):
    members, version = ensemble
    pairs = lineage(registry, "digits@3").edges
    assert {(f"version:{one.id}", f"version:{version.id}") for one in members} <= set(pairs)
    derived = prov_json(registry, version.run)["wasDerivedFrom"].values()
    assert {one["prov:usedEntity"] for one in derived} == {f"tw:version-{one.id}" for one in members}


def test_what_has_no_weights_or_lost_them_is_no_member(store, begin, ensemble):
    members, version = ensemble
    with pytest.raises(StoreError, match="digits@3 has no weights: it cannot be a member"):
        begin().save_members([version], metrics={})
    store.blobs.remove(members[0].weights)
    with pytest.raises(StoreError, match=f"object {members[0].weights} of a member is gone"):
        begin().save_members(members, metrics={})


@pytest.mark.parametrize(
    ("paths", "count"),
    [
        ([], 0),
        (["model.bin", "optimizer.bin"], 0),
        (["members/0/weights", "members/0/operator"], 1),
        (["members/0/weights", "members/1/weights"], 0),
        (["members/0/weights", "members/0/operator", "readme"], 0),
    ],
)
def test_files_of_a_foreign_framework_are_no_members(paths, count):
    assert count_members(dict.fromkeys(paths, "0" * 64)) == count
