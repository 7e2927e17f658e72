from trainwright.store.tables import SEALED, metadata


def test_the_tables_of_a_store_are_those_that_are_declared(store):
    with store.catalogue.read() as connection:
        found = (
            connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type='table'").scalars().all()
        )
    assert set(found) == set(metadata.tables)


def test_the_rows_that_a_claim_rests_on_are_sealed():
    assert {table.name for table in SEALED} == {"run", "attempt", "version", "tag", "dataset"}
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
