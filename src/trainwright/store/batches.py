"""Digests of metric rows: one for each batch that a transaction adds, verified when the rows are read.

A digest in each row would cost as much as the row itself. One per batch costs 0.1 µs a row on the writer's thread, and
a row that is gone is noticed, too, because the batch says how many there were.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Label, literal_column, select

from trainwright.base.digest import digest_bytes
from trainwright.base.errors import StoreError
from trainwright.base.jsontext import write_json
from trainwright.store import tables
from trainwright.store.records import MetricRow
from trainwright.store.rows import fetch

COLUMNS = 7  # run, attempt, step, group, name, value, time
HASHED_ROWS = 200  # in one step of the digest: part of the format
_METRIC = tables.metric.c
_ROWID: Label[int] = literal_column("metric.rowid").label("rowid")
_WHAT = (_ROWID, _METRIC.attempt, _METRIC.step, _METRIC.grp, _METRIC.name, _METRIC.value, _METRIC.time)


class BatchDigest:
    """Takes the rows of one batch, `HASHED_ROWS` at a time (the last time fewer), and names them.

    Example:
        >>> digest = BatchDigest()
        >>> digest.add([1], ["train"], ["loss"], [0.5], [0.0])[1]
        array([0.5])
        >>> digest.end("r1", attempt=1, first=1, last=1)[:8]
        'f9c08ff6'
    """

    def __init__(self) -> None:
        # Hashed at the end, at once: a hash gives the interpreter away, and asking a busy training for it back costs.
        self._parts: list[bytes] = []

    def add(
        self,
        steps: Sequence[int],
        groups: Sequence[str],
        names: Sequence[str],
        values: Sequence[float],
        times: Sequence[float],
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Takes rows by column.

        Returns:
            Steps, values and times as they went into the digest.

        Raises:
            TypeError: If a column holds something else; so do ValueError and OverflowError.
        """
        whole = np.array(steps, dtype="<i8")
        numbers = np.array(values, dtype="<f8") + 0.0  # SQLite drops the sign of -0.0
        numbers[np.isnan(numbers)] = np.nan  # and keeps no NaN, so there is only one
        seconds = np.array(times, dtype="<f8")
        self._parts += (whole.tobytes(), numbers.tobytes(), seconds.tobytes())
        self._parts += ("\0".join(groups).encode(), b"\0", "\0".join(names).encode())
        return whole, numbers, seconds

    def end(self, run: str, *, attempt: int, first: int, last: int) -> str:
        """Names the rows `first` to `last` of an attempt."""
        self._parts.append(write_json([run, attempt, first, last]).encode())
        return digest_bytes(b"".join(self._parts))


def metrics_of(connection: Connection, run: str) -> list[MetricRow]:
    """Gives all metrics of a run in the order they were reported.

    Raises:
        StoreError: If a row was changed, is gone, or belongs to no batch.
    """
    rows = connection.execute(select(*_WHAT).where(_METRIC.run == run).order_by(_ROWID)).all()
    batch = tables.metric_batch
    batches = fetch(connection, select(batch).where(batch.c.run == run).order_by(batch.c.first))
    found: list[MetricRow] = []
    for one in batches:
        found += _verified(one, rows[len(found) :][: _size(one)])
    if len(found) != len(rows):
        raise _damaged(run, f"{len(rows) - len(found)} rows belong to no batch")
    return found


def damaged_batches(connection: Connection) -> list[tuple[str, str]]:
    """Gives each run whose metrics cannot be trusted, and why."""
    found = []
    names = [select(table.c.run).distinct() for table in (tables.metric, tables.metric_batch)]
    for run in dict.fromkeys(name for one in names for name in connection.execute(one).scalars()):
        try:
            metrics_of(connection, run)
        except StoreError as error:
            found.append((run, str(error)))
    return found


def _verified(batch: Mapping[Any, Any], rows: Sequence[Any]) -> list[MetricRow]:
    run, attempt, first, last = (batch[name] for name in ("run", "attempt", "first", "last"))
    if [row.rowid for row in rows] != list(range(first, first + _size(batch))):
        raise _damaged(run, f"of the rows {first} to {last} some are gone")
    if any(row.attempt != attempt for row in rows):
        raise _damaged(run, f"a row of {first} to {last} is of another attempt")
    digest, found = BatchDigest(), list[MetricRow]()
    try:
        for start in range(0, len(rows), HASHED_ROWS):
            part = rows[start : start + HASHED_ROWS]
            groups, names = [row.grp for row in part], [row.name for row in part]
            values = [float("nan") if row.value is None else row.value for row in part]
            numbers = digest.add(
                [row.step for row in part], groups, names, values, [row.time for row in part]
            )
            columns = zip(*(column.tolist() for column in numbers), groups, names, strict=True)
            found += [
                MetricRow(run, attempt, step, group, name, value, time)
                for step, value, time, group, name in columns
            ]
        sound = digest.end(run, attempt=attempt, first=first, last=last) == batch["digest"]
    except (TypeError, ValueError, OverflowError):
        sound = False  # damage made another type of it
    if not sound:
        raise _damaged(run, f"the rows {first} to {last} do not match their digest")
    return found


def _size(batch: Mapping[Any, Any]) -> int:
    first, last = batch["first"], batch["last"]
    if not (isinstance(first, int) and isinstance(last, int) and first <= last):
        raise _damaged(str(batch["run"]), f"a batch from row {first!r} to {last!r}")
    return last - first + 1


def _damaged(run: str, what: str) -> StoreError:
    return StoreError(
        f"the metrics of run {run} are damaged: {what}; `trainwright fsck` names what is hit, "
        "and a copy of the catalogue mends it"
    )
