"""What ends a run, and what other programs read of it, from the command line's file to the record."""

import json

import pytest

from stories.conftest import Lab
from trainwright.base.errors import SpecError
from trainwright.callbacks.lines import JSONLines
from trainwright.callbacks.stopping import TimeLimit
from trainwright.experiment import resume_run, run_experiment
from trainwright.reproduce import reproduce_version
from trainwright.spec.read import read_experiment
from trainwright.store.registry import Registry
from trainwright.store.run import LocalRun
from trainwright.store.store import Store
from trainwright.train.moment import Stop

pytest.importorskip("torch")


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Lab(tmp_path)


def train(lab, *callbacks, epochs=4, changes=()):
    uses = ", ".join(callbacks)
    document = read_experiment(
        lab.file, changes=[f"train.callbacks=[{uses}]", f"train.epochs={epochs}", *changes]
    )
    return run_experiment(document.experiment, folder=document.folder, home=lab.home)


def read(lab, run):
    return [
        line
        for line in map(json.loads, (lab.folder / "m.jsonl").read_text().splitlines())
        if line["run"] == run
    ]


LINES = "{use: JSONLines, args: {path: m.jsonl}}"


def test_a_run_stops_at_its_time_and_is_reproduced_to_that_step(lab, monkeypatch):
    limited = train(lab, "{use: TimeLimit, args: {seconds: 0.3}}", epochs=100_000)
    assert (limited.outcome.kind, limited.outcome.reason) == (
        "stopped",
        "the time limit of 0.3 seconds is reached",
    )
    # The same step again, though by now the limit would end it at once.
    monkeypatch.setattr(TimeLimit, "on_step", lambda self, moment: Stop("late"))
    assert reproduce_version(limited.run, home=lab.home).word == "identical"


def test_a_run_stops_when_a_metric_is_good_enough(lab):
    stopped = train(lab, "{use: StopOnThreshold, args: {metric: train/loss, below: 0.8}}", epochs=60)
    free = train(lab, epochs=60)
    registry = Registry(Store.open(lab.home))
    values = {row.step: row.value for row in registry.metrics(free.run) if row.name == "train/loss"}
    assert stopped.final.step == min(step for step, value in values.items() if value < 0.8) < free.final.step
    assert stopped.outcome.reason.startswith("train/loss is 0.7")


def test_a_run_stops_when_its_loss_is_not_a_number(lab):
    wild = ["train.optimizer={name: sgd, lr: 1e30}", "train.clip_norm=null", "model.normalization=none"]
    stopped = train(lab, "{use: StopOnNaN}", epochs=30, changes=wild)
    assert stopped.outcome.kind == "stopped" and stopped.final.epoch == 1
    assert "train/loss is nan" in stopped.outcome.reason
    assert train(lab, epochs=3, changes=wild).final.epoch == 3


@pytest.mark.parametrize(
    ("callback", "where"),
    [
        (
            "{use: StopOnThreshold, args: {metric: val/los, below: 1}}",
            "train.callbacks.0.args.metric: nobody .*val/los",
        ),
        (
            "{use: StopOnNaN, args: {metrics: [val/los, val/loss]}}",
            "train.callbacks.0.args.metrics.0: nobody .*val/los",
        ),
        ("{use: StopOnThreshold, args: {metric: test/loss, below: 1}}", "nobody measures 'test/loss'"),
        ("{use: JSONLines, args: {path: no/m.jsonl}}", "JSONLines: path no/m.jsonl: No such file"),
    ],
)
def test_what_cannot_work_fails_before_the_first_step(lab, callback, where):
    with pytest.raises(SpecError, match=where):
        train(lab, callback)


def test_the_lines_of_a_run_that_was_cut_are_those_of_a_whole_one(lab, monkeypatch):
    whole = train(lab, LINES, "{use: Checkpoint, args: {every_n_epochs: 2}}")
    save = LocalRun.save

    class Killed(BaseException):
        pass

    def save_and_die(self, snapshot):
        if snapshot.epoch == 4:
            raise Killed
        return save(self, snapshot)

    monkeypatch.setattr(LocalRun, "save", save_and_die)
    with pytest.raises(Killed):
        train(lab, LINES, "{use: Checkpoint, args: {every_n_epochs: 2}}")
    monkeypatch.setattr(LocalRun, "save", save)
    cut = Registry(Store.open(lab.home)).runs(state="failed")[0].id
    assert [line["epoch"] for line in read(lab, cut) if line["event"] == "epoch"] == [1, 2, 3, 4]
    resumed = resume_run(cut, home=lab.home)
    assert resumed.final.weights == whole.final.weights

    first, second = (
        [
            (line["event"], line["step"], line["metrics"])
            for line in read(lab, run)
            if line["event"] != "start"
        ]
        for run in (whole.run, cut)
    )
    assert first == second
    registry = Registry(Store.open(lab.home))
    recorded = {(row.step, row.name): row.value for row in registry.metrics(whole.run)}
    told = {
        (step, name): value
        for event, step, metrics in first
        if event == "epoch"
        for name, value in metrics.items()
    }
    assert told == recorded


def test_reproduce_writes_no_lines(lab):
    run = train(lab, LINES).run
    before = (lab.folder / "m.jsonl").read_bytes()
    assert reproduce_version(run, home=lab.home).word == "identical"
    assert (lab.folder / "m.jsonl").read_bytes() == before


def test_a_disk_that_is_full_while_training_is_a_warning_of_the_run(lab, monkeypatch):
    write = JSONLines._write

    def full(self, event, moment, more):
        if event == "epoch":
            raise OSError(28, "No space left on device")
        write(self, event, moment, more)

    monkeypatch.setattr(JSONLines, "_write", full)
    trained = train(lab, LINES)
    assert trained.outcome.kind == "done" and trained.warnings == 1
    (note,) = Registry(Store.open(lab.home)).notes(trained.run)
    assert note.text == "JSONLines: m.jsonl: No space left on device; no more lines are written"
