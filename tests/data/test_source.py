import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from data.making import npy_bytes, write_zip
from trainwright.base.errors import DataError
from trainwright.data.roles import Roles, nearest
from trainwright.data.source import find_file, read_source


def listed(frame):
    return {name: column.tolist() for name, column in frame.columns.items()}


@pytest.fixture
def folder(tmp_path):
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": [3, 4], "w": [1, 2], "name": ["p", "q"], "y": ["u", "v"]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    np.savez(tmp_path / "t.npz", x=frame[["a", "b"]].to_numpy(), y=frame["y"].to_numpy(str), w=[1.0, 2.0])
    np.save(tmp_path / "x.npy", frame[["a", "b"]].to_numpy())
    np.save(tmp_path / "y.npy", np.array([0, 1]))
    return tmp_path


@pytest.mark.parametrize("file", ["t.csv", "t.parquet"])
def test_a_table_gives_all_columns_without_another_role_in_their_order(folder, file):
    raw = read_source(folder / file, Roles(target="y", weight="w", id="name"))
    assert raw.columns == ("a", "b") and listed(raw.x) == {"a": [1.5, 2.5], "b": [3.0, 4.0]}
    assert (raw.y.tolist(), raw.weight.tolist(), raw.ids.tolist()) == (["u", "v"], [1, 2], ["p", "q"])


@pytest.mark.parametrize("file", ["t.csv", "t.parquet"])
def test_named_columns_come_in_the_order_of_the_names(folder, file):
    raw = read_source(folder / file, Roles(features=["b", "a"], target="y"))
    assert raw.columns == ("b", "a") and list(listed(raw.x)) == ["b", "a"]


def test_an_archive_gives_x_and_y_unless_other_names_are_given(folder):
    raw = read_source(folder / "t.npz", Roles())
    assert (raw.features, raw.target, raw.columns) == ("x", "y", None)
    assert raw.y.tolist() == ["u", "v"]
    assert read_source(folder / "t.npz", Roles(features="w", target=None)).x.tolist() == [[1.0], [2.0]]


def test_bare_arrays_lie_in_files_of_their_own(folder):
    raw = read_source(folder / "x.npy", Roles(target="y.npy"))
    assert raw.x.shape == (2, 2) and raw.y.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("file", "roles", "says"),
    [
        ("t.csv", Roles(), "data.target: name the column to predict; t.csv has 'a', 'b', 'w'"),
        ("t.csv", Roles(target="z"), "data.target: no column 'z' in t.csv, there are: 'a', 'b'"),
        ("t.csv", Roles(target="nam"), "data.target: no column 'nam' in t.csv, nearest: 'name'"),
        ("t.parquet", Roles(target="nam"), "data.target: no column 'nam' in t.parquet, nearest: 'name'"),
        ("t.csv", Roles(target="y", weight="v"), "data.weight: no column 'v'"),
        ("t.csv", Roles(target="y", id="nane"), "data.id: no column 'nane' in t.csv, nearest: 'name'"),
        ("t.csv", Roles(["a", "c"], "y"), "data.features: no column 'c'"),
        ("t.csv", Roles(["a", "a"], "y"), "data.features: the column 'a' is named twice"),
        ("t.csv", Roles(["a", "y"], "y"), "data.features: the column 'y' is the target already"),
        ("t.csv", Roles([], "y"), "data.features: no column of t.csv is left"),
        ("n.csv", Roles("auto", "y"), "data.features: n.csv: column 'a' is not numeric, line 4 holds 'p'"),
        ("t.csv", Roles("a", "y", weight="name"), "data.weight: t.csv: column 'name' is not numeric"),
        ("t.csv", Roles("a", "q", where="data.test"), "data.test.target: no column 'q'"),
        ("t.npz", Roles("X"), "data.features: no array 'X' in t.npz, there are: 'x', 'y', 'w'"),
        ("t.npz", Roles(target="t"), "data.target: no array 't' in t.npz"),
        ("t.npz", Roles(["x"]), "data.features: t.npz holds arrays, not columns"),
        ("t.npz", Roles("y", "x"), "data.features: the array 'y' holds <U1, not numbers"),
        ("bad.npz", Roles(), "data.features: bad.npz: array 'x': it holds Python objects"),
        ("scalar.npz", Roles(), "data.features: the array 'x' is a single number"),
        ("torn.npz", Roles(), "data.path: torn.npz: not a whole .npz file"),
        ("torn.csv", Roles("a", "y"), "data.path: torn.csv, line 3: 1 cells, the header has 2"),
        ("x.npy", Roles(), "data.target: x.npy holds the features; name the .npy file"),
        ("x.npy", Roles("a", "y.npy"), "data.features: x.npy holds one array without a name"),
        ("x.npy", Roles(target="z.npy"), "data.target: there is no file 'z.npy'"),
        ("x.npy", Roles(target="t.csv"), "data.target: 't.csv' must be an .npy file"),
    ],
)
def test_what_is_not_there_is_named_with_its_field(folder, file, roles, says):
    write_zip(folder / "bad.npz", [("x.npy", npy_bytes(np.array([{}]), allow_pickle=True)), ("y.npy", b"")])
    np.savez(folder / "scalar.npz", x=3.0, y=[1])
    (folder / "torn.npz").write_bytes((folder / "t.npz").read_bytes()[:-20])
    (folder / "torn.csv").write_text("a,y\n1,2\n3\n")
    (folder / "n.csv").write_text("a,y\n1,2\n3,2\np,1\n4,2\n5,2\n6,2\n")
    with pytest.raises(DataError) as caught:
        read_source(folder / file, roles)
    assert str(caught.value).startswith(says)


