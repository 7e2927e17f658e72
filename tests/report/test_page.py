"""The page of a run, made from a recorded run."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from trainwright.experiment import run_experiment
from trainwright.report.page import render_run
from trainwright.spec.data import DataSpec, SplitSpec
from trainwright.spec.experiment import Experiment
from trainwright.spec.model import ModelSpec
from trainwright.spec.train import TrainSpec
from trainwright.store.registry import Registry
from trainwright.store.store import Store

pytest.importorskip("torch")


def train(folder, y, name="shown", **data):
    x = np.random.default_rng(0).normal(size=(80, 3))
    np.savez(folder / "data.npz", x=x, y=y)
    experiment = Experiment(
        name=name,
        data=DataSpec(path="data.npz", split=SplitSpec(val=0.2, test=0.3), **data),
        model=ModelSpec(architecture="mlp", hidden_dims=[4]),
        train=TrainSpec(backend="torch", epochs=3),
    )
    trained = run_experiment(experiment, folder=folder, home=folder / "store")
    return trained, Registry(Store.open(folder / "store"))


class Outline(HTMLParser):
    def __init__(self):
        super().__init__()
        self.sections, self.open, self.tags = [], [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "section":
            self.sections.append(dict(attrs)["id"])
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_classifier_has_every_section(tmp_path):
    trained, registry = train(tmp_path, np.arange(80) % 2)
    page = trained.report.read_text()
    outline = Outline()
    outline.feed(page)
    wanted = ["curves", "results", "confusion", "versions", "lineage", "environment", "repeat"]
    assert outline.sections == wanted and outline.open == []
    assert len(page) < 300_000
    assert "script" not in outline.tags and not re.search(r"(src|href)=|url\(|@import", page)
    assert "prefers-color-scheme:dark" in page and 'name="viewport"' in page
    assert f"trainwright reproduce shown@{trained.best.number}" in page
    accuracy = trained.scores["test/accuracy"]["value"]
    assert f"{accuracy:.4f}" in page and "looked at 1 time " in page
    registry.look(trained.run, "test", by="somebody")
    assert "looked at 2 times" in render_run(registry, trained.run)


def test_a_regression_shows_its_residuals(tmp_path):
    trained, _ = train(tmp_path, np.random.default_rng(1).normal(size=80))
    outline = Outline()
    outline.feed(trained.report.read_text())
    assert "residuals" in outline.sections and "confusion" not in outline.sections


def test_text_of_users_cannot_become_markup(tmp_path):
    labels = np.where(np.arange(80) % 2, "<img src=x>", "&b")
    trained, _ = train(tmp_path, labels, name="<script>alert(1)</script>")
    page = trained.report.read_text()
    assert "<script>" not in page and "<img" not in page
    assert "&lt;img src=x&gt;" in page and "&lt;script&gt;alert(1)" in page
