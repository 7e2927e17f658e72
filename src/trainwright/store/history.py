"""The visible history of a run: of each attempt, what lies before the point where a later one began."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select, text

from trainwright.base.errors import StoreError
from trainwright.store import tables
from trainwright.store.batches import metrics_of
from trainwright.store.records import ArtifactRow, AttemptRow, MetricRow
from trainwright.store.rows import artifact_row, attempt_row, fetch


def attempts_of(connection: Connection, run: str) -> list[AttemptRow]:
    """Gives the attempts of a run in order.

    Raises:
        StoreError: If a row is damaged or gone.
    """
    statement = select(tables.attempt).where(tables.attempt.c.run == run).order_by(tables.attempt.c.number)
    found = [attempt_row(row) for row in fetch(connection, statement)]
    if [row.number for row in found] != list(range(1, len(found) + 1)):
        raise StoreError(f"of the attempts of run {run} one is gone: `trainwright fsck` says what is damaged")
    return found


def visible_until(attempts: Sequence[AttemptRow]) -> dict[int, int | None]:
    """Gives the last visible step of each attempt; None if nothing took its place.

    A third attempt may have begun before the second did, so the smallest of all later beginnings counts.
    """
    limits: dict[int, int | None] = {}
    least: int | None = None
    for attempt in sorted(attempts, key=lambda row: row.number, reverse=True):
        limits[attempt.number] = least
        least = attempt.from_step if least is None else min(least, attempt.from_step)
    return limits


def visible_metrics(connection: Connection, run: str) -> list[MetricRow]:
    """Gives the visible metrics of a run, by step and then in the order they were reported.

    Raises:
        StoreError: If one of all its metrics is damaged or gone.
    """
    limits = visible_until(attempts_of(connection, run))
    rows = metrics_of(connection, run)
    return sorted((row for row in rows if _is_visible(row, limits)), key=lambda row: row.step)


def visible_artifacts(connection: Connection, run: str) -> list[ArtifactRow]:
    """Gives the visible artifacts of a run in the order they were made; those without a step always are."""
    limits = visible_until(attempts_of(connection, run))
    statement = select(tables.artifact).where(tables.artifact.c.run == run).order_by(text("artifact.rowid"))
    rows = [artifact_row(row) for row in fetch(connection, statement)]
    return [row for row in rows if _is_visible(row, limits)]


def _is_visible(row: MetricRow | ArtifactRow, limits: Mapping[int, int | None]) -> bool:
    if row.step is None:
        return True
    if row.attempt not in limits:
        raise StoreError(
            f"run {row.run} has rows of attempt {row.attempt}, but no such attempt: its row is gone; "
            "`trainwright fsck` says what is damaged"
        )
    limit = limits[row.attempt]
    return limit is None or row.step <= limit
