"""What people type to name a version or a run: `name`, `name@best`, `name@7`, a run, or a digest."""

import difflib
import re
from collections.abc import Sequence
from typing import NoReturn

from sqlalchemy import ColumnElement, Connection, select

from trainwright.base.errors import StoreError
from trainwright.base.names import check_tag
from trainwright.store import tables
from trainwright.store.attempts import find_model, find_run
from trainwright.store.records import RunRow, VersionRow
from trainwright.store.rows import fetch, model_row, run_row, tag_row, version_row
from trainwright.store.versions import run_scope, tagged_version

RUN_TAGS = ("best", "final", "latest")
MIN_RUN = 4
_HEX = re.compile(r"[0-9a-f]{8,64}")
_AT = re.compile(r"(epoch|step)=(\d{1,18})")
_version = tables.version


def check_user_tag(name: str) -> None:
    """Refuses tags that mean something else.

    Raises:
        SpecError: If it is no name, or would be taken for a number.
        StoreError: If it belongs to runs.
    """
    check_tag(name)
    if name in RUN_TAGS:
        raise StoreError(f"the tag {name!r} belongs to runs and moves by itself: choose another name")


def model_scope(connection: Connection, model: str) -> str:
    """Names the scope of a model's tags.

    Raises:
        StoreError: If there is no such model.
    """
    found = find_model(connection, model)
    if found is None:
        _refuse(connection, model)
    return f"model:{found.id}"


def resolve_version(connection: Connection, ref: str, *, collected: bool = False) -> VersionRow:
    """Finds the version a reference names.

    Args:
        connection: In a transaction.
        ref: `name` (its best version, else its newest), `name@best`, `name@latest`, `name@final`, `name@tag`,
            `name@7`, `name@epoch=7`, `name@step=700`; a run's id or the beginning of one, alone or with the
            same endings; or at least 8 digits of the digest of weights. `best` and `final` of a name are
            those of the latest finished run.

    Raises:
        StoreError: If there is no such version (near names and known tags are in the message), if several are
            meant, or if it was collected.
    """
    base, _, ending = ref.partition("@")
    if find_model(connection, base) is not None:
        found = _of_model(connection, base, ending, ref=ref)
    else:
        run = _run_by_prefix(connection, base)
        if run is not None:
            found = _of_run(connection, run, ending, ref=ref)
        elif not ending and _HEX.fullmatch(base):
            found = _by_digest(connection, base)
        else:
            _refuse(connection, base)
    if found.status == "collected" and not collected:
        raise StoreError(
            f"{ref} is version {found.number} of {found.model}, which retention has collected: its row is "
            f"kept, its weights are not; `trainwright reproduce {found.run}` trains them again"
        )
    return found


def resolve_run_row(connection: Connection, ref: str) -> RunRow:
    """Finds the run a reference names: the run itself, or the one that made the version it names.

    A name without versions stands for its latest run.

    Raises:
        StoreError: As `resolve_version`.
    """
    if "@" not in ref:
        if find_model(connection, ref) is None:
            run = _run_by_prefix(connection, ref)
            if run is not None:
                return run
        elif not _versions(connection, _version.c.model == ref):
            return _runs(connection, tables.run.c.model == ref)[0]
    row = find_run(connection, resolve_version(connection, ref).run)
    assert row is not None
    return row


def known_tags(connection: Connection, scope: str) -> dict[str, int]:
    """Gives the tags of a scope and the ids of their versions."""
    statement = select(tables.tag).where(tables.tag.c.scope == scope).order_by(tables.tag.c.name)
    return {row.name: row.version for row in map(tag_row, fetch(connection, statement))}


def _of_model(connection: Connection, model: str, ending: str, *, ref: str) -> VersionRow:
    mine = _version.c.model == model
    if ending in ("", "best", "final"):
        run = _latest_finished(connection, model)
        found = run and tagged_version(connection, run_scope(run.id), name=ending or "best")
        if found:
            return found
        if ending:
            raise StoreError(
                f"{ref}: no finished run of {model} has a version tagged {ending}; `{model}@latest` is the "
                "newest version, and RUN@best the best one of an unfinished run"
            )
    if ending in ("", "latest"):
        return _newest(_versions(connection, mine), ref=ref, why=f"{model} has no version yet")
    selected = _by_position(connection, mine, ending, ref=ref)
    if selected is not None:
        return selected
    scope = model_scope(connection, model)
    found = tagged_version(connection, scope, name=ending)
    if found is None:
        tags = [*RUN_TAGS, *known_tags(connection, scope)]
        raise StoreError(f"{ref}: {model} has no tag {ending!r}; its tags are {', '.join(tags)}")
    return found


