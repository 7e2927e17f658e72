"""Strict YAML: what is taken, what is refused, where it stands."""

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainwright.base.errors import SpecError
from trainwright.spec.text import Mark, read_text, resolve


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1e-3", 0.001),  # YAML 1.1 takes it for text
        ("1E3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1", -1),
        ("+1", 1),
        ("017", 17),  # YAML 1.1: octal, 15
        ("0o17", 15),
        ("0x1F", 31),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("~", None),
        ("", None),
        ("null", None),
        ("True", True),
        ("FALSE", False),
        ("yes", "yes"),  # YAML 1.1: true
        ("off", "off"),
        ("1_000", "1_000"),  # YAML 1.1: 1000
        ("12:30", "12:30"),  # YAML 1.1: 750, counted in sixties
        ("2020-01-01", "2020-01-01"),  # YAML 1.1: a date
        ("0b1", "0b1"),
        ("1e", "1e"),
        ("tRUE", "tRUE"),
        ("nan", "nan"),
        ("inf", "inf"),
        ("\u0663", "\u0663"),  # a digit, but not one of ours
    ],
)
def test_words_without_quotes_mean_what_yaml_1_2_says(word, value):
    found = read_text(f"a: {word}").value["a"]

    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("word", ["1e-3", "true", "null", "~", "0x1F", ".inf", "1"])
def test_words_in_quotes_are_text(word):
    assert read_text(f"[\"{word}\", '{word}']").value == [word, word]


def test_not_a_number_is_read():
    assert math.isnan(resolve(".nan"))


def test_every_value_and_key_has_its_position():
    found = read_text("a: 1\nb:\n  - x\n  - {c: 2}\n")

    assert found.value == {"a": 1, "b": ["x", {"c": 2}]}
    assert found.values["a",] == Mark(1, 4)
    assert found.values["b", 0] == Mark(3, 5)
    assert found.values["b", 1, "c"] == Mark(4, 9)
    assert found.keys["b",] == Mark(2, 1)
    assert found.keys["b", 1, "c"] == Mark(4, 6)


def test_comments_and_a_byte_order_mark_do_not_matter():
    assert read_text(b"\xef\xbb\xbf# hello\na: 1 # one\n").value == {"a": 1}


def test_an_alias_stands_for_its_anchor():
    assert read_text("a: &x {k: [1]}\nb: *x").value == {"a": {"k": [1]}, "b": {"k": [1]}}


REFUSED = {
    "empty": (b"", r"1:1: it is empty"),
    "only a comment": (b"# nothing\n", "it is empty"),
    "NUL": (b"a: 1\nb: \x00", "2:1: .*NUL"),
    "NUL escaped": (b'a: "\\0"', "NUL"),
    "UTF-16 little": ("a: 1".encode("utf-16-le"), "NUL"),
    "UTF-16 with mark": ("a: 1".encode("utf-16"), "UTF-16"),
    "Latin-1": ("a: 1\nb: é".encode("latin-1"), "2:1: .*UTF-8"),
    "too large": (b"#" * (2**20 + 1), "1048576 are allowed"),
    "tab": (b"a:\n\tb: 1", "2:1: a tab in the indentation"),
    "tab after spaces": (b"a:\n  b: 1\n \tc: 2", "3:2: a tab in the indentation"),
    "two documents": (b"a: 1\n---\nb: 2", "2:1: a second document"),
    "directive": (b"%YAML 1.1\n---\na: yes", "directives"),
    "tag directive": (b"%TAG ! tag:x,2000:\n---\na: 1", "directives"),
    "open bracket": (b"a: [1", "1:6: .*expected"),
    "open quote": (b"a: 'x", "quoted"),
    "colon in text": (b"a: b: c", "1:5: .*quotes"),
    "bad indentation": (b"a: 1\n b: 2", "2:3: .*indentation"),
    "at sign": (b"a: @x", "1:4: .*quotes"),
    "escape beyond Unicode": (b'a: "\\UFFFFFFFF"', "cannot be read"),
    "half a character": (b'a: "\\ud800"', "1:4: .*surrogate"),
    "list as key": (b"? [a]\n: 1", "1:3: a key must be text"),
    "alias as key": (b"&a x: 1\n*a : 2", "a key must be text"),
    "unknown alias": (b"a: *x", r"1:4: the alias \*x"),
    "alias inside its anchor": (b"a: &x [*x]", r"1:8: the alias \*x"),
    "long number": (b"a: " + b"9" * 5000, "1:4: a number of more than"),
    "deep flow": (b"[" * 65 + b"]" * 65, "deeper than 64"),
    "very deep flow": (b"[" * 500_000, "deeper than 64"),
    "deep on one line": (b"- " * 65 + b"x", "deeper than 64"),
    "deep by aliases": (
        b"a: &a " + b"[" * 40 + b"]" * 40 + b"\nb: " + b"[" * 30 + b"*a" + b"]" * 30,
        "deeper than 64",
    ),
}


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_trusted_is_refused_with_place_and_reason(content, reason):
    with pytest.raises(SpecError, match=f"^x.yaml.*{reason}"):
        read_text(content, where="x.yaml")


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        ("a: !!python/object:os.system x", ("a",), "tag"),
        ("a: !!str 3", ("a",), "tag"),
        ("a: ! x", ("a",), "tag"),
        ("!x {a: 1}", (), "tag"),
        ("a: [!x {}]", ("a", 0), "tag"),
        ("a: 1\na: 2", ("a",), "twice, first in line 1"),
        ("x: {a: 1, b: 2, a: 1}", ("x", "a"), "twice"),
        ("1: x", ("1",), "not text"),
        ("true: x", ("true",), "not text"),
        ("<<: {a: 1}", ("<<",), "merge"),
    ],
)
def test_what_can_be_read_past_is_gathered(text, path, reason):
    ((_, where, fault),) = read_text(text).faults

    assert where == path and reason in fault


def test_nesting_may_be_64_deep():
    assert read_text("[" * 64 + "]" * 64).value
    assert read_text("a: &a " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 22 + "*a" + "]" * 22).value


def test_a_bomb_of_aliases_is_refused_before_it_goes_off():
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))

    begin = time.process_time()
    with pytest.raises(SpecError, match="100000 values"):
        read_text(bomb)
    assert time.process_time() - begin < 5


def test_a_hundred_thousand_values_are_the_most():
    read_text("&a [" + "x," * 999 + "]")
    row = "a: &a [" + "x," * 998 + "]\n"  # 1 key, 1 list, 998 values, and the mapping
    with pytest.raises(SpecError, match="100000 values"):
        read_text(row + "b: [" + "*a," * 100 + "]")
    assert len(read_text(row + "b: [" + "*a," * 99 + "]").value["b"]) == 99


@pytest.mark.parametrize("text", ["{a: 1}", "[1, 2]", "x", "1e-3", "'a: b'"])
def test_a_value_on_a_command_line_is_a_word_or_in_brackets(text):
    read_text(text, flow=True)


@pytest.mark.parametrize("text", ["a: 1", "- 1"])
def test_a_block_on_a_command_line_is_refused(text):
    with pytest.raises(SpecError, match="write lists as"):
        read_text(text, flow=True)


@given(content=st.binary(max_size=60) | st.text("ab:-? \n\t[]{},&*!|>'\"%@`#~1.e<\\x0U", max_size=60))
@settings(max_examples=600, deadline=None)
def test_whatever_bytes_come_they_are_read_or_refused(content):
    try:
        read_text(content)
    except SpecError:
        return
