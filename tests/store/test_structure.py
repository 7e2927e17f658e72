import sqlite3

import pytest

from trainwright.base.errors import StoreError
from trainwright.store.fsck import check
from trainwright.store.store import Store


@pytest.fixture
def path(store, begin, snapshot):
    run = begin()
    for step in (1, 2):
        run.save(snapshot(step)).wait()
    run.finish("done")
    store.close()
    return store.catalogue.path


def change(path, *statements):
    raw = sqlite3.connect(path)
    for statement in statements:
        raw.execute(statement)
    raw.commit()
    raw.close()


def hide_the_last_row(path, table):
    """Takes one from the number of cells of the page that holds a small table."""
    raw = sqlite3.connect(path)
    (page,) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    raw.close()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 + 4] -= 1
    path.write_bytes(content)


@pytest.mark.parametrize("table", ["version", "tag", "run", "attempt", "model"])
def test_a_hidden_row_is_noticed_when_the_store_is_opened(path, table):
    hide_the_last_row(path, table)
    with pytest.raises(StoreError, match=r"catalogue.db is damaged.*put back a copy.*fsck"):
        Store.open(path.parent)
    assert {one.kind for one in check(Store.open(path.parent, examine=False))} >= {"database"}


@pytest.mark.parametrize(
    "statement",
    [
        "DROP INDEX metric_by_run",
        "CREATE TABLE more (x)",
        "ALTER TABLE note RENAME COLUMN text TO texts",
        "CREATE TRIGGER t AFTER INSERT ON note BEGIN DELETE FROM note; END",
    ],
)
def test_other_definitions_are_noticed_when_the_store_is_opened(path, statement):
    change(path, statement)
    with pytest.raises(StoreError, match="definitions of the tables are not those that were made"):
        Store.open(path.parent)
    assert "definitions" in next(iter(check(Store.open(path.parent, examine=False)))).what


def test_the_guard_of_the_definitions_is_guarded(path):
    change(path, "UPDATE about SET value = 'x'")
    with pytest.raises(StoreError, match=r"about\(name='schema'\) does not match its digest"):
        Store.open(path.parent)
    change(path, "DELETE FROM about")
    with pytest.raises(StoreError, match="definitions of the tables"):
        Store.open(path.parent)
