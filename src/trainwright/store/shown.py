"""What a reader is shown where a row alone would mislead: runs that died, versions that were collected."""

from contextlib import suppress
from dataclasses import replace
from typing import Literal

from trainwright.base.errors import StoreError
from trainwright.store.attempts import find_run
from trainwright.store.live import is_live
from trainwright.store.records import RunRow, VersionRow
from trainwright.store.store import Store
from trainwright.store.versions import find_version


def shown_run(store: Store, row: RunRow) -> RunRow:
    """Gives a run with the state `killed` if its row says `running` though nobody is alive behind it."""
    if row.state != "running" or is_live(store.live, row.id):
        return row
    # It may have finished between the two looks: then its row says so by now.
    with store.catalogue.read() as connection:
        again = find_run(connection, row.id)
    assert again is not None
    return replace(again, state="killed") if again.state == "running" else again


def object_of(store: Store, version: VersionRow, *, kind: Literal["weights", "state", "files"]) -> bytes:
    """Gives the bytes of one object of a version.

    Raises:
        StoreError: If it was saved without one, it was collected, or it is damaged.
    """
    digest: str | None = getattr(version, kind)
    if digest is None:
        raise StoreError(f"version {version.number} of {version.model} was saved without {kind}")
    # It may be collected at any instant since the row was read, so it is looked for first and asked about then.
    with suppress(StoreError):
        return store.blobs.get(digest)
    with store.catalogue.read() as connection:
        now = find_version(connection, version.id)
    collected = version.status == "collected" or (now is not None and now.status == "collected")
    if collected and not store.blobs.has(digest):
        raise StoreError(
            f"version {version.number} of {version.model} was collected by retention: its {kind} is gone; "
            f"`trainwright reproduce {version.run}` trains it again"
        )
    return store.blobs.get(digest)  # says what is wrong, unless somebody has written it again
