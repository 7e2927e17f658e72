"""How a run begins or goes on: its objects first, then its rows."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from trainwright.base.errors import StoreError
from trainwright.base.jsontext import Json, write_json
from trainwright.base.tensors import dump_tree
from trainwright.base.tree import Tree
from trainwright.store.attempts import find_run, insert_attempt, insert_run
from trainwright.store.records import RunRow, VersionRow
from trainwright.store.store import Store
from trainwright.store.versions import latest_version


class Describable(Protocol):
    """Anything with a JSON form, such as a resolved experiment."""

    def tree(self) -> Json:
        """Gives the JSON form."""
        ...


def record_run(
    store: Store,
    columns: Mapping[str, Json],
    *,
    described: Mapping[str, Json],
    operator: Tree,
    parent: VersionRow | None,
    inexact: Sequence[str] | None = None,
) -> RunRow:
    """Adds a run with its first attempt.

    Args:
        store: Where to.
        columns: The columns id, model, seed, folder, backend, dataset, best_metric and best_mode.
        described: The `spec`, and the `environment` that the run depends on besides.
        operator: All that a version needs besides its weights.
        parent: The version it begins from.
        inexact: What differs from the attempt that made the parent, if it does not go on exactly.

    Raises:
        StoreError: If the dataset is not registered, or the store cannot be written.
    """
    with store.saving():
        values = {
            **columns,
            **_put_each(store, described),
            "operator": store.blobs.put(dump_tree(operator)),
            "parent": None if parent is None else parent.id,
        }
        with store.catalogue.write() as connection:
            from_step = 0 if parent is None else parent.step
            insert_run(connection, values, from_step=from_step, inexact=inexact)
            row = find_run(connection, values["id"])
    assert row is not None
    return row


def record_attempt(
    store: Store,
    run: str,
    *,
    described: Mapping[str, Json],
    from_step: int,
    inexact: Sequence[str] | None,
) -> tuple[RunRow, list[int]]:
    """Adds an attempt to a run.

    Args:
        store: Where the run is.
        run: Its id.
        described: The `spec` from here on and the `environment` of this process.
        from_step: Step of the checkpoint it goes on from.
        inexact: What differs from the attempt before, if it does not go on exactly.

    Returns:
        The run, and the ids of the versions that its next version comes from.

    Raises:
        StoreError: If there is no such run.
    """
    with store.saving():
        changes = _put_each(store, described)
        with store.catalogue.write() as connection:
            if find_run(connection, run) is None:
                raise StoreError(f"there is no run {run}: `trainwright ls` lists runs")
            point = latest_version(connection, run, step=from_step)
            insert_attempt(connection, run, from_step=from_step, changes=changes, inexact=inexact)
            row = find_run(connection, run)
    assert row is not None
    if point is not None:
        return row, [point.id]
    return row, [] if row.parent is None else [row.parent]


def _put_each(store: Store, described: Mapping[str, Json]) -> dict[str, str]:
    return {column: store.blobs.put([write_json(value).encode()]) for column, value in described.items()}
