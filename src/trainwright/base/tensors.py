"""Arrays and trees as bytes: safetensors in one canonical spelling, checked strictly on reading.

Equal content gives equal bytes (sorted names, sorted metadata), so a digest of the bytes names the content. The
format cannot hold code.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from trainwright.base.bounds import excerpt, visible
from trainwright.base.errors import StoreError
from trainwright.base.jsontext import read_json, write_json
from trainwright.base.tree import Array, Tree

MAX_HEADER_BYTES = 16 * 2**20
MAX_TENSORS = 100_000
MAX_NAME_BYTES = 1_000
MAX_AXES = 64  # of a NumPy array
_TYPES = {
    "BOOL": "|b1", "U8": "|u1", "I8": "|i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4",
    "U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip
_BFLOAT16 = "BF16"
_FIELDS = {"dtype", "shape", "data_offsets"}
_NAMES = {np.dtype(code).newbyteorder("<").str: name for name, code in _TYPES.items()}

Chunks = list[bytes | memoryview]


def dump_tensors(tensors: Mapping[str, Array], *, metadata: Mapping[str, str] | None = None) -> Chunks:
    """Spells arrays as a safetensors file, in chunks that need no second copy.

    Args:
        tensors: Arrays of booleans, integers or floats, by name.
        metadata: Further text for the header.

    Raises:
        StoreError: For an array of another type, such as text or objects, or a name that would not be read back.

    Example:
        >>> content = b"".join(dump_tensors({"w": np.ones(2, dtype=np.float32)}))
        >>> load_tensors(content)
        {'w': array([1., 1.], dtype=float32)}
    """
    for name in tensors:
        _check_name(name, "safetensors")
    plain = {name: _plain(name, array) for name, array in tensors.items()}
    order = sorted(plain, key=lambda name: (-plain[name].dtype.itemsize, name))
    entries: dict[str, Any] = {}
    offset = 0
    for name in order:
        array = plain[name]
        entries[name] = {
            "dtype": _NAMES[array.dtype.str],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    if metadata:
        entries["__metadata__"] = dict(metadata)
    header = write_json(entries).encode()
    header += b" " * (-len(header) % 8)
    return [
        struct.pack("<Q", len(header)),
        header,
        *(plain[n].reshape(-1).view(np.uint8).data for n in order),
    ]


def load_tensors(content: bytes, *, what: str = "safetensors") -> dict[str, Array]:
    """Reads arrays back; each is a copy that may be written to.

    Args:
        content: The whole file.
        what: What it is, for the error message.

    Raises:
        StoreError: If the header is too large, broken, or does not describe exactly the bytes that follow it.
    """
    return read_tensors(content, what=what)[0]


def read_tensors(
    content: bytes | memoryview, *, what: str = "safetensors", widen: bool = False
) -> tuple[dict[str, Array], dict[str, str]]:
    """Reads arrays and the text beside them.

    Args:
        content: The whole file.
        what: What it is, for the error message.
        widen: Whether bfloat16, which NumPy does not have and we never write, is read as float32.

    Returns:
        The arrays by name, each a copy that may be written to, and the metadata.

    Raises:
        StoreError: As `load_tensors`.
    """
    types = _TYPES | {_BFLOAT16: "<u2"} if widen else _TYPES
    return _read(content, what, types)


def widen_bfloat16(halves: Array) -> Array:
    """Turns bfloat16, seen as unsigned 16-bit numbers, into float32 without a loss.

    Example:
        >>> widen_bfloat16(np.array([0x3F80, 0xC000], dtype=np.uint16))
        array([ 1., -2.], dtype=float32)
    """
    return (halves.astype(np.uint32) << 16).view(np.float32)


def dump_tree(tree: Tree) -> Chunks:
    """Spells a tree as a safetensors file: its arrays as tensors, its shape as JSON in the metadata.

    Example:
        >>> load_tree(b"".join(dump_tree({"step": 3, "m": [np.zeros(1), float("inf")]})))
        {'m': [array([0.]), inf], 'step': 3}
    """
    arrays: dict[str, Array] = {}
    shape = write_json(_outline(tree, arrays))
    return dump_tensors(arrays, metadata={"tree": shape})


def load_tree(content: bytes, *, what: str = "tree") -> Tree:
    """Reads a tree back.

    Raises:
        StoreError: As `load_tensors`, or if the file holds no tree.
    """
    arrays, metadata = read_tensors(content, what=what)
    if "tree" not in metadata:
        raise StoreError(f"{what}: it holds tensors but no tree")

    return _fill(read_json(metadata["tree"], what=what), arrays, what)


# Functions of the file, not of the ones above: one that calls itself is a circle with all it sees, and holds the
# arrays until the garbage collector comes by.


def _outline(node: Tree, arrays: dict[str, Array]) -> Any:
    if isinstance(node, np.ndarray):
        arrays[str(len(arrays))] = node
        return {"$array": str(len(arrays) - 1)}
    if isinstance(node, dict):
        if any(not isinstance(key, str) or key.startswith("$") for key in node):
            raise TypeError(f"keys of a tree are text that does not begin with `$`, not {sorted(node)}")
        return {key: _outline(node[key], arrays) for key in sorted(node)}
    if isinstance(node, list):
        return [_outline(item, arrays) for item in node]
    if node is None or type(node) in (bool, int, float, str):
        return node
    raise TypeError(f"a tree holds plain values and arrays, not {type(node).__name__}")


def _fill(node: Any, arrays: Mapping[str, Array], what: str) -> Tree:
    if isinstance(node, dict):
        if set(node) == {"$array"}:
            if not isinstance(node["$array"], str) or node["$array"] not in arrays:
                raise StoreError(f"{what}: the array {node['$array']!r} is missing")
            return arrays[node["$array"]]
        return {key: _fill(item, arrays, what) for key, item in node.items()}
    return [_fill(item, arrays, what) for item in node] if isinstance(node, list) else node


def _plain(name: str, array: Array) -> Array:
    little = np.ascontiguousarray(array).reshape(array.shape)
    little = little.astype(little.dtype.newbyteorder("<"), copy=False)
    if little.dtype.str not in _NAMES:
        raise StoreError(
            f"{name}: arrays of {array.dtype} cannot be kept, only booleans, integers and floats"
        )
    return little


def _read(
    content: bytes | memoryview, what: str, types: Mapping[str, str]
) -> tuple[dict[str, Array], dict[str, str]]:
    if len(content) < 8:
        raise StoreError(f"{what}: {len(content)} bytes are too few for a safetensors file")
    (size,) = struct.unpack("<Q", content[:8])
    if size > len(content) - 8:
        raise StoreError(
            f"{what}: the header claims {size} bytes, the file has {len(content) - 8} after its length"
        )
    if size > MAX_HEADER_BYTES:
        raise StoreError(f"{what}: the header has {size} bytes, {MAX_HEADER_BYTES} are allowed")
    text = bytes(content[8 : 8 + size])
    # Each tensor has this key once. What escapes hide from here is counted again below; reading it is dear.
    if (named := text.count(b'"data_offsets"')) > MAX_TENSORS:
        raise StoreError(f"{what}: {named} tensors, {MAX_TENSORS} are allowed")
    header = read_json(text, what=f"{what}: header")
    if not isinstance(header, dict):
        raise StoreError(f"{what}: the header is not a JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise StoreError(f"{what}: the header's metadata is not text by name")
    if len(header) > MAX_TENSORS:
        raise StoreError(f"{what}: {len(header)} tensors, {MAX_TENSORS} are allowed")
    body = memoryview(content)[8 + size :]
    return dict(_entries(header, body, what, types)), metadata


def _entries(
    header: dict[str, Any], body: memoryview, what: str, types: Mapping[str, str]
) -> Iterator[tuple[str, Array]]:
    expected = 0
    try:
        ordered = sorted(header, key=lambda name: header[name]["data_offsets"])
    except (KeyError, TypeError) as error:
        raise StoreError(f"{what}: a tensor lacks its offsets") from error
    for name in ordered:
        _check_name(name, what)
        entry = header[name]
        if entry.keys() != _FIELDS or not isinstance(entry["dtype"], str):
            raise StoreError(f"{what}: tensor {name!r} is not described by dtype, shape and data_offsets")
        if entry["dtype"] not in types:
            raise StoreError(f"{what}: tensor {name!r} has the unknown type {excerpt(entry['dtype'])}")
        shape, offsets = entry["shape"], entry["data_offsets"]
        whole = isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2
        if not whole or any(type(n) is not int or not 0 <= n < 2**63 for n in [*shape, *offsets]):
            raise StoreError(f"{what}: tensor {name!r} has a shape or offsets that are not whole numbers")
        if len(shape) > MAX_AXES:
            raise StoreError(f"{what}: tensor {name!r} has {len(shape)} axes, {MAX_AXES} are allowed")
        dtype = np.dtype(types[entry["dtype"]])
        count = 1
        for length in shape:
            count *= length
        begin, end = offsets
        if begin != expected or end - begin != count * dtype.itemsize or end > len(body):
            raise StoreError(f"{what}: tensor {name!r} does not lie where its shape says ({begin} to {end})")
        expected = end
        array = _array(body[begin:end], dtype, shape, name=name, what=what)
        yield name, widen_bfloat16(array) if entry["dtype"] == _BFLOAT16 else array
    if expected != len(body):
        raise StoreError(f"{what}: {len(body) - expected} bytes after the last tensor belong to nothing")


def _array(part: memoryview, dtype: np.dtype[Any], shape: list[int], *, name: str, what: str) -> Array:
    try:
        return np.frombuffer(part, dtype=dtype).reshape(shape).copy()
    except ValueError as error:  # an axis of no length hides others that are beyond NumPy
        raise StoreError(f"{what}: tensor {name!r} has a shape that is no array's: {error}") from error


def _check_name(name: str, what: str) -> None:
    if name.isascii() and name.isprintable() and len(name) <= MAX_NAME_BYTES:
        return
    if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        raise StoreError(f"{what}: the name {excerpt(name)} is longer than {MAX_NAME_BYTES} bytes")
    if "\n" in name or "\t" in name or visible(name) != name:
        raise StoreError(f"{what}: the name {name!r} holds a control or format character")
