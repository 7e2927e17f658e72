"""What a name may look like."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainwright.base.errors import SpecError
from trainwright.base.names import check_name, check_tag


@pytest.mark.parametrize(
    "name", ["a", "mnist1d-cnn", "a/b.c_d", "7", "épée", "模型", "a b", "x" * 200, "=", "a-", "."]
)
def test_good_names_are_returned_as_they_are(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "bytes"),
        ("x" * 201, "bytes"),
        ("é" * 101, "bytes"),  # 202 bytes, though 101 letters
        ("e\u0301", "NFC"),
        ("a\nb", "control"),
        ("a\x00", "control"),
        ("a\x7f", "control"),
        ("a\u200bb", "format"),
        ("a\u202eb", "format"),
        ("a\ufeffb", "format"),
        ("a\u2028b", "format"),
        ("a\ue000", "format"),
        ("\ud800", "surrogate"),
        (" a", "space"),
        ("a ", "space"),
        ("a\u00a0", "space"),
        ("..", r"\.\."),
        ("a/../b", r"\.\."),
        ("a@b", "@"),
        ("a:b", ":"),
        ("-a", "leading"),
        ("--help", "leading"),
    ],
)
def test_a_bad_name_is_refused_with_its_reason(name, reason):
    with pytest.raises(SpecError, match=f"model .*{reason}"):
        check_name(name, what="model")


@given(name=st.text(max_size=50))
def test_every_name_that_is_taken_is_safe_to_show_and_to_quote(name):
    try:
        taken = check_name(name)
    except SpecError:
        return
    assert taken.isprintable() or any(unicodedata.category(letter) == "Zs" for letter in taken)
    assert unicodedata.is_normalized("NFC", taken)
    assert not taken.startswith("-") and "@" not in taken and ":" not in taken and ".." not in taken


@pytest.mark.parametrize("tag", ["production", "v7", "7a", "7.0"])
def test_a_tag_is_a_name(tag):
    assert check_tag(tag) == tag


@pytest.mark.parametrize("tag", ["7", "007", "\u0663", "epoch=7", "a@b", ""])
def test_a_tag_that_could_be_taken_for_something_else_is_refused(tag):
    with pytest.raises(SpecError, match="tag"):
        check_tag(tag)
