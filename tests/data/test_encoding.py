import pytest

from trainwright.data.encoding import settle_columns
from trainwright.data.schema import Column
from trainwright.spec.data import ColumnSpec, DataSpec
from trainwright.spec.part import Use

SCHEMA = [
    Column("age", "numeric", True, 3, 40, ""),
    Column("sex", "categorical", True, 0, 2, ""),
    Column("smokes", "boolean", True, 0, 2, ""),
    Column("seen", "datetime", True, 0, 30, ""),
    Column("name", "text", False, 0, 40, ""),
]
FEATURES = ["age", "sex", "smokes", "seen"]


def settle(*, tokens=False, **spec):
    settled = settle_columns(DataSpec(path="a.csv", **spec), SCHEMA, FEATURES, tokens=tokens)
    return {one.name: [use.use for use in one.operators] for one in settled if one.role == "feature"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [["Standardize"], ["OneHot"], [], ["DateParts", "Standardize"]]),
        ({"tokens": True}, [["Standardize"], ["Ordinal"], [], ["DateParts", "Standardize"]]),
        (
            {"missing": "impute"},
            [["Impute", "Standardize"], ["OneHot"], ["Impute"], ["DateParts", "Impute", "Standardize"]],
        ),
        ({"operators": [Use(use="MinMax")]}, [[], ["OneHot"], [], ["DateParts"]]),
    ],
)
def test_each_kind_of_column_becomes_numbers_in_its_own_way(options, expected):
    assert list(settle(**options).values()) == expected


def test_a_column_with_blanks_tells_where_they_were():
    settled = settle_columns(DataSpec(path="a.csv", missing="impute"), SCHEMA, FEATURES, tokens=False)
    assert settled[0].operators[0].args == {"strategy": "median", "indicator": True}
    assert settled[2].operators[0].args == {"strategy": "most_frequent"}


def test_operators_of_the_user_replace_those_of_the_kind():
    own = ColumnSpec(name="age", operators=[Use(use="Log1p")])
    assert settle(columns=[own])["age"] == ["Log1p"]


def test_columns_that_are_no_features_are_written_down_too():
    settled = settle_columns(DataSpec(path="a.csv"), SCHEMA, FEATURES, tokens=False)
    assert [(one.name, one.role) for one in settled][-1] == ("name", "ignore")
