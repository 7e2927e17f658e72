"""Looks at everything in a store again: names damage and the versions it hits, and deletes nothing."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy.exc
from sqlalchemy import ColumnElement, Connection, func, select

from trainwright.base.errors import StoreError
from trainwright.base.jsontext import read_json
from trainwright.store import tables
from trainwright.store.batches import damaged_batches
from trainwright.store.catalogue import explain
from trainwright.store.files import list_files
from trainwright.store.log import cut_logs
from trainwright.store.prepared import driver
from trainwright.store.rows import fetch, verify
from trainwright.store.store import Store
from trainwright.store.structure import structure_faults

_LOG_CURE = (
    "nothing after a power cut; else put back a copy of the catalogue. Remove the kept log when it is settled"
)
_ROW_CURE = "restore the catalogue from a copy; the row is not used until then"
Kind = Literal["object", "missing", "row", "database", "number", "log", "leftover"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be.

    Args:
        kind: `object`: content does not match its name; `missing`: a row names an object that is not there;
            `row`: a row does not match its digest; `database`: SQLite itself complains; `number`: version
            numbers have a gap; `log`: SQLite did not read all of its log, which is right after a power cut;
            `leftover`: of a writer that died, harmless.
        what: The object, row or file.
        versions: Names of the versions it hits, such as `digits@3`.
        cure: What to do.
    """

    kind: Kind
    what: str
    versions: tuple[str, ...]
    cure: str

    @property
    def harmless(self) -> bool:
        """Says whether nothing is lost."""
        return self.kind in ("log", "leftover")


def check(store: Store) -> list[Finding]:
    """Re-hashes every object, verifies every row, and checks that whatever is named is there.

    Returns:
        Everything found; harmless leftovers come last.
    """
    found = [Finding("log", text, (), _LOG_CURE) for text in cut_logs(store.home)]
    try:
        with store.catalogue.read() as connection:
            found += _check_database(store, connection)
            broken = any(finding.kind == "database" for finding in found)
            found += _check_rows(connection)
            if not broken:  # what a broken database says about objects means nothing
                found += _check_numbers(connection)
            users = _users(store, connection)
    except StoreError as error:
        broken = True
        found.append(Finding("database", str(error), (), _cure(store)))
    if broken:
        return found
    present = set(store.blobs.all())
    for digest in sorted(present):
        if not _is_intact(store, digest):
            cure = "`trainwright fsck --repair` sets it aside; put back a copy, or reproduce the versions"
            found.append(Finding("object", digest, tuple(users.get(digest, ())), cure))
    for digest in sorted(users.keys() - present):
        cure = "put back a copy of the object, or reproduce the versions with `trainwright reproduce`"
        found.append(Finding("missing", digest, tuple(users[digest]), cure))
    for leftover in store.blobs.leftovers():
        found.append(Finding("leftover", str(leftover), (), "nothing: the next writer removes it"))
    unused = len(present - users.keys())
    if unused:
        found.append(
            Finding("leftover", f"{unused} objects nothing refers to", (), "`trainwright gc` removes them")
        )
    return found


def repair(store: Store) -> list[str]:
    """Moves damaged objects out of the way, so that a good copy can be written or put in their place.

    Returns:
        The digests of the objects that lie in `quarantine/` now.
    """
    moved: list[str] = []
    with store.collecting(wait=True):
        for digest in list(store.blobs.all()):
            if not _is_intact(store, digest):
                store.quarantine.mkdir(exist_ok=True)
                number = sum(1 for item in store.quarantine.iterdir() if item.name.startswith(digest))
                store.blobs.path(digest).rename(store.quarantine / f"{digest}.{number}")
                moved.append(digest)
    return moved


def _cure(store: Store) -> str:
    return f"move {store.catalogue.path} away and put back a copy; objects are not touched"


def _check_database(store: Store, connection: Connection) -> Iterator[Finding]:
    cure = _cure(store)
    try:
        for text in structure_faults(connection, whole=True):
            yield Finding("database", text, (), cure)
        for table, rowid, parent, _ in driver(connection).execute("PRAGMA foreign_key_check").fetchall():
            yield Finding("row", f"{table} row {rowid} names a {parent} that does not exist", (), cure)
    except (sqlite3.Error, sqlalchemy.exc.DBAPIError) as error:
        yield Finding("database", str(explain(store.catalogue.path, error)), (), cure)
    except StoreError:
        return  # the row that guards the definitions: found among the rows


