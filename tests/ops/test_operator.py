import sys
import types
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from trainwright.base.errors import DataError
from trainwright.base.jsontext import read_json, write_json
from trainwright.ops import CATALOG
from trainwright.ops.categories import OneHot, Ordinal
from trainwright.ops.columns import Columns
from trainwright.ops.dates import DateParts
from trainwright.ops.elementwise import Clip, Log1p
from trainwright.ops.labels import Labels
from trainwright.ops.missing import Impute
from trainwright.ops.operator import Operator, Sequential, from_spec
from trainwright.ops.place import import_place
from trainwright.ops.quantile import Quantile
from trainwright.ops.scaling import MinMax, Robust, Standardize

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


TABLE = {
    "age": np.array([1.0, np.nan, 3.0]),
    "$use": np.array(["b", "", "a"]),
    "born": np.array(["2024-02-29", "NaT", "1999-12-31"], dtype="datetime64[s]"),
}

FITTED = [
    Columns(
        of={
            "born": DateParts(parts=("elapsed", "month"), cyclic=True),
            "age": Impute(indicator=True) | Standardize(),
            "$use": OneHot(),
        }
    ).fit(TABLE),
    Quantile(distribution="normal", n_quantiles=7).fit(X),
    Quantile().fit(X[:, 0]),
    Robust(per="all").fit(X),
    Log1p(),
    Clip(low=0.0, upper_quantile=0.9).fit(X),
    Impute(strategy="median", indicator=True).fit(X),
    Impute(strategy="most_frequent").fit(np.array([["a", "b"]])),
    Impute(strategy="constant", value="?").fit(np.array(["a"])),
    OneHot(max_categories=2, drop_first=True).fit(np.array([1, 2, 2, 3])),
    Ordinal().fit(np.array([[True], [False]])),
    Ordinal(order=("low", "high")).fit(np.array(["high"])),
    DateParts(parts=("elapsed",)).fit(np.array([5, 10**9])),
    DateParts(cyclic=True),
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


NEEDED = {
    "Clip": {"low": 0.0},
    "ColorJitter": {"contrast": 0.1},
    "Columns": {"of": {"age": Standardize()}},
    "GaussianNoise": {"std": 0.1},
    "RandomCrop": {"padding": 2},
    "RandomResample": {"low": 0.8, "high": 1.2},
    "RandomRotation": {"degrees": 10.0},
    "RandomScale": {"low": 0.8, "high": 1.2},
    "RandomShift": {"max_shift": 3},
    "SoftLabels": {"values": ("cat", "dog")},
    "TimeMask": {"width": 3},
}


@pytest.mark.parametrize("name", CATALOG)
def test_every_catalog_name_is_the_name_in_the_spec(name):
    kind = import_place(name, CATALOG)
    assert kind(**NEEDED.get(name, {})).spec["use"] == name
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
        ({"use": "Nothing", "args": {}}, "known: Clip, .*MinMax"),
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


@pytest.mark.parametrize(
    ("op", "affine", "increasing"),
    [
        (Standardize(), True, True),
        (MinMax(), True, True),
        (Robust(), True, True),
        (Quantile(), False, True),
        (Log1p(), False, True),
        (Clip(low=0.0), False, True),
        (OneHot(), False, False),
        (Labels(), False, False),
        (Sequential(), True, True),
        (Standardize() | MinMax(), True, True),
        (Log1p() | Standardize(), False, True),
        (Standardize() | Shift(), False, False),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_operator_says_whether_it_only_scales_and_whether_it_keeps_the_order(op, affine, increasing):
    assert (op.affine, op.increasing) == (affine, increasing)


ELEMENTWISE = [
    Standardize(),
    Standardize(per="channel"),
    Standardize(per="all"),
    MinMax(per="channel"),
    Robust(per="channel"),
    Quantile(),
    Quantile(distribution="normal"),
    Log1p(),
    Clip(lower_quantile=0.1),
    Log1p() | Standardize(),
]


@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: str(op.spec)[:60])
@pytest.mark.parametrize("quantiles", [1, 3, 5])
def test_quantiles_of_predictions_are_undone_one_by_one(op, quantiles):
    """Three outputs and three quantiles too: the axes must not be mixed up."""
    y = np.exp(np.random.default_rng(1).normal([0.0, 5.0, -2.0], 1.0, size=(40, 3)))
    fitted = op.fit(y)
    low, high = fitted(y).min(), fitted(y).max()
    levels = np.random.default_rng(2).uniform(low, high, size=(7, quantiles, 3)).astype(np.float32)

    found = fitted.invert(levels)

    assert found.shape == levels.shape
    for number in range(quantiles):
        assert np.array_equal(found[:, number], fitted.invert(levels[:, number]))


@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: str(op.spec)[:60])
def test_an_operator_that_says_so_keeps_the_order(op):
    y = np.exp(np.random.default_rng(1).normal(size=(200, 1)))
    sorted_y = np.sort(y, axis=0)
    assert op.increasing and (np.diff(op.fit(y)(sorted_y), axis=0) >= 0).all()


def parts(x, *sizes):
    """Gives the records in parts, in a piece of memory that is used again, as a reader of files might."""

    def blocks():
        begin = 0
        for size in sizes:
            memory = np.array(x[begin : begin + size])
            yield memory
            if memory.dtype.kind == "f":
                memory.fill(np.nan)
            begin += size
        assert begin == len(x)

    return blocks


@pytest.mark.parametrize(
    "op",
    [
        Standardize(),
        Standardize(per="all"),
        MinMax(),
        Clip(low=0.0, high=1.0),
        Log1p(),
        Log1p() | Standardize() | MinMax(),
        Sequential(),
        Shift(),
    ],
    ids=lambda op: str(op)[:60],
)
@pytest.mark.parametrize("sizes", [(50,), (1, 49), (20, 0, 7, 23)])
def test_fitting_part_by_part_gives_the_same_bits(op, sizes):
    x = np.abs(X)
    whole, in_parts = op.fit(x), op.fit_blocks(parts(x, *sizes))
    if not isinstance(op, Shift):
        assert in_parts.spec == whole.spec
    assert np.array_equal(in_parts(x), whole(x))


@pytest.mark.parametrize(
    "op",
    [Robust(), Quantile(), Clip(lower_quantile=0.1), Impute(), Labels(), Standardize() | Robust()],
    ids=lambda op: str(op)[:60],
)
def test_what_must_see_all_records_at_once_says_so(op):
    with pytest.raises(DataError, match="cannot be fitted on data that is read in parts"):
        op.fit_blocks(parts(X, 25, 25))


def test_names_and_categories_go_through_a_sequence():
    op = (Impute(strategy="constant", value=0.0, indicator=True) | Ordinal()).fit(
        np.array([1.0, np.nan, 2.0])
    )
    assert op.output_names("a") == ["a", "a.missing"]
    assert op.output_categories(2) == [4, 3]
    assert (op | Standardize()).output_categories(2) == [0, 0]


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
