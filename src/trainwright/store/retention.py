"""Which versions stay, and the removal of objects that nothing kept refers to."""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, bindparam, select, union

from trainwright.base.jsontext import read_json
from trainwright.store import tables
from trainwright.store.blobs import Blobs
from trainwright.store.files import list_files
from trainwright.store.prepared import Prepared
from trainwright.store.records import Mode, VersionRow
from trainwright.store.rows import fetch, overwrite, verify, version_row
from trainwright.store.store import Store
from trainwright.store.versions import fine_tunings

_VERSION_OBJECTS = ("weights", "state", "operator", "files")
_RUN_OBJECTS = ("spec", "operator", "environment")
_ATTEMPT_OBJECTS = ("spec", "environment")


@dataclass(frozen=True, slots=True)
class Keep:
    """How many versions of a run stay; without a number in either, all do.

    Args:
        last: The newest ones.
        best: The best ones by the run's metric.
    """

    last: int | None = None
    best: int | None = None


_MINE = select(tables.version.c.id).where(tables.version.c.run == bindparam("of"))
_FINE_TUNED = fine_tunings().subquery()
_PROTECTED = Prepared(
    union(
        select(tables.tag.c.version).where(tables.tag.c.version.in_(_MINE)),
        select(tables.run.c.parent).where(tables.run.c.parent.in_(_MINE)),
        select(_FINE_TUNED.c.id).where(_FINE_TUNED.c.id.in_(_MINE)),
    )
)
_KEPT = Prepared(
    select(tables.version).where(tables.version.c.run == bindparam("of"), tables.version.c.status == "kept")
)


def choose_collected(
    versions: Sequence[VersionRow], keep: Keep, *, metric: str, mode: Mode, protected: Collection[int] = ()
) -> list[VersionRow]:
    """Chooses the versions that need not stay.

    Args:
        versions: All kept versions of one run.
        keep: How many stay.
        metric: By which versions are good; those that lack it, or have NaN, are never among the best.
        mode: Whether small or large is good.
        protected: Ids of versions that stay anyway. The newest version always stays.

    Returns:
        The others, oldest first.
    """
    if keep.last is None and keep.best is None:
        return []
    newest = sorted(versions, key=lambda row: row.number, reverse=True)
    sign = 1.0 if mode == "min" else -1.0
    measured = [row for row in newest if not math.isnan(row.metrics.get(metric, math.nan))]
    # Of equally good versions the older one counts as better, as for the tag `best`.
    best = sorted(measured, key=lambda row: (sign * row.metrics[metric], row.number))
    stay = {row.id for row in [*newest[: max(keep.last or 0, 1)], *best[: keep.best or 0]]} | set(protected)
    return [row for row in reversed(newest) if row.id not in stay]


def leave_tombstones(
    connection: Connection, run: str, *, keep: Keep, metric: str, mode: Mode
) -> list[VersionRow]:
    """Marks versions as collected: all that `keep` does not name, nobody tagged and no run began from.

    A run begins from a version by branching or by fine-tuning.

    Args:
        connection: In a write transaction.
        run: Its id.
        keep: How many versions stay.
        metric: By which versions are good.
        mode: Whether small or large is good.

    Returns:
        What was marked; the objects are still there.
    """
    if keep.last is None and keep.best is None:
        return []
    protected = {row["version"] for row in _PROTECTED.rows(connection, {"of": run})}
    rows = {row["id"]: row for row in _KEPT.rows(connection, {"of": run})}
    versions = [version_row(row) for row in rows.values()]
    chosen = choose_collected(versions, keep, metric=metric, mode=mode, protected=protected)
    for row in chosen:
        changes = {"status": "collected"}
        overwrite(connection, tables.version, key={"id": row.id}, row=rows[row.id], changes=changes)
    return chosen


def objects_of(versions: Iterable[VersionRow]) -> set[str]:
    """Names the objects that belong to versions directly."""
    return {name for row in versions for name in (row.weights, row.state, row.files) if name is not None}


def references(connection: Connection, blobs: Blobs, *, among: Collection[str] | None = None) -> set[str]:
    """Names the objects that a kept version, a run, an artifact or a dataset refers to.

    Args:
        connection: In a transaction.
        blobs: Where lists of files lie.
        among: Look for these only, which is quick.

    Raises:
        StoreError: If a row or a list of files is damaged, so that it cannot be known what it refers to.
    """
    table = tables.version
    if among is None:
        for sealed in tables.SEALED:
            for row in fetch(connection, select(sealed)):
                verify(sealed, row)
    wanted = None if among is None else list(among)
    found: set[str] = set()
    for column, kept in _columns():
        statement = select(column).where(column.is_not(None)).distinct()
        if kept:
            statement = statement.where(table.c.status != "collected")
        if wanted is not None:
            statement = statement.where(column.in_(wanted))
        found.update(connection.execute(statement).scalars())
    for splits in connection.execute(select(tables.dataset.c.splits)).scalars():
        found.update(digest for _, digest in read_json(splits, what="dataset splits").values())
    lists = select(table.c.files).where(table.c.files.is_not(None), table.c.status != "collected").distinct()
    for digest in connection.execute(lists).scalars():
        found.update(list_files(blobs, digest).values())
    return found if wanted is None else found & set(wanted)


def remove_unused(store: Store, candidates: Collection[str]) -> None:
    """Removes those objects that nothing kept refers to, unless savers are at work: then `collect` will."""
    if not candidates:
        return
    with store.collecting(wait=False) as alone:
        if alone:
            with store.catalogue.read() as connection:
                needed = references(connection, store.blobs, among=candidates)
            for digest in set(candidates) - needed:
                store.blobs.remove(digest)


def collect(store: Store, *, dry: bool = False) -> tuple[int, int]:
    """Removes every object that nothing kept refers to.

    Args:
        store: Savers wait meanwhile.
        dry: Only count.

    Returns:
        The number of objects and their bytes.

    Raises:
        StoreError: If a row or a list of files is damaged; nothing is removed then.
    """
    count, size_bytes = 0, 0
    # Where nothing can be written, there is nobody to keep away, and no lock either.
    with nullcontext() if dry and not store.catalogue.writable else store.collecting(wait=True):
        with store.catalogue.read() as connection:
            needed = references(connection, store.blobs)
        for digest in list(store.blobs.all()):
            if digest not in needed:
                count, size_bytes = count + 1, size_bytes + store.blobs.size(digest)
                if not dry:
                    store.blobs.remove(digest)
    return count, size_bytes


def _columns() -> Iterator[tuple[Column[Any], bool]]:
    yield from ((tables.version.c[name], True) for name in _VERSION_OBJECTS)
    yield from ((tables.run.c[name], False) for name in _RUN_OBJECTS)
    yield from ((tables.attempt.c[name], False) for name in _ATTEMPT_OBJECTS)
    yield tables.artifact.c.object, False
