import numpy as np
import pandas as pd
import pytest

from trainwright.base.errors import DataError
from trainwright.data.outputs import write_columns

COLUMNS = {
    "y": np.array(["a,b", 'say "hi"', "ä"]),
    "p(a)": np.array([0.1, 1e-7, 1.0], dtype=np.float32),
    "n": np.array([1, -2, 3]),
    "ok": np.array([True, False, True]),
}
READ = {"csv": pd.read_csv, "parquet": pd.read_parquet}


@pytest.mark.parametrize("kind", READ)
def test_pandas_reads_a_table_back(tmp_path, kind):
    write_columns(COLUMNS, tmp_path / f"out.{kind}")
    frame = READ[kind](tmp_path / f"out.{kind}")
    assert list(frame.columns) == list(COLUMNS)
    for name, column in COLUMNS.items():
        assert frame[name].to_numpy().astype(column.dtype).tolist() == column.tolist()


def test_numpy_reads_an_archive_back(tmp_path):
    columns = COLUMNS | {"file": np.eye(3), "wide": np.zeros((3, 2, 2))}
    write_columns(columns, tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as found:
        assert list(found) == list(columns)
        assert all(np.array_equal(found[name], column) for name, column in columns.items())


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_the_same_columns_give_the_same_bytes(tmp_path, kind):
    for name in ("first", "second"):
        write_columns(COLUMNS, tmp_path / f"{name}.{kind}")
    assert (tmp_path / f"first.{kind}").read_bytes() == (tmp_path / f"second.{kind}").read_bytes()


def test_floats_are_written_in_as_few_digits_as_give_them_back(capsys):
    write_columns({"a": np.array([0.1, 1 / 3, np.nan, -np.inf]), "b": np.float32([0.1, 1e30, 0, 1])}, None)
    assert capsys.readouterr().out == "a,b\n0.1,0.1\n0.3333333333333333,1e+30\nnan,0.0\n-inf,1.0\n"


@pytest.mark.parametrize("kind", READ)
def test_wide_arrays_become_numbered_columns(tmp_path, kind):
    write_columns({"y": np.arange(6).reshape(3, 2)}, tmp_path / f"o.{kind}")
    frame = READ[kind](tmp_path / f"o.{kind}")
    assert frame["y[0]"].tolist() == [0, 2, 4] and frame["y[1]"].tolist() == [1, 3, 5]


@pytest.mark.parametrize(
    ("columns", "file", "says"),
    [
        ({"a": np.zeros(2)}, "out.xlsx", "unknown type; known types: .csv, .npz, .parquet"),
        ({"a": np.zeros(2), "b": np.zeros(3)}, "out.csv", "different lengths"),
        ({"a": np.zeros((2, 1)), "a[0]": np.zeros(2)}, "out.csv", "two columns would be called"),
        ({"a": np.zeros(2)}, "no/such/folder/out.csv", "cannot be written: No such file"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, columns, file, says):
    with pytest.raises(DataError, match=says):
        write_columns(columns, tmp_path / file)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_a_failure_leaves_the_old_file_and_no_draft(tmp_path, kind):
    path = tmp_path / f"out.{kind}"
    write_columns(COLUMNS, path)
    before = path.read_bytes()
    broken = {"a": np.zeros((2, 1)), "a[0]": np.zeros(2)} if kind == "csv" else {"a": np.array([object()])}
    with pytest.raises((DataError, ValueError)):
        write_columns(broken, path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
