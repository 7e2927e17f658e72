"""Rows as records: sealed with a digest when they are written, verified when they are read.

SQLite has no checksums of its own, so a flipped bit in a row would go unnoticed.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Table,
    and_,
    bindparam,
    insert,
    select,
    update,
)

from trainwright.base.digest import digest_json
from trainwright.base.errors import StoreError
from trainwright.base.jsontext import read_json
from trainwright.store import tables
from trainwright.store.prepared import Prepared
from trainwright.store.records import (
    ArtifactRow,
    AttemptRow,
    DatasetRow,
    EdgeRow,
    LookRow,
    ModelRow,
    NoteRow,
    RunRow,
    TagRow,
    VersionRow,
)

Values = dict[str, Any]


def now_text() -> str:
    """Gives the time in UTC as ISO 8601 with microseconds, so that text sorts like time."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def seal(values: Mapping[str, Any], *, column: str = "digest") -> Values:
    """Adds the digest of all other columns.

    Example:
        >>> sorted(seal({"name": "latest", "version": 3}))
        ['digest', 'name', 'version']
    """
    content = {name: value for name, value in values.items() if name != column}
    return {**content, column: digest_json(content)}


def verify(table: Table, row: Mapping[Any, Any]) -> Values:
    """Returns the columns of a row if its digest is right.

    Raises:
        StoreError: If a column was changed by anything but the package.
    """
    column = table.info.get("digest", "digest")
    values = dict(row)
    try:
        sound = values == seal(values, column=column)
    except (TypeError, ValueError):
        sound = False  # damage made bytes of a text: JSON has no word for them
    if not sound:
        known = [one.name for one in table.primary_key] or ["run"]
        key = ", ".join(f"{name}={values[name]!r}" for name in known)
        raise StoreError(
            f"the row {table.name}({key}) does not match its digest: the catalogue is damaged; "
            "`trainwright fsck` names what is hit"
        )
    return values


def add(connection: Connection, table: Table, values: Mapping[str, Any]) -> Values:
    """Adds a row with its digest.

    Args:
        connection: In a write transaction.
        table: One of the sealed tables.
        values: All columns but the digest.

    Returns:
        The row as it was added.
    """
    row = seal(values, column=table.info.get("digest", "digest"))
    connection.execute(insert(table), row)
    return row


def rewrite(
    connection: Connection, table: Table, *, key: Mapping[str, Any], changes: Mapping[str, Any]
) -> Values:
    """Changes columns of one verified row and seals it again.

    Args:
        connection: In a write transaction.
        table: One of the sealed tables.
        key: Values of its primary key.
        changes: New values by column.

    Raises:
        StoreError: If the row is damaged or missing.
    """
    find, _ = _by_key(table, tuple(key))
    parameters = {f"key_{name}": value for name, value in key.items()}
    found = find.rows(connection, parameters)
    if not found:
        named = ", ".join(f"{name}={value!r}" for name, value in key.items())
        raise StoreError(
            f"the row {table.name}({named}) is missing: the catalogue is damaged; `trainwright fsck` names what is hit"
        )
    return overwrite(connection, table, key=key, row=found[0], changes=changes)


def overwrite(
    connection: Connection,
    table: Table,
    *,
    key: Mapping[str, Any],
    row: Mapping[Any, Any],
    changes: Mapping[str, Any],
) -> Values:
    """Changes columns of a row that was read in this transaction, verifies it and seals it again.

    Raises:
        StoreError: If the row is damaged.
    """
    _, change = _by_key(table, tuple(key))
    values = seal({**verify(table, row), **changes}, column=table.info.get("digest", "digest"))
    parameters = {f"key_{name}": value for name, value in key.items()}
    change.rows(connection, parameters | {f"new_{name}": value for name, value in values.items()})
    return values


@cache
def _by_key(table: Table, names: tuple[str, ...]) -> tuple[Prepared, Prepared]:
    """Spells the statements once."""
    where = and_(*(table.c[name] == bindparam(f"key_{name}") for name in names))
    everything: dict[str, BindParameter[Any]] = {
        column.name: bindparam(f"new_{column.name}") for column in table.columns
    }
    return Prepared(select(table).where(where)), Prepared(update(table).where(where).values(everything))


def model_row(row: Mapping[Any, Any]) -> ModelRow:
    """Turns a verified row into a record."""
    return ModelRow(**_content(tables.model, row))


def artifact_row(row: Mapping[Any, Any]) -> ArtifactRow:
    """Turns a verified row into a record."""
    return ArtifactRow(**_content(tables.artifact, row))


def edge_row(row: Mapping[Any, Any]) -> EdgeRow:
    """Turns a verified row into a record."""
    return EdgeRow(**_content(tables.edge, row))


def look_row(row: Mapping[Any, Any]) -> LookRow:
    """Turns a verified row into a record."""
    return LookRow(**_content(tables.look, row))


def note_row(row: Mapping[Any, Any]) -> NoteRow:
    """Turns a verified row into a record."""
    return NoteRow(**_content(tables.note, row))


def _content(table: Table, row: Mapping[Any, Any]) -> Values:
    return {name: value for name, value in verify(table, row).items() if name != "digest"}


def run_row(row: Mapping[Any, Any]) -> RunRow:
    """Turns a verified row into a record."""
    return RunRow(**verify(tables.run, row))


def attempt_row(row: Mapping[Any, Any]) -> AttemptRow:
    """Turns a verified row into a record."""
    values = verify(tables.attempt, row)
    inexact = values["inexact"]
    return AttemptRow(
        **{**values, "inexact": None if inexact is None else read_json(inexact, what="inexact")}
    )


def version_row(row: Mapping[Any, Any]) -> VersionRow:
    """Turns a verified row into a record."""
    values = verify(tables.version, row)
    parents, metrics = (read_json(values[name], what=f"version {name}") for name in ("parents", "metrics"))
    return VersionRow(**{**values, "parents": parents, "metrics": metrics})


def tag_row(row: Mapping[Any, Any]) -> TagRow:
    """Turns a verified row into a record."""
    return TagRow(**verify(tables.tag, row))


def dataset_row(row: Mapping[Any, Any]) -> DatasetRow:
    """Turns a verified row into a record."""
    values = verify(tables.dataset, row)
    splits = read_json(values["splits"], what="dataset splits")
    pairs = {name: (count, digest) for name, (count, digest) in splits.items()}
    return DatasetRow(**{**values, "recipe": read_json(values["recipe"], what="recipe"), "splits": pairs})


def fetch(connection: Connection, statement: Any) -> Sequence[Any]:
    """Runs a select and returns its rows as mappings."""
    return connection.execute(statement).mappings().all()
