"""Versions named for good by their digest, so that a snapshot of several can be checked later."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from trainwright.base.errors import StoreError
from trainwright.base.jsontext import read_json
from trainwright.store.registry import Registry


class Pin(NamedTuple):
    """A version and what it holds.

    Args:
        model: Id of the model: its name.
        version: Its number.
        weights: SHA-256 of its weights, or of the list of its files.
    """

    model: str
    version: int
    weights: str


@dataclass(frozen=True, slots=True)
class PinCheck:
    """What has become of a pinned version.

    Args:
        pin: As it was.
        word: `identical`, `changed` (other weights, or damage) or `missing` (never there, collected, or lost).
        detail: What was found.
    """

    pin: Pin
    word: Literal["identical", "changed", "missing"]
    detail: str


def pin_versions(registry: Registry, refs: Iterable[str]) -> list[Pin]:
    """Names versions for good.

    Args:
        registry: Where they are.
        refs: Such as `name@best`, in the order of the answer.

    Raises:
        StoreError: If there is no such version, or it was collected.
    """
    found = []
    for ref in refs:
        row = registry.resolve(ref)
        digest = row.weights or row.files
        if digest is None:
            raise StoreError(f"{ref} has neither weights nor files: there is nothing to pin")
        found.append(Pin(row.model, row.number, digest))
    return found


def read_pins(text: str | bytes, *, what: str) -> list[Pin]:
    """Reads pins as `trainwright pin --json` writes them.

    Args:
        text: JSON, a list of `[model, version, digest]`.
        what: Where it is from, for the error message.

    Raises:
        StoreError: If it is anything else.

    Example:
        >>> read_pins('[["digits", 3, "ab12"]]', what="pins.json")
        [Pin(model='digits', version=3, weights='ab12')]
    """
    items = read_json(text, what=what)
    if not isinstance(items, list):
        raise StoreError(f"{what}: it is not a list of pins; write one with `trainwright pin REF --json`")
    for number, item in enumerate(items):
        if not (isinstance(item, list) and [type(one) for one in item] == [str, int, str]):
            raise StoreError(f"{what}: item {number} is not [model, version, digest]")
    return [Pin(*item) for item in items]


def check_pins(registry: Registry, pins: Sequence[Pin]) -> list[PinCheck]:
    """Says of each pinned version whether it is still what it was; its bytes are read and hashed."""
    return [_check(registry, one) for one in pins]


def _check(registry: Registry, one: Pin) -> PinCheck:
    try:
        rows = [row for row in registry.versions(model=one.model) if row.number == one.version]
    except StoreError as error:
        return PinCheck(one, "changed", str(error))
    if not rows:
        return PinCheck(one, "missing", "there is no such version")
    now = rows[0].weights or rows[0].files
    if now != one.weights:
        return PinCheck(one, "changed", f"the record says sha256:{now}")
    if not registry.store.blobs.has(one.weights):
        gone = "its content was collected" if rows[0].status == "collected" else "its object is gone"
        return PinCheck(one, "missing", f"{gone}; `trainwright reproduce {rows[0].run}` trains it again")
    try:
        size = len(registry.store.blobs.get(one.weights))
        size += sum(len(registry.store.blobs.get(item)) for item in registry.files(rows[0]).values())
    except StoreError as error:
        return PinCheck(one, "changed", str(error))
    return PinCheck(one, "identical", f"{size:,} bytes")
