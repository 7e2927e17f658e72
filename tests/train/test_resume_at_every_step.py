"""Whatever is asked for, a run that goes on from any of its steps ends as the one that was never cut."""

import json

import pytest

from stories.options import MIXED, SCHEDULES, TASKS, TORCH_ONLY, TRAINING, write_data
from train.resuming import Experimenting

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("data")
    write_data(place)
    return place


def use(name, **args):
    return {"use": name, "args": args}


CALLBACKS = {
    "early stopping": {
        "train.callbacks": [use("EarlyStopping", metric="train/loss", mode="max", patience=2, min_epochs=2)],
        "train.epochs": 5,
    },
    "time limit": {"train.callbacks": [use("TimeLimit", seconds=11)]},
    "threshold": {
        "train.callbacks": [use("StopOnThreshold", metric="train/loss", below=0.95)],
        "train.epochs": 6,
    },
    "lines and not a number": {
        "train.callbacks": [
            use("JSONLines", path="m.jsonl"),
            use("StopOnNaN"),
            use("Progress", mode="lines"),
        ],
    },
}
QUICK = {**SCHEDULES, **TRAINING, **TORCH_ONLY, **CALLBACKS, **MIXED} | {
    name: TASKS[name]
    for name in ("records in an .npy file", "records in a parquet file", "augmented records in a file")
}
REST = {name: TASKS[name] for name in TASKS if name not in QUICK}


def check(experiment):
    steps = sorted(experiment.run.states)
    assert steps == list(range(1, experiment.whole["step"] + 1))
    assert experiment.usual_weights() == experiment.whole["weights"]
    for k in steps:
        told, last = experiment.from_step(k)
        assert last == experiment.run.states[steps[-1]], k
        assert told == experiment.whole, k
        for path, content in zip(experiment.lines, experiment.written, strict=True):
            assert events(path.read_bytes()) == events(content), k


def events(content):
    """Gives the lines of what was measured, without those that belong to an attempt."""
    lines = [json.loads(line) for line in content.splitlines()]
    return [
        {key: value for key, value in line.items() if key != "seconds"}
        for line in lines
        if line["event"] in ("validation", "epoch")
    ]


@pytest.mark.parametrize("name", QUICK)
def test_a_run_resumed_at_any_step_ends_as_if_it_was_never_cut(folder, name):
    check(Experimenting({"train.epochs": 2, **QUICK[name]}, folder))


@pytest.mark.slow
@pytest.mark.parametrize("name", REST)
def test_a_run_of_any_kind_resumed_at_any_step_ends_as_if_it_was_never_cut(folder, name):
    check(Experimenting(REST[name], folder))


@pytest.mark.slow
@pytest.mark.parametrize("name", MIXED)
def test_a_run_of_equinox_resumed_at_any_step_ends_as_if_it_was_never_cut(folder, name):
    pytest.importorskip("equinox")
    check(Experimenting({"train.epochs": 2, **MIXED[name]}, folder, backend="equinox"))
