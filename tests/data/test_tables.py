import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainwright.base.errors import DataError
from trainwright.data.tables import Table, read_csv, read_parquet


@pytest.fixture
def csv(tmp_path):
    def write(content):
        path = tmp_path / "t.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_csv(path)

    return write


def test_numbers_agree_with_pandas(csv, tmp_path):
    frame = pd.DataFrame(
        {"i": [1, -2, 3], "f": [0.1, 1e-300, 2.5e10], "b": [True, False, True], "t": ["x", "NA", "ä,b"]}
    )
    text = frame.to_csv(index=False)
    table = csv(text)

    assert table.columns == ("i", "f", "b", "t") and len(table) == 3
    for name in "ifb":
        assert np.array_equal(table.numbers(name), frame[name].to_numpy())
    assert table.values("t").tolist() == frame["t"].tolist()


def test_a_type_is_decided_by_the_whole_column_not_its_beginning(csv):
    content = "a,b\n" + "1,2\n" * 600_000 + "1.5,7\n"
    assert csv(content).numbers("a")[-1] == 1.5


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfa,b\n1,2\n",  # byte order mark
        b"a,b\r\n1,2\r\n",
        b"a,b\r1,2\r",
        b"a,b\n1,2",  # no newline at the end
        b"a,b\n1,2\n\n\n",
        b'"a","b"\n"1","2"\n',
        b"\na,b\n\n1,2\n",
    ],
)
def test_spellings_of_the_same_table_are_read_alike(csv, content):
    table = csv(content)
    assert table.columns == ("a", "b")
    assert [table.numbers(name).tolist() for name in "ab"] == [[1], [2]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "t.csv: it is empty"),
        (b"\n \n", "t.csv: it is empty"),
        (b"\xef\xbb\xbf", "it is empty"),
        (b"a,b\n", "header but no records"),
        (b"a,b", "header but no records"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16, not UTF-8; save it as UTF-8"),
        ("a,b\n1,2\n".encode("utf-16-le"), "line 1: a NUL byte.*save it as UTF-8"),
        (b"a,b\n1,2\n3,\x004\n", "line 3: a NUL byte"),
        ("a,b\n1,2\n3,Ä\n".encode("latin-1"), "line 3: the byte 0xc4 is not UTF-8; save it as UTF-8"),
        (b"a,b\n1,2\n1,2,3\n", "line 3: 3 cells, the header has 2"),
        (b"a,b\n1,2\n\n1\n", "line 4: 1 cells, the header has 2"),
        (b'a,b\n"x\ny",2\n1,2,3\n', "line 4: 3 cells"),
        (b"a,b,a\n1,2,3\n", "line 1: the column 'a' is there twice"),
        (b",b\n1,2\n", "line 1: column 1 has no name.*index=False"),
        (b"a;b\n1;2\n1;2;3\n", "line 3: 3 cells, the header has 2"),
        (b"a\tb\n1\t2\n1\n", "line 3: 1 cells, the header has 2"),
        (b'a,b\n1,"x\n2,3\n', "line 2: .*quotation mark"),
        (b'a,b\n1,"x\n2,"y\n', "line 2: .*quotation mark"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(csv, content, says):
    with pytest.raises(DataError, match=says) as caught:
        csv(content)
    assert str(caught.value).startswith("t.csv")


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (["1", "x", "y"], "column 'v' is not numeric, line 3 holds 'x'"),
        (["1.5", '"1,5"', "2"], "column 'v' is not numeric, line 3 holds '1,5'"),
        (["2020-01-01", "2020-01-02", "2020-01-03"], "not numeric, line 2 holds '2020-01-01'"),
        (["12:30:00", "12:31:00", "12:31:00"], "not numeric, line 2 holds '12:30:00'"),
        (["1", "", "3"], "column 'v' has no value in line 3"),
        (["1.5", "NA", ""], r"column 'v' has no value in line 3 \('NA'\) \(2 values missing"),
        (["1", "2", "nan"], r"has no value in line 4 \('nan'\)"),
        (["", "", ""], "column 'v' has no value in line 2"),
        (["x", "", ""], "not numeric, line 2 holds 'x'"),
        (["1", "inf", "-inf"], "column 'v' holds inf in line 3 \\(2 such values in all\\)"),
        (["1", "1e999", "2"], "column 'v' holds inf in line 3"),
    ],
)
def test_a_cell_that_is_no_number_is_refused_with_its_line(csv, cells, says):
    table = csv("k,v\n" + "".join(f"0,{cell}\n" for cell in cells))
    with pytest.raises(DataError, match=says):
        table.numbers("v")