def _check_rows(connection: Connection) -> Iterator[Finding]:
    for table in tables.SEALED:
        for row in fetch(connection, select(table)):
            try:
                verify(table, row)
            except StoreError as error:
                hit = _versions_of_row(connection, table.name, row)
                yield Finding("row", str(error).split(" does not match")[0], tuple(hit), _ROW_CURE)
    for run, fault in damaged_batches(connection):
        version = tables.version
        hit = _names(connection, version.c.run == run)
        yield Finding("row", fault.split(";")[0], tuple(hit), _ROW_CURE)


def _check_numbers(connection: Connection) -> Iterator[Finding]:
    number = tables.version.c.number
    statement = select(tables.version.c.model, func.min(number), func.max(number), func.count(number))
    for model, least, most, count in connection.execute(statement.group_by(tables.version.c.model)):
        if least != 1 or most != count:
            what = f"{model} has {count} versions with numbers {least} to {most}"
            yield Finding("number", what, (), "rows are missing: restore the catalogue from a copy")


def _users(store: Store, connection: Connection) -> dict[str, list[str]]:
    """Gives for every object a row names the versions that need it."""
    users: defaultdict[str, list[str]] = defaultdict(list)
    by_run: defaultdict[str, list[str]] = defaultdict(list)
    for row in fetch(connection, select(tables.version).where(tables.version.c.status == "kept")):
        name = f"{row['model']}@{row['number']}"
        by_run[row["run"]].append(name)
        digests = {row[column] for column in ("weights", "state", "operator", "files")} - {None}
        for digest in digests | _listed(store, row["files"]):
            users[digest].append(name)
    for table, columns in (
        (tables.run, ("spec", "operator", "environment")),
        (tables.attempt, ("spec", "environment")),
    ):
        for row in fetch(connection, select(table)):
            run = row["id"] if table is tables.run else row["run"]
            for digest in {row[column] for column in columns}:
                users[digest] = list(dict.fromkeys([*users[digest], *by_run[run]]))
    for digest in connection.execute(select(tables.artifact.c.object)).scalars():
        users[digest] += []
    by_dataset = _versions_by_dataset(connection, by_run)
    for row in fetch(connection, select(tables.dataset)):
        for digest in _split_objects(row["splits"]):
            users[digest] = list(dict.fromkeys([*users[digest], *by_dataset[row["digest"]]]))
    return users


def _listed(store: Store, files: str | None) -> set[str]:
    if files is None or not _is_intact(store, files):
        return set()
    try:
        return set(list_files(store.blobs, files).values())
    except StoreError:
        return set()  # its content is what was written, so the row that named it is at fault: found there


def _split_objects(splits: str) -> list[str]:
    try:
        return [digest for _, digest in read_json(splits, what="dataset splits").values()]
    except (StoreError, AttributeError, TypeError, ValueError):
        return []  # the row's digest is wrong, too: found there


def _versions_by_dataset(
    connection: Connection, by_run: Mapping[str, list[str]]
) -> defaultdict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for run, dataset in connection.execute(select(tables.run.c.id, tables.run.c.dataset)):
        found[dataset] += by_run.get(run, [])
    return found


def _versions_of_row(connection: Connection, table: str, row: Mapping[Any, Any]) -> list[str]:
    version = tables.version
    if table == "about":
        return []
    if table == "dataset":
        where = version.c.run.in_(select(tables.run.c.id).where(tables.run.c.dataset == row["digest"]))
    elif table == "attempt":
        where = (version.c.run == row["run"]) & (version.c.attempt == row["number"])
    elif table == "run":
        where = version.c.run == row["id"]
    elif table == "model":
        where = version.c.model == row["name"]
    elif table in ("tag", "version"):
        where = version.c.id == row["version" if table == "tag" else "id"]
    else:
        where = version.c.run == row["run"]
    return _names(connection, where)


def _names(connection: Connection, where: ColumnElement[bool]) -> list[str]:
    version = tables.version
    statement = select(version.c.model, version.c.number).where(where).order_by(version.c.id)
    return [f"{model}@{number}" for model, number in connection.execute(statement)]


def _is_intact(store: Store, digest: str) -> bool:
    try:
        return store.blobs.intact(digest)
    except (OSError, StoreError):
        return False  # unreadable is as bad as wrong
