import sys
import types
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from trainwright.base.errors import DataError
from trainwright.base.jsontext import read_json, write_json
from trainwright.ops import CATALOG
from trainwright.ops.labels import Labels
from trainwright.ops.operator import Operator, Sequential, from_spec
from trainwright.ops.place import import_place
from trainwright.ops.scaling import MinMax, Standardize

X = np.random.default_rng(0).normal(3.0, 2.0, size=(50, 4))


@dataclass(frozen=True, eq=False)
class Shift(Operator):
    by: Any = 1.0

    def __call__(self, x):
        return x + self.by


@pytest.fixture
def mine(monkeypatch):
    """A module of the user's own that can be imported by name."""
    module = types.ModuleType("of_the_user")
    module.Shift = type("Shift", (Shift,), {"__module__": "of_the_user"})
    module.NoOperator = dict
    monkeypatch.setitem(sys.modules, "of_the_user", module)
    return module


FITTED = [
    Standardize().fit(X),
    Standardize(per="channel").fit(X),
    MinMax(per="all").fit(X),
    Labels().fit(np.array(["b", "a"])),
    Labels().fit(np.array([True, False])),
    Standardize().fit(X) | MinMax(),
    Sequential((Sequential((Standardize().fit(X),)),)),
    Standardize(),
]


@pytest.mark.parametrize("op", FITTED, ids=lambda op: str(op.spec)[:50])
def test_a_spec_comes_back_through_json_as_an_equal_operator(op):
    again = from_spec(read_json(write_json(op.spec)), CATALOG)

    assert type(again) is type(op)
    assert again == op and hash(again) == hash(op)
    assert again.spec == op.spec


def test_an_operator_that_came_back_computes_the_same_bits():
    op = (Standardize() | MinMax()).fit(X)
    again = from_spec(read_json(write_json(op.spec)), CATALOG)

    assert np.array_equal(again(X), op(X))


def test_operators_that_learnt_from_other_records_differ():
    assert Standardize().fit(X) != Standardize().fit(X + 1)
    assert Standardize() != MinMax()


@pytest.mark.parametrize("name", CATALOG)
def test_every_catalog_name_is_the_name_in_the_spec(name):
    kind = import_place(name, CATALOG)
    assert kind().spec["use"] == name
    assert CATALOG[name].startswith("trainwright.ops.")


def test_the_users_own_operator_is_named_by_its_module(mine):
    op = mine.Shift(by=[1, 2.5, "x", None, {"k": True}])

    assert op.spec == {"use": "of_the_user:Shift", "args": {"by": [1, 2.5, "x", None, {"k": True}]}}
    assert from_spec(op.spec, {}).by == [1, 2.5, "x", None, {"k": True}]


def test_a_subclass_does_not_borrow_the_catalog_name(mine, monkeypatch):
    mine.Better = type("Better", (Standardize,), {"__module__": "of_the_user"})
    assert mine.Better().spec["use"] == "of_the_user:Better"


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1: 2},
        {"use": "a", "args": {}},
        {1, 2},
        b"bytes",
        np.array([object()]),
        np.zeros((0, 3)),
        1j,
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_json_cannot_hold_is_refused_by_name_of_the_operator(mine, value):
    with pytest.raises(DataError, match=r"Shift: .* cannot be written down"):
        _ = mine.Shift(by=value).spec


def test_numpy_numbers_become_plain_ones(mine):
    args = mine.Shift(by=(np.float32(0.5), np.int64(3), np.array([[1, 2]]))).spec["args"]["by"]
    assert args == [0.5, 3, [[1, 2]]]
    assert [type(one) for one in args[:2]] == [float, int]


def test_a_class_inside_a_function_cannot_be_written_down():
    @dataclass(frozen=True, eq=False)
    class Local(Operator):
        pass

    with pytest.raises(DataError, match="top of a module"):
        _ = Local().spec


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        ({"use": "os:system", "args": {"command": "touch bad"}}, "not an Operator"),
        ({"use": "of_the_user:NoOperator", "args": {}}, "not an Operator"),
        (
            {"use": "trainwright.ops.operator:from_spec", "args": {"tree": {}, "catalog": {}}},
            "not an Operator",
        ),
        ({"use": "no_such_module:X", "args": {}}, "cannot be imported"),
        ({"use": "of_the_user:Nothing", "args": {}}, "cannot be imported"),
        ({"use": ":X", "args": {}}, "cannot be imported"),
        ({"use": ".ops:X", "args": {}}, "cannot be imported"),
        ({"use": "Nothing", "args": {}}, "known: Labels, MinMax"),
        ({"use": "Standardize", "args": {"per": "row"}}, "per is"),
        ({"use": "Standardize", "args": {"mean": [1.0]}}, "do not belong together"),
        ({"use": "Standardize", "args": {"mean": [1.0], "std": [1.0, 2.0]}}, "do not belong together"),
        ({"use": "Standardize", "args": {"mean": "x", "std": "y"}}, "could not convert"),
        ({"use": "Standardize", "args": {"nothing": 1}}, "nothing"),
        ({"use": "Sequential", "args": {"steps": [1]}}, "step 0 is a int"),
        ({"use": "Sequential", "args": {"steps": [{"use": "os:system", "args": {}}]}}, "not an Operator"),
        ({"use": "Labels", "args": {"values": []}}, "at least one class"),
        ({"use": "Labels", "args": {"values": [2, 1]}}, "sorted"),
        ({"use": "Labels", "args": {"values": [1, "a"]}}, "all integers"),
        ({"use": 3, "args": {}}, "described by"),
        ({"use": "Labels", "args": []}, "described by"),
        ({"use": "Labels"}, "described by"),
        ("Labels", "described by"),
    ],
)
def test_a_wrong_spec_is_refused(mine, tree, says, tmp_path):
    with pytest.raises(DataError, match=says):
        from_spec(tree, CATALOG)
    assert not (tmp_path / "bad").exists()


def test_a_bar_makes_one_flat_sequence():
    three = Standardize() | MinMax() | Standardize(per="all")
    assert [type(step) for step in three.steps] == [Standardize, MinMax, Standardize]
    assert (Standardize() | (MinMax() | MinMax())).steps == (Standardize(), MinMax(), MinMax())


def test_an_operator_is_joined_to_operators_only():
    with pytest.raises(TypeError):
        Standardize() | 3


def test_each_step_is_fitted_on_what_comes_out_of_the_one_before():
    fitted = (MinMax() | Standardize()).fit(X)
    unit = (X - X.min(0)) / (X.max(0) - X.min(0))

    np.testing.assert_allclose(fitted.steps[1].mean, unit.mean(0), rtol=1e-6)
    np.testing.assert_allclose(fitted(X), (X - X.mean(0)) / X.std(0), atol=1e-5)


def test_a_sequence_is_undone_from_its_end():
    fitted = (MinMax() | Standardize()).fit(X)
    np.testing.assert_allclose(fitted.invert(fitted(X)), X, rtol=1e-5)


def test_an_empty_sequence_changes_nothing():
    assert Sequential().fit(X)(X) is X and Sequential().invert(X) is X


def test_what_cannot_be_inverted_says_so():
    with pytest.raises(DataError, match="Shift cannot be inverted"):
        (Standardize() | Shift()).fit(X).invert(X)


def test_fitting_leaves_the_operator_as_it_was():
    op = Standardize() | MinMax()
    before = op.spec
    op.fit(X)
    assert op.spec == before


def test_equality_with_other_things_is_false():
    assert Standardize() != "Standardize"
