"""Statements of SQLAlchemy that are spelled once, for the few that a save waits for."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.expression import ClauseElement

_DIALECT = sqlite.dialect(paramstyle="named")


class Prepared:
    """A statement that goes straight to the driver.

    SQLAlchemy's way through a statement takes three times as long as SQLite itself, because a large save has driven its
    code out of the processor's caches (`benchmarks/durable_save.py`).

    Args:
        statement: Its parameters are named; its columns need no conversion: whole numbers, floats and text.

    Example:
        >>> from sqlalchemy import bindparam, create_engine, literal_column, select
        >>> doubled = Prepared(select((literal_column("2") * bindparam("n")).label("double")))
        >>> with create_engine("sqlite://").connect() as connection:
        ...     doubled.rows(connection, {"n": 3})
        [{'double': 6}]
    """

    def __init__(self, statement: ClauseElement) -> None:
        spelled = statement.compile(dialect=_DIALECT)
        self._text = str(spelled)
        self._fixed = {name: value for name, value in spelled.params.items() if value is not None}

    def rows(self, connection: Connection, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Runs it.

        Args:
            connection: In a transaction.
            parameters: Values by name.

        Returns:
            The rows it gives, by column; none for a change.

        Raises:
            sqlite3.Error: As the driver; `Catalogue` explains it.
        """
        cursor = driver(connection).execute(self._text, self._fixed | dict(parameters))
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor]


def driver(connection: Connection) -> sqlite3.Connection:
    """Gives the driver's connection behind one of SQLAlchemy."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw
