"""A version that is several others: its list of files names their weights and operators, so that these stay."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trainwright.base.errors import StoreError
from trainwright.base.tensors import load_tensors, load_tree
from trainwright.base.tree import Array
from trainwright.store.blobs import Blobs
from trainwright.store.records import VersionRow

FOLDER = "members"  # in the list: members/0/weights, members/0/operator, members/1/weights, ...
KINDS = ("weights", "operator")


def weights_path(number: int) -> str:
    """Says under which path the weights of a member are listed."""
    return f"{FOLDER}/{number}/weights"


def list_members(members: Sequence[VersionRow]) -> dict[str, str]:
    """Names the objects of versions by path, in their order.

    Raises:
        StoreError: If one of them has no weights.
    """
    listed: dict[str, str] = {}
    for number, row in enumerate(members):
        if row.weights is None:
            raise StoreError(f"{row.model}@{row.number} has no weights: it cannot be a member")
        for kind in KINDS:
            listed[f"{FOLDER}/{number}/{kind}"] = getattr(row, kind)
    return listed


def count_members(listed: Mapping[str, str]) -> int:
    """Counts the members in a list of files; 0 where it is one of a foreign framework.

    Example:
        >>> count_members({"members/0/weights": "ab", "members/0/operator": "cd"}), count_members({"model.pt": "ab"})
        (1, 0)
    """
    count = len(listed) // len(KINDS)
    wanted = {f"{FOLDER}/{number}/{kind}" for number in range(count) for kind in KINDS}
    return count if wanted == set(listed) else 0


def read_members(blobs: Blobs, listed: Mapping[str, str]) -> list[tuple[dict[str, Any], dict[str, Array]]]:
    """Gives the description and the weights of each member.

    Raises:
        StoreError: If an object is missing or damaged.
    """
    found = []
    for number, description in enumerate(describe_members(blobs, listed)):
        weights = listed[weights_path(number)]
        found.append((description, load_tensors(blobs.get(weights), what=f"weights {weights}")))
    return found


def describe_members(blobs: Blobs, listed: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yields the description of each member, in their order; weights are not read.

    Raises:
        StoreError: If an object is missing or damaged.
    """
    for number in range(count_members(listed)):
        operator = listed[f"{FOLDER}/{number}/operator"]
        description: Any = load_tree(blobs.get(operator), what=f"operator {operator}")
        yield description
