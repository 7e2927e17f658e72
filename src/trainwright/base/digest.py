"""Names for content: SHA-256 of bytes, of JSON values, of arrays."""

import hashlib

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
    little = np.ascontiguousarray(content.astype(content.dtype.newbyteorder("<"), copy=False))
    head = write_json([little.dtype.str, list(content.shape)]).encode()
    hasher = hashlib.sha256(head)
    hasher.update(little.reshape(-1).view(np.uint8).data)
    return hasher.hexdigest()
