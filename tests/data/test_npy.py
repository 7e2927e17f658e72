import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest

from data.making import npy_bytes, npy_claiming, write_zip
from trainwright.base.errors import DataError
from trainwright.data.npy import list_npz, read_npy, read_npz

ARRAYS = {
    "float": np.linspace(0, 1, 12).reshape(3, 4),
    "float16": np.ones((2, 2), np.float16),
    "big endian": np.arange(5, dtype=">i4"),
    "fortran": np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    "bool": np.array([True, False]),
    "uint64": np.array([2**64 - 1], np.uint64),
    "text": np.array(["Ärger", "b"]),
    "no records": np.zeros((0, 3)),
    "empty text": np.array(["", ""]),
}


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_array_is_read_as_numpy_reads_it(tmp_path, array, save):
    np.save(tmp_path / "a.npy", array)
    save(tmp_path / "a.npz", a=array, other=np.zeros(1))

    for found in (read_npy(tmp_path / "a.npy"), read_npz(tmp_path / "a.npz", ["a"])["a"]):
        assert np.array_equal(found, array) and found.shape == array.shape
        assert found.dtype == array.dtype.newbyteorder("=")
        assert found.flags.writeable


def test_bytes_are_read_as_text(tmp_path):
    np.save(tmp_path / "a.npy", np.array(["ä".encode(), b"b"]))
    assert read_npy(tmp_path / "a.npy").tolist() == ["ä", "b"]


def test_names_are_listed_in_their_order(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(1), a=np.zeros(1))
    assert list_npz(tmp_path / "a.npz") == ("x", "a")


def test_a_missing_array_names_those_there_are(tmp_path):
    np.savez(tmp_path / "a.npz", X_train=np.zeros(1), labels=np.zeros(1))
    with pytest.raises(DataError, match=r"no array 'x' in a\.npz, there are: X_train, labels"):
        read_npz(tmp_path / "a.npz", ["x"])


HOSTILE = {
    "objects": (npy_bytes(np.array([{"a": 1}]), allow_pickle=True), "Python objects"),
    "objects by header": (
        npy_claiming((1,), descr="|O", body=b"cos\nsystem\n(S'touch bad'\ntR."),
        "Python objects",
    ),
    "fields": (npy_bytes(np.zeros(2, dtype=[("a", "f8")])), "not read"),
    "complex": (npy_bytes(np.zeros(2, dtype=complex)), "not read"),
    "dates": (npy_bytes(np.zeros(2, dtype="M8[s]")), "not read"),
    "not latin text": (npy_bytes(np.array([b"\xff\xfe"])), "not UTF-8"),
    "no array at all": (b"hello, world", "not an .npy array"),
    "nothing": (b"", "not an .npy array"),
    "a terabyte claimed": (npy_claiming((2**40,), body=b"\0" * 8), "but 8 follow"),
    "an overflowing shape": (npy_claiming((2**62, 2**62), body=b"\0" * 8), "but 8 follow"),
    "a negative shape": (npy_claiming((-1,), body=b"\0" * 8), "header says"),
    "two negative lengths": (npy_claiming((-1, -1), body=b"\0" * 8), "header says"),
    "more bytes than claimed": (npy_claiming((1,), body=b"\0" * 16), "but 16 follow"),
    "an array cut off": (npy_bytes(np.arange(9.0))[:-3], "but 69 follow"),
    "a header cut off": (npy_bytes(np.arange(9.0))[:40], "not an .npy array"),
    "a header that is code": (b"\x93NUMPY\x01\x00\x12\x00__import__('os')\n ", "not an .npy array"),
    "a header too deep": (
        b"\x93NUMPY\x01\x00" + (9000).to_bytes(2, "little") + b"[" * 9000,
        "not an .npy array",
    ),
    "another version": (b"\x93NUMPY\x09\x00" + b"\0" * 100, "not an .npy array|not read"),
}


@pytest.mark.parametrize(("content", "says"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_array_is_refused_before_memory_is_taken(tmp_path, content, says):
    (tmp_path / "bad.npy").write_bytes(content)
    write_zip(tmp_path / "bad.npz", [("x.npy", content)])

    tracemalloc.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        with pytest.raises(DataError, match=says) as one:
            read_npy(tmp_path / "bad.npy")
        with pytest.raises(DataError, match=says) as other:
            read_npz(tmp_path / "bad.npz", ["x"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert "bad.npy" in str(one.value) and "bad.npz" in str(other.value)
    assert peak < 2e7
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize("keep", [0, 10, 100, 0.5, 0.99])
def test_an_archive_cut_off_is_refused(tmp_path, keep):
    np.savez(tmp_path / "a.npz", x=np.arange(1000.0))
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[: keep if isinstance(keep, int) else int(len(whole) * keep)])

    with pytest.raises(DataError, match=r"a\.npz: not a whole \.npz file"):
        read_npz(tmp_path / "a.npz", ["x"])


@pytest.mark.parametrize("compress", [np.savez, np.savez_compressed])
def test_a_flipped_bit_in_an_archive_is_noticed(tmp_path, compress):
    compress(tmp_path / "a.npz", x=np.random.default_rng(0).normal(size=1000))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[4000] ^= 1
    (tmp_path / "a.npz").write_bytes(content)

    with pytest.raises(DataError, match=r"a\.npz"):
        read_npz(tmp_path / "a.npz", ["x"])


def test_an_array_given_twice_is_refused(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        write_zip(tmp_path / "a.npz", [("x.npy", npy_bytes(np.zeros(1)))] * 2)
    with pytest.raises(DataError, match="'x' twice"):
        list_npz(tmp_path / "a.npz")


def test_what_unpacks_to_more_than_the_memory_is_refused(tmp_path, monkeypatch):
    size = 2**28 + 8
    write_zip(tmp_path / "a.npz", [("x.npy", npy_claiming((size // 8,), body=bytes(size)))])
    assert (tmp_path / "a.npz").stat().st_size < size / 500
    monkeypatch.setattr("trainwright.data.npy.hardware", lambda: {"memory_bytes": 10**6})

    with pytest.raises(DataError, match="of memory"):
        read_npz(tmp_path / "a.npz", ["x"])


def test_an_encrypted_member_is_refused(tmp_path):
    path = write_zip(tmp_path / "a.npz", [("x.npy", npy_bytes(np.zeros(1)))], compression=zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        read_npz(path, ["x"])


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.npy: cannot be read"):
        read_npy(tmp_path / "none.npy")
