"""What all commands share: the store, JSON output, tables."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from trainwright.base.bounds import visible
from trainwright.base.home import home_of

StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store", help="The store; $TRAINWRIGHT_HOME or ./.trainwright unless given.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")]


def say(text: str) -> None:
    """Writes a line for people to stderr."""
    print(visible(text), file=sys.stderr, flush=True)


def tell(text: object, *, end: str = "\n") -> None:
    """Writes text for people to stdout; what would steer a terminal is written as its escape."""
    print(visible(str(text)), end=end)


def write_out(value: Any) -> None:
    """Writes a value as JSON to stdout; NaN and infinities as text, because JSON has no word for them."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=False))


def write_table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Writes a plain table to stdout."""
    cells = [[_cell(cell) for cell in row] for row in rows]
    heads = [_cell(head) for head in heads]
    widths = [max(len(head), *(len(row[n]) for row in cells), 0) for n, head in enumerate(heads)]
    for line in [heads, *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    return "-" if value is None else visible(str(value)).replace("\n", "\\n")


def open_registry(store: Path | None) -> Any:
    """Opens an existing store for reading."""
    from trainwright.store.registry import Registry
    from trainwright.store.store import Store

    return Registry(Store.open(home_of(store), create=False))


def _plain(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value.item() if hasattr(value, "item") else value
