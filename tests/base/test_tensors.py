"""Arrays as bytes: judged by the safetensors library, and by files that lie."""

import gc
import json
import struct
import weakref

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from trainwright.base.errors import StoreError
from trainwright.base.tensors import dump_tensors, dump_tree, load_tensors, load_tree, read_tensors

TYPES = ["bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]


def joined(chunks):
    return b"".join(chunks)


def some(dtype, shape=(2, 3)):
    return (np.arange(np.prod(shape)) % 7).astype(dtype).reshape(shape)


def file_with(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 4)])
def test_the_safetensors_library_reads_what_we_write(dtype, shape):
    array = some(dtype, shape)

    found = safetensors.numpy.load(joined(dump_tensors({"a/b": array}, metadata={"k": "v"})))

    assert found["a/b"].dtype == array.dtype
    assert np.array_equal(found["a/b"], array) and found["a/b"].shape == shape


@pytest.mark.parametrize("dtype", TYPES)
def test_we_read_what_the_safetensors_library_writes(dtype):
    arrays = {"x": some(dtype), "a": some("f4", (5,)), "n": some("i8", ())}

    found = load_tensors(safetensors.numpy.save(arrays, metadata={"b": "1"}))

    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and np.array_equal(found[name], array)


def test_equal_content_gives_equal_bytes_in_whatever_order_and_layout():
    a, b = some("f4", (3, 4)), some("i8")
    one = joined(dump_tensors({"a": a, "b": b}, metadata={"x": "1", "y": "2"}))

    assert joined(dump_tensors({"b": b, "a": np.asfortranarray(a)}, metadata={"y": "2", "x": "1"})) == one
    assert joined(dump_tensors({"a": a.astype(">f4"), "b": b}, metadata={"x": "1", "y": "2"})) == one
    assert joined(dump_tensors({"a": a + 1, "b": b}, metadata={"x": "1", "y": "2"})) != one


def test_floats_keep_every_bit():
    odd = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, np.nextafter(1, 2)])

    assert load_tensors(joined(dump_tensors({"a": odd})))["a"].tobytes() == odd.tobytes()


def test_an_array_that_was_read_can_be_written_to():
    found = load_tensors(joined(dump_tensors({"a": np.zeros(2)})))["a"]
    found[0] = 1.0

    assert found.tolist() == [1.0, 0.0]


def test_tensors_are_aligned_to_their_size():
    content = joined(dump_tensors({"a": some("i1", (3,)), "b": some("f8"), "c": some("f2", (1,))}))
    (size,) = struct.unpack("<Q", content[:8])

    assert (8 + size) % 8 == 0
    for name, one in json.loads(content[8 : 8 + size]).items():
        width = {"a": 1, "b": 8, "c": 2}[name]
        assert one["data_offsets"][0] % width == 0


@pytest.mark.parametrize(
    "array", [np.array(["a"]), np.array([object()]), np.array([1j]), np.array([1], "M8[s]")]
)
def test_arrays_of_other_things_are_refused(array):
    with pytest.raises(StoreError, match="cannot be kept"):
        dump_tensors({"a": array})


GOOD = np.zeros(2, dtype="f4").tobytes()

