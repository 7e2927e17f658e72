"""The closed list of names that a torch file may mention, and what our own functions make of each."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tensors import widen_bfloat16
from trainwright.base.tree import Array
from trainwright.foreign.collector import Lazy
from trainwright.foreign.pickled import Known, Maker, Named, Ordered

MAX_COUNT = 2**48
MAX_DIMENSIONS = 32
BFLOAT16 = "bf16"
Order = Literal["<", ">", "|", "="]
_STORAGES = {
    "torch.BoolStorage": "b1", "torch.ByteStorage": "u1", "torch.CharStorage": "i1", "torch.ShortStorage": "i2",
    "torch.IntStorage": "i4", "torch.LongStorage": "i8", "torch.HalfStorage": "f2", "torch.FloatStorage": "f4",
    "torch.DoubleStorage": "f8", "torch.BFloat16Storage": BFLOAT16, "torch.storage.UntypedStorage": "u1",
}  # fmt: skip
_LATER = {
    "torch.uint16": "u2",
    "torch.uint32": "u4",
    "torch.uint64": "u8",
}  # types without a storage of their own
_TYPES = frozenset(
    f"torch.{name}"
    for name in [
        "bool",
        "uint8",
        "int8",
        "int16",
        "int32",
        "int64",
        "float16",
        "float32",
        "float64",
        "bfloat16",
        "float",
        "half",
        "double",
        "long",
        "int",
        "short",
        "complex64",
        "complex128",
    ]
) | frozenset(_LATER)


@dataclass(frozen=True, slots=True)
class Storage:
    """Numbers in a row, in a member of the archive.

    Args:
        key: Its name there.
        type: Of the numbers, as NumPy spells it.
        count: How many.
    """

    key: str
    type: str
    count: int

    @property
    def itemsize(self) -> int:
        """Gives the bytes of one number in the file."""
        return 2 if self.type == BFLOAT16 else np.dtype(self.type).itemsize


@dataclass(slots=True)
class _NumpyType:
    code: str
    order: Order = "<"


def known_names(
    length: Callable[[str], int | None], load: Callable[[Storage], bytes], *, order: Order
) -> Known:
    """Gives the closed list for one archive.

    Args:
        length: Gives the bytes of the storage with a key, or None if there is none.
        load: Gives the bytes of a storage.
        order: Of the bytes of a number: `<` or `>`.
    """
    archive = _Archive(length, load, order)
    numpy = dict.fromkeys(("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"), _scalar)
    makers: Mapping[str, Maker] = {
        "collections.OrderedDict": _ordered,
        "torch._utils._rebuild_tensor": archive.tensor,
        "torch._utils._rebuild_tensor_v2": archive.tensor,
        "torch._utils._rebuild_tensor_v3": archive.later_tensor,
        "torch._utils._rebuild_parameter": _parameter,
        "torch.Size": _size,
        "torch.device": _device,
        "builtins.set": _list,
        "builtins.frozenset": _list,
        "__builtin__.set": _list,
        "__builtin__.frozenset": _list,
        "builtins.bytes": _no_bytes,
        "__builtin__.bytes": _no_bytes,
        "numpy.dtype": _numpy_type,
        "_codecs.encode": _encode,
        **numpy,
    }
    return Known(makers, frozenset(_STORAGES) | _TYPES, archive.storage, _build)


class _Archive:
    def __init__(
        self, length: Callable[[str], int | None], load: Callable[[Storage], bytes], order: Order
    ) -> None:
        self.length, self.load, self.order = length, load, order
        self.storages: dict[str, Storage] = {}
        self.last: tuple[str, Array] | None = None

    def storage(self, told: Any) -> Storage:
        """Makes a storage of a persistent id, and checks it against the member it stands for."""
        if type(told) is not tuple or len(told) != 5 or told[0] != "storage":
            raise DataError("a persistent id is not that of a storage")
        _, kind, key, device, count = told
        if type(kind) is not Named or kind.name not in _STORAGES:
            raise DataError(
                f"a storage has the unknown type {kind.name if type(kind) is Named else kind!r:.100}"
            )
        if type(key) is not str or type(device) is not str or not _is_count(count):
            raise DataError("a persistent id is not that of a storage")
        made = Storage(key, _STORAGES[kind.name], count)
        size = self.length(key)
        if size is None:
            raise DataError(f"there is no storage {key[:20]!r} in the archive")
        if size != made.count * made.itemsize:
            raise DataError(
                f"storage {key[:20]!r} should hold {count:,} numbers of {made.itemsize} bytes, it has {size:,} bytes"
            )
        if self.storages.setdefault(key, made) != made:
            raise DataError(f"storage {key[:20]!r} is said to hold numbers of two types")
        return made

    def tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Lazy:
        """Makes a tensor of the arguments of `_rebuild_tensor_v2`; what follows the stride is left aside."""
        if type(storage) is not Storage or len(rest) > 3:
            raise DataError("a tensor is not made of a storage")
        return self._view(storage, offset, size, stride, kind=storage.type)

    def later_tensor(
        self, storage: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, kind: Any, *rest: Any
    ) -> Lazy:
        """Makes a tensor of the arguments of `_rebuild_tensor_v3`, which names its type."""
        if type(storage) is not Storage or storage.type != "u1" or len(rest) > 1:
            raise DataError("a tensor is not made of a storage")
        if type(kind) is not Named or kind.name not in _LATER:
            raise DataError(
                f"a tensor has the unknown type {kind.name if type(kind) is Named else kind!r:.100}"
            )
        return self._view(storage, offset, size, stride, kind=_LATER[kind.name])

    def _view(self, storage: Storage, offset: Any, size: Any, stride: Any, *, kind: str) -> Lazy:
        width = 2 if kind == BFLOAT16 else np.dtype(kind).itemsize
        whole = type(size) is tuple and type(stride) is tuple and len(size) == len(stride) <= MAX_DIMENSIONS
        if not whole or not all(map(_is_count, (offset, *size, *stride))):
            raise DataError("a tensor has a shape, strides or an offset that are not whole numbers")
        count = math.prod(size)
        last = (
            offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
            if count
            else offset - 1
        )
        held = storage.count * storage.itemsize // width
        if last >= held:
            raise DataError(
                f"a tensor of shape {size} with strides {stride} reaches beyond its storage of {held:,} numbers"
            )

        def read() -> Array:
            numbers = self._content(storage)
            raw = np.dtype("u2" if kind == BFLOAT16 else kind).newbyteorder(self.order)
            numbers = numbers if kind == "b1" else numbers.view(raw)
            strides = [step * numbers.itemsize for step in stride]
            view = np.lib.stride_tricks.as_strided(numbers[offset:], size, strides, writeable=False)
            if kind == "b1":
                return np.not_equal(view, 0)
            return (
                widen_bfloat16(view)
                if kind == BFLOAT16
                else np.array(view, dtype=raw.newbyteorder("="), order="C")
            )

        return Lazy(size, 4 if kind == BFLOAT16 else width, read)

    def _content(self, storage: Storage) -> Array:
        # Tensors that share a storage lie side by side in the tree, so one storage is kept.
        if self.last is None or self.last[0] != storage.key:
            self.last = storage.key, np.frombuffer(self.load(storage), dtype=np.uint8)
        return self.last[1]


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_COUNT


def _ordered(pairs: Any = ()) -> Ordered:
    made = Ordered()
    for pair in pairs:
        if type(pair) not in (list, tuple) or len(pair) != 2 or type(pair[0]) not in (str, int):
            raise DataError("an OrderedDict is not made of pairs")
        made[pair[0]] = pair[1]
    return made


def _parameter(data: Any, requires_grad: Any, hooks: Any) -> Any:
    if type(data) is not Lazy:
        raise DataError("a parameter is not made of a tensor")
    return data


def _size(lengths: Any) -> list[Any]:
    return _list(lengths)


def _list(items: Any = ()) -> list[Any]:
    if type(items) not in (list, tuple):
        raise DataError("a set or a size is not made of a list")
    return list(items)


def _device(kind: Any, index: Any = None) -> str:
    if type(kind) is not str or not (index is None or _is_count(index)):
        raise DataError("a device is not made of its name and number")
    return kind if index is None else f"{kind}:{index}"


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """Makes bytes of text, which is how old protocols spell bytes."""
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise DataError("bytes are not made of latin1 text")
    return text.encode("latin-1")


def _no_bytes() -> bytes:
    return b""  # how old protocols spell no bytes; others go through `_codecs.encode`


def _numpy_type(code: Any, *rest: Any) -> _NumpyType:
    if code not in ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"):
        raise DataError(f"a NumPy type {code!r:.100} is no boolean, integer or float")
    return _NumpyType(code)


def _scalar(kind: Any, content: Any) -> Any:
    if type(kind) is not _NumpyType or type(content) is not bytes:
        raise DataError("a NumPy number is not made of its type and its bytes")
    numbers = np.frombuffer(content, dtype=np.dtype(kind.code).newbyteorder(kind.order))
    if len(numbers) != 1:
        raise DataError("a NumPy number is not as long as its type")
    return numbers[0].item()


def _build(target: Any, state: Any) -> None:
    if type(target) is Ordered and type(state) is dict:
        return  # attributes such as `_metadata` of a state_dict: no tensor and no value of it
    if (
        type(target) is _NumpyType
        and type(state) is tuple
        and len(state) >= 2
        and state[1] in ("<", ">", "|", "=")
    ):
        target.order = state[1]
        return
    raise DataError("the pickle gives a state to something that takes none")
