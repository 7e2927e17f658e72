import json

import numpy as np
import pytest
from sqlalchemy import select

from trainwright.base.errors import StoreError
from trainwright.store import tables
from trainwright.store.datasets import register
from trainwright.store.rows import verify


def test_a_flipped_column_is_refused(store, registry, begin, snapshot):
    version = begin().save(snapshot(1)).wait()
    with store.catalogue.write() as connection:
        connection.exec_driver_sql("UPDATE version SET step = 2")
    with pytest.raises(StoreError, match=rf"version\(id={version.id}\) does not match its digest.*fsck"):
        registry.versions()


@pytest.mark.parametrize("table", tables.SEALED, ids=lambda table: table.name)
def test_every_column_of_a_sealed_row_is_guarded(store, begin, snapshot, table):
    data = {"recipe": {}, "recipe_digest": "r", "content_digest": "c", "splits": {"train": np.arange(3)}}
    run = begin(dataset=register(store, name="line", **data).digest)
    run.save(snapshot(1)).wait()
    run.artifact("score", 1.0)
    run.edge("used", "file", target="a.csv")
    run.look("test", "me")
    run.warn("slow")
    with store.catalogue.read() as connection:
        row = dict(connection.execute(select(table)).mappings().first())
    verify(table, row)
    for column in (one.name for one in table.c):
        changed = {**row, column: "other" if row[column] != "other" else "another"}
        with pytest.raises(StoreError, match=f"{table.name}.*does not match its digest"):
            verify(table, changed)


def test_rows_are_canonical_text(store, begin, snapshot):
    begin().save(snapshot(1, loss=float("inf"))).wait()
    with store.catalogue.read() as connection:
        text = connection.execute(select(tables.version.c.metrics)).scalar_one()
    assert json.loads(text) == {"val/loss": {"$float": "inf"}}
