import gc
import io
import os
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.making import npy_claiming, write_zip
from trainwright.base.digest import digest_array
from trainwright.base.errors import DataError
from trainwright.data import mapped
from trainwright.data.mapped import map_npy, map_npz
from trainwright.data.npy import read_npz

RNG = np.random.default_rng(0)
KINDS = {
    "float32": RNG.normal(size=(40, 3, 2)).astype(np.float32),
    "float64": RNG.normal(size=(40, 5)),
    "big endian": RNG.normal(size=(40, 5)).astype(">f8"),
    "uint8": RNG.integers(0, 255, size=(40, 3, 4, 4)).astype(np.uint8),
    "bool": RNG.random((40, 2)) > 0.5,
    "rows longer than a gap": RNG.normal(size=(40, 700)),
    "fortran row": np.asfortranarray(RNG.normal(size=(40, 1))),
}


def saved(folder, x, kind):
    path = folder / f"x.{kind}"
    if kind == "npy":
        np.save(path, x)
        return map_npy(path)
    np.savez(path, first=np.arange(5), x=x, last=np.ones(3))
    return map_npz(path, "x")


@pytest.mark.parametrize("kind", ["npy", "npz"])
@pytest.mark.parametrize("x", KINDS.values(), ids=KINDS)
def test_rows_of_a_file_are_those_of_the_array(tmp_path, x, kind):
    rows = saved(tmp_path, x, kind)
    assert rows.shape == x.shape and rows.dtype == x.dtype.newbyteorder("=")
    for key in (slice(None), slice(7, 11), slice(0, 40, 3), slice(3, 3)):
        np.testing.assert_array_equal(rows[key], x[key])
        assert rows[key].dtype.isnative and rows[key].flags.writeable
    for chosen in ([5, 4, 4, 39, 0], [12, 13, 14], [30], list(range(0, 40, 2))):
        np.testing.assert_array_equal(rows[np.array(chosen)], x[chosen])
    assert rows.survey.digest == digest_array(np.ascontiguousarray(x.astype(x.dtype.newbyteorder("="))))
    np.testing.assert_array_equal(np.concatenate(list(rows.blocks(9))), x)


@settings(deadline=None, max_examples=80)
@given(
    chosen=st.lists(st.integers(0, 199), max_size=60),
    gap=st.sampled_from([0, 8, 4096]),
    most=st.sampled_from([1, 40, 2**23]),
)
def test_any_rows_come_back_in_the_order_asked_for(shared_file, chosen, gap, most):
    path, x = shared_file
    before = mapped.GAP_BYTES, mapped.READ_BYTES
    mapped.GAP_BYTES, mapped.READ_BYTES = gap, most
    try:
        rows = np.array(chosen, dtype=np.int64)
        np.testing.assert_array_equal(map_npy(path)[rows], x[rows])
    finally:
        mapped.GAP_BYTES, mapped.READ_BYTES = before


@pytest.fixture(scope="module")
def shared_file(tmp_path_factory):
    path, x = tmp_path_factory.mktemp("mapped") / "x.npy", RNG.normal(size=(200, 2))
    np.save(path, x)
    return path, x


@pytest.fixture
def reads(monkeypatch):
    found = []
    read = os.preadv

    def counted(descriptor, buffers, offset):
        found.append(sum(len(one) for one in buffers))
        return read(descriptor, buffers, offset)

    monkeypatch.setattr(mapped.os, "preadv", counted)
    return found


def test_neighbours_are_read_in_one_piece_and_distant_rows_apart(tmp_path, reads):
    x = RNG.normal(size=(5000, 16))  # 128 bytes a row: 32 rows are a gap
    rows = saved(tmp_path, x, "npy")
    rows[np.array([4, 3, 2])]
    assert reads == [3 * 128]
    reads.clear()
    rows[np.array([100, 132])]  # 31 rows between: cheaper to read through
    assert reads == [33 * 128]
    reads.clear()
    rows[np.array([4000, 100])]
    assert reads == [128, 128]


