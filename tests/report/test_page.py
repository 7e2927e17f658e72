"""The page of a run, made from a recorded run."""

import re

import numpy as np
import pytest

from report.pages import Page, page_of
from report.recorded import record_run
from trainwright.evaluation.decisions import judge_classes
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


def test_a_classifier_has_every_section(tmp_path):
    trained, registry = train(tmp_path, np.arange(80) % 2)
    text = trained.report.read_text()
    page = Page(text)
    assert list(page.sections) == [
        *("results", "curves", "confusion", "classes", "probabilities", "samples", "data"),
        *("versions", "lineage", "environment", "repeat"),
    ]
    assert len(text) < 300_000
    assert f"trainwright reproduce shown@{trained.best.number}" in text
    accuracy = trained.scores["test/accuracy"]["value"]
    assert f"{accuracy:.4f}" in page.text("results") and "looked at 1 time " in page.text("results")
    registry.look(trained.run, "test", by="somebody")
    assert "looked at 2 times" in render_run(registry, trained.run)


def test_a_page_needs_nothing_but_itself(tmp_path):
    trained, _ = train(tmp_path, np.arange(80) % 2)
    page = Page(trained.report.read_text())
    assert page.links and all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} == set(page.sections)
    assert not {"script", "link", "iframe"} & page.tags and not re.search(r"url\(|@import", page.source)
    assert "prefers-color-scheme:dark" in page.source and 'name="viewport"' in page.source


def test_a_regression_shows_its_residuals(tmp_path):
    trained, _ = train(tmp_path, np.random.default_rng(1).normal(size=80))
    page = Page(trained.report.read_text())
    assert {"values", "residuals"} <= set(page.sections) and "confusion" not in page.sections


def test_text_of_users_cannot_become_markup(tmp_path):
    labels = np.where(np.arange(80) % 2, "<img src=x>", "&b")
    trained, _ = train(tmp_path, labels, name="<script>alert(1)</script>")
    page = trained.report.read_text()
    assert "<script>" not in page and "<img" not in page
    assert "&lt;img src=x&gt;" in page and "&lt;script&gt;alert(1)" in page


def test_the_fullest_page_stays_small(tmp_path):
    numbers = np.random.default_rng(0)
    y = numbers.integers(0, 40, 1200)
    logits = numbers.normal(size=(1200, 40))
    logits[np.arange(1200), y] += 2
    columns = {f"c{one}": numbers.normal(size=1200) for one in range(10)}
    judgement = judge_classes(
        logits, y, weight=None, classes=[f"species {one}" for one in range(40)], columns=columns
    )
    about = {"kind": "numeric", "used": True, "missing": 7, "distinct": 99, "why": "numbers with many values"}
    artifacts = {
        "data/columns": {
            "columns": [{"name": f"column {one}", **about} for one in range(400)],
            "left_out": 0,
        },
        "test/sample_inputs": numbers.normal(size=(1200, 6, 500)),
        "test/sample_records": np.arange(1200),
    }
    steps = [
        {f"{split}/m{one}": numbers.random() for one in range(30) for split in ("train", "val")}
        for _ in range(400)
    ]
    page = page_of(
        *record_run(
            tmp_path,
            task="classification",
            judgement=judgement,
            artifacts=artifacts,
            metrics=steps,
            model={"input": "sequence"},
        )
    )
    sizes = {
        name: len(page.source.split(f'<section id="{name}">')[1].split("</section>")[0])
        for name in page.sections
    }
    assert 150_000 < len(page.source) < 300_000, sizes