def test_an_index_that_pandas_wrote_is_no_feature(tmp_path):
    pd.DataFrame({"a": [1.0, 2.0], "y": [0, 1]}, index=[5, 7]).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="index that pandas wrote"):
        read_source(tmp_path / "t.parquet", Roles(target="y"))
    assert read_source(tmp_path / "t.parquet", Roles(["a"], "y")).columns == ("a",)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("T.csw", "there is no file 'T.csw' in .*; nearest: 't.csv'"),
        ("zzzzzzz", "there is no file 'zzzzzzz' in .*; there are: 't.csv', 't.npz'"),
        (".", "is a folder"),
        ("sub/t.csv", "there is no file 'sub/t.csv' in .*; it holds no data files"),
        ("t.xlsx", "'t.xlsx' has an unknown type; known types: .npz, .npy, .csv, .tsv, .parquet"),
        ("a\0b.csv", "there is no file"),
    ],
)
def test_a_file_that_is_not_there_has_a_neighbour(folder, name, says):
    (folder / "t.xlsx").write_bytes(b"")
    with pytest.raises(DataError, match=says):
        find_file(name, folder, at="data.path: ")


def test_a_suffix_may_be_written_large(folder):
    (folder / "t.csv").rename(folder / "T.CSV")
    assert read_source(find_file("T.CSV", folder, at=""), Roles(["a"], "y")).x.columns["a"].tolist() == [
        1.5,
        2.5,
    ]


def test_of_many_names_some_are_shown():
    assert nearest("q", [f"column{n}" for n in range(50)]).endswith("'column19', ...")


def test_reading_an_archive_does_not_import_pyarrow(folder):
    code = (
        "import sys; from pathlib import Path\n"
        "from trainwright.data import dataset, prepare, inputs, outputs\n"
        "from trainwright.data.roles import Roles\n"
        "from trainwright.data.source import read_source\n"
        f"read_source(Path({str(folder / 't.npz')!r}), Roles())\n"
        "print(*(name for name in sys.modules if name.startswith(('pyarrow', 'pandas', 'torch', 'jax'))))"
    )
    shell = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shell.stdout.strip() == ""
