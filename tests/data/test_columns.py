import numpy as np
import pandas as pd
import pytest

from trainwright.base.errors import DataError
from trainwright.data.columns import infer_column, read_column
from trainwright.data.tables import read_csv, read_parquet

COUNT = 40


@pytest.fixture
def table(tmp_path):
    def make(cells, *, name="v", mark=","):
        lines = [f"k{mark}{name}", *(f"{number}{mark}{cell}" for number, cell in enumerate(cells))]
        (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
        return read_csv(tmp_path / "t.csv")

    return make


def cycle(*words):
    return [words[number % len(words)] for number in range(COUNT)]


NUMBERS = [str(number * 7 % 31) for number in range(COUNT)]


@pytest.mark.parametrize(
    ("cells", "kind", "used", "missing"),
    [
        (NUMBERS, "numeric", True, 0),
        ([*NUMBERS[:-2], "", "NA"], "numeric", True, 2),
        ([*NUMBERS[:-2], "?", "-"], "numeric", True, 2),
        ([f"{number / 4:.2f}" for number in range(COUNT)], "numeric", True, 0),
        (cycle("red", "green", "blue"), "categorical", True, 0),
        (cycle("red", "green", "", "blue"), "categorical", True, 10),
        (cycle("yes", "no"), "boolean", True, 0),
        (cycle("true", "false", "false"), "boolean", True, 0),
        (cycle("Y", "N", ""), "boolean", True, 13),
        (cycle("up", "down"), "categorical", True, 0),
        ([f"2024-01-{1 + number % 28:02d}" for number in range(COUNT)], "datetime", True, 0),
        ([f"{1 + number % 28:02d}.03.2024" for number in range(COUNT)], "datetime", True, 0),
        ([f"person {number}" for number in range(COUNT)], "text", False, 0),
        (["7"] * COUNT, "numeric", False, 0),
        (["same"] * COUNT, "categorical", False, 0),
        ([""] * COUNT, "text", False, COUNT),
        ([str(1000 + number) for number in range(COUNT)], "numeric", True, 0),
    ],
)
def test_a_column_is_what_its_values_say(table, cells, kind, used, missing):
    found = infer_column(table(cells), "v")
    assert (found.kind, found.used, found.missing) == (kind, used, missing), found.why


@pytest.mark.parametrize("name", ["id", "ID", "patient_id", "PatientId", "row index", "uuid"])
def test_different_numbers_under_a_name_for_names_are_no_feature(table, name):
    cells = [str(number * 17 % 997) for number in range(COUNT)]
    assert not infer_column(table(cells, name=name), name).used
    assert infer_column(table(cells, name="width"), "width").used


def test_a_column_that_is_nearly_numeric_is_a_mistake_with_a_line(table):
    with pytest.raises(
        DataError, match="column 'v' is not numeric, line 12 holds 'about 9'; mend it, or say"
    ):
        infer_column(table([*NUMBERS[:10], "about 9", *NUMBERS[11:]]), "v")


def test_commas_that_may_group_digits_are_not_guessed_at(table):
    with pytest.raises(DataError, match=r"column 'v' holds '1,234': if the comma is the decimal mark"):
        infer_column(table(['"1,234"', '"5,678"', '"901,234"', "17"]), "v")


def test_commas_before_a_decimal_point_group_digits(table):
    with pytest.raises(DataError, match=r"column 'v' holds '1,234.50': the comma groups digits: take it out"):
        infer_column(table(['"1,234.50"', '"901,234"', "17.5"]), "v")


def test_decimal_commas_are_found_by_their_values(table):
    found = table(["1,5", "-2,25", "3", "1e2", ""], mark=";")
    assert (found.delimiter, found.decimal) == (";", ",")
    np.testing.assert_array_equal(read_column(found, "v", "numeric"), [1.5, -2.25, 3.0, 100.0, np.nan])


def test_a_kind_that_is_asked_for_reads_the_same_cells_otherwise(table):
    found = table(cycle("1", "0", "2"))
    assert read_column(found, "v", "numeric")[:3].tolist() == [1.0, 0.0, 2.0]
    assert read_column(found, "v", "categorical")[:3].tolist() == ["1", "0", "2"]
    with pytest.raises(DataError, match="not boolean"):
        read_column(found, "v", "boolean")


def test_the_words_of_a_group_do_not_change_when_a_value_is_missing(tmp_path):
    pd.DataFrame({"v": [1, 2, 3]}).to_parquet(tmp_path / "whole.parquet")
    pd.DataFrame({"v": [1, 2, None]}).to_parquet(tmp_path / "holes.parquet")
    whole, holes = (read_parquet(tmp_path / f"{name}.parquet") for name in ("whole", "holes"))
    assert read_column(whole, "v", "categorical").tolist() == ["1", "2", "3"]
    assert read_column(holes, "v", "categorical").tolist() == ["1", "2", ""]


def test_dates_without_a_value_are_not_a_time(table):
    dates = read_column(table(["2024-02-29", "", "2023-12-31"]), "v", "datetime")
    assert dates.astype(str).tolist() == ["2024-02-29T00:00:00", "NaT", "2023-12-31T00:00:00"]


@pytest.mark.parametrize(
    ("kind", "cells", "says"),
    [
        ("numeric", ["1", "x"], "line 3 holds 'x'"),
        ("numeric", ["1", "inf"], "inf in line 3"),
        ("boolean", ["yes", "maybe"], "line 3 holds 'maybe'"),
        ("datetime", ["2024-01-01", "soon"], "soon"),
        ("datetime", ["1", "2"], "not dates"),
        ("text", ["a", "b" * 1001], "1001 letters"),
    ],
)
def test_a_value_of_another_kind_is_refused(table, kind, cells, says):
    with pytest.raises(DataError, match=says):
        read_column(table(cells), "v", kind)


@pytest.mark.parametrize(
    ("content", "used"),
    [
        ("n,a,y\n1,5,2\n2,5,2\n3,7,2\n", False),
        ("n,y\n1,5\n2,5\n3,7\n", True),
        ("a,n,y\n5,1,2\n5,2,2\n7,3,2\n", True),
    ],
)
def test_a_first_column_that_counts_the_records_is_no_feature_unless_it_is_the_only_one(
    tmp_path, content, used
):
    (tmp_path / "n.csv").write_text(content)
    assert infer_column(read_csv(tmp_path / "n.csv"), "n").used == used


def test_integers_beyond_what_a_float_holds_are_rounded(table):
    cells = [str(2**53 + 3 * number * 17 % 97 + 1) for number in range(COUNT)]
    found = table(cells)
    assert infer_column(found, "v").kind == "numeric"
    assert read_column(found, "v", "numeric").tolist() == [float(cell) for cell in cells]


def test_an_underscore_makes_a_word_of_digits(table):
    found = table(cycle("1_2", "3_4"))
    assert infer_column(found, "v").kind == "categorical"
    with pytest.raises(DataError, match="line 2 holds '1_2'"):
        read_column(found, "v", "numeric")


def test_a_point_between_groups_of_digits_is_refused_where_the_comma_is_the_decimal_mark(tmp_path):
    def make(*cells):
        lines = ["k;v", *(f"{number},5;{cell}" for number, cell in enumerate(cells))]
        (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
        return read_csv(tmp_path / "t.csv")

    for read in (infer_column, lambda table, name: read_column(table, name, "numeric")):
        with pytest.raises(DataError, match=r"holds '1\.234': the comma is the decimal mark"):
            read(make("1.234", "12", "5.678"), "v")
    # Another value shows that the point is a decimal mark too.
    assert read_column(make("1.234", "0.5"), "v", "numeric").tolist() == [1.234, 0.5]


def test_a_lone_blank_is_a_missing_date(table):
    assert np.isnat(read_column(table([""]), "v", "datetime")).tolist() == [True]


def test_a_column_of_a_type_no_model_reads_is_left_out_with_the_reason(table, tmp_path):
    assert infer_column(table(["12:30", "01:15"]), "v").why == "it holds time32[s], which a model cannot read"
    pd.DataFrame({"k": [1, 2], "v": [[1], [2, 3]]}).to_parquet(tmp_path / "t.parquet")
    found = read_parquet(tmp_path / "t.parquet")
    assert (infer_column(found, "v").used, infer_column(found, "v").kind) == (False, "text")
    with pytest.raises(DataError, match=r"column 'v' holds list<.*, not text"):
        read_column(found, "v", "categorical")


def test_the_cure_for_a_mixed_column_is_yaml_whatever_its_name(table):
    with pytest.raises(DataError, match=r'name: "x: y", kind: categorical'):
        infer_column(table([*NUMBERS[:-1], "oops"], name="x: y"), "x: y")


def test_dates_that_may_be_read_in_two_ways_are_refused_by_column_with_a_cure(table):
    for read in (infer_column, lambda found, name: read_column(found, name, "datetime")):
        with pytest.raises(DataError, match=r"column 'v': '03/04/2024' may be .* YYYY-MM-DD"):
            read(table(["03/04/2024", "05/06/2024"]), "v")
