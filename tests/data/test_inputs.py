import numpy as np
import pandas as pd
import pytest

from trainwright.base.errors import DataError
from trainwright.data.inputs import InputSchema, read_inputs, take_inputs
from trainwright.data.lazy import is_lazy
from trainwright.data.roles import Roles
from trainwright.data.source import read_source


def taking(features, shape=None, kinds=None, missing="error"):
    if isinstance(features, list):
        kinds = kinds or ["numeric"] * len(features)
        shape = (len(features),)
    return InputSchema(features, shape, "y", "classification", kinds, missing)


@pytest.fixture
def folder(tmp_path):
    frame = pd.DataFrame(
        {"extra": ["p", "q"], "b": [3.0, 4.0], "a": [1.0, 2.0], "y": ["u", "v"], "w": [1, 2]}
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    np.savez(tmp_path / "t.npz", x=np.ones((2, 3)), y=np.array([0, 1]), extra=np.array(["p"]))
    np.save(tmp_path / "t.npy", np.ones((2, 3)))
    return tmp_path


@pytest.mark.parametrize("file", ["t.csv", "t.parquet"])
def test_columns_are_found_by_name_and_others_are_ignored(folder, file):
    records = read_inputs(folder / file, schema=taking(["a", "b"]))
    assert [one.tolist() for one in records.x.columns.values()] == [[1.0, 2.0], [3.0, 4.0]]
    assert records.y is None and records.weight is None and records.ids.tolist() == [0, 1]


def test_the_target_and_further_roles_are_read_when_asked_for(folder):
    records = read_inputs(folder / "t.csv", schema=taking(["a"]), target="y", weight="w", id="extra")
    assert (records.y.tolist(), records.weight.tolist(), records.ids.tolist()) == (
        ["u", "v"],
        [1.0, 2.0],
        ["p", "q"],
    )
    assert read_inputs(folder / "t.npz", schema=taking("x", (3,)), target="y").y.tolist() == [0, 1]


def test_a_bare_array_needs_no_name(folder):
    assert read_inputs(folder / "t.npy", schema=taking("images", (3,))).x.shape == (2, 3)


@pytest.mark.parametrize(
    ("file", "schema", "target", "says"),
    [
        ("t.csv", taking(["a", "c"], (2,)), None, "no column 'c' in t.csv"),
        ("t.csv", taking(["a"], (1,)), "z", "no column 'z' in t.csv"),
        ("t.csv", taking(["a", "extra"], (2,)), None, "'extra' is not numeric, line 2 holds 'p'"),
        ("t.csv", taking("x", (2,)), None, "trained on the array 'x'"),
        ("t.npz", taking(["a", "b"], (2,)), None, "trained on columns of a table"),
        ("t.npz", taking("images", (3,)), None, "no array 'images' in t.npz, there are: 'x', 'y'"),
        ("t.npz", taking("x", (28, 28)), None, r"shape \(3,\), the model takes \(28, 28\)"),
        ("t.npz", taking("x", (3,)), "extra", "'extra' has shape"),
        ("nan.npz", taking("x", (1,)), None, "nan.npz: the array 'x' holds nan in record 1"),
        ("none.npz", taking("x", (1,)), None, "none.npz: it has no records"),
        ("u.npz", taking("x", (1,)), None, "there is no file 'u.npz' in .*; nearest"),
    ],
)
def test_what_the_model_does_not_take_is_refused(folder, file, schema, target, says):
    np.savez(folder / "nan.npz", x=[[0.0], [np.nan]])
    np.savez(folder / "none.npz", x=np.zeros((0, 1)))
    with pytest.raises(DataError, match=says):
        read_inputs(folder / file, schema=schema, target=target)


TABLE = InputSchema(
    ["age", "smokes", "day", "ward"],
    (4,),
    "y",
    "regression",
    ["numeric", "boolean", "datetime", "categorical"],
)
ROWS = {
    "age": [30, 40],
    "smokes": ["No", "yes"],
    "day": ["31.12.2024", "01.01.2025"],
    "ward": np.array([3.0, 10.0]),
}


def test_columns_in_memory_are_read_as_those_of_a_file(tmp_path):
    (tmp_path / "t.csv").write_text("age,smokes,day,ward\n30,No,31.12.2024,3\n40,yes,01.01.2025,10\n")
    taken, read = take_inputs(ROWS, schema=TABLE), read_inputs(tmp_path / "t.csv", schema=TABLE).x
    assert taken.columns["smokes"].tolist() == [0.0, 1.0]
    assert taken.columns["day"].astype(str).tolist() == ["2024-12-31T00:00:00", "2025-01-01T00:00:00"]
    assert taken.columns["ward"].tolist() == ["3", "10"]
    assert taken.digest() == read.digest()


@pytest.mark.parametrize("blank", [[None, "b"], np.array([np.nan, 1.0]), pd.Series([np.nan, "b"])])
def test_a_blank_in_memory_is_a_blank_of_a_file(blank):
    schema = InputSchema(["a"], (1,), "y", "regression", ["categorical"], missing="impute")
    assert take_inputs({"a": blank}, schema=schema).columns["a"][0] == ""


def test_a_word_that_is_neither_yes_nor_no_is_refused_with_its_record():
    with pytest.raises(DataError, match="'smokes' is not boolean, record 1 holds 'maybe'"):
        take_inputs(ROWS | {"smokes": ["no", "maybe"]}, schema=TABLE)


def test_rows_of_a_table_that_stay_in_their_file_are_taken_as_they_are(tmp_path):
    columns = {"a": np.arange(4.0), "b": np.arange(4.0) + 10}
    pd.DataFrame(columns).to_parquet(tmp_path / "t.parquet", index=False)
    rows = read_source(tmp_path / "t.parquet", Roles(("a", "b"), None), lazily=True).x
    taken = take_inputs(rows, schema=taking(["a", "b"]))
    assert is_lazy(taken)
    np.testing.assert_array_equal(taken[:], np.column_stack(list(columns.values())))
