import re

import pytest
import typer

from docs.pages import DOCS, ROOT
from trainwright.backends import CATALOG as BACKENDS
from trainwright.callbacks import CATALOG as CALLBACKS
from trainwright.cli.app import app
from trainwright.ops import CATALOG as OPERATORS
from trainwright.routines import CATALOG as ROUTINES
from trainwright.spec.experiment import Experiment
from trainwright.spec.read import read_experiment
from trainwright.spec.schema import experiment_schema

PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
EXAMPLES = sorted([*(ROOT / "examples").rglob("*.yaml"), *(ROOT / "examples").rglob("*.yml")])
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def commands(command, name="trainwright"):
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
    for key, one in (inner or {}).items():
        yield from commands(one, f"{name} {key}")


COMMANDS = dict(commands(typer.main.get_command(app)))


def section(page, title):
    """Gives the text under a heading, up to the next heading of its level or above."""
    text = (DOCS / page).read_text()
    found = re.search(rf"^(#+) {re.escape(title)}$(.*?)(?=^#{{1,2}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{page} has no section {title!r}"
    return found[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_in_the_docs(name):
    text = section("cli.md", f"`{name}`")
    for parameter in COMMANDS[name].params:
        for word in parameter.opts if parameter.param_type_name == "option" else [parameter.name.upper()]:
            assert word in text, word


@pytest.mark.parametrize("name", [*OPERATORS, *ROUTINES, *CALLBACKS])
def test_every_part_with_a_short_name_is_in_the_docs(name):
    assert f"\n#### `{name}`\n" in (DOCS / "experiment.md").read_text()


@pytest.mark.parametrize("name", BACKENDS)
def test_every_backend_is_in_the_docs(name):
    assert f"`{name}`" in (DOCS / "backends.md").read_text()
    assert f"'{name}'" in section("experiment.md", "`train`")


def test_every_field_of_the_spec_is_in_the_docs():
    text = (DOCS / "experiment.md").read_text()
    schema = experiment_schema()
    fields = [name for part in (schema, *schema["$defs"].values()) for name in part["properties"]]
    assert len(fields) > 50 and set(Experiment.model_fields) <= set(fields)
    for name in fields:
        wanted = fields.count(name)
        assert text.count(f"\n| `{name}` |") >= wanted, f"{name}: {wanted} times"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page):
    for target in _LINK.findall(page.read_text()):
        if not re.match(r"https?:|mailto:|#", target):
            path = page.parent / target.partition("#")[0]
            assert path.exists(), f"{page.name}: {target}"


def test_the_index_names_every_page():
    linked = {target for target in _LINK.findall((DOCS / "index.md").read_text()) if "/" not in target}
    assert linked >= {page.name for page in DOCS.glob("*.md")} - {"index.md", "results.md"}


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_example_can_be_read(file):
    assert read_experiment(file).experiment.name


def test_there_are_examples():
    assert EXAMPLES
