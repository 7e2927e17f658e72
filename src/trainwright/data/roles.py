"""Which array or column plays which part, and what a file gives for it."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from trainwright.base.tree import Array
from trainwright.data.frame import Frame
from trainwright.data.graph import Graphs, Nodes
from trainwright.data.schema import Column
from trainwright.data.sequences import Sequences
from trainwright.spec.data import ColumnSpec

Missing = Literal["error", "impute", "drop"]


@dataclass(frozen=True, slots=True)
class Roles:
    """Which array or column plays which part.

    Args:
        features: Name of the array (npz), names of columns (tables), or `auto`.
        target: Name of the array or column, or names of columns; `auto` is the array `y`; None reads none.
        weight: As `target`, without `auto`.
        id: As `weight`.
        where: Path of these roles in the spec, with which messages begin; empty outside of a spec.
        by: As `weight`: what a split goes by.
        columns: What a user says of columns of a table.
        missing: What becomes of records of a table without a value: an error, left for an operator, or left out.
            Without a target, a record is left out in both latter cases.
        delimiter: What separates the cells of a CSV file; `auto` goes by the first lines.
        decimal: The decimal mark of its numbers, or `auto`.
        size: Height and width of the images of a folder; None takes them as they are.
        color: Whether they have one channel or three.
    """

    features: str | Sequence[str] = "auto"
    target: str | Sequence[str] | None = "auto"
    weight: str | None = None
    id: str | None = None
    where: str = "data"
    by: str | None = None
    columns: Sequence[ColumnSpec] = ()
    missing: Missing = "error"
    delimiter: str = "auto"
    decimal: str = "auto"
    size: tuple[int, int] | None = None
    color: Literal["auto", "gray", "rgb"] = "auto"

    @property
    def targets(self) -> tuple[str, ...]:
        """Names the target columns."""
        if self.target is None:
            return ()
        return (self.target,) if isinstance(self.target, str) else tuple(self.target)

    def at(self, role: str) -> str:
        """Begins a message about one role."""
        place = "split.by" if role == "by" else role
        return f"{self.where}.{place}: " if self.where else ""


@dataclass(frozen=True, slots=True)
class Raw:
    """What a file holds, by role.

    Args:
        x: Numbers, shape `(records, ...)`, the feature columns of a table, sequences, or nodes or graphs.
        y: Numbers or text, shape `(records, ...)`, or None.
        weight: Shape `(records,)`, or None.
        ids: Shape `(records,)`, or None.
        columns: Names of the feature columns of a table, in order; None for an array.
        schema: What is known of all columns of a table that have no other role; None for an array.
        numbers: Which records of the file these are, where some were left out; otherwise None.
        left_out: How many records of the file were left out.
        by: What a split goes by, shape `(records,)`, or None.
        features: What stands for the features in a message: the array's name, or "column".
        target: Name of the target, or of its columns.
    """

    x: Array | Frame | Sequences | Nodes | Graphs
    y: Array | None
    weight: Array | None
    ids: Array | None
    columns: tuple[str, ...] | None
    features: str
    target: str | tuple[str, ...]
    schema: tuple[Column, ...] | None = None
    numbers: Array | None = None
    left_out: int = 0
    by: Array | None = None


def nearest(name: str, known: Iterable[str], *, none: str = "there are none") -> str:
    """Names what a wrong name may have meant.

    Example:
        >>> nearest("heigth", ["height", "age"]), nearest("zzz", ["height", "age"])
        ("nearest: 'height'", "there are: 'height', 'age'")
    """
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"nearest: {close[0]!r}"
    shown = ", ".join(repr(one) for one in names[:20])
    return f"there are: {shown}{', ...' if len(names) > 20 else ''}" if names else none
