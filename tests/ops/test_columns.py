from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from trainwright.base.errors import DataError
from trainwright.base.jsontext import read_json, write_json
from trainwright.ops import CATALOG
from trainwright.ops.categories import OneHot, Ordinal
from trainwright.ops.columns import Columns
from trainwright.ops.dates import DateParts
from trainwright.ops.elementwise import Log1p
from trainwright.ops.missing import Impute
from trainwright.ops.operator import Operator, Sequential, from_spec
from trainwright.ops.quantile import Quantile
from trainwright.ops.scaling import Standardize

TABLE = {
    "age": np.array([30.0, np.nan, 50.0, 41.0]),
    "sex": np.array(["m", "f", "", "m"]),
    "date": np.array(["2024-02-29", "2023-01-01", "NaT", "2024-05-06"], dtype="datetime64[D]"),
    "unused": np.array(["x"] * 4),
    "town": np.array([3, 1, 2, 3]),
}


@dataclass(frozen=True, eq=False)
class Twice(Operator):
    def __call__(self, x):
        return np.stack([x, x], axis=1)


@dataclass(frozen=True, eq=False)
class Wider(Operator):
    """Gives as many columns as there are records."""

    def __call__(self, x):
        return np.zeros((len(x), len(x)))


FULL = Columns(
    of={
        "town": Ordinal(),
        "age": Sequential((Impute(indicator=True), Standardize())),
        "sex": OneHot(),
        "date": DateParts(parts=("month", "elapsed")),
    }
)


def test_what_comes_out_of_the_columns_stands_side_by_side_in_order():
    fitted = FULL.fit(TABLE)
    assert fitted.names == [
        "town",
        "age",
        "age.missing",
        "sex=f",
        "sex=m",
        "date.month",
        "date.elapsed",
    ]
    assert fitted.categories == [4, 0, 0, 0, 0, 0, 0]
    found = fitted(TABLE)
    assert found.dtype == np.float32 and found.shape == (4, 7)
    assert found[:, 0].tolist() == [3, 1, 2, 3]
    assert found[:, 3:5].tolist() == [[0, 1], [1, 0], [0, 0], [0, 1]]
    np.testing.assert_array_equal(found[:, 5], [2, 1, np.nan, 5])


def test_it_agrees_with_the_columns_of_scikit_learn():
    theirs = ColumnTransformer(
        [("s", StandardScaler(), ["town"]), ("o", OneHotEncoder(sparse_output=False), ["unused"])]
    )
    ours = Columns(of={"town": Standardize(), "unused": OneHot()}).fit(TABLE)
    frame = pd.DataFrame({name: TABLE[name] for name in ("town", "unused")})
    np.testing.assert_allclose(ours(TABLE), theirs.fit_transform(frame), rtol=1e-6)


def test_the_order_survives_being_written_as_json_whose_keys_are_sorted():
    fitted = FULL.fit(TABLE)
    again = from_spec(read_json(write_json(fitted.spec)), CATALOG)
    assert again.names == fitted.names
    np.testing.assert_array_equal(again(TABLE), fitted(TABLE))
    backwards = Columns(of=dict(reversed(FULL.operators.items())))
    assert backwards != FULL and backwards.fit(TABLE).names[-1] == "town"


def test_a_table_may_have_a_column_of_any_name():
    table = {"use": np.ones(2), "args": np.arange(2.0), "$x": np.zeros(2)}
    op = Columns(of=dict.fromkeys(table, Log1p())).fit(table)
    again = from_spec(read_json(write_json(op.spec)), CATALOG)
    assert again.names == ["use", "args", "$x"] and np.array_equal(again(table), op(table))


def test_columns_without_names_of_their_own_are_numbered():
    assert Columns(of={"a": Twice() | Log1p()}).fit({"a": np.ones(3)}).names == ["a[0]", "a[1]"]
    onehot = Columns(of={"a": Twice() | OneHot()}).fit({"a": np.arange(2)})
    assert onehot.names == ["a[0]", "a[1]", "a[2]", "a[3]"]


