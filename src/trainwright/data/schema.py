"""What is known of a column of a table."""

from dataclasses import dataclass

KINDS = ("numeric", "categorical", "boolean", "datetime", "text")


@dataclass(frozen=True, slots=True)
class Column:
    """What is known of a column.

    Args:
        name: Of the column.
        kind: One of `KINDS`.
        used: Whether it is a feature unless the spec says otherwise.
        missing: How many records have no value.
        distinct: How many different values there are.
        why: The reason for its kind, or for leaving it out.
        format: Of dates that are text: how they are written.
    """

    name: str
    kind: str
    used: bool
    missing: int
    distinct: int
    why: str
    format: str | None = None
