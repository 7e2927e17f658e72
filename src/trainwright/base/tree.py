"""The one shape of state: nested dicts and lists of plain values and NumPy arrays."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

type_error = "a tree holds None, bool, int, float, str, arrays, lists and dicts with string keys, not {}"

Array = NDArray[np.generic]
Tree = None | bool | int | float | str | Array | list["Tree"] | dict[str, "Tree"]


def leaves(tree: Tree, path: str = "") -> Iterator[tuple[str, Tree]]:
    """Yields each leaf with its path, in a fixed order.

    Raises:
        TypeError: If something is no tree; the path is named.

    Example:
        >>> list(leaves({"b": [1, 2.5], "a": "x"}))
        [('a', 'x'), ('b/0', 1), ('b/1', 2.5)]
    """
    if isinstance(tree, dict):
        for key in sorted(tree):
            if not isinstance(key, str):
                raise TypeError(f"{path or '/'}: {type_error.format(f'the key {key!r}')}")
            yield from leaves(tree[key], f"{path}/{key}" if path else key)
    elif isinstance(tree, list):
        for number, item in enumerate(tree):
            yield from leaves(item, f"{path}/{number}" if path else str(number))
    elif tree is None or isinstance(tree, bool | int | float | str | np.ndarray):
        yield path, tree
    else:
        raise TypeError(f"{path or '/'}: {type_error.format(type(tree).__name__)}")
