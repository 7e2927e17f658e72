import numpy as np
import pytest

from trainwright.base.digest import digest_json
from trainwright.base.errors import SpecError, StoreError
from trainwright.store.datasets import find, name_of, register, rows, splits

DATA = {
    "recipe": {"path": "a.csv"},
    "recipe_digest": "a" * 64,
    "content_digest": "b" * 64,
    "splits": {"train": np.array([0, 2, 5]), "val": np.array([1]), "test": np.array([], dtype=np.int64)},
}


def test_a_dataset_comes_back_as_it_was(store):
    row = register(store, name="line", **DATA)
    assert row.digest == digest_json(["a" * 64, "b" * 64])
    assert find(store, "line") == find(store, row.digest[:8]) == row
    assert row.recipe == {"path": "a.csv"}
    assert {split: count for split, (count, _) in row.splits.items()} == {"train": 3, "val": 1, "test": 0}
    np.testing.assert_equal(splits(store, row), DATA["splits"])


def test_content_is_found_by_the_name_it_has(store):
    register(store, name=None, **DATA)
    register(store, name="other", **{**DATA, "content_digest": "c" * 64})
    assert name_of(store, "b" * 64) is None
    register(store, name="line", **DATA)
    assert (name_of(store, "b" * 64), name_of(store, "c" * 64)) == ("line", "other")
    assert name_of(store, "d" * 64) is None


def test_registering_again_changes_nothing(store):
    first = register(store, name="line", **DATA)
    assert register(store, name="line", **DATA) == register(store, name=None, **DATA) == first
    assert rows(store) == [first]


def test_a_name_can_be_given_later(store):
    unnamed = register(store, name=None, **DATA)
    named = register(store, name="line", **DATA)
    assert (unnamed.name, named.name, named.digest) == (None, "line", unnamed.digest)
    assert rows(store) == [named]


def test_a_name_never_moves_to_other_data(store):
    register(store, name="line", **DATA)
    before, now = "recipe aaaaaaaaaaaa, content bbbbbbbbbbbb", "recipe aaaaaaaaaaaa, content cccccccccccc"
    message = f"stands for {before}; this is {now}: register it under a new name"
    with pytest.raises(StoreError, match=message):
        register(store, name="line", **{**DATA, "content_digest": "c" * 64})
    with pytest.raises(StoreError, match="registered as 'line' already"):
        register(store, name="other", **DATA)
    assert len(rows(store)) == 1


def test_other_splits_of_the_same_dataset_are_refused(store):
    register(store, name=None, **DATA)
    with pytest.raises(StoreError, match="other splits"):
        register(store, name=None, **{**DATA, "splits": {"train": np.arange(4)}})


@pytest.mark.parametrize("name", ["nope", "aaaaaaaa", ""])
def test_an_unknown_dataset_says_what_there_is(store, name):
    register(store, name="line", **DATA)
    with pytest.raises(StoreError, match=f"no datasets are called '{name}'; registered are: line"):
        find(store, name)


def test_a_name_that_is_not_allowed_registers_nothing(store):
    with pytest.raises(SpecError):
        register(store, name="../x", **DATA)
    assert rows(store) == []
