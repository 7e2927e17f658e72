"""Where two specs differ."""

import copy
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainwright.base.digest import digest_json
from trainwright.spec.data import DataSpec
from trainwright.spec.differences import ABSENT, differences
from trainwright.spec.edit import edit
from trainwright.spec.experiment import Experiment
from trainwright.spec.model import ModelSpec
from trainwright.spec.part import Use
from trainwright.spec.train import TrainSpec

BASE = Experiment(
    name="a",
    data=DataSpec(path="a.csv", operators=[Use(use="X", args={"k": 1})]),
    model=ModelSpec(architecture="mlp"),
    train=TrainSpec(callbacks=[Use(use="E", args={"patience": 3})]),
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"seed": 3}, [("seed", 0, 3)]),
        (
            {"train.epochs": 3, "name": "b", "data.path": "b.csv"},
            [("name", "a", "b"), ("data.path", "a.csv", "b.csv"), ("train.epochs", 10, 3)],
        ),
        ({"model.hidden_dims": [128]}, [("model.hidden_dims", "auto", [128])]),
        ({"model.input_shape": [3]}, [("model.input_shape", "auto", [3])]),
        ({"train.callbacks.0.args.patience": 4}, [("train.callbacks.0.args.patience", 3, 4)]),
        ({"train.callbacks": []}, [("train.callbacks.0", {"use": "E", "args": {"patience": 3}}, ABSENT)]),
        (
            {"data.operators.0.args": {"j": 1}},
            [("data.operators.0.args.j", ABSENT, 1), ("data.operators.0.args.k", 1, ABSENT)],
        ),
        (
            {"train.optimizer": {"name": "sgd", "lr": 0.001, "weight_decay": 0.01}},
            [
                ("train.optimizer.name", "adamw", "sgd"),
                ("train.optimizer.beta1", 0.9, ABSENT),
                ("train.optimizer.beta2", 0.999, ABSENT),
                ("train.optimizer.eps", 1e-8, ABSENT),
                ("train.optimizer.momentum", ABSENT, 0.0),
                ("train.optimizer.nesterov", ABSENT, False),
            ],
        ),
        (
            {"data.test": {"path": "t.csv"}},
            [("data.test", None, {"path": "t.csv", "features": None, "target": None})],
        ),
    ],
)
def test_fields_that_differ_come_in_the_order_of_the_spec(changes, expected):
    assert differences(BASE.tree(), edit(BASE, changes).tree()) == expected


def test_the_order_of_keys_in_a_kept_spec_does_not_matter():
    def by_letter(node):
        return {key: by_letter(node[key]) for key in sorted(node)} if isinstance(node, dict) else node

    left = by_letter(BASE.tree())
    right = by_letter(edit(BASE, {"train.epochs": 3, "name": "b", "train.backend": "torch"}).tree())
    assert [path for path, _, _ in differences(left, right)] == ["name", "train.backend", "train.epochs"]


@pytest.mark.parametrize(
    ("left", "right", "differ"),
    [
        (1, 1.0, True),
        (1, True, True),
        (0.0, -0.0, True),
        (None, 0, True),
        (math.nan, math.nan, False),
        (math.inf, math.inf, False),
        ([1], [1.0], True),
        ([], {}, True),
        ({}, {}, False),
        ({"a": None}, {}, True),
    ],
)
def test_values_differ_exactly_when_their_digests_do(left, right, differ):
    assert bool(differences({"x": left}, {"x": right})) is differ
    assert (digest_json(left) != digest_json(right)) is differ


values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.floats(0, 2, width=16),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
trees = st.dictionaries(st.sampled_from(["name", "data", "train", "x"]), values, max_size=4)


@given(left=trees, right=trees)
def test_two_trees_have_no_differences_exactly_when_their_digests_are_equal(left, right):
    assert (differences(left, right) == []) is (digest_json(left) == digest_json(right))


@given(left=trees, right=trees)
def test_swapping_the_sides_swaps_the_values(left, right):
    swapped = [(path, one, other) for path, other, one in differences(right, left)]

    assert repr(sorted(swapped, key=str)) == repr(sorted(differences(left, right), key=str))


def test_the_trees_stay_as_they_are():
    tree = BASE.tree()
    differences(tree, {})
    assert tree == copy.deepcopy(BASE.tree())