HOSTILE = {
    "nothing at all": b"",
    "too short for a length": b"\x01\x00\x00",
    "length beyond the file": struct.pack("<Q", 100) + b"{}",
    "length beyond the limit": struct.pack("<Q", 2**62) + b"{}",
    "largest length": b"\xff" * 8 + b"{}",
    "header is not JSON": file_with(b"{'a': 1}"),
    "header is not UTF-8": file_with(b'{"\xff": 1}'),
    "header is a list": file_with([]),
    "header is deep": file_with(b"[" * 100 + b"]" * 100),
    "name given twice": file_with(
        b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
        b'"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        b"\x00",
    ),
    "word NaN": file_with(b'{"a": NaN}'),
    "entry is a number": file_with({"a": 1}),
    "entry lacks its offsets": file_with({"a": {"dtype": "F32", "shape": [2]}}, GOOD),
    "entry has more fields": file_with({"a": entry(more=1)}, GOOD),
    "unknown type": file_with({"a": entry("F33")}, GOOD),
    "type is a list": file_with({"a": entry(["F32"])}, GOOD),
    "negative length": file_with({"a": entry(shape=(-2,))}, GOOD),
    "fractional length": file_with({"a": entry(shape=(2.0,))}, GOOD),
    "length is true": file_with({"a": entry("U8", shape=(True,), offsets=(0, 1))}, b"\x00"),
    "shape is text": file_with({"a": {"dtype": "F32", "shape": "2", "data_offsets": [0, 8]}}, GOOD),
    "three offsets": file_with({"a": entry(offsets=(0, 8, 8))}, GOOD),
    "offsets backwards": file_with({"a": entry(offsets=(8, 0))}, GOOD),
    "offsets are null": file_with({"a": {"dtype": "F32", "shape": [2], "data_offsets": None}}, GOOD),
    "offset is text": file_with({"a": entry(offsets=("0", 8)), "b": entry(offsets=(0, 8))}, GOOD),
    "beyond the end": file_with({"a": entry(offsets=(0, 8))}, GOOD[:4]),
    "smaller than the shape": file_with({"a": entry(offsets=(0, 4))}, GOOD[:4]),
    "shape overflows 64 bits": file_with({"a": entry(shape=(2**32, 2**32, 2**32), offsets=(0, 8))}, GOOD),
    "shape overflows to nothing": file_with({"a": entry("U8", shape=(2**32, 2**32), offsets=(0, 0))}),
    "two tensors share bytes": file_with({"a": entry(), "b": entry()}, GOOD),
    "a hole before the first": file_with({"a": entry(offsets=(4, 12))}, GOOD + b"\x00" * 4),
    "a hole in between": file_with({"a": entry(), "b": entry(offsets=(12, 20))}, GOOD + b"\x00" * 12),
    "bytes that belong to nothing": file_with({"a": entry()}, GOOD + b"\x00"),
    "metadata is a list": file_with({"__metadata__": [], "a": entry()}, GOOD),
    "metadata holds a number": file_with({"__metadata__": {"k": 1}, "a": entry()}, GOOD),
    "too many tensors": file_with({str(n): entry("U8", (0,), (0, 0)) for n in range(100_001)}),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_file_that_lies_is_refused_by_name(content):
    with pytest.raises(StoreError, match="weights of run 7"):
        load_tensors(content, what="weights of run 7")


def test_a_file_without_tensors_is_none():
    assert load_tensors(file_with({})) == {}


@given(position=st.integers(0, 10_000), value=st.integers(0, 255))
@settings(max_examples=150, deadline=None)
def test_a_flipped_byte_is_refused_or_read_but_never_breaks(position, value):
    content = bytearray(joined(dump_tree({"a": np.arange(3.0), "b": [1, None, float("nan")], "c": "text"})))
    content[position % len(content)] = value
    try:
        load_tree(bytes(content))
    except StoreError:
        return


def equal(one, other):
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(equal(one[k], other[k]) for k in one)
        )
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(equal, one, other))
    return type(one) is type(other) and (one == other or (one != one and other != other))


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
arrays = st.sampled_from([np.zeros(0), np.arange(3, dtype="i4"), np.ones((2, 2), "f4"), np.array(True)])
trees = st.recursive(
    plain | arrays,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text().filter(lambda k: k[:1] != "$"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(tree=trees)
@settings(max_examples=150, deadline=None)
def test_a_tree_comes_back_as_it_was(tree):
    assert equal(load_tree(joined(dump_tree(tree))), tree)


@pytest.mark.parametrize("tree", [{1: 2}, {"$array": "0"}, {"a": (1, 2)}, {"a": object()}, np.float32(1)])
def test_what_is_no_tree_is_refused_when_written(tree):
    with pytest.raises(TypeError):
        dump_tree(tree)


@pytest.mark.parametrize(
    "outline",
    [
        '{"$array":"7"}',
        '{"$array":["0"]}',
        '{"$array":{"a":1}}',
        "{",
        "[" * 99,
    ],
)
def test_a_tree_that_names_missing_arrays_is_refused(outline):
    with pytest.raises(StoreError, match="state"):
        load_tree(joined(dump_tensors({"0": np.zeros(1)}, metadata={"tree": outline})), what="state")


def test_tensors_without_a_tree_are_no_tree():
    with pytest.raises(StoreError, match="no tree"):
        load_tree(joined(dump_tensors({"a": np.zeros(1)})))


def test_nothing_holds_the_arrays_of_a_tree_that_was_spelled():
    array = np.zeros(3)
    gone = weakref.ref(array)
    gc.disable()
    try:
        content = joined(dump_tree({"a": [array]}))
        del array
        assert gone() is None
        found = load_tree(content)["a"][0]
        gone = weakref.ref(found)
        del found
        assert gone() is None
    finally:
        gc.enable()


def test_a_header_of_16_MiB_is_read_and_no_longer_one():
    assert load_tensors(file_with(b"{}" + b" " * (16 * 2**20 - 2))) == {}
    with pytest.raises(StoreError, match="the header has 16777217 bytes, 16777216 are allowed"):
        load_tensors(file_with(b"{}" + b" " * (16 * 2**20 - 1)))


def test_100_000_tensors_are_read_and_no_more(monkeypatch):
    monkeypatch.setattr("trainwright.base.tensors.MAX_TENSORS", 3)
    many = {str(n): {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for n in range(4)}
    with pytest.raises(StoreError, match="4 tensors, 3 are allowed"):
        load_tensors(file_with(many))
    del many["3"]
    assert len(load_tensors(file_with(many))) == 3


def test_bfloat16_is_widened_for_those_who_ask():
    content = file_with({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}, b"\x80\x3f\x00\xc0")
    with pytest.raises(StoreError, match="unknown type 'BF16'"):
        load_tensors(content)
    tensors, metadata = read_tensors(content, widen=True)
    assert tensors["a"].tolist() == [1.0, -2.0] and tensors["a"].dtype == np.float32 and metadata == {}
