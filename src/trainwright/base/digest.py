"""Names for content: SHA-256 of bytes, of JSON values, of arrays."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from trainwright.base.jsontext import Json, write_json
from trainwright.base.tree import Array


def digest_bytes(content: bytes | memoryview) -> str:
    """Names bytes by their SHA-256, 64 hexadecimal digits.

    Example:
        >>> digest_bytes(b"")[:12]
        'e3b0c44298fc'
    """
    return hashlib.sha256(content).hexdigest()


def digest_json(value: Json) -> str:
    """Names a JSON value by its canonical spelling, so that the order of keys does not matter.

    Example:
        >>> digest_json({"a": 1, "b": 2}) == digest_json({"b": 2, "a": 1})
        True
    """
    return digest_bytes(write_json(value).encode())


def digest_array(array: Array) -> str:
    """Names an array by type, shape and bytes; the layout in memory does not matter.

    Example:
        >>> a = np.arange(6, dtype="int64").reshape(2, 3)
        >>> digest_array(a) == digest_array(np.asfortranarray(a)), digest_array(a) == digest_array(a.T)
        (True, False)
    """
    content = array if array.dtype.kind not in "O" else array.astype(str)
    return digest_blocks([content], shape=content.shape, dtype=content.dtype)


def digest_blocks(blocks: Iterable[Array], *, shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    """Names an array that comes in blocks of its first axis as `digest_array` names the whole.

    Args:
        blocks: One after another.
        shape: Of the whole.
        dtype: Of the whole.

    Example:
        >>> a = np.arange(6).reshape(3, 2)
        >>> digest_blocks([a[:2], a[2:]], shape=a.shape, dtype=a.dtype) == digest_array(a)
        True
    """
    little = dtype.newbyteorder("<")
    hasher = hashlib.sha256(write_json([little.str, list(shape)]).encode())
    for block in blocks:
        content = np.ascontiguousarray(block.astype(little, copy=False))
        hasher.update(content.reshape(-1).view(np.uint8).data)
    return hasher.hexdigest()
