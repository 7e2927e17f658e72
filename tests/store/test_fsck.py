import numpy as np
import pytest
from sqlalchemy import delete

from trainwright.store import tables
from trainwright.store.datasets import register
from trainwright.store.fsck import check, repair


@pytest.fixture
def version(store, begin, snapshot):
    data = {"recipe": {}, "recipe_digest": "r", "content_digest": "c", "splits": {"train": np.arange(3)}}
    run = begin(dataset=register(store, name="line", **data).digest)
    run.artifact("curve", np.arange(4.0))
    run.edge("used", "file", target="a.csv")
    run.look("test", "me")
    run.warn("slow")
    run.report(1, {"loss": 0.5, "rate": float("nan")}, group="train")
    run.save(snapshot(1)).wait()
    last = run.save(snapshot(2)).wait()
    run.finish("done")
    return last


def spoil(store, digest):
    path = store.blobs.path(digest)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])


def test_a_good_store_has_nothing_to_say(store, version):
    assert check(store) == []


def test_a_damaged_object_names_the_versions_it_hits(store, registry, version):
    spoil(store, version.weights)
    spoil(store, version.operator)  # both versions need it
    found = {one.what: (one.kind, one.versions) for one in check(store)}
    assert found == {
        version.weights: ("object", ("digits@2",)),
        version.operator: ("object", ("digits@1", "digits@2")),
    }
    assert all(not one.harmless and "fsck --repair" in one.cure for one in check(store))


def test_a_damaged_split_names_the_versions_trained_on_it(store, registry, version):
    from trainwright.store.datasets import find

    ((_, digest),) = find(store, "line").splits.values()
    spoil(store, digest)
    assert [(one.kind, one.versions) for one in check(store)] == [("object", ("digits@1", "digits@2"))]


def test_a_missing_object_names_the_versions_it_hits(store, version):
    store.blobs.remove(version.state)
    assert [(one.kind, one.what, one.versions) for one in check(store)] == [
        ("missing", version.state, ("digits@2",))
    ]


def test_repair_sets_damage_aside_and_deletes_nothing(store, version):
    spoil(store, version.weights)
    spoilt = store.blobs.path(version.weights).read_bytes()

    assert repair(store) == [version.weights]

    (aside,) = store.quarantine.iterdir()
    assert aside.name.startswith(version.weights) and aside.read_bytes() == spoilt
    assert [one.kind for one in check(store)] == ["missing"]
    assert repair(store) == []


@pytest.mark.parametrize(
    ("statement", "versions"),
    [
        ("UPDATE version SET step = 9 WHERE number = 2", ("digits@2",)),
        ("UPDATE tag SET version = 1 WHERE name = 'latest'", ("digits@1",)),
        ("UPDATE run SET seed = 8", ("digits@1", "digits@2")),
        ("UPDATE attempt SET host = 'x'", ("digits@1", "digits@2")),
        ("UPDATE dataset SET recipe = '[]'", ("digits@1", "digits@2")),
        ("UPDATE model SET created = 'x'", ("digits@1", "digits@2")),
        ("UPDATE artifact SET name = 'x'", ("digits@1", "digits@2")),
        ("UPDATE edge SET target = 'x'", ("digits@1", "digits@2")),
        ("UPDATE look SET by = 'x'", ("digits@1", "digits@2")),
        ("UPDATE note SET text = 'x'", ("digits@1", "digits@2")),
        ("UPDATE metric SET value = 2", ("digits@1", "digits@2")),
        ("DELETE FROM metric WHERE rowid = 1", ("digits@1", "digits@2")),
        ("DELETE FROM metric_batch", ("digits@1", "digits@2")),
        ("UPDATE metric_batch SET attempt = 2", ("digits@1", "digits@2")),
        ("UPDATE about SET value = 'x'", ()),
    ],
)
def test_a_changed_row_names_the_versions_it_hits(store, version, statement, versions):
    with store.catalogue.write() as connection:
        connection.exec_driver_sql(statement)
    assert [(one.kind, one.versions) for one in check(store)] == [("row", versions)]


def test_a_missing_row_is_seen_as_a_gap(store, begin, snapshot):
    run = begin()
    for step in (1, 2, 3):
        run.save(snapshot(step)).wait()
    with store.catalogue.write() as connection:
        connection.execute(delete(tables.version).where(tables.version.c.number == 2))
    assert [finding.kind for finding in check(store) if not finding.harmless] == ["number"]


def test_a_page_of_garbage_in_the_catalogue_is_found(store, version):
    store.close()
    path = store.catalogue.path
    content = bytearray(path.read_bytes())
    with store.catalogue.read() as connection:
        page = connection.exec_driver_sql("SELECT rootpage FROM sqlite_master WHERE name='version'").scalar()
    store.close()
    content[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    path.write_bytes(content)
    assert {one.kind for one in check(store)} == {"database"}


def test_a_reference_to_a_row_that_is_gone_is_found(store, version):
    with store.catalogue.write() as connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
    import sqlite3

    raw = sqlite3.connect(store.catalogue.path)
    raw.execute("INSERT INTO note VALUES ('nobody', 1, '', '', '', '')")
    raw.commit()
    raw.close()
    assert [(one.kind, "note row" in one.what) for one in check(store)] == [("row", True), ("row", False)]


def test_leftovers_are_harmless(store, version):
    (store.blobs.folder / "tmp" / "dead").write_bytes(b"half")
    store.blobs.put([b"nobody's"])
    found = check(store)
    assert [one.kind for one in found] == ["leftover", "leftover"] and all(one.harmless for one in found)
