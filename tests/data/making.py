"""Writes small data files for the tests of this room."""

import io
import zipfile

import numpy as np

RNG = np.random.default_rng(4)


def npy_bytes(array, **how):
    buffer = io.BytesIO()
    np.save(buffer, array, **how)
    return buffer.getvalue()


def npy_claiming(shape, *, descr="<f8", body=b""):
    """An .npy file whose header says what it likes."""
    head = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + body


def write_zip(path, members, *, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def blobs(count=60, classes=3):
    y = np.arange(count) % classes
    return RNG.normal(size=(count, 4)) + y[:, None], y
