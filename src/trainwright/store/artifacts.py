"""Artifacts as bytes: scores, arrays, plots, tables and text, each in a form that holds no code."""

from typing import Any, Literal

import numpy as np

from trainwright.base.errors import StoreError
from trainwright.base.jsontext import read_json, write_json
from trainwright.base.names import check_name
from trainwright.base.tensors import Chunks, dump_tensors, load_tensors
from trainwright.store.records import Plot

Kind = Literal["score", "array", "plot", "table", "text"]


def spell_artifact(name: str, value: Any) -> tuple[Kind, Chunks]:
    """Decides what kind of artifact a value is, and spells it.

    Args:
        name: Of the artifact.
        value: A number, an array, a `Plot`, text, or a dict of JSON values.

    Raises:
        SpecError: If the name is not allowed.
        StoreError: If the value is none of these.

    Example:
        >>> spell_artifact("test/accuracy", 0.5)
        ('score', [b'0.5'])
    """
    check_name(name, what="artifact")
    if isinstance(value, np.ndarray):
        return "array", dump_tensors({"value": value})
    if isinstance(value, Plot):
        return "plot", [value.svg.encode()]
    if isinstance(value, str):
        return "text", [value.encode()]
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        return "score", [write_json(float(value)).encode()]
    if isinstance(value, dict):
        try:
            return "table", [write_json(value).encode()]
        except (TypeError, ValueError) as error:
            raise StoreError(f"artifact {name!r}: not a table of plain values: {error}") from error
    raise StoreError(
        f"artifact {name!r}: {type(value).__name__} is not kept; "
        "give a number, an array, a Plot, text or a dict"
    )


def read_artifact(kind: Kind, content: bytes, *, what: str) -> Any:
    """Turns the bytes of an artifact back into its value.

    Args:
        kind: Of the artifact.
        content: Verified bytes.
        what: What it is, for the error message.

    Raises:
        StoreError: If the bytes are not of this kind.
    """
    if kind == "array":
        tensors = load_tensors(content, what=what)
        if set(tensors) != {"value"}:
            raise StoreError(f"{what}: not one array but {sorted(tensors)}")
        return tensors["value"]
    if kind in ("score", "table"):
        return read_json(content, what=what)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise StoreError(f"{what}: not text: {error}") from error
    return Plot(text) if kind == "plot" else text
