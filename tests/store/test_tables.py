from trainwright.store.tables import SEALED, metadata


def test_the_tables_of_a_store_are_those_that_are_declared(store):
    with store.catalogue.read() as connection:
        found = (
            connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type='table'").scalars().all()
        )
    assert set(found) == set(metadata.tables)


def test_every_row_is_sealed():
    metrics = {"metric", "metric_batch"}  # guarded by batch
    assert {table.name for table in SEALED} == set(metadata.tables) - metrics
    assert all(table.info.get("digest", "digest") in table.c for table in SEALED)


def test_every_declared_reference_is_checked_by_the_database(store):
    declared = {
        (table.name, key.parent.name, key.column.table.name)
        for table in metadata.tables.values()
        for key in table.foreign_keys
    }
    with store.catalogue.read() as connection:
        checked = {
            (name, row[3], row[2])
            for name in metadata.tables
            for row in connection.exec_driver_sql(f'PRAGMA foreign_key_list("{name}")')
        }
    assert checked == declared
