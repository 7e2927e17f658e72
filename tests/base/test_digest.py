"""Names for content."""

import hashlib

import numpy as np
import pytest

from trainwright.base.digest import digest_array, digest_bytes, digest_json

BASE = np.arange(6, dtype="<i8").reshape(2, 3)


def test_bytes_are_named_by_their_sha256():
    # FIPS 180-4, the example "abc"
    assert digest_bytes(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_json_is_named_by_the_bytes_of_its_canonical_spelling():
    assert (
        digest_json({"b": [1, 1.5], "a": "é"}) == hashlib.sha256('{"a":"é","b":[1,1.5]}'.encode()).hexdigest()
    )


def test_an_array_is_named_by_type_shape_and_little_endian_bytes():
    expected = hashlib.sha256(b'["<i8",[2,3]]' + b"".join(int(n).to_bytes(8, "little") for n in range(6)))

    assert digest_array(BASE) == expected.hexdigest()


@pytest.mark.parametrize(
    "same",
    [
        np.asfortranarray(BASE),
        BASE.astype(">i8"),
        np.arange(12).reshape(2, 6)[:, ::2] // 2,
        np.broadcast_to(BASE, (1, 2, 3))[0],
    ],
)
def test_the_layout_in_memory_does_not_matter(same):
    assert digest_array(same) == digest_array(BASE)


@pytest.mark.parametrize(
    "other",
    [
        BASE.T,
        BASE.reshape(3, 2),
        BASE.ravel(),
        BASE[None],
        BASE.astype("i4"),
        BASE.astype("f8"),
        BASE + 1,
        BASE[::-1],
    ],
)
def test_another_type_shape_or_value_has_another_name(other):
    assert digest_array(other) != digest_array(BASE)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.array(["ab", "c"]), np.array(["a", "bc"])),
        (np.array(["a", "b"], dtype=object), np.array(["a", "c"], dtype=object)),
        (np.zeros((0, 3)), np.zeros((3, 0))),
        (np.array(0.0), np.array(-0.0)),
        (np.array(True), np.array(1, dtype="u1")),
    ],
)
def test_odd_arrays_have_names_of_their_own(one, other):
    assert digest_array(one) != digest_array(other)
    assert digest_array(one) == digest_array(one.copy())
