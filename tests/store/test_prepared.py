import sqlite3

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, bindparam, create_engine, insert, select

from trainwright.store.prepared import Prepared, driver

PEOPLE = Table("person", MetaData(), Column("id", Integer, primary_key=True), Column("name", Text))


@pytest.fixture
def connection():
    engine = create_engine("sqlite://")
    PEOPLE.metadata.create_all(engine)
    with engine.connect() as one:
        yield one


def test_rows_come_by_column_and_changes_give_none(connection):
    add, everybody = Prepared(insert(PEOPLE)), Prepared(select(PEOPLE).order_by(PEOPLE.c.id.desc()))
    assert (
        add.rows(connection, {"id": 1, "name": "Ada"}) == add.rows(connection, {"id": 2, "name": None}) == []
    )
    assert everybody.rows(connection, {}) == [{"id": 2, "name": None}, {"id": 1, "name": "Ada"}]


def test_values_that_stand_in_the_statement_need_not_be_given(connection):
    Prepared(insert(PEOPLE)).rows(connection, {"id": 1, "name": "Ada"})
    same = Prepared(select(PEOPLE.c.id).where(PEOPLE.c.name == "Ada", PEOPLE.c.id == bindparam("number")))
    assert same.rows(connection, {"number": 1}) == [{"id": 1}]
    assert same.rows(connection, {"number": 2}) == []


def test_a_parameter_that_is_missing_is_an_error(connection):
    with pytest.raises(sqlite3.ProgrammingError, match="number"):
        Prepared(select(PEOPLE).where(PEOPLE.c.id == bindparam("number"))).rows(connection, {})


def test_it_is_the_connection_s_own_transaction(connection):
    connection.begin()
    driver(connection).execute("BEGIN")
    Prepared(insert(PEOPLE)).rows(connection, {"id": 1, "name": "Ada"})
    connection.rollback()
    assert connection.execute(select(PEOPLE)).all() == []
