"""An ensemble on the command line: trained, shown, asked, checked, cut and gone on with."""

import csv
import io
import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from trainwright.cli.app import app

pytest.importorskip("torch")

FILE = """
name: soil
ensemble: 2
data: {path: soil.csv, target: carbon, split: {val: 0.2, test: 0.2}, target_operators: [{use: Standardize}]}
model: {architecture: mlp, hidden_dims: [4], head: mean_variance}
train: {backend: torch, epochs: 2}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("soil")
    clay = np.random.default_rng(0).uniform(size=80)
    rows = [f"{one:.3f},{3 * one:.3f}" for one in clay]
    (folder / "soil.csv").write_text("\n".join(["clay,carbon", *rows]) + "\n")
    (folder / "soil.yaml").write_text(FILE)
    return folder


@pytest.fixture(scope="module")
def call(place):
    def start(command, *arguments, expect=0):
        done = CliRunner().invoke(app, [command, *map(str, arguments), "--store", str(place / "store")])
        assert done.exit_code == expect, done.output
        return done

    return start


@pytest.fixture(scope="module")
def trained(call, place):
    return call("run", place / "soil.yaml")


def test_a_dry_run_says_that_there_will_be_several_and_writes_nothing(place):
    done = CliRunner().invoke(
        app, ["run", str(place / "soil.yaml"), "--dry-run", "--store", str(place / "no store")]
    )
    assert done.exit_code == 0 and "ensemble  2 members, one for each seed" in done.stderr
    assert not (place / "no store").exists()


def test_run_tells_of_members_and_scores(call, place, trained):
    assert "seed 0: soil@2" in trained.stderr and "seed 1: soil@4" in trained.stderr
    lines = trained.stdout.splitlines()
    assert lines[0].split()[:2] == ["metric", "value"] and any(one.startswith("test/nll") for one in lines)
    assert "version  soil@5, best @5" in lines and "members  soil@2, soil@4" in lines
    found = json.loads(call("run", place / "soil.yaml", "-q", "--json").stdout)
    assert (found["final"], found["best"], found["members"], found["weights"]) == (
        5,
        5,
        ["soil@2", "soil@4"],
        None,
    )


def test_study_trains_the_same_and_takes_an_engine(call, place, trained):
    found = json.loads(call("study", place / "soil.yaml", "-q", "--engine", "sequential", "--json").stdout)
    assert [one["recorded"] for one in found["members"]] == [True, True]
    assert found["ensemble"]["version"] == 5 and found["engine"]["why"] == "asked for"
    shown = call("study", place / "soil.yaml", "-q").stdout
    assert re.search("^ensemble +value", shown, re.MULTILINE) and "\nensemble soil@5\n" in shown
    assert (
        "repeats and ensembles are always scored"
        in call("study", place / "soil.yaml", "--test", expect=2).output
    )
    refused = CliRunner().invoke(app, ["study", str(place / "soil.yaml"), "--seeds", "2"])
    assert "ensemble: one model is trained here" in str(refused.exception)


def test_its_predictions_have_a_spread_and_a_disagreement(call, place, trained):
    rows = list(csv.DictReader(io.StringIO(call("predict", "soil@best", place / "soil.csv").stdout)))
    assert list(rows[0]) == ["carbon", "carbon.std", "carbon.disagreement"] and len(rows) == 80
    assert all(float(one["carbon.std"]) ** 2 > float(one["carbon.disagreement"]) > 0 for one in rows)


def test_it_is_shown_listed_traced_and_checked(call, trained):
    shown = call("show", "soil@best").stdout
    assert "members         soil@2, soil@4" in shown and "weights" not in shown and "ensemble: 2" in shown
    assert json.loads(call("show", "soil@2", "--json").stdout)["members"] == []
    first = json.loads(call("ls", "soil", "--json").stdout)[0]
    assert first["best"] == "@5" and first["incomplete"] == [] and "val/nll" in first
    traced = call("lineage", "soil@best").stdout
    assert "version soil@2  ->  version soil@5" in traced and "version soil@4  ->  version soil@5" in traced
    assert "of 2 models" in call("verify", "soil@best").stdout
    assert call("reproduce", "soil@best", "-q").stdout.startswith("identical: soil@5")
    assert "test/nll" in call("evaluate", "soil@best").stdout
    pinned = json.loads(call("pin", "soil@best", "--json").stdout)
    assert pinned[0][:2] == ["soil", 5]
    assert call("gc").stdout.startswith("0 objects") and "sound" in call("fsck").stderr


def test_it_cannot_be_resumed_and_differs_from_its_members(call, place, trained):
    store = ["--store", str(place / "store")]
    refused = CliRunner().invoke(app, ["resume", "soil@best", "--epochs", "9", *store])
    assert "is an ensemble: run its experiment again" in str(refused.exception)
    found = call("diff", "soil@5", "soil@2", expect=1).stdout
    assert "weights" in found and "ensemble" in found
