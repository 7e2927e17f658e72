import datetime
import os
import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from trainwright.base.errors import DataError
from trainwright.data import mapped_table
from trainwright.data.lazy import is_lazy
from trainwright.data.mapped_table import map_parquet
from trainwright.data.tables import read_parquet

RNG = np.random.default_rng(0)
COLUMNS = {
    "a": RNG.normal(size=500),
    "b.c": RNG.integers(0, 1000, 500),
    "flag": RNG.random(500) > 0.5,
    "word": np.array(["x", "y"] * 250),
    "id": np.arange(500),
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table(COLUMNS), path, row_group_size=130)
    return path


@pytest.mark.parametrize("batch_bytes", [2**23, 8 * 3 * 64, 1])
def test_the_features_are_those_of_the_table_read_whole(file, batch_bytes, monkeypatch):
    monkeypatch.setattr(mapped_table, "BATCH_BYTES", batch_bytes)
    columns = ["flag", "a", "b.c"]
    found, whole = map_parquet(file).matrix(columns), read_parquet(file).matrix(columns)
    assert is_lazy(found) and found.dtype == whole.dtype == np.float64
    np.testing.assert_array_equal(found[:], whole)
    np.testing.assert_array_equal(found[np.array([499, 3])], whole[[499, 3]])


def test_other_columns_are_read_one_at_a_time_as_always(file):
    lazy, whole = map_parquet(file), read_parquet(file)
    assert lazy.columns == whole.columns and len(lazy) == len(whole)
    for read in ("values", "names", "keys"):
        np.testing.assert_array_equal(getattr(lazy, read)("word"), getattr(whole, read)("word"))
        np.testing.assert_array_equal(getattr(lazy, read)("id"), getattr(whole, read)("id"))


@pytest.mark.parametrize(
    ("columns", "row_bytes"),
    [
        ({"a": np.ones(4, np.float32), "b": np.arange(4, dtype=np.int16)}, 8),
        ({"a": np.ones(4, np.float32), "b": np.arange(4, dtype=np.int32) + 2**24}, 16),
        ({"a": np.ones(4)}, 8),
    ],
)
def test_the_copy_is_as_small_as_it_can_be_exactly(tmp_path, columns, row_bytes):
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    found = map_parquet(tmp_path / "t.parquet").matrix(list(columns))
    assert found.file_bytes == 4 * row_bytes and found.scratch
    np.testing.assert_array_equal(found[:], np.column_stack(list(columns.values())).astype(np.float64))


def test_the_copy_has_no_name_that_could_be_left_behind(file, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    found = map_parquet(file).matrix(["a"])
    assert os.listdir(tmp_path / "scratch") == [] and len(found[:]) == 500


def test_a_copy_that_does_not_fit_is_refused(file, monkeypatch):
    full = mapped_table.shutil.disk_usage(".")._replace(free=100)
    monkeypatch.setattr(mapped_table.shutil, "disk_usage", lambda _: full)
    with pytest.raises(DataError, match=r"t\.parquet: a copy of .* does not fit .*TMPDIR"):
        map_parquet(file).matrix(["a"])


def test_what_cannot_be_trained_on_is_refused_with_its_place(tmp_path):
    path = tmp_path / "t.parquet"
    values = [1.0] * 200
    values[150] = None
    parquet.write_table(pa.table({"a": values, "w": ["x"] * 200}), path, row_group_size=64)
    with pytest.raises(DataError, match=r"t\.parquet: column 'a' has no value in record 150"):
        map_parquet(path).matrix(["a"])
    with pytest.raises(DataError, match=r"t\.parquet: column 'w' holds string; only numbers"):
        map_parquet(path).matrix(["w"])


def test_a_file_that_is_damaged_or_empty_is_refused(tmp_path, file):
    parquet.write_table(pa.table({"a": np.ones(0)}), tmp_path / "e.parquet")
    with pytest.raises(DataError, match=r"e\.parquet: it has no records"):
        map_parquet(tmp_path / "e.parquet")
    content = file.read_bytes()
    (tmp_path / "cut.parquet").write_bytes(content[:-20])
    with pytest.raises(DataError, match=r"cut\.parquet: not a whole Parquet file"):
        map_parquet(tmp_path / "cut.parquet")
    lazy = map_parquet(file)
    file.write_bytes(content[:-20])
    for read in (lambda: lazy.matrix(["a"]), lambda: lazy.values("a")):
        with pytest.raises(DataError, match=r"t\.parquet: not a whole Parquet file"):
            read()


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    twice = pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["a", "a"])
    parquet.write_table(twice, tmp_path / "t.parquet")
    with pytest.raises(DataError, match="the column 'a' is there twice"):
        map_parquet(tmp_path / "t.parquet")


def test_keys_of_a_split_are_numbers_times_or_text(tmp_path):
    path = tmp_path / "t.parquet"
    days = np.array(["2020-01-02", "2020-01-01"], dtype="datetime64[D]")
    table = {"day": days, "time": days.astype("datetime64[ns]"), "word": ["a", None], "none": pa.nulls(2)}
    parquet.write_table(pa.table(table), path)
    table = read_parquet(path)
    for name in ("day", "time"):
        assert table.keys(name).dtype == "datetime64[us]" and (table.keys(name) == days).all()
    assert table.keys("word").tolist() == ["a", ""] and table.keys("none").tolist() == ["", ""]
    parquet.write_table(pa.table({"day": pa.array([datetime.date(2020, 1, 2), None])}), path)
    with pytest.raises(DataError, match="column 'day' has no value in record 1"):
        read_parquet(path).keys("day")
