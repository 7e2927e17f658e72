"""The visible history of a run: of each attempt, what lies before the point where a later one began."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, false, literal_column, or_, select

from trainwright.store import tables
from trainwright.store.records import ArtifactRow, AttemptRow, MetricRow
from trainwright.store.rows import attempt_row, fetch


def attempts_of(connection: Connection, run: str) -> list[AttemptRow]:
    """Gives the attempts of a run in order."""
    statement = select(tables.attempt).where(tables.attempt.c.run == run).order_by(tables.attempt.c.number)
    return [attempt_row(row) for row in fetch(connection, statement)]


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
    """Gives the visible metrics of a run, by step and then in the order they were reported."""
    table = tables.metric
    where = _visible(table.c.attempt, table.c.step, attempts_of(connection, run), timeless=False)
    columns = (table.c.attempt, table.c.step, table.c.grp, table.c.name, table.c.value, table.c.time)
    rows = connection.execute(
        select(*columns).where(table.c.run == run, where).order_by(table.c.step, _rowid("metric"))
    )
    return [
        MetricRow(run, attempt, step, group, name, float("nan") if value is None else value, time)
        for attempt, step, group, name, value, time in rows
    ]


def visible_artifacts(connection: Connection, run: str) -> list[ArtifactRow]:
    """Gives the visible artifacts of a run in the order they were made; those without a step always are."""
    table = tables.artifact
    where = _visible(table.c.attempt, table.c.step, attempts_of(connection, run), timeless=True)
    statement = select(table).where(table.c.run == run, where).order_by(_rowid("artifact"))
    return [ArtifactRow(**row) for row in fetch(connection, statement)]


def _visible(
    attempt: ColumnElement[int], step: ColumnElement[int], attempts: Sequence[AttemptRow], *, timeless: bool
) -> ColumnElement[bool]:
    cases: list[ColumnElement[bool]] = [false()]
    if timeless:
        cases.append(step.is_(None))
    for number, limit in visible_until(attempts).items():
        cases.append(attempt == number if limit is None else and_(attempt == number, step <= limit))
    return or_(*cases)


def _rowid(table: str) -> ColumnElement[int]:
    return literal_column(f"{table}.rowid")
