"""The fuzz targets stand: each takes the corpus without atheris, and each sees a reader that breaks its promise."""

import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "fuzz"
sys.path.insert(0, str(FUZZ))
import seeds
import targets

from trainwright.base.errors import StoreError

SMALL = [content for _, content in seeds.seeds()]


@pytest.mark.parametrize("target", targets.TARGETS)
def test_a_target_takes_the_corpus(target):
    assert len(SMALL) >= 300
    for content in SMALL:
        targets.TARGETS[target](content)


@pytest.mark.parametrize("target", targets.TARGETS)
def test_a_target_takes_good_content_cut_and_flipped(target):
    for good in (
        b"a: [1, 2]\n",
        b'{"a": [1, 2.5]}',
        b"a,y\n1,2\n2,3\n",
        seeds.recipes.make_npy(),
        seeds.recipes.make_parquet("plain"),
    ):
        for place in range(0, len(good), max(1, len(good) // 40)):
            flipped = bytearray(good)
            flipped[place] ^= 0x41
            targets.TARGETS[target](good[:place])
            targets.TARGETS[target](bytes(flipped))


def untyped(*_, **__):
    raise KeyError("a")


def changed(*_, **__):
    return {"a": [1]} if not _ or isinstance(_[0], bytes) else {"a": [2]}


def talkative(*_, **__):
    raise StoreError("a" * 30_000)


@pytest.mark.parametrize(
    ("target", "reader", "planted", "caught"),
    [
        ("json", "read_json", untyped, KeyError),
        ("json", "read_json", changed, AssertionError),
        ("json", "read_json", talkative, AssertionError),
        ("spec", "read_text", untyped, KeyError),
        ("change", "parse_change", untyped, KeyError),
        ("safetensors", "load_tensors", untyped, KeyError),
        ("npy", "read_npy", untyped, KeyError),
        ("npz", "read_npz", untyped, KeyError),
        ("csv", "read_source", untyped, KeyError),
        ("parquet", "read_source", untyped, KeyError),
        ("arrow", "read_source", untyped, KeyError),
        ("name", "check_name", untyped, KeyError),
        ("name", "check_name", lambda text: text.upper(), AssertionError),
    ],
)
def test_a_reader_that_breaks_its_promise_is_caught(monkeypatch, target, reader, planted, caught):
    monkeypatch.setattr(targets, reader, planted)
    with pytest.raises(caught):
        targets.TARGETS[target](b"{}a")


def test_every_target_is_told_of():
    text = (FUZZ / "README.md").read_text()
    assert all(f"`{name}`" in text for name in targets.TARGETS)
