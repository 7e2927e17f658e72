"""What SQLite itself keeps, and does not guard: the definitions of the tables, and the trees that hold the rows.

A flipped bit in a tree can hide a row, and no digest of a row can tell that it is not there. So the trees are walked
when a store is opened: all but those of metrics, of which there may be millions, and which their batches count.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from trainwright.base.digest import digest_json
from trainwright.base.errors import StoreError
from trainwright.store import tables
from trainwright.store.prepared import driver
from trainwright.store.rows import add, fetch, verify

MOST_FAULTS = 20
_CHECK = "SELECT * FROM pragma_integrity_check(?)"  # of one table, or of all with at most so many faults
_DEFINITIONS = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"


def record_structure(connection: Connection) -> None:
    """Keeps the digest of the definitions; called once, when the tables have just been made."""
    add(connection, tables.about, {"name": "schema", "value": _digest(connection)})


def structure_faults(connection: Connection, *, whole: bool = False) -> Iterator[str]:
    """Says what is wrong with definitions and trees.

    Args:
        connection: In a transaction.
        whole: Whether metrics and unused pages are looked at, too.

    Raises:
        StoreError: If the row that guards the definitions is damaged; errors of SQLite itself are raised as they are.
    """
    kept = [verify(tables.about, row) for row in fetch(connection, select(tables.about))]
    if [row["name"] for row in kept] != ["schema"] or kept[0]["value"] != _digest(connection):
        yield "the definitions of the tables are not those that were made"
    for part in [MOST_FAULTS] if whole else [table.name for table in tables.SEALED]:
        for (text,) in driver(connection).execute(_CHECK, (part,)).fetchmany(MOST_FAULTS):
            yield from (line for line in str(text).splitlines() if line != "ok" and line[:3] != "***")


def check_structure(connection: Connection, *, path: object) -> None:
    """Refuses a catalogue in which rows could be hidden.

    Raises:
        StoreError: With the first fault.
    """
    for fault in structure_faults(connection):
        raise StoreError(
            f"{path} is damaged ({fault}): move it away and put back a copy of it; objects are not "
            "touched. `trainwright fsck` says what is hit"
        )


def _digest(connection: Connection) -> str:
    # As text: what damage made bytes of, JSON has no word for.
    return digest_json([list(map(repr, row)) for row in driver(connection).execute(_DEFINITIONS)])
