"""JSON in one spelling, read strictly."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainwright.base import jsontext
from trainwright.base.errors import StoreError
from trainwright.base.jsontext import MAX_DEPTH, read_json, write_json


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": 2}, '{"a":2,"b":1}'),
        ([1, 1.0, True, None], "[1,1.0,true,null]"),
        (1e-3, "0.001"),
        (0.1 + 0.2, "0.30000000000000004"),
        ("é\n", '"é\\n"'),
        ((1, 2), "[1,2]"),
        (math.inf, '{"$float":"inf"}'),
        ([-math.inf, math.nan], '[{"$float":"-inf"},{"$float":"nan"}]'),
    ],
)
def test_each_value_has_one_spelling(value, text):
    assert write_json(value) == text


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text().filter(lambda key: key != "$float"), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(value=values)
def test_a_value_comes_back_as_it_was(value):
    assert read_json(write_json(value)) == value


@given(value=values)
def test_any_json_library_can_read_it(value):
    json.loads(write_json(value))


def test_nan_comes_back_as_nan():
    assert math.isnan(read_json(write_json(math.nan)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 1}', "twice"),
        ('[{"a": {"b": 1, "b": 2}}]', "twice"),
        ("NaN", "NaN"),
        ("[Infinity]", "Infinity"),
        ("-Infinity", "Infinity"),
        ("", "Expecting"),
        ("{", "Expecting"),
        ("[1,]", "Expecting|trailing|Illegal"),
        ("1 2", "Extra"),
        ("'a'", "Expecting"),
        (b"\xff", "utf-8"),
        ('"\\ud800"', "surrogate"),
        ("\ufeff1", "BOM"),
        ("1" * 5000, "digits"),
    ],
)
def test_broken_json_is_refused_by_name(text, reason):
    with pytest.raises(StoreError, match=f"row 7: .*(?:{reason})"):
        read_json(text, what="row 7")


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_nesting_may_be_64_deep(opening):
    closing = "".join({"[": "]", "{": "}"}[c] for c in reversed(opening) if c in "[{")
    per = len(closing)
    fits, too_deep = 64 // per, 64 // per + 1

    read_json(opening * fits + "1" + closing * fits)
    with pytest.raises(StoreError, match="64"):
        read_json(opening * too_deep + "1" + closing * too_deep)


def test_very_deep_nesting_is_an_error_and_not_a_crash():
    with pytest.raises(StoreError, match="64"):
        read_json("[" * 1_000_000)


@pytest.mark.parametrize(
    "text", ['"' + "[" * 100 + '"', '"\\"' + "{" * 100 + '"', '["\\\\", "' + "[" * 100 + '"]']
)
def test_brackets_in_text_are_no_nesting(text):
    assert read_json(text) == json.loads(text)


@pytest.mark.parametrize("block", [1, 2, 3, 7, 50, 64, 65, 131])
def test_depth_and_strings_are_seen_over_the_borders_of_what_is_scanned_at_a_time(monkeypatch, block):
    monkeypatch.setattr(jsontext, "_BLOCK", block)
    deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    in_words = '["' + "[{" * MAX_DEPTH + '\\"[' + '"]'
    for text in (deep, in_words, f"[{in_words},{in_words}]", '["' + "]" * 99 + '",' + deep[1:-1] + "]"):
        read_json(text)
    too_deep = f"[{deep}]"
    for text in (too_deep, f"[{in_words},{too_deep}]", f'["{"]" * 99}",{deep}]', f'{{"{"}" * 99}":{deep}}}'):
        with pytest.raises(StoreError, match=f"nested deeper than {MAX_DEPTH}"):
            read_json(text)
