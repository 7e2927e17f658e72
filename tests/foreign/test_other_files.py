"""Safetensors, .npz and HDF5, as their own libraries write them and as nobody should."""

import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from foreign.making import read
from trainwright.base.errors import BackendError, DataError, StoreError
from trainwright.foreign.formats import FORMATS, read_safetensors
from trainwright.foreign.hdf5_file import read_hdf5, read_keras
from trainwright.foreign.npz_file import read_npz

FILES = Path(__file__).parent / "files"


def safetensors(header, body=b""):
    content = json.dumps(header).encode()
    return struct.pack("<Q", len(content)) + content + body


def entry(dtype="F32", shape=(1,), begin=0, end=4):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def test_a_safetensors_file_is_read_with_its_metadata():
    torch = pytest.importorskip("torch")
    from safetensors.torch import save

    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1.5, -2.0]).to(torch.bfloat16)}
    tensors |= {
        "c": torch.tensor([True, False]),
        "d": torch.tensor(3, dtype=torch.int16),
        "e": torch.zeros(0, 2),
    }
    found = read(read_safetensors, save(tensors, metadata={"format": "pt"}))
    assert found.values == {"metadata/format": "pt"}
    for name, one in tensors.items():
        expected = one.float().numpy() if name == "b" else one.numpy()
        assert np.array_equal(found.tensors[name], expected) and found.tensors[name].dtype == expected.dtype


SAFETENSORS = {
    "nothing": b"",
    "a header of 2**60 bytes": struct.pack("<Q", 2**60),
    "an overlap": safetensors({"a": entry(), "b": entry()}, b"\0" * 4),
    "a gap": safetensors({"a": entry(begin=4, end=8)}, b"\0" * 8),
    "an unknown type": safetensors({"a": entry("F8_E4M3", end=1)}, b"\0"),
    "bfloat16 of another length": safetensors({"a": entry("BF16")}, b"\0" * 4),
    "a name with a control character": safetensors({"a\nb": entry()}, b"\0" * 4),
}


@pytest.mark.parametrize("content", SAFETENSORS.values(), ids=SAFETENSORS)
def test_a_broken_safetensors_file_is_refused(content):
    with pytest.raises((StoreError, DataError)):
        read(read_safetensors, content)


def npz(save=np.savez, **arrays):
    content = io.BytesIO()
    save(content, **arrays)
    return content.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_file_is_read_with_its_text(save):
    arrays = {"w": np.arange(6.0).reshape(2, 3).T, "b": np.float32(2), "n": np.arange(3, dtype=">i2")}
    found = read(read_npz, npz(save, **arrays, note=np.array("hello"), words=np.array([["a"], ["b"]])))
    assert found.values == {"note": "hello", "words": ["a", "b"]}
    assert all(np.array_equal(found.tensors[name], one) for name, one in arrays.items())