def test_one_record_and_no_records_give_the_same_columns():
    fitted = FULL.fit(TABLE)
    for count in (0, 1):
        part = {name: column[:count] for name, column in TABLE.items()}
        np.testing.assert_array_equal(fitted(part), fitted(TABLE)[:count])


def test_it_goes_on_in_a_sequence():
    op = Sequential((Columns(of={"town": Ordinal(), "sex": OneHot()}), Standardize())).fit(TABLE)
    assert op.output_names() == ["town", "sex=f", "sex=m"]
    assert op.output_categories(3) == [0, 0, 0]
    assert Sequential(op.steps[:1]).output_categories(3) == [4, 0, 0]
    np.testing.assert_allclose(op(TABLE).mean(0), 0, atol=1e-6)


def test_fitting_part_by_part_gives_the_same():
    op = Columns(of={"town": Standardize(), "sex": OneHot(), "date": DateParts(parts=("elapsed",))})

    def blocks():
        for part in (slice(0, 1), slice(1, 4)):
            yield {name: column[part] for name, column in TABLE.items()}

    assert op.fit_blocks(blocks) == op.fit(TABLE)
    with pytest.raises(DataError, match=r"column 'town': Quantile cannot be fitted .* in parts"):
        Columns(of={"town": Quantile()}).fit_blocks(blocks)
    with pytest.raises(DataError, match="no records"):
        op.fit_blocks(lambda: iter(()))


@pytest.mark.parametrize(
    ("op", "x", "says"),
    [
        (Columns(of={"agee": Log1p()}), TABLE, "column 'agee': it is not in the data, nearest: 'age'"),
        (Columns(of={"zz": Log1p()}), {"a": np.ones(1)}, "there are: 'a'"),
        (Columns(of={"age": Standardize()}), TABLE, "column 'age': Standardize cannot be fitted"),
        (Columns(of={"sex": Impute(strategy="most_frequent")}), TABLE, "column 'sex': what comes out is"),
        (Columns(of={"a": Log1p()}), {"a": np.ones((2, 2))}, "one value per record"),
        (Columns(of={"a": Log1p()}), np.ones((2, 2)), "by the name of their column"),
    ],
)
def test_a_column_that_does_not_fit_is_named(op, x, says):
    with pytest.raises(DataError, match=says):
        op.fit(x)


def test_a_wrong_table_is_refused_at_prediction():
    fitted = FULL.fit(TABLE)
    with pytest.raises(DataError, match="column 'sex': it is not in the data"):
        fitted({name: column for name, column in TABLE.items() if name != "sex"})
    with pytest.raises(DataError, match="column 'town': the categories are numbers"):
        fitted(TABLE | {"town": TABLE["sex"]})
    with pytest.raises(DataError, match="different lengths"):
        fitted(TABLE | {"town": np.array([1])})
    with pytest.raises(DataError, match="became 2 columns, not 1"):
        Columns(of={"a": Wider()}).fit({"a": np.ones(3)})({"a": np.ones(2)})


def test_what_was_not_fitted_says_so():
    for act in (lambda: FULL(TABLE), lambda: FULL.names, lambda: FULL.categories):
        with pytest.raises(DataError, match="before it was fitted"):
            act()


@pytest.mark.parametrize(
    ("args", "kind"),
    [
        ({"of": {}}, ValueError),
        ({"of": [("a", Log1p()), ("a", Log1p())]}, ValueError),
        ({"of": {"a": "Log1p"}}, TypeError),
        ({"of": {1: Log1p()}}, TypeError),
        ({"of": [("a",)]}, TypeError),
        ({"of": {"a": Log1p()}, "widths": (1, 2)}, ValueError),
    ],
)
def test_arguments_that_make_no_sense_are_refused(args, kind):
    with pytest.raises(kind):
        Columns(**args)
