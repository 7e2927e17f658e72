"""A run and its attempts: the number of the latest attempt is the fencing token of every write."""

import os
import platform
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from trainwright.base.errors import StaleAttempt, StoreError
from trainwright.base.jsontext import write_json
from trainwright.store import tables
from trainwright.store.prepared import Prepared
from trainwright.store.records import AttemptRow, ModelRow, RunRow
from trainwright.store.rows import (
    Values,
    add,
    attempt_row,
    fetch,
    model_row,
    now_text,
    rewrite,
    run_row,
    verify,
)

_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_RUN = Prepared(select(tables.run).where(tables.run.c.id == bindparam("id")))


def new_run_id() -> str:
    """Makes the id of a run: the time in UTC and four random letters.

    Example:
        >>> len(new_run_id())
        21
    """
    letters = "".join(secrets.choice(_LETTERS) for _ in range(4))
    return f"r{datetime.now(UTC):%Y%m%d-%H%M%S}-{letters}"


def require_attempt(connection: Connection, run: str, *, attempt: int) -> None:
    """Checks that no newer attempt has taken over.

    Raises:
        StaleAttempt: If one has.
        StoreError: If the row of the run is damaged or gone.
    """
    rows = _RUN.rows(connection, {"id": run})
    if not rows:
        raise StoreError(f"the row of run {run} is gone: `trainwright fsck` says what is damaged")
    latest = verify(tables.run, rows[0])["attempt"]
    if latest != attempt:
        raise StaleAttempt(
            f"run {run}: attempt {attempt} can write nothing any more, attempt {latest} has taken over; "
            "end this process"
        )


def insert_run(
    connection: Connection,
    values: Mapping[str, Any],
    *,
    from_step: int,
    inexact: Sequence[str] | None = None,
) -> None:
    """Adds a run with its first attempt, and its model if that is new.

    Args:
        connection: In a write transaction.
        values: The columns id, model, seed, folder, backend, dataset, spec, operator, environment, parent,
            best_metric and best_mode.
        from_step: Where it begins.
        inexact: What differs from the attempt that made its parent, if going on is not exact.

    Raises:
        StoreError: If its dataset is not registered.
    """
    now, model, dataset = now_text(), values["model"], values["dataset"]
    if find_model(connection, model) is None:
        last = connection.execute(select(func.max(tables.model.c.id))).scalar() or 0
        add(connection, tables.model, {"id": last + 1, "name": model, "created": now})
    known = select(tables.dataset.c.digest).where(tables.dataset.c.digest == dataset)
    if dataset is not None and connection.execute(known).scalar() is None:
        raise StoreError(f"dataset {dataset!r} is not in the store: register it before a run begins")
    state = {"state": "running", "reason": "", "attempt": 1, "created": now, "finished": None}
    add(connection, tables.run, {**values, **state})
    _insert_attempt(connection, {**values, "number": 1, "from_step": from_step, "inexact": _spell(inexact)})


def insert_attempt(
    connection: Connection,
    run: str,
    *,
    from_step: int,
    changes: Mapping[str, str],
    inexact: Sequence[str] | None,
) -> Values:
    """Adds an attempt; from here on, older ones can write nothing.

    Args:
        connection: In a write transaction.
        run: Its id.
        from_step: Step of the checkpoint it goes on from.
        changes: New values of `spec` and `environment`.
        inexact: What differs from the attempt before, if going on is not exact.

    Returns:
        The columns of the run.
    """
    before = latest_attempt(connection, run)
    if before.outcome is None:
        # Nobody holds its lock any more; when it died is not known.
        key = {"run": run, "number": before.number}
        rewrite(connection, tables.attempt, key=key, changes={"outcome": "killed"})
    number = before.number + 1
    running = {"attempt": number, "state": "running", "reason": "", "finished": None}
    values = rewrite(connection, tables.run, key={"id": run}, changes={**changes, **running})
    _insert_attempt(
        connection, {**values, "number": number, "from_step": from_step, "inexact": _spell(inexact)}
    )
    return values


def close_attempt(connection: Connection, run: str, *, attempt: int, state: str, reason: str) -> None:
    """Writes how a run and its latest attempt ended.

    Raises:
        StaleAttempt: If a newer attempt has taken over.
    """
    require_attempt(connection, run, attempt=attempt)
    now = now_text()
    rewrite(
        connection, tables.run, key={"id": run}, changes={"state": state, "reason": reason, "finished": now}
    )
    key = {"run": run, "number": attempt}
    rewrite(connection, tables.attempt, key=key, changes={"outcome": state, "finished": now})


def latest_attempt(connection: Connection, run: str) -> AttemptRow:
    """Gives the attempt with the largest number."""
    number = select(func.max(tables.attempt.c.number)).where(tables.attempt.c.run == run).scalar_subquery()
    statement = select(tables.attempt).where(tables.attempt.c.run == run, tables.attempt.c.number == number)
    return attempt_row(fetch(connection, statement)[0])


def find_model(connection: Connection, name: str) -> ModelRow | None:
    """Gives the row of a model, or None."""
    rows = fetch(connection, select(tables.model).where(tables.model.c.name == name))
    return model_row(rows[0]) if rows else None


def find_run(connection: Connection, run: str) -> RunRow | None:
    """Gives the row of a run, or None."""
    rows = fetch(connection, select(tables.run).where(tables.run.c.id == run))
    return run_row(rows[0]) if rows else None


def _spell(inexact: Sequence[str] | None) -> str | None:
    return None if inexact is None else write_json(list(inexact))


def _insert_attempt(connection: Connection, values: Mapping[str, Any]) -> None:
    row = {
        "run": values["id"],
        "number": values["number"],
        "from_step": values["from_step"],
        "pid": os.getpid(),
        "host": platform.node(),
        "spec": values["spec"],
        "environment": values["environment"],
        "started": now_text(),
        "finished": None,
        "outcome": None,
        "inexact": values["inexact"],
    }
    add(connection, tables.attempt, row)
