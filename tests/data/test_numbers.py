import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainwright.base.errors import DataError
from trainwright.data.numbers import looks_like_numbers, parse_numbers


def german(value, digits):
    return f"{value:,.{digits}f}".translate(str.maketrans(",.", ".,"))


@given(st.lists(st.tuples(st.floats(-1e12, 1e12), st.integers(0, 6)), min_size=1, max_size=20))
def test_what_python_writes_with_groups_is_read_back(pairs):
    values = [float(f"{value:.{digits}f}") for value, digits in pairs]
    english = [f"{value:,.{digits}f}" for value, digits in pairs]
    assert parse_numbers(english, decimal=".").tolist() == values
    assert parse_numbers([german(*pair) for pair in pairs], decimal=",").tolist() == values
    assert parse_numbers([one.replace(",", "\u202f") for one in english], decimal=".").tolist() == values


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [
        ("1.234,5", ",", 1234.5),
        ("1,234.5", ".", 1234.5),
        ("1 234,5", ",", 1234.5),
        ("1\u00a0234\u00a0567", ",", 1234567.0),  # no-break spaces
        ("  -0,5 ", ",", -0.5),
        ("+,5", ",", 0.5),
        ("7,", ",", 7.0),
        ("1,5e-3", ",", 0.0015),
        ("1.5E3", ".", 1500.0),
        ("1234,5", ",", 1234.5),
        ("007", ".", 7.0),
        ("1,234", ",", 1.234),
        ("1,234", ".", 1234.0),
    ],
)
def test_each_way_to_write_a_number_is_read(text, decimal, value):
    assert parse_numbers([text], decimal=decimal).tolist() == [value]


@pytest.mark.parametrize(
    ("text", "decimal"),
    [
        ("1,5", "."),
        ("1.5", ","),
        ("1.23.456", ","),  # groups of three
        ("12.3456,7", ","),
        ("1.234 567,8", ","),  # two marks between groups
        ("0.125", ","),  # a group of thousands does not begin with 0
        ("1,2,3", ","),
        ("5 %", "."),
        ("inf", "."),
        ("0x10", "."),
        ("1e", "."),
        ("--1", "."),
        (".", "."),
        ("1 2", "."),
        ("٣", "."),
    ],
)
def test_what_is_no_number_is_refused_with_its_record(text, decimal):
    with pytest.raises(DataError, match=r"record 2 holds .* no number") as error:
        parse_numbers(["1", None, text], decimal=decimal)
    assert repr(text) in str(error.value)


def test_missing_texts_are_nan_and_nothing_else_is():
    found = parse_numbers(["1", "", " ", "NA", None, "nan", "2"], decimal=".")
    assert np.isnan(found).tolist() == [False, True, True, True, True, True, False]


def test_a_number_that_overflows_is_refused():
    with pytest.raises(DataError, match=r"record 1 holds '1e999', which is larger than a float64 holds"):
        parse_numbers(["1", "1e999"], decimal=".")


def test_another_decimal_mark_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="decimal mark"):
        parse_numbers(["1"], decimal=";")


@pytest.mark.parametrize(
    ("texts", "mark"),
    [
        (["1.234,5", "7"], ","),
        (["1,234.5", "7"], "."),
        (["1,5", ""], ","),
        (["1,234", "0,5"], ","),  # the second tells
        (["1.234.567", "1"], ","),
        (["1 234", "5"], "."),  # either mark gives the same numbers
        (["12", None], "."),
        (["0,125"], ","),
        (["a", "1"], None),
        (["1,5", "1.5"], None),
        (["", None, "NA"], None),
        ([], None),
    ],
)
def test_the_decimal_mark_is_found_where_every_text_fits(texts, mark):
    assert looks_like_numbers(texts) == mark
    if mark:
        parse_numbers(texts, decimal=mark)


def test_a_column_that_may_be_read_in_two_ways_says_so():
    with pytest.raises(DataError, match=r"'1,234' may be 1234 or 1\.234.*name the decimal mark"):
        looks_like_numbers(["5", "1,234", "2,500"])


def test_a_million_texts_take_about_a_second():
    texts = pa.array([f"{number:,}.{number % 100:02d}" for number in range(1_000_000)])
    start = time.process_time()
    mark = looks_like_numbers(texts)
    values = parse_numbers(texts, decimal=mark)
    spent = time.process_time() - start
    assert mark == "." and values[123_456] == 123_456.56
    assert spent < 3
