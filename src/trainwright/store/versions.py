"""Versions and the tags that point to them; the row of a version is the only point of commitment."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, Text, bindparam, cast, func, select
from sqlalchemy.dialects.sqlite import insert

from trainwright.base.errors import StoreError
from trainwright.base.jsontext import write_json
from trainwright.store import tables
from trainwright.store.attempts import require_attempt
from trainwright.store.prepared import Prepared
from trainwright.store.records import Mode, RunRow, VersionRow
from trainwright.store.rows import edge_row, fetch, now_text, seal, tag_row, version_row

_LAST_NUMBER = select(func.max(tables.version.c.number)).where(tables.version.c.model == bindparam("model"))
_LAST = Prepared(
    select(
        select(func.max(tables.version.c.id)).scalar_subquery().label("id"),
        _LAST_NUMBER.scalar_subquery().label("number"),
    )
)
_TAG = Prepared(
    select(tables.tag).where(tables.tag.c.scope == bindparam("scope"), tables.tag.c.name == bindparam("name"))
)
_VERSION = Prepared(select(tables.version).where(tables.version.c.id == bindparam("id")))
_NEW_VERSION = Prepared(insert(tables.version))
_NEW_TAG = insert(tables.tag)
_MOVE_TAG = Prepared(
    _NEW_TAG.on_conflict_do_update(
        index_elements=["scope", "name"],
        set_={"version": _NEW_TAG.excluded.version, "digest": _NEW_TAG.excluded.digest},
    )
)
_NUMBERED = Prepared(
    select(tables.version).where(
        tables.version.c.model == bindparam("model"), tables.version.c.number == bindparam("number")
    )
)
_LATEST = (
    select(tables.version)
    .where(tables.version.c.run == bindparam("run"))
    .order_by(tables.version.c.number.desc())
)

FINE_TUNED = "fine_tuned_from"  # what an edge is called that leads to the version a run took its weights from


@dataclass(frozen=True, slots=True)
class Draft:
    """A version before it has a number: what was saved, and the objects that hold it."""

    step: int
    epoch: int
    metrics: Mapping[str, float]
    reason: str
    parents: list[int]
    weights: str | None = None
    state: str | None = None
    files: str | None = None


def run_scope(run: str) -> str:
    """Names the scope of a run's tags."""
    return f"run:{run}"


def commit_version(connection: Connection, run: RunRow, *, attempt: int, draft: Draft) -> VersionRow:
    """Adds the row of a version and moves the run's tags `latest` and `best`.

    Args:
        connection: In a write transaction; the version exists when that is committed.
        run: Whose version it is.
        attempt: The fencing token.
        draft: Its objects are durable already.

    Raises:
        StaleAttempt: If a newer attempt has taken over.
    """
    require_attempt(connection, run.id, attempt=attempt)
    (last,) = _LAST.rows(connection, {"model": run.model})
    metrics = {name: float(value) for name, value in draft.metrics.items()}
    values = {
        "id": (last["id"] or 0) + 1,
        "model": run.model,
        # The next of its model: no gaps, and never one used before, collected ones included.
        "number": (last["number"] or 0) + 1,
        "run": run.id,
        "attempt": attempt,
        "step": draft.step,
        "epoch": draft.epoch,
        "parents": write_json(draft.parents),
        "weights": draft.weights,
        "state": draft.state,
        "operator": run.operator,
        "files": draft.files,
        "metrics": write_json(metrics),
        "status": "kept",
        "reason": draft.reason,
        "created": now_text(),
    }
    values = seal(values)
    scope = run_scope(run.id)
    best = tagged_version(connection, scope, name="best")
    _NEW_VERSION.rows(connection, values)
    move_tag(connection, scope, name="latest", version=values["id"])
    held = None if best is None else best.metrics[run.best_metric]
    if is_better(metrics.get(run.best_metric), held, mode=run.best_mode):
        move_tag(connection, scope, name="best", version=values["id"])
    return version_row(values)


def is_better(value: float | None, held: float | None, *, mode: Mode) -> bool:
    """Says whether a value beats the best so far; a missing value and NaN never do.

    Example:
        >>> [is_better(value, 2.0, mode="min") for value in (1.0, 2.0, float("nan"), None)]
        [True, False, False, False]
    """
    if value is None or math.isnan(value):
        return False
    return held is None or (value < held if mode == "min" else value > held)


def move_tag(connection: Connection, scope: str, *, name: str, version: int) -> None:
    """Lets a tag point to a version."""
    _MOVE_TAG.rows(connection, seal({"scope": scope, "name": name, "version": version}))


def tagged_version(connection: Connection, scope: str, *, name: str) -> VersionRow | None:
    """Gives the version a tag points to, or None.

    Raises:
        StoreError: If the tag or the version is damaged, or the version is gone.
    """
    tags = _TAG.rows(connection, {"scope": scope, "name": name})
    if not tags:
        return None
    number = tag_row(tags[0]).version
    found = find_version(connection, number)
    if found is None:
        raise StoreError(
            f"the tag {name} of {scope} points to version id {number}, whose row is gone: "
            "`trainwright fsck` says what is damaged"
        )
    return found


def latest_version(connection: Connection, run: str, *, step: int | None = None) -> VersionRow | None:
    """Gives the newest kept version of a run, at one step if that is given, or None."""
    # Chosen here, not by SQL: a damaged column without an index would just leave its row out.
    for row in connection.execute(_LATEST, {"run": run}).mappings():
        found = version_row(row)
        if found.status == "kept" and step in (None, found.step):
            return found
    return None


def find_version(connection: Connection, version: int) -> VersionRow | None:
    """Gives a version by its id, or None."""
    return _first(connection, _VERSION, {"id": version})


def fine_tunings() -> Select[tuple[str, int]]:
    """Selects each run that began from the weights of a version, and the id of that version."""
    version, edge = tables.version, tables.edge
    name = version.c.model + "@" + cast(version.c.number, Text)
    joined = edge.join(version, edge.c.target == name)
    return select(edge.c.run, version.c.id).select_from(joined).where(edge.c.what == FINE_TUNED)


def tuned_runs(connection: Connection) -> dict[str, int]:
    """Gives, by run, the id of the version whose weights a fine-tuned run began from; every row is verified."""
    found: dict[str, int] = {}
    for edge in map(edge_row, fetch(connection, select(tables.edge))):
        if edge.what != FINE_TUNED:
            continue
        model, _, number = edge.target.rpartition("@")
        row = _first(connection, _NUMBERED, {"model": model, "number": int(number)})
        if row is not None:
            found[edge.run] = row.id
    return found


def resume_version(connection: Connection, run: RunRow) -> VersionRow | None:
    """Gives the version a run goes on from: its newest one, or else the one it began from, or None."""
    latest = latest_version(connection, run.id)
    if latest is None and run.parent is not None:
        return find_version(connection, run.parent)
    return latest


def _first(connection: Connection, statement: Prepared, parameters: Mapping[str, Any]) -> VersionRow | None:
    rows = statement.rows(connection, parameters)
    return version_row(rows[0]) if rows else None
