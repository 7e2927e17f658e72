import pytest

from docs.pages import DOCS, check_output, commands_of, run_page

pytest.importorskip("torch")


@pytest.mark.parametrize("fresh", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_tutorial_runs_as_it_is_written(tmp_path, fresh):
    done = run_page(DOCS / "tutorial.md", tmp_path, fresh=fresh)
    said = " ".join(done)
    for command in (
        "run",
        "ls",
        "show",
        "report",
        "predict",
        "evaluate",
        "diff",
        "resume",
        "reproduce",
        "tag",
    ):
        assert f"trainwright {command}" in said, command


def test_a_console_block_is_split_into_commands_and_what_they_print():
    assert commands_of("$ a b\nout\nmore\n$ c\n") == [("a b", "out\nmore\n"), ("c", "")]


@pytest.mark.parametrize(
    ("expected", "found", "good"),
    [
        ("a  b\n", "a b\n", True),
        ("a ... d\n", "a b c d\n", True),
        ("r2 0.9...\n", "r2 0.9123\n", True),
        ("r2 0.9...\n", "r2 0.8123\n", False),
        ("a\nb\n", "a\n", False),
        ("a\n", "a\nb\n", False),
        ("a.c", "abc", False),
    ],
)
def test_what_a_page_shows_must_be_what_is_printed(expected, found, good):
    if good:
        check_output(expected, found, "here")
        return
    with pytest.raises(AssertionError, match="expected"):
        check_output(expected, found, "here")