def packed(*members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, held in members:
            archive.writestr(name, held)
    return content.getvalue()


NPZ = {
    "objects": (npz(a=np.array([{}], dtype=object)), "Python objects"),
    "complex numbers": (npz(a=np.zeros(2, complex)), "not read"),
    "long numbers": (npz(a=np.zeros(2, np.longdouble)), "no type of a tensor"),
    "a bomb": (packed(("a.npy", bytes(10**8 + 1))), "all tensors together"),
    "another member": (packed(("a.txt", b"")), r"no \.npy file"),
    "a slip": (packed(("../a.npy", b"")), "no plain name"),
    "no zip": (b"PK", "it is no"),
}


@pytest.mark.parametrize(("content", "says"), NPZ.values(), ids=NPZ)
def test_a_broken_npz_file_is_refused(content, says):
    with pytest.raises(DataError, match=says):
        read(read_npz, content)


def test_a_name_given_twice_in_a_zip_is_refused():
    with pytest.warns(UserWarning, match="Duplicate"):
        content = packed(("a.npy", b""), ("a.npy", b""))
    with pytest.raises(DataError, match=r"'a\.npy' twice"):
        read(read_npz, content)


def test_an_encrypted_member_is_refused():
    content = bytearray(npz(a=np.zeros(1)))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(DataError, match=r"^'a\.npy' is encrypted$"):
        read(read_npz, bytes(content))


def test_a_member_that_is_shorter_than_the_archive_says_is_refused():
    content = bytearray(npz(a=np.zeros(4)))
    at = content.index(b"PK\x01\x02") + 24  # the unpacked length, as the directory says it
    content[at : at + 4] = (int.from_bytes(content[at : at + 4], "little") + 4).to_bytes(4, "little")
    with pytest.raises(DataError, match=r"^'a\.npy' is not as long as the archive says"):
        read(read_npz, bytes(content))


def test_members_are_counted(monkeypatch):
    monkeypatch.setattr("trainwright.foreign.zipped.MAX_MEMBERS", 2)
    assert len(read(read_npz, npz(a=np.zeros(1), b=np.zeros(1))).tensors) == 2
    with pytest.raises(DataError, match="more than 2 members"):
        read(read_npz, npz(a=np.zeros(1), b=np.zeros(1), c=np.zeros(1)))


def test_members_that_overlap_are_refused():
    """Two names of the directory for one member: what unpacks would be more than the file holds."""
    content = packed(("a.npy", bytes(range(256)) * 4), ("b.npy", bytes(range(256)) * 4))
    at = content.index(b"PK\x01\x02")
    again = content[at:].partition(b"PK\x05\x06")[0]
    ends = content.index(b"PK\x05\x06")
    count = struct.pack("<HH", 200, 200)
    tail = content[ends : ends + 8] + count + struct.pack("<I", len(again) * 100) + content[ends + 16 :]
    many = b"".join(
        again.replace(b"a.npy", b"%05d" % n).replace(b"b.npy", b"%05d" % (n + 500)) for n in range(100)
    )
    with pytest.raises(DataError, match="overlap"):
        read(read_npz, content[:ends].partition(b"PK\x01\x02")[0] + many + tail)


def hdf5(fill, **options):
    h5py = pytest.importorskip("h5py")
    content = io.BytesIO()
    with h5py.File(content, "w", **options) as file:
        fill(file, h5py)
    return content.getvalue()


def test_an_hdf5_file_is_read_by_paths():
    def fill(file, h5py):
        file["layers/dense/vars/0"] = np.arange(6, dtype=np.float32).reshape(2, 3)
        file["top"] = np.int64(7)
        file["big endian"] = np.arange(3, dtype=">f8")
        file["truth"] = np.array([True, False])
        file["empty"] = np.zeros((0, 2))
        file.create_dataset("packed", data=np.arange(9000.0), chunks=(100,), compression="gzip", shuffle=True)
        file.create_dataset("summed", data=np.arange(9.0), fletcher32=True, chunks=(9,))
        file.attrs["model_config"] = "left unread"
        file.create_group("nothing in it")

    found = read(read_hdf5, hdf5(fill))
    assert found.tensors["layers/dense/vars/0"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found.tensors["top"].shape == () and found.tensors["truth"].tolist() == [True, False]
    assert found.tensors["big endian"].tolist() == [0, 1, 2] and found.tensors["empty"].shape == (0, 2)
    assert np.array_equal(found.tensors["packed"], np.arange(9000.0)) and found.values == {}
    assert found.tensors["summed"].tolist() == list(range(9))


def soft(file, h5py):
    file["a"] = np.zeros(1)
    file["b"] = h5py.SoftLink("/a")


def elsewhere(file, h5py):
    file["a"] = h5py.ExternalLink("/etc/passwd", "/x")


def external(file, h5py):
    file.create_dataset("a", (8,), "u1", external=[("/etc/passwd", 0, 8)])


def virtual(file, h5py):
    layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(4,))
    file.create_virtual_dataset("a", layout)


def reference(file, h5py):
    file["a"] = np.zeros(1)
    file.create_dataset("b", data=[file["a"].ref], dtype=h5py.ref_dtype)


def circle(file, h5py):
    inner = file.create_group("a/b")
    inner["c"] = file["a"]


def to_root(file, h5py):
    file["a"] = file["/"]


def twice(file, h5py):
    file.create_group("a")["x"] = np.zeros(1)
    file["b"] = file["a"]


def deep(file, h5py):
    file["/".join("a" * 60)] = np.zeros(1)


def words(file, h5py):
    file["a"] = ["text"]


def fields(file, h5py):
    file["a"] = np.zeros(2, dtype=[("x", "f4")])


def named_type(file, h5py):
    file["a"] = np.dtype("f4")


def nothing_in(file, h5py):
    file["a"] = h5py.Empty("f4")


def bomb(file, h5py):
    file.create_dataset("a", (2**40,), "f4", chunks=(2**20,), compression="gzip")


def wide_chunks(file, h5py):
    file.create_dataset("a", (2**22,), "f4", maxshape=(None,), chunks=(2**29,))


def filtered(file, h5py):
    file.create_dataset("a", data=np.arange(1000.0), compression="lzf")


def misleading(file, h5py):
    file["a\u202eb"] = np.zeros(1)


def long_numbers(file, h5py):
    file["a"] = np.zeros(1, np.longdouble)


HDF5 = {
    soft: "SoftLink, which leads elsewhere",
    elsewhere: "ExternalLink, which leads elsewhere",
    external: "keeps its numbers in another file",
    virtual: "keeps its numbers in another file",
    reference: "holds object",
    circle: "another name leads to already",
    to_root: "another name leads to already",
    twice: "another name leads to already",
    deep: "nested deeper",
    words: "holds object",
    fields: "not booleans, integers or floats",
    named_type: "neither a group nor a dataset",
    nothing_in: "not booleans, integers or floats",
    bomb: "all tensors together",
    wide_chunks: "far larger than itself",
    filtered: "packed by the filter 32000",
    misleading: "the name",
    long_numbers: "not booleans",
}


@pytest.mark.parametrize(("fill", "says"), HDF5.items(), ids=[one.__name__ for one in HDF5])
def test_an_hdf5_file_that_leads_out_of_itself_is_refused(fill, says):
    with pytest.raises(DataError, match=says):
        read(read_hdf5, hdf5(fill))


def test_links_of_an_hdf5_file_are_counted(monkeypatch):
    monkeypatch.setattr("trainwright.foreign.hdf5_file.MAX_LINKS", 3)

    def fill(count):
        return hdf5(lambda file, h5py: [file.create_group(f"g{number}") for number in range(count)])

    assert not read(read_hdf5, fill(3)).tensors
    with pytest.raises(DataError, match="more than 3 links"):
        read(read_hdf5, fill(4))


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(500)])
def test_what_is_no_hdf5_file_is_refused(content):
    pytest.importorskip("h5py")
    with pytest.raises(DataError, match="HDF5 file"):
        read(read_hdf5, content)