def _of_run(connection: Connection, run: RunRow, ending: str, *, ref: str) -> VersionRow:
    mine = _version.c.run == run.id
    if ending == "":
        for name in ("best", "latest"):
            found = tagged_version(connection, run_scope(run.id), name=name)
            if found is not None:
                return found
        raise StoreError(f"{ref}: run {run.id} has no version yet")
    selected = _by_position(connection, mine, ending, ref=ref)
    found = selected or tagged_version(connection, run_scope(run.id), name=ending)
    if found is None:
        tags = ", ".join(known_tags(connection, run_scope(run.id))) or "none"
        raise StoreError(f"{ref}: run {run.id} has no tag {ending!r}; its tags are: {tags}")
    return found


def _by_position(
    connection: Connection, mine: ColumnElement[bool], ending: str, *, ref: str
) -> VersionRow | None:
    place = _AT.fullmatch(ending)
    if place:
        # Chosen here, not by SQL: a damaged column without an index would just leave its row out.
        found = [row for row in _versions(connection, mine) if getattr(row, place[1]) == int(place[2])]
        return _newest(found, ref=ref, why=f"no version was saved at {place[1]} {place[2]}")
    if ending.isascii() and ending.isdigit() and len(ending) <= 18:
        found = _versions(connection, mine, _version.c.number == int(ending))
        if not found:
            numbers = [row.number for row in _versions(connection, mine)]
            which = f"{min(numbers)} to {max(numbers)}" if numbers else "none"
            raise StoreError(f"{ref}: there is no version {int(ending)}; there are {which}")
        return found[0]
    return None


def _by_digest(connection: Connection, prefix: str) -> VersionRow:
    found = _versions(connection, _version.c.weights.startswith(prefix, autoescape=True))
    if len({row.weights for row in found}) > 1:
        raise StoreError(f"{prefix} is the beginning of several digests of weights: give more digits")
    return _newest(found, ref=prefix, why="no weights have a digest that begins so")


def _newest(found: Sequence[VersionRow], *, ref: str, why: str) -> VersionRow:
    if not found:
        raise StoreError(f"{ref}: {why}")
    return next((row for row in found if row.status == "kept"), found[0])


def _versions(connection: Connection, *where: ColumnElement[bool]) -> list[VersionRow]:
    statement = select(_version).where(*where).order_by(_version.c.id.desc())
    return [version_row(row) for row in fetch(connection, statement)]


def _runs(connection: Connection, *where: ColumnElement[bool]) -> list[RunRow]:
    statement = select(tables.run).where(*where).order_by(tables.run.c.created.desc())
    return [run_row(row) for row in fetch(connection, statement)]


def _latest_finished(connection: Connection, model: str) -> RunRow | None:
    rows = [row for row in _runs(connection, tables.run.c.model == model) if row.state in ("done", "stopped")]
    return max(rows, key=lambda row: row.finished or "", default=None)


def _run_by_prefix(connection: Connection, prefix: str) -> RunRow | None:
    if len(prefix) < MIN_RUN:
        return None
    found = _runs(connection, tables.run.c.id.startswith(prefix, autoescape=True))
    if len(found) > 1:
        shown = ", ".join(row.id for row in found[:5])
        raise StoreError(f"{prefix} is the beginning of {len(found)} runs: {shown}; give more letters")
    return found[0] if found else None


def _refuse(connection: Connection, name: str) -> NoReturn:
    known = [
        *(model_row(row).name for row in fetch(connection, select(tables.model))),
        *(row.id for row in _runs(connection)),
    ]
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"nearest: {', '.join(near)}" if near else "`trainwright ls` lists what there is"
    raise StoreError(f"there is no model, run or digest {name!r}; {hint}")
