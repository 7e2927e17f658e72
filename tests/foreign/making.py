"""Torch files made by hand, and the readers without a jail."""

import io
import struct
import zipfile

import numpy as np

from trainwright.foreign.collector import Collector
from trainwright.foreign.torch_file import read_torch

LIMIT = 10**8
END = b"."


def text(value):
    content = value.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def number(value):
    return b"J" + struct.pack("<i", value) if -(2**31) <= value < 2**31 else long(value)


def long(value):
    content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8b" + struct.pack("<I", len(content)) + content


def name(module, word):
    return f"c{module}\n{word}\n".encode()


def numbers(*values):
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(*, key="0", kind="FloatStorage", count=4, word="storage", device="cpu"):
    told = text(word) + name("torch", kind) + text(key) + text(device) + number(count)
    return b"(" + told + b"tQ"


def tensor(held=None, *, offset=0, size=(4,), stride=(1,), rebuild="_rebuild_tensor_v2"):
    hooks = name("collections", "OrderedDict") + b")R"
    arguments = (held or storage()) + number(offset) + numbers(*size) + numbers(*stride) + b"\x89" + hooks
    return name("torch._utils", rebuild) + b"(" + arguments + b"tR"


def torch_bytes(
    pickled, storages=None, *, top="archive", more=(), order=b"little", method=zipfile.ZIP_STORED
):
    """Gives a file as torch.save lays it out, around any pickle."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        archive.writestr(f"{top}/data.pkl", pickled)
        if order is not None:
            archive.writestr(f"{top}/byteorder", order)
        for key, held in (
            {"0": np.arange(4, dtype="<f4").tobytes()} if storages is None else storages
        ).items():
            archive.writestr(f"{top}/data/{key}", held)
        archive.writestr(f"{top}/version", "3\n")
        for other, held in more:
            archive.writestr(other, held)
    return content.getvalue()


def read(reader, content, *, limit=LIMIT):
    found = Collector(limit)
    reader(io.BytesIO(content), len(content), found)
    return found


def read_pickled(pickled, storages=None, **options):
    return read(read_torch, torch_bytes(pickled, storages, **options))