def test_a_damaged_hdf5_file_is_read_or_refused():
    whole = hdf5(lambda file, h5py: file.create_dataset("a/b", data=np.arange(50.0), compression="gzip"))
    numbers = np.random.default_rng(0)
    for _ in range(150):
        content = bytearray(whole)
        for place in numbers.integers(8, len(content), 3):
            content[place] ^= 1 << int(numbers.integers(8))
        try:
            read(read_hdf5, bytes(content))
        except DataError:
            continue


def test_a_keras_file_is_read_without_its_description():
    pytest.importorskip("h5py")
    content = (FILES / "small.keras").read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert "Lambda" in archive.read("config.json").decode()
    found = read(read_keras, content)
    assert found.tensors["layers/dense/vars/0"].shape == (4, 6) and found.values == {}
    with pytest.raises(DataError, match=r"no model\.weights\.h5: config\.json"):
        read(read_keras, packed(("config.json", b"{}")))


def test_without_h5py_the_cure_is_said(monkeypatch):
    monkeypatch.setattr("trainwright.base.extras.installed", lambda module: False)
    with pytest.raises(BackendError, match=r"pip install 'trainwright\[hdf5\]'"):
        read(read_hdf5, b"\x89HDF\r\n\x1a\n")


def test_every_reader_refuses_any_bytes():
    for suffix, one in FORMATS.items():
        if one.package is None:
            with pytest.raises((DataError, StoreError)):
                read(one.read, b"\x00" * 200)
            assert suffix
