"""The shape of state."""

import numpy as np
import pytest

from trainwright.base.tree import leaves


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (None, [("", None)]),
        ({}, []),
        ([], []),
        ({"b": 1, "a": {"c": True}}, [("a/c", True), ("b", 1)]),
        ([1, [2.5, "x"]], [("0", 1), ("1/0", 2.5), ("1/1", "x")]),
    ],
)
def test_leaves_come_with_their_paths_in_a_fixed_order(tree, expected):
    assert list(leaves(tree)) == expected


def test_an_array_is_one_leaf():
    array = np.zeros((2, 2))

    ((path, leaf),) = leaves({"w": array})
    assert path == "w" and leaf is array


@pytest.mark.parametrize(
    ("tree", "where"),
    [
        ({"a": {1: 2}}, "a: .*key 1"),
        ({"a": [(1,)]}, "a/0: .*tuple"),
        (object(), "/: .*object"),
        ({"a": {1}}, "a: .*set"),
    ],
)
def test_what_is_no_tree_is_named_by_its_path(tree, where):
    with pytest.raises(TypeError, match=where):
        list(leaves(tree))
