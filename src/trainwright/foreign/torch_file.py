"""Reads what `torch.save` wrote (.pt, .pth, .ckpt), without torch and without unpickling."""

import re
from typing import IO, Any

from trainwright.base.errors import DataError
from trainwright.foreign.collector import Collector, take_tree
from trainwright.foreign.pickled import follow
from trainwright.foreign.torch_names import Order, Storage, known_names
from trainwright.foreign.zipped import open_members

MAX_PICKLE_BYTES = 64 * 2**20
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_PARTS = re.compile(
    r"(data\.pkl|version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id|data/[0-9]{1,9})"
)
_PROGRAM = re.compile(r"(constants\.pkl|code/.*|extra/.*|attributes\.pkl)", re.DOTALL)


def read_torch(stream: IO[bytes], size: int, found: Collector) -> None:
    """Reads tensors and plain values of a torch file.

    Args:
        stream: The file.
        size: Its length, in bytes.
        found: Takes them.

    Raises:
        DataError: If it is no such file, is damaged, or holds more than tensors and plain values.
    """
    if stream.read(len(_LEGACY)) == _LEGACY:
        raise DataError(
            "it is in the format that torch wrote before version 1.6; "
            "load it with torch and save it again with torch.save, which writes a zip file"
        )
    with open_members(
        stream, size, stored_only=True, kind="torch file (a zip archive with data.pkl)"
    ) as members:
        names = {}
        tops = {name.partition("/")[0] for name in members.names}
        for name in members.names:
            part = name.partition("/")[2]
            if _PROGRAM.fullmatch(part):
                raise DataError(
                    "it is a TorchScript program, which is code; save its state_dict with torch.save"
                )
            if not _PARTS.fullmatch(part):
                raise DataError(f"the archive holds {name[:100]!r}, which is no part of a torch file")
            names[part] = name
        if len(tops) != 1 or "data.pkl" not in names:
            raise DataError("the archive has no one folder with data.pkl; it is no torch file")
        order = members.read(names["byteorder"], limit=16) if "byteorder" in names else b"little"
        if order not in (b"little", b"big"):
            raise DataError(f"the byte order {order!r} is neither little nor big")
        letter: Order = "<" if order == b"little" else ">"

        def load(storage: Storage) -> bytes:
            return members.read(names[f"data/{storage.key}"], limit=storage.count * storage.itemsize)

        def length(key: str) -> int | None:
            name = names.get(f"data/{key}")
            return None if name is None else members.length(name)

        content = members.read(names["data.pkl"], limit=MAX_PICKLE_BYTES)
        tree: Any = follow(content, known_names(length, load, order=letter))
        take_tree(found, tree)
