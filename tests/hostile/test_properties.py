"""For every reader: any bytes, and good content that was changed, give a typed error or a value that comes back."""

import json
import string
import struct
import sys
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "fuzz"))
import targets

from hostile import recipes
from trainwright.base.jsontext import read_json, write_json
from trainwright.base.names import check_name
from trainwright.base.tensors import dump_tensors, dump_tree, load_tensors, load_tree
from trainwright.base.tree import leaves
from trainwright.data.npy import read_npy
from trainwright.data.roles import Roles
from trainwright.data.source import read_source
from trainwright.spec.text import read_text

# The same examples each time: what fails here fails everywhere.
quiet = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
steady = settings(
    derandomize=True, max_examples=120, deadline=None, database=None, suppress_health_check=quiet
)

letters = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
plain = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | letters
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(letters, inner, max_size=4),
    max_leaves=12,
)
words = letters.filter(lambda key: not key.startswith("$"))
kinds = st.sampled_from(["?", "u1", "i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8"])
arrays = st.builds(
    lambda kind, shape: (np.arange(int(np.prod(shape))) % 7).astype(kind).reshape(shape),
    kinds,
    st.lists(st.integers(0, 4), max_size=4),
)
trees = st.recursive(
    plain | arrays,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


def same(one, other):
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and (one == other or one != one)


@st.composite
def mutated(draw, good):
    """Good content with bytes changed, pieces cut out, doubled or put elsewhere."""
    content = bytearray(draw(good))
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, max(0, len(content) - 1)))
        end = min(len(content), begin + draw(st.integers(0, 12)))
        piece = bytes(content[begin:end])
        new = draw(st.sampled_from([b"", piece * 2, piece[::-1]]) | st.binary(max_size=8))
        content[begin:end] = new
    return bytes(content)


def tensors_of(tree):
    return b"".join(dump_tree(tree))


def npy_of(array):
    return recipes.make_npy(
        descr=f"'{array.dtype.str}'", shape=str(tuple(array.shape)), body=array.tobytes().hex()
    )


def npz_of(array):
    header = {
        "descr": f"'{array.dtype.str}'",
        "shape": str(tuple(array.shape)),
        "body": array.tobytes().hex(),
    }
    return recipes.make_zip([{"name": "x.npy", "npy": header}])


cells = st.text(string.ascii_letters + string.digits + " .,;\t\"'\n\r\ufeff\u00e9\u202e<-+eE", max_size=8)
rows = st.lists(st.lists(cells, min_size=1, max_size=4), min_size=1, max_size=6)
tables = rows.map(lambda found: "\n".join(",".join(row) for row in found).encode())
yamls = values.map(lambda value: json.dumps(value, default=str).encode())
parquets = st.just(recipes.make_parquet("plain"))
GOOD = {
    "spec": yamls, "change": st.builds(lambda a, b: f"train.{a}={b}".encode(), letters, letters),
    "json": values.map(lambda value: write_json(value).encode()), "safetensors": trees.map(tensors_of),
    "npy": arrays.map(npy_of), "npz": arrays.map(npz_of), "csv": tables, "parquet": parquets, "arrow": parquets,
    "name": letters.map(str.encode),
}  # fmt: skip


def pytest_generate_tests(metafunc):
    if "target" in metafunc.fixturenames:
        metafunc.parametrize("target", targets.TARGETS)


@given(data=st.data())
@steady
def test_any_bytes_are_refused_or_read(target, data):
    targets.TARGETS[target](data.draw(st.binary(max_size=200) | letters.map(str.encode)))


@given(data=st.data())
@steady
def test_good_content_is_read_and_changed_content_is_refused_or_read(target, data):
    targets.TARGETS[target](data.draw(GOOD[target]))
    targets.TARGETS[target](data.draw(mutated(GOOD[target])))


@given(length=st.integers(0, 400), body=st.binary(max_size=60), header=values)
@steady
def test_a_safetensors_header_may_say_anything(length, body, header):
    text = write_json({"a": header} if not isinstance(header, dict) else header).encode()
    targets.TARGETS["safetensors"](struct.pack("<Q", len(text)) + text + body)
    targets.TARGETS["safetensors"](struct.pack("<Q", length) + text + body)


fields = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["U8", "F32", "BOOL", "I64", "F8", "", 3]),
        "shape": st.lists(
            st.integers(-1, 5) | st.sampled_from([2**31, 2**63, 10**30, True, None]), max_size=4
        ),
        "data_offsets": st.lists(st.integers(-1, 12) | st.just(2**62), max_size=3),
    }
)


@given(header=st.dictionaries(letters, fields, max_size=3), body=st.integers(0, 12))
@steady
def test_tensors_may_claim_to_lie_anywhere(header, body):
    targets.TARGETS["safetensors"](recipes.make_safetensors(header, body))


@given(descr=st.sampled_from(["'<f4'", "'|O'", "'<U0'", "'<U3'", "'|S3'", "'|b1'", "'<m8[s]'", "[('a','<f4')]", "3"]),
       shape=st.lists(st.integers(-2, 4) | st.sampled_from([2**31, 2**63, 10**30]), max_size=4),
       order=st.sampled_from(["True", "False", "0"]), body=st.integers(0, 64), version=st.integers(1, 3))  # fmt: skip
@steady
def test_an_npy_header_may_say_anything(descr, shape, order, body, version):
    targets.TARGETS["npy"](recipes.make_npy(descr, str(tuple(shape)), order, body, version))


@given(value=values)
@steady
def test_json_comes_back(value):
    typed = isinstance(value, dict) and set(value) == {"$float"}
    assert typed or same(read_json(write_json(value)), value) or "$float" in write_json(value)


@given(tree=trees)
@steady
def test_a_tree_comes_back(tree):
    found = load_tree(tensors_of(tree))
    assert same(found, tree)
    assert [path for path, _ in leaves(found)] == [path for path, _ in leaves(tree)]


@given(found=st.dictionaries(st.text(string.ascii_letters + "/._é", max_size=20), arrays, max_size=5))
@steady
def test_tensors_come_back(found):
    assert same(load_tensors(b"".join(dump_tensors(found))), found)


@given(array=arrays)
@steady
def test_an_array_comes_back(tmp_path, array):
    (tmp_path / "a.npy").write_bytes(npy_of(array))
    assert same(read_npy(tmp_path / "a.npy"), array)


@given(
    numbers=st.lists(
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2),
        min_size=3,
        max_size=9,
    )
)
@steady
def test_numbers_of_a_csv_file_come_back(tmp_path, numbers):
    (tmp_path / "a.csv").write_text("a,b\n" + "".join(f"{a!r},{b!r}\n" for a, b in numbers))
    found = read_source(tmp_path / "a.csv", Roles(target="b", features=["a"]))
    assert found.x.matrix()[:, 0].tolist() == [row[0] for row in numbers]


bmp = st.text(st.characters(exclude_categories=["Cs", "Cc"], max_codepoint=0xFFFF), max_size=12)
simple = st.integers() | st.booleans() | st.none() | bmp


@given(
    value=st.dictionaries(st.text(string.ascii_letters, min_size=1), simple | st.lists(simple), max_size=6)
)
@steady
def test_plain_values_come_back_from_yaml(value):
    assert read_text(json.dumps(value)).value == value


@given(name=letters)
@steady
def test_a_name_is_refused_or_stays_what_it_is(name):
    targets.TARGETS["name"](name.encode())
    if name.isascii() and name.isalnum():
        assert check_name(name) == name
