import datetime
import decimal
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from trainwright.base.errors import DataError
from trainwright.data.frames import read_arrow, read_json_rows, table_of


class Streaming:
    """Any library's table: all that is known of it is that it streams."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


class Lazy:
    """As a lazy frame of polars: nothing until it is collected."""

    def __init__(self, table):
        self.table = table

    def collect(self):
        return Streaming(self.table)


COLUMNS = {"i": [1, 2, 3], "f": [0.5, 1e-300, -2.0], "b": [True, False, True], "t": ["x", "ä", "z"]}
VALUES = {
    "pandas": lambda: pd.DataFrame(COLUMNS),
    "pandas, nullable": lambda: pd.DataFrame(COLUMNS).convert_dtypes(),
    "pandas, arrow": lambda: pd.DataFrame(COLUMNS).convert_dtypes(dtype_backend="pyarrow"),
    "pandas, objects": lambda: pd.DataFrame(COLUMNS).astype({"t": object}),
    "pandas, a slice": lambda: pd.concat([pd.DataFrame(COLUMNS)] * 2, ignore_index=True)[3:],
    "arrow": lambda: pa.table(COLUMNS),
    "arrow, a batch": lambda: pa.record_batch(COLUMNS),
    "arrow, a reader": lambda: pa.table(COLUMNS).to_reader(),
    "streaming": lambda: Streaming(pa.table(COLUMNS)),
    "streaming views": lambda: Streaming(
        pa.table({**COLUMNS, "t": pa.array(COLUMNS["t"], pa.string_view())})
    ),
    "lazy": lambda: Lazy(pa.table(COLUMNS)),
    "lists": lambda: COLUMNS,
    "arrays": lambda: {name: np.array(values) for name, values in COLUMNS.items()},
    "big-endian arrays": lambda: {
        **COLUMNS,
        "i": np.array([1, 2, 3], ">i4"),
        "f": np.array(COLUMNS["f"], ">f8"),
    },
    "series": lambda: {name: pd.Series(values) for name, values in COLUMNS.items()},
    "arrow columns": lambda: {name: pa.array(values) for name, values in COLUMNS.items()},
    "rows": lambda: [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)],
}


@pytest.mark.parametrize("spelling", VALUES)
def test_every_spelling_of_a_table_is_the_same_table(spelling):
    table = table_of(VALUES[spelling](), name="t")
    assert table.name == "t" and table.columns == ("i", "f", "b", "t") and len(table) == 3
    for name in "ifb":
        assert table.numbers(name).tolist() == COLUMNS[name]
    assert table.numbers("b").dtype == np.bool_
    assert table.values("t").tolist() == COLUMNS["t"]


def test_a_polars_frame_is_read():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(COLUMNS).with_columns(c=polars.Series(["u", "v", "u"], dtype=polars.Categorical))
    for one in (frame, frame.lazy()):
        table = table_of(one, name="t")
        assert table.numbers("f").tolist() == COLUMNS["f"]
        assert table.values("c").tolist() == ["u", "v", "u"]


def test_categories_become_their_values_and_unused_ones_are_gone():
    frame = pd.DataFrame({"c": pd.Categorical(["u", "v", "u"], categories=["w", "v", "u"])})
    assert table_of(frame, name="t").values("c").tolist() == ["u", "v", "u"]
    numbers = pa.table({"c": pa.array([3, 5, 3]).dictionary_encode()})
    assert table_of(numbers, name="t").numbers("c").tolist() == [3, 5, 3]


def test_times_with_a_zone_are_utc_and_times_without_stay():
    naive = pd.to_datetime(["2024-07-01 12:00", "2024-01-01 12:00"])
    frame = pd.DataFrame({"naive": naive, "aware": naive.tz_localize("Europe/Berlin")})
    arrow = table_of(frame, name="t").arrow
    assert arrow.schema.field("aware").type.tz == "UTC" and arrow.schema.field("naive").type.tz is None
    assert [one.hour for one in arrow.column("aware").to_pylist()] == [10, 11]
    assert [one.hour for one in arrow.column("naive").to_pylist()] == [12, 12]


def test_decimals_and_small_floats_become_floats():
    numbers = [decimal.Decimal("1.25"), decimal.Decimal("-3")]
    table = table_of({"d": numbers, "h": np.array([0.5, 2], np.float16)}, name="t")
    assert table.numbers("d").tolist() == [1.25, -3.0] and table.numbers("d").dtype == np.float64
    assert table.numbers("h").tolist() == [0.5, 2.0]


def test_lists_stay_lists_of_plain_values():
    exact = pa.array([[decimal.Decimal("1.5")], []], pa.list_(pa.decimal128(5, 2)))
    arrow = table_of(pa.table({"s": [[1, 2], [3]], "d": exact}), name="t").arrow
    assert arrow.column("s").to_pylist() == [[1, 2], [3]]
    assert (
        arrow.column("d").to_pylist() == [[1.5], []]
        and arrow.schema.field("d").type.value_type == pa.float64()
    )


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_missing_number_stays_missing(missing):
    for value in ({"a": [1.0, missing]}, pd.DataFrame({"a": [1.0, missing]}), [{"a": 1.0}, {"a": missing}]):
        with pytest.raises(DataError, match=r"t: column 'a' (has no value in|holds nan in) record 1"):
            table_of(value, name="t").numbers("a")


def test_the_numbers_that_a_filter_leaves_are_no_column():
    frame = pd.DataFrame({"a": [1, 2, 3, 4]})
    assert table_of(frame[frame.a > 2], name="t").columns == ("a",)
    assert table_of(frame[frame.a > 2], name="t").numbers("a").tolist() == [3, 4]


@pytest.mark.parametrize(
    ("index", "says"),
    [
        (["x", "y"], r"has an index besides its columns; .*reset_index\(\).*reset_index\(drop=True\)"),
        (pd.RangeIndex(2, name="who"), "has an index 'who'"),
        (pd.Index([1, 2], name="who"), "has an index 'who'"),
        (pd.MultiIndex.from_tuples([(1, 2), (1, 3)], names=["who", "when"]), "has an index 'who'"),
    ],
)
def test_an_index_that_holds_something_is_neither_lost_nor_a_feature(index, says):
    frame = pd.DataFrame({"a": [1, 2]}, index=index)
    with pytest.raises(DataError, match=says):
        table_of(frame, name="t")
    assert table_of(frame.reset_index(drop=True), name="t").columns == ("a",)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (pd.DataFrame({"a": [1, "x"]}), "t: .*column a"),
        (pd.DataFrame({"a": [1 + 2j]}), "t: .*column a"),
        (pd.DataFrame({"a": [{"b": 1}]}), r"t: column 'a' holds struct<b: int64>.*turn it into one"),
        (pd.DataFrame({"a": pd.period_range("2020", periods=2)}), "t: column 'a' holds .*[pP]eriod"),
        (pd.DataFrame({"a": pd.to_timedelta(["1s"])}), "t: column 'a' holds duration"),
        (pd.DataFrame({"a": pd.arrays.SparseArray([1])}), "t: .*column a"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "t: .*Duplicate column names"),
        (pd.DataFrame({"a": []}), "t: it has no records"),
        (pd.DataFrame(), "t: it has no columns"),
        (pd.Series([1, 2]), "t: it cannot be taken for a table"),
        (pa.table({"a": [[{"b": 1}]]}), r"t: column 'a' holds list<.*struct"),
        (pa.table({"a": [b"x"]}), "t: column 'a' holds binary"),
        (pa.table([[1], [2]], names=["a", "a"]), "t: the column 'a' is there twice"),
        (pa.table([[1], [2]], names=["a", " "]), "t: column 2 has no name"),
        (Streaming(pa.chunked_array([[1, 2]])), "t: it cannot be taken for a table"),
        ({}, "t: it has no columns"),
        ([], "t: it has no records"),
        ({"a": []}, "t: it has no records"),
        ({"a": [1, 2], "b": [1]}, "t: column 'b' has 1 values, column 'a' has 2"),
        ({"a": [1, "x"]}, "t: column 'a' cannot be read: .*give all its values one type"),
        ({"a": [True, 1]}, "t: column 'a' cannot be read"),
        ({"a": [2**70]}, "t: column 'a' cannot be read"),
        ({"a": np.zeros((2, 2))}, r"t: column 'a' has shape \(2, 2\)"),
        ({"a": "xyz"}, "t: column 'a' is str, not a list"),
        ({"a": 3}, "t: column 'a' is int, not a list"),
        ({1: [3]}, "t: the column 1 has a name that is no text"),
        ([{"a": 1}, {"a": {"b": 2}}], "t: column 'a'"),
        ([{"a": 1}, {"a": 1, "b": 2}], "t: row 1 has a column 'b', row 0 has not; write null"),
        ([{"a": 1, "b": 2}, {"a": 1}], "t: row 0 has a column 'b', row 1 has not"),
        ([{"a": 1}, [1]], r"t: row 1 is '\[1\]', not columns with values"),
        (np.zeros((2, 2)), "t: ndarray is no table; give a frame of pandas or polars"),
        ("data.csv", "t: str is no table"),
        (None, "t: NoneType is no table"),
    ],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
def test_what_is_no_table_says_what_is_wrong_with_it(value, says):
    with pytest.raises(DataError, match=says):
        table_of(value, name="t")


def test_rows_keep_the_order_of_the_first_and_null_is_missing():
    table = read_json_rows([{"b": "x", "a": 1}, {"a": None, "b": "y"}], name="inline")
    assert table.columns == ("b", "a")
    assert table.arrow.column("a").to_pylist() == [1, None]
    with pytest.raises(DataError, match="inline: column 'a' has no value in record 1"):
        table.numbers("a")


def test_dates_in_rows_are_dates():
    table = read_json_rows([{"d": datetime.date(2024, 2, 29)}])
    assert table.arrow.schema.field("d").type == pa.date32()


def test_neither_pandas_nor_polars_is_needed():
    code = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pandas", "polars"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import pyarrow as pa
from trainwright.data.frames import table_of

class Streaming:
    def __arrow_c_stream__(self, schema=None):
        return pa.table({"a": [1]}).__arrow_c_stream__(schema)

for one in (Streaming(), {"a": [1]}, [{"a": 1}], pa.table({"a": [1]})):
    assert table_of(one, name="t").numbers("a").tolist() == [1]
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def arrow_file(tmp_path):
    def write(table, *, compression=None, name="t.arrow"):
        path = tmp_path / name
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with (
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_file(file, table.schema, options=options) as writer,
        ):
            writer.write_table(table, max_chunksize=2)
        return path

    return write


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_an_arrow_file_is_read_whole(arrow_file, compression):
    table = read_arrow(arrow_file(pa.table(COLUMNS), compression=compression))
    assert table.name == "t.arrow" and len(table) == 3
    assert table.numbers("f").tolist() == COLUMNS["f"] and table.values("t").tolist() == COLUMNS["t"]


def test_a_feather_file_that_pandas_wrote_is_read(tmp_path):
    frame = pd.DataFrame({**COLUMNS, "c": pd.Categorical(["u", "v", "u"])})
    frame.to_feather(tmp_path / "t.feather")
    table = read_arrow(tmp_path / "t.feather")
    assert table.numbers("i").tolist() == COLUMNS["i"] and table.values("c").tolist() == ["u", "v", "u"]


def test_an_arrow_file_without_records_is_refused(arrow_file):
    with pytest.raises(DataError, match=r"t\.arrow: it has no records"):
        read_arrow(arrow_file(pa.table({"a": pa.array([], pa.int64())})))


@pytest.mark.parametrize("damage", ["empty", "cut", "csv", "stream", "foot"])
def test_a_damaged_arrow_file_is_refused(arrow_file, damage):
    path = arrow_file(pa.table(COLUMNS))
    whole = path.read_bytes()
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, pa.table(COLUMNS).schema) as writer:
        writer.write_table(pa.table(COLUMNS))
    spoiled = {
        "empty": b"",
        "cut": whole[:-20],
        "csv": b"a,b\n1,2\n" * 20,
        "stream": stream.getvalue().to_pybytes(),
        "foot": whole[:-6] + b"XXXXXX",
    }
    path.write_bytes(spoiled[damage])
    with pytest.raises(DataError, match=r"t\.arrow: not a whole Arrow file: .*write or copy it again"):
        read_arrow(path)


def test_offsets_of_text_that_point_outside_are_refused(arrow_file):
    path = arrow_file(pa.table({"t": ["abcd", "efgh"]}))
    content = path.read_bytes()
    offsets = np.array([0, 4, 8], dtype="<i4").tobytes()
    assert content.count(offsets) == 1
    path.write_bytes(content.replace(offsets, np.array([0, 4, 10**8], dtype="<i4").tobytes()))
    with pytest.raises(DataError, match="not a whole Arrow file"):
        read_arrow(path)
