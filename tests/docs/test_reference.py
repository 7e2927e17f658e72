import importlib.util
import sys

import pytest

from docs.pages import DOCS
from trainwright.spec.train import SGD


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("make_reference", DOCS / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["experiment.md", "cli.md"])
def test_the_reference_is_not_stale(maker, page):
    assert (DOCS / page).read_text() == maker.PAGES[page](), f"{page} is stale: run `make docs`"


def test_a_field_has_its_type_default_and_meaning(maker):
    rows = maker._fields(SGD)
    assert "| `lr` | a number > 0 | `0.01` | The rate $\\eta$. |" in rows
    assert "| `name` | 'sgd' | required | Chooses it. |" in rows


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "`null`"), (True, "`true`"), (1e-3, "`0.001`"), ([], "`[]`"), ("auto", "`auto`")],
)
def test_a_default_is_written_as_in_yaml(maker, value, text):
    assert maker._value(value) == text


def test_an_argument_without_a_word_in_the_docstring_is_refused(maker):
    def unsaid(width=1):
        """Does something."""

    with pytest.raises(SystemExit, match="width"):
        maker._entry("Unsaid", unsaid)


def test_a_pipe_does_not_break_a_table(maker):
    assert maker._row("a|b", "c") == "| a\\|b | c |"
