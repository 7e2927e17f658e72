"""SQL, HTML and letters that steer a terminal are text like any other: kept as they are, shown without effect."""

import contextlib
import csv
import io
import json
import sqlite3
import sys
from html.parser import HTMLParser

import pytest

from hostile.doors import Exit
from hostile.recipes import PAGES_OF_TEXT, classes
from trainwright.cli.app import main
from trainwright.experiment import run_experiment
from trainwright.report.page import render_run
from trainwright.spec.read import read_experiment
from trainwright.spec.write import write_yaml
from trainwright.store.registry import Registry
from trainwright.store.store import Store

BODY = """\
name: {name}
data:
  path: t.csv
  target: {target}
  split: {{val: 0.2, test: 0.2}}
model: {{architecture: mlp, hidden_dims: [4]}}
train: {{backend: torch, epochs: 2}}
"""
TEXTS = [one["text"] for page in PAGES_OF_TEXT for one in classes()[page]["items"]]
STEERING = "a\x1b[31m\u202eb"


class Elements(HTMLParser):
    """The elements of a page with the names of their attributes; text does not count."""

    def __init__(self, page):
        super().__init__()
        self.found, self.text = set(), []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.add((tag, *sorted(name for name, _ in attrs)))

    def handle_data(self, data):
        self.text.append(data)


class Recorded:
    """A run with the same data under the names that are given."""

    def __init__(self, folder, texts, name):
        self.folder, self.home = folder, folder / "store"
        folder.mkdir()
        self.texts = texts
        columns = [*texts, "target of " + texts[0]]
        with (folder / "t.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            for row in range(60):
                numbers = [(row * (place + 3)) % 11 for place in range(len(texts) - 1)]
                writer.writerow([*numbers, texts[row % 2], texts[row % 3]])
        text = BODY.format(name=json.dumps(name), target=json.dumps(columns[-1]))
        (folder / "e.yaml").write_text(text, encoding="utf-8")
        self.spec = read_experiment(folder / "e.yaml").experiment
        self.run = run_experiment(self.spec, folder=folder, home=self.home).run
        self.registry = Registry(Store.open(self.home))

    def command(self, *arguments):
        out, err = io.StringIO(), io.StringIO()
        sys.argv = ["trainwright", *map(str, arguments), "--store", str(self.home)]
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main()
        except SystemExit as stop:
            if stop.code:
                raise Exit(f"{stop.code}: {err.getvalue()}") from None
        return out.getvalue() + err.getvalue()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("markup")
    plain = [f"text{number}" for number in range(len(TEXTS) + 1)]
    hostile = Recorded(folder / "hostile", [*TEXTS, STEERING], TEXTS[0])
    return Recorded(folder / "plain", plain, "plain"), hostile


def test_the_report_of_hostile_texts_has_the_elements_of_any_other(runs):
    plain, hostile = (Elements(render_run(one.registry, one.run)) for one in runs)
    assert hostile.found == plain.found
    shown = "".join(hostile.text)
    assert sum(text in shown for text in TEXTS) > len(TEXTS) // 2
    assert not any(name.startswith("on") for element in hostile.found for name in element[1:])
    assert "49" not in shown.partition("{{ 7*7 }}")[2][:3]


def test_a_page_that_lets_markup_through_is_seen(runs):
    page = render_run(runs[0].registry, runs[0].run)
    known = Elements(page).found
    for text in ("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<b onclick=x>"):
        assert Elements(page.replace("plain", text)).found != known


def test_texts_come_back_from_the_store_as_they_were(runs):
    _, hostile = runs
    spec = hostile.registry.spec(hostile.registry.run(hostile.run))
    assert spec["name"] == TEXTS[0] and spec["data"]["target"] == f"target of {TEXTS[0]}"
    assert "target" in write_yaml(hostile.spec, defaults=False)
    with sqlite3.connect(hostile.home / "catalogue.db") as connection:
        assert connection.execute("SELECT count(*) FROM version").fetchone()[0] >= 1
    connection.close()


def test_commands_show_steering_letters_as_what_they_are(runs):
    _, hostile = runs
    said = (
        hostile.command("show", hostile.run) + hostile.command("ls") + hostile.command("lineage", hostile.run)
    )
    (hostile.folder / "again.yaml").unlink(missing_ok=True)
    said += hostile.command("run", hostile.folder / "e.yaml", "--dry-run")
    drafted = ["init", hostile.folder / "t.csv", "-o", hostile.folder / "again.yaml"]
    sys.argv = ["trainwright", *map(str, drafted)]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.suppress(SystemExit):
        main()
    said += out.getvalue() + err.getvalue()
    assert "\x1b" not in said and "\u202e" not in said
    assert "a\\x1b[31m\\u202eb" in said
    again = read_experiment(hostile.folder / "again.yaml").experiment
    assert {one.name for one in again.data.columns} >= {*TEXTS, STEERING}


def test_tags_of_hostile_text_name_their_version_alone(runs):
    _, hostile = runs
    number = hostile.registry.resolve(hostile.run).number
    for text in (one for one in TEXTS if "=" not in one and not one.startswith("-")):
        hostile.registry.tag(f"{hostile.run}", text)
    tags = set(hostile.registry.tags_of(hostile.registry.resolve(hostile.run)))
    assert tags >= {one for one in TEXTS if "=" not in one and not one.startswith("-")}
    assert hostile.registry.resolve(hostile.run).number == number
