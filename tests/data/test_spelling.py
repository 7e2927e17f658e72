import numpy as np
import pandas as pd
import pytest

from trainwright.data.columns import read_column
from trainwright.data.dataset import open_dataset
from trainwright.data.inputs import InputSchema, read_inputs, take_inputs
from trainwright.data.spelling import spell
from trainwright.data.tables import read_csv
from trainwright.spec.data import DataSpec

TAKES = InputSchema(["k"], (1,), "y", "classification", ["categorical"], "impute")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("  a b ", "a b"),
        ("007", "7"),
        ("7.0", "7"),
        ("+7", "7"),
        (7.0, "7"),
        ("1.50", "1.5"),
        ("12345678901234567890", "12345678901234567890"),
        ("1_2", "1_2"),
        ("1e999", "1e999"),
        ("TRUE", "true"),
        (False, "false"),
        ("nan", "nan"),
        ("None", "None"),
        (np.nan, ""),
        (pd.NA, ""),
        (pd.NaT, ""),
        (None, ""),
    ],
)
def test_a_category_is_spelled_by_its_value_alone(value, expected):
    assert spell(value) == expected


def test_a_comma_is_a_decimal_mark_where_it_is_one():
    assert (spell("1,50", decimal=","), spell("1,50")) == ("1.5", "1,50")


def test_test_records_whose_classes_are_all_digits_belong_to_classes_of_text(tmp_path):
    (tmp_path / "t.csv").write_text("\n".join(["a,y", *(f"{n / 7},{'12x'[n % 3]}" for n in range(30))]))
    (tmp_path / "q.csv").write_text("a,y\n0.5,1\n0.25,2\n")
    spec = DataSpec.model_validate({"path": "t.csv", "target": "y", "test": {"path": "q.csv"}})
    assert open_dataset(spec, folder=tmp_path).part("test").y.tolist() == ["1", "2"]


CELLS = ["007", "12", "1.0", "", "None", "NA", "true"]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("others", [[], ["3"], ["3.5"], ["A12"], ["None", "x"], ["false"]])
def test_a_cell_is_the_same_category_whatever_stands_beside_it(tmp_path, cell, others):
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["k,other", *(f"{one},1" for one in [cell, *others])]) + "\n")
    found = read_column(read_csv(path), "k", "categorical")
    assert found[0] == {"007": "7", "1.0": "1"}.get(cell, cell)


def test_a_frame_in_memory_names_the_categories_that_a_file_names(tmp_path):
    written = ["007", " b", "7.0", ""]
    (tmp_path / "t.csv").write_text("\n".join(["k,other", *(f"{one},1" for one in written)]) + "\n")
    from_file = read_inputs(tmp_path / "t.csv", schema=TAKES).x.columns["k"].tolist()
    for values in (["007", " b", 7.0, None], pd.array(["007", " b", "7", pd.NA], dtype="string")):
        frame = pd.DataFrame({"k": values})
        assert take_inputs(frame, schema=TAKES).columns["k"].tolist() == from_file == ["7", "b", "7", ""]


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("boolean", ["yes", "no", None], [1.0, 0.0, np.nan]),
        ("numeric", [1.5, pd.NA, None], [1.5, np.nan, np.nan]),
        ("numeric", ["1.5", "NA", ""], [1.5, np.nan, np.nan]),
        (
            "datetime",
            pd.to_datetime(["2024-01-01T01:00+01:00", None, "2024-01-02T00:00+01:00"]),
            np.array(["2024-01-01T00:00:00", "NaT", "2024-01-01T23:00:00"], "datetime64[s]"),
        ),
    ],
)
def test_a_frame_in_memory_is_read_as_a_file_is(kind, values, expected):
    schema = InputSchema(["k"], (1,), "y", "classification", [kind], "impute")
    np.testing.assert_array_equal(
        take_inputs(pd.DataFrame({"k": values}), schema=schema).columns["k"], np.array(expected)
    )