def test_no_piece_is_larger_than_allowed(tmp_path, reads, monkeypatch):
    monkeypatch.setattr(mapped, "READ_BYTES", 10 * 128)
    x = RNG.normal(size=(500, 16))
    np.testing.assert_array_equal(saved(tmp_path, x, "npy")[np.arange(0, 500, 2)], x[::2])
    assert max(reads) <= 10 * 128


def test_a_read_that_gives_less_than_asked_for_is_continued(tmp_path, monkeypatch):
    x = RNG.normal(size=(30, 4))
    rows, read = saved(tmp_path, x, "npy"), os.preadv
    monkeypatch.setattr(
        mapped.os, "preadv", lambda descriptor, buffers, offset: read(descriptor, [buffers[0][:7]], offset)
    )
    np.testing.assert_array_equal(rows[:], x)


def test_one_number_per_record_is_a_column(tmp_path):
    rows = saved(tmp_path, np.arange(6.0), "npy")
    assert rows.shape == (6, 1) and rows[4:].tolist() == [[4.0], [5.0]]


def test_a_file_that_became_shorter_is_an_error(tmp_path):
    rows = saved(tmp_path, np.ones((100, 50)), "npy")
    os.truncate(tmp_path / "x.npy", 20_000)
    assert rows[:10].shape == (10, 50)
    with pytest.raises(DataError, match=r"x\.npy: it has become shorter"):
        rows[90:]


def test_an_empty_array_has_no_rows(tmp_path):
    rows = saved(tmp_path, np.ones((0, 3)), "npy")
    assert rows[:].shape == (0, 3) and list(rows.blocks()) == []


def test_the_file_is_closed_with_its_array(tmp_path):
    gc.collect()  # of what earlier tests left
    before = len(os.listdir("/proc/self/fd"))
    rows = [saved(tmp_path, np.ones((3, 3)), "npy") for _ in range(5)]
    assert len(os.listdir("/proc/self/fd")) == before + 5
    rows.clear()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (npy_claiming("(9, 9)"), "its header says shape"),
        (npy_claiming("(2,)", descr="|O", body=b"\0" * 16), "Python objects"),
        (npy_claiming("(1,)", descr="<U2", body=b"a\0\0\0b\0\0\0"), "holds <U2, not numbers"),
        (npy_claiming("()", body=b"\0" * 8), "is a single number"),
        (b"\x93NUMPY", "not an .npy array"),
    ],
)
def test_a_file_whose_header_is_not_to_be_trusted_is_refused(tmp_path, content, says):
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(DataError, match=says):
        map_npy(tmp_path / "x.npy")


def test_columns_in_fortran_order_can_only_be_read_whole(tmp_path):
    np.save(tmp_path / "x.npy", np.asfortranarray(np.ones((3, 3))))
    with pytest.raises(DataError, match=r"cannot be read in parts: .*Fortran order.*; save numpy.asc"):
        map_npy(tmp_path / "x.npy")


def test_a_compressed_array_can_only_be_read_whole(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", x=np.ones((3, 3)))
    with pytest.raises(
        DataError, match=r"'x' cannot be read in parts: it is compressed; save it with numpy.savez"
    ):
        map_npz(tmp_path / "x.npz", "x")


def test_a_flipped_bit_in_an_archive_is_found_as_when_it_is_read_whole(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, x=np.ones((100, 3)))
    content = bytearray(path.read_bytes())
    content[1500] ^= 1
    path.write_bytes(content)
    for read in (lambda: read_npz(path, ["x"]), lambda: map_npz(path, "x")):
        with pytest.raises(DataError, match="Bad CRC"):
            read()


def test_a_damaged_header_in_an_archive_is_refused(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.ones((10, 3)))
    path = write_zip(tmp_path / "x.npz", [("x.npy", buffer.getvalue())], compression=zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[0] = 0
    path.write_bytes(content)
    with pytest.raises(DataError, match="zip header is damaged"):
        map_npz(path, "x")
