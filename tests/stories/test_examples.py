"""Every shipped example can be read, says what it is, and runs from its folder as it lies there."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from trainwright.data.npy import read_npz
from trainwright.evaluation.version import evaluate_model
from trainwright.experiment import run_experiment
from trainwright.spec.read import read_experiment
from trainwright.studies.ensemble import run_ensemble

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(EXAMPLES.rglob("*.yaml"))
MADE = sorted(EXAMPLES.rglob("make.py"))
NAMES = [str(file.relative_to(EXAMPLES)) for file in FILES]
# What one epoch must beat, so that a run that learns nothing fails: the score, and what a constant answer has.
CHANCE = {
    "classification": ("test/roc_auc", 0.55),
    "segmentation": ("test/pixel_accuracy", 0.3),
    "regression": ("test/r2", -0.5),
    "embedding": ("test/knn_accuracy", 0.15),
}
# A tenth of the records where an epoch of all would take long.
SMALLER = {
    "tokens/transformer.yaml": ["data.split.val=0.8"],
    "segmentation/unet.yaml": ["data.split.val=0.6"],
}


def test_there_are_examples_of_every_task_and_architecture():
    models = [read_experiment(file).experiment.model for file in FILES]
    assert {one.architecture for one in models} == {"mlp", "cnn", "transformer", "unet", "gnn"}
    assert {one.head for one in models} == {"point", "mean_variance", "quantiles"}
    assert {"segmentation", "regression", "embedding"} < {one.task_type for one in models}


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_an_example_begins_with_its_source_its_command_its_time_and_its_number(file):
    lines = file.read_text().splitlines()
    head = "\n".join(lines[: next(number for number, line in enumerate(lines) if not line.startswith("#"))])
    for word in ("Source", "Data", "Command", "Time", "Expect"):
        assert re.search(rf"^# {word}: +\S", head, re.MULTILINE), f"{file.name} says no {word}"
    assert f"trainwright run examples/{file.relative_to(EXAMPLES)}" in head


LATER = ("tokens/transformer.yaml", "heart/columns.yaml", "mnist1d/transformer.yaml")  # take long to compile


@pytest.mark.parametrize(
    "file",
    [pytest.param(f, marks=pytest.mark.slow) if n in LATER else f for f, n in zip(FILES, NAMES, strict=True)],
    ids=NAMES,
)
def test_an_example_trains_for_an_epoch_and_ends_with_scores_that_beat_chance(file, tmp_path):
    name = str(file.relative_to(EXAMPLES))
    document = read_experiment(file, changes=["train.epochs=1", *SMALLER.get(name, [])])
    places = {"folder": document.folder, "home": tmp_path / "store"}
    if document.experiment.ensemble is None:
        trained = run_experiment(document.experiment, **places)
    else:
        trained = run_ensemble(document.experiment, **places).ensemble
    assert trained.outcome.kind == "done" and trained.warnings == 0 and trained.report.exists()
    scores = trained.scores
    if not document.experiment.data.split.test and document.experiment.data.test is None:
        ref = f"{document.experiment.name}@final"  # a fold has no test split of its own
        found = evaluate_model(ref, split="val", home=tmp_path / "store")
        scores = {name.replace("val/", "test/"): score for name, score in found.items()}
    metric, chance = CHANCE[task_of(scores)]
    assert scores[metric]["low"] <= scores[metric]["value"] <= scores[metric]["high"]
    assert scores[metric]["value"] > chance


def test_the_command_of_an_example_works_from_any_folder(lab):
    found = lab.json("run", EXAMPLES / "digits" / "cnn.yaml", "-q", "--set", "train.epochs=1")
    assert found["scores"]["test/accuracy"]["value"] > 0.5


def task_of(scores):
    return next(task for task, (metric, _) in CHANCE.items() if metric in scores)


@pytest.mark.parametrize("folder", sorted({file.parent for file in FILES}), ids=lambda folder: folder.name)
def test_the_page_of_a_folder_names_its_files_and_where_its_data_come_from(folder):
    page = (folder / "README.md").read_text()
    for file in folder.iterdir():
        if file.name != "README.md" and file.is_file():
            assert f"`{file.name}`" in page, f"{folder.name}/README.md does not name {file.name}"
    assert "licence" in page


@pytest.mark.parametrize("script", MADE, ids=lambda script: script.parent.name)
def test_a_script_makes_the_committed_arrays_again(script):
    spec = importlib.util.spec_from_file_location("make", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.make()
    (path,) = script.parent.glob("*.npz")
    kept = read_npz(path, list(made))
    for name, array in made.items():
        np.testing.assert_array_equal(kept[name], array)


def test_no_threshold_finds_the_shapes():
    """The baseline that the page of the example names: the best threshold on train, for objects of any kind."""
    arrays = read_npz(EXAMPLES / "segmentation" / "shapes.npz", ["x", "y", "x_test", "y_test"])

    def overlap(part, threshold):
        found, true = arrays["x" + part][:, 0] >= threshold, arrays["y" + part] > 0
        return (found & true).sum() / (found | true).sum()

    best = max(range(256), key=lambda threshold: overlap("", threshold))
    assert overlap("_test", best) < 0.35


def test_counting_tokens_does_not_tell_balanced_brackets():
    arrays = read_npz(EXAMPLES / "tokens" / "brackets.npz", ["x", "x_lengths", "y"])
    words = np.split(arrays["x"], np.cumsum(arrays["x_lengths"])[:-1])
    for word, y in zip(words[:500], arrays["y"][:500], strict=True):
        depth = np.cumsum((word == 1).astype(int) - (word == 2))
        assert depth[-1] == 0  # as many open as close, always
        assert (depth.min() >= 0) == bool(y)