def test_a_blank_line_in_a_lone_column_is_a_missing_value(csv):
    with pytest.raises(DataError, match="'a' has no value in line 3"):
        csv("a\n1\n\n3\n").numbers("a")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["a", "NA", "nan"], ["a", "NA", "nan"]),  # for text, NA is a word
        (["2020-01-01", "2021-01-01", "2020-01-01"], ["2020-01-01", "2021-01-01", "2020-01-01"]),
        (["true", "false", "true"], [True, False, True]),
        (["1", "2", "x"], ["1", "2", "x"]),
        (["01", "2", "3"], [1, 2, 3]),
    ],
)
def test_values_are_numbers_or_text(csv, cells, expected):
    table = csv("k,v\n" + "".join(f"0,{cell}\n" for cell in cells))
    assert table.values("v").tolist() == expected


def test_names_of_records_are_kept_as_written(csv):
    table = csv("k,v\n007,1\n8,2\n")
    assert table.names("k").tolist() == ["007", "8"]
    assert table.names("v").tolist() == [1, 2]


def test_an_empty_text_is_a_missing_value(csv):
    with pytest.raises(DataError, match="'v' has no value in line 3"):
        csv("k,v\n1,NA\n2,\n3,b\n").values("v")


def test_an_endless_text_is_refused(csv):
    with pytest.raises(DataError, match="5000 letters"):
        csv(f"k,v\n1,{'x' * 5000}\n").values("v")


def write_parquet(path, **columns):
    pq.write_table(pa.table(columns), path)
    return read_parquet(path)


def test_parquet_columns_come_back(tmp_path):
    table = write_parquet(
        tmp_path / "t.parquet",
        f=pa.array([0.5, 1.5], pa.float32()),
        i=pa.array([1, 2], pa.uint8()),
        b=[True, False],
        t=["x", "y"],
        c=pa.array(["u", "v"]).dictionary_encode(),
    )
    assert [table.numbers(name).tolist() for name in "fib"] == [[0.5, 1.5], [1, 2], [True, False]]
    assert [table.values(name).tolist() for name in "tc"] == [["x", "y"], ["u", "v"]]
    assert table.names("i").tolist() == [1, 2]


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ([1.0, None], "'v' has no value in record 1"),
        ([1.0, float("nan")], "'v' holds nan in record 1"),
        (["a", "b"], "'v' is not numeric, it holds string, such as 'a'"),
        ([datetime.date(2020, 1, 1)] * 2, "'v' is not numeric, it holds date32"),
        ([[1], [2]], "'v' is not numeric"),
    ],
)
def test_a_parquet_column_that_is_no_number_is_refused(tmp_path, column, says):
    with pytest.raises(DataError, match=says):
        write_parquet(tmp_path / "t.parquet", v=column).numbers("v")


def test_a_parquet_column_of_dates_is_no_target(tmp_path):
    with pytest.raises(DataError, match="date32"):
        write_parquet(tmp_path / "t.parquet", v=[datetime.date(2020, 1, 1)]).values("v")


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.99])
def test_a_parquet_file_cut_off_is_refused(tmp_path, keep):
    path = tmp_path / "t.parquet"
    write_parquet(path, v=list(range(1000)))
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(len(whole) * keep)])
    with pytest.raises(DataError, match=r"t\.parquet: not a whole Parquet file"):
        read_parquet(path)


def test_parquet_without_records_or_with_a_column_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match="no records"):
        write_parquet(tmp_path / "t.parquet", v=pa.array([], pa.float64()))
    pq.write_table(
        pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["v", "v"]), tmp_path / "u.parquet"
    )
    with pytest.raises(DataError, match="'v' is there twice"):
        read_parquet(tmp_path / "u.parquet")


def test_the_folder_of_a_parquet_file_adds_no_column(tmp_path):
    folder = tmp_path / "year=2020"
    folder.mkdir()
    assert write_parquet(folder / "t.parquet", v=[1]).columns == ("v",)


def test_places_are_lines_in_csv_and_records_elsewhere(csv):
    assert csv("a,b\n1,2\n3,4\n").place(1) == "line 3"
    assert Table("t", pa.table({"a": [1]})).place(0) == "record 0"


def test_blanks_around_a_class_or_a_group_make_no_other_one(csv):
    table = csv("y,g\nyes, a\n yes,a \nno ,b\n")
    assert table.values("y").tolist() == ["yes", "yes", "no"]
    assert table.keys("g").tolist() == ["a", "a", "b"]


def test_text_that_arrow_holds_as_views_can_be_cut(tmp_path):
    views = pa.array(["u", "v", "w"], pa.string_view())
    pq.write_table(pa.table({"k": views}), tmp_path / "t.parquet")
    table = read_parquet(tmp_path / "t.parquet")
    assert table.take(np.array([True, False, True])).values("k").tolist() == ["u", "w"]


def test_a_lone_column_is_as_long_as_written_as_it_is_parsed(csv):
    table = csv("k\n2024-01-01\n\n2024-01-03\n")
    assert table.as_written("k").to_pylist() == ["2024-01-01", "", "2024-01-03"]
