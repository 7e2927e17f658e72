"""What is fuzzed: one function for each reader, which takes bytes and lets nothing out but a broken promise.

A reader gives a value that comes back as it was, or one typed error. The targets stand on their own feet, so that the
tests feed them the corpus without atheris.
"""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from trainwright.base.errors import DataError, SpecError, StoreError
from trainwright.base.jsontext import read_json, write_json
from trainwright.base.names import check_name, check_tag
from trainwright.base.tensors import dump_tensors, dump_tree, load_tensors, load_tree
from trainwright.data.npy import locate_npy, read_npy, read_npz
from trainwright.data.roles import Roles
from trainwright.data.source import read_source
from trainwright.spec.edit import parse_change
from trainwright.spec.experiment import Experiment
from trainwright.spec.faults import find_faults
from trainwright.spec.text import read_text
from trainwright.store.pins import read_pins

MOST_LETTERS = 20_000  # of a message


def spec(content: bytes) -> None:
    """YAML, and an experiment of what it holds."""
    with refusing(SpecError):
        found = read_text(content).value
        with suppress(UnicodeEncodeError):
            assert len(write_json(found)) >= 0
        for fault in find_faults(found, Experiment):
            assert str(fault)


def change(content: bytes) -> None:
    """The text after `--set`."""
    with refusing(SpecError):
        parse_change(content.decode("utf-8", "surrogateescape"))


def json(content: bytes) -> None:
    """JSON, and pins of it."""
    with refusing(StoreError):
        found = read_json(content)
        again = read_json(write_json(found))
        assert write_json(again) == write_json(found)
    with refusing(StoreError):
        read_pins(content, what="pins")


def safetensors(content: bytes) -> None:
    """Tensors and trees."""
    with refusing(StoreError):
        found = load_tensors(content)
        again = load_tensors(b"".join(dump_tensors(found)))
        assert again.keys() == found.keys()
        for name, array in found.items():
            assert again[name].dtype == array.dtype and again[name].shape == array.shape
            assert again[name].tobytes() == array.tobytes()
    with refusing(StoreError):
        tree = load_tree(content)
        with suppress(TypeError):  # what is read may have keys that are not written, such as `$a`
            dump_tree(tree)


def npy(content: bytes) -> None:
    """The one array of a file, whole and located."""
    with refusing(DataError), _file(content, ".npy") as path:
        array = read_npy(path)
        assert array.dtype.kind in "biufUS"
        np.asarray(array).tolist()
        layout = locate_npy(path)
        assert layout.offset + int(np.prod(layout.shape, dtype=object)) * layout.dtype.itemsize == len(
            content
        )


def npz(content: bytes) -> None:
    """The arrays of a zip archive."""
    with refusing(DataError), _file(content, ".npz") as path:
        read_npz(path, ["x"])


def csv(content: bytes) -> None:
    """A table of text."""
    _table(content, ".csv")


def parquet(content: bytes) -> None:
    """A table of Parquet."""
    _table(content, ".parquet")


def arrow(content: bytes) -> None:
    """A table of Arrow."""
    _table(content, ".arrow")


def name(content: bytes) -> None:
    """Names and tags."""
    text = content.decode("utf-8", "surrogateescape")
    for check in (check_name, check_tag):
        with refusing(SpecError):
            assert check(text) == text and text.encode("utf-8").decode("utf-8") == text


TARGETS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one for one in (spec, change, json, safetensors, npy, npz, csv, parquet, arrow, name)
}


class refusing(suppress):  # noqa: N801 - read as a word, like `suppress`
    """Lets one kind of error pass, if it says something and not too much."""

    def __exit__(self, kind, error, trace):  # type: ignore[no-untyped-def]
        if kind is not None and issubclass(kind, self._exceptions):
            assert 0 < len(str(error)) <= MOST_LETTERS, f"a message of {len(str(error))} letters"
        return super().__exit__(kind, error, trace)


class _file:  # noqa: N801
    def __init__(self, content: bytes, suffix: str) -> None:
        descriptor, self.path = tempfile.mkstemp(suffix=suffix)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)

    def __enter__(self) -> Path:
        return Path(self.path)

    def __exit__(self, *_: object) -> None:
        os.unlink(self.path)


def _table(content: bytes, suffix: str) -> None:
    with _file(content, suffix) as path, refusing(DataError):
        read_source(path, Roles(target=None))
