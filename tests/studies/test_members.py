"""What members of a study share: the id, the numbers over all of them, going on after a cut."""

import math
import os
import signal

import numpy as np
import pytest

from trainwright.base.errors import DataError
from trainwright.store.overview import list_runs, studies_of
from trainwright.studies.folds import run_folds
from trainwright.studies.members import Member, run_members, spread_of, study_id
from trainwright.studies.repeats import run_repeats
from trainwright.train.callback import Callback

pytest.importorskip("torch")
NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0, 5.0], (4.0, math.sqrt(2), 1.0)),
        ([1.0, 1.0, 1.0, 5.0], (2.0, 2.0, 1.0)),
        ([7.0], (7.0, NAN, NAN)),
        ([1.0, NAN], (NAN, NAN, NAN)),
        ([1.0, INF], (INF, NAN, NAN)),
    ],
)
def test_the_spread_of_values_is_that_of_a_sample(values, expected):
    found = spread_of(values)
    np.testing.assert_allclose((found.mean, found.std, found.stderr), expected, rtol=1e-12)


class Watch(Callback):
    """Counts the runs, and does something at the first epoch of one of them."""

    def __init__(self, number=None, act=None):
        self.runs, self.number, self.act = [], number, act

    def on_start(self, moment):
        self.runs.append((moment.run, moment.resumed))

    def on_epoch(self, moment):
        if len(self.runs) == self.number and moment.epoch == 1:
            self.act()


class Killed(BaseException):
    pass


def kill():
    raise Killed


def test_a_study_that_was_cut_trains_only_what_is_missing(bench):
    first = Watch(3, kill)
    with pytest.raises(Killed):
        run_folds(bench.experiment(), listeners=[first], **bench.places)
    second = Watch()
    study = run_folds(bench.experiment(), listeners=[second], **bench.places)
    assert [one.recorded for one in study.members] == [True, True, False]
    assert [one.trained.run for one in study.members[:2]] == [run for run, _ in first.runs[:2]]
    assert [one.trained.run for one in study.members[2:]] == [run for run, _ in second.runs]
    # The one that was cut is one of its runs from its first step, and the ensemble of all is the last one.
    linked = {entry.run.id: entry.run.state for entry in list_runs(bench.registry, study=study.id)}
    assert sorted(linked.values()) == ["done"] * 4 + ["failed"]
    assert set(linked) == {study.ensemble.run, *(run for run, _ in first.runs + second.runs)}


def test_a_run_that_was_interrupted_goes_on_from_its_checkpoint(bench, tmp_path_factory):
    first = Watch(2, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(
        KeyboardInterrupt, match=r"fold 1 is interrupted by a signal at step \d+ .*goes on from"
    ):
        run_folds(bench.experiment(), listeners=[first], **bench.places)
    second = Watch()
    study = run_folds(bench.experiment(), listeners=[second], **bench.places)
    cut = first.runs[1][0]
    assert [one.recorded for one in study.members] == [True, False, False]
    assert second.runs[0] == (cut, True) and second.runs[1][1] is False
    assert study.members[1].trained.run == cut
    assert len(bench.registry.runs()) == 4  # with the ensemble

    whole = run_folds(
        bench.experiment(), folder=bench.folder, home=tmp_path_factory.mktemp("other"), again=True
    )
    for one, other in zip(study.members, whole.members, strict=True):
        assert one.trained.final.weights == other.trained.final.weights
        assert one.metrics == other.metrics


def test_what_was_cut_elsewhere_or_with_other_packages_is_trained_anew(bench, monkeypatch):
    watch = Watch(1, lambda: os.kill(os.getpid(), signal.SIGINT))
    member = Member("one", bench.experiment())

    def run(watch):
        return next(run_members([member], study="0" * 12, listeners=[watch], **bench.places))[0]

    with pytest.raises(KeyboardInterrupt):
        run(watch)
    monkeypatch.setattr("trainwright.studies.members.inexact_fields", lambda before, now: ["packages.torch"])
    assert run(Watch()).trained.run != watch.runs[0][0]


def test_again_trains_everything_anew_to_the_same_weights(bench):
    members = [Member("one", bench.experiment())]

    def run(**options):
        return next(run_members(members, study="0" * 12, **bench.places, **options))[0]

    first, recorded, anew = run(), run(), run(again=True)
    assert (first.recorded, recorded.recorded, anew.recorded) == (False, True, False)
    assert first.trained.run == recorded.trained.run != anew.trained.run
    assert first.version.weights == recorded.version.weights == anew.version.weights


def test_a_run_that_was_trained_on_its_own_becomes_part_of_the_study(bench):
    told = []
    (alone, _), *_ = run_members([Member("alone", bench.experiment())], study="a" * 12, **bench.places)
    done, dataset = next(
        run_members([Member("one", bench.experiment())], study="b" * 12, tell=told.append, **bench.places)
    )
    assert done.recorded and done.trained.run == alone.trained.run and told == [done]
    assert studies_of(bench.registry, done.trained.run) == ["a" * 12, "b" * 12]
    assert len(dataset.part("val")) == 20


def test_data_that_change_within_a_study_are_refused(bench):
    def spoil():
        bench.x[0] += 1
        bench.write()

    with pytest.raises(DataError, match=r"data\.digest: a\.npz has changed"):
        run_folds(bench.experiment(), listeners=[Watch(1, spoil)], **bench.places)


def test_the_metrics_are_those_of_the_best_version(bench):
    spec = bench.experiment(train={"epochs": 12, "optimizer": {"name": "sgd", "lr": 3.0}})
    done, _ = next(run_members([Member("one", spec)], study="0" * 12, **bench.places))
    rows = [row for row in bench.registry.metrics(done.trained.run) if row.name == "val/loss"]
    best = min(rows, key=lambda row: row.value)
    assert best.step < rows[-1].step, "the last epoch is the best one; the test shows nothing"
    assert done.metrics["val/loss"] == best.value and done.version.step == best.step
    assert all(name.startswith("val/") for name in done.metrics)


CONTENT = "0" * 64


@pytest.mark.parametrize(
    ("one", "other", "varied", "same"),
    [
        ({"seed": 1}, {"seed": 2}, "seed", True),
        ({"seed": 1}, {"seed": 2}, "data.split.fold", False),
        ({}, {"train": {"epochs": 4}}, "seed", False),
        ({}, {"split": {"method": "stratified_kfold", "folds": 3, "fold": 2}}, "data.split.fold", True),
        ({}, {"split": {"method": "stratified_kfold", "folds": 4, "fold": 0}}, "data.split.fold", False),
        ({}, {"data": {"digest": CONTENT}}, "data.split.fold", True),
    ],
)
def test_a_study_is_named_by_all_but_the_field_that_varies(bench, one, other, varied, same):
    first, second = (
        study_id(bench.experiment(**fields), varied=varied, content=CONTENT) for fields in (one, other)
    )
    assert (first == second) is same
    assert len(first) == 12


def test_a_study_of_other_data_has_another_name(bench):
    first, second = (
        study_id(bench.experiment(), varied="seed", content=content) for content in (CONTENT, "1" * 64)
    )
    assert first != second


OWN = """\
from trainwright.train.callback import Callback


class Quiet(Callback):
    pass
"""


@pytest.mark.parametrize("engine", ["sequential", "vectorised"])
def test_a_larger_study_takes_members_of_the_same_own_code_and_no_others(bench, engine):
    module = bench.folder / f"quiet_{engine}.py"  # a name of its own: a module is imported once
    module.write_text(OWN)
    experiment = bench.experiment(train={"callbacks": [{"use": f"quiet_{engine}:Quiet"}]})

    def repeat(seeds):
        members = run_repeats(experiment, seeds=seeds, engine=engine, **bench.places).members
        return [one.recorded for one in members]

    assert repeat(2) == [False, False]
    assert repeat(3) == [True, True, False]
    module.write_text(f"{OWN}    every = None\n")
    assert repeat(3) == [False, False, False], "members of two codes are no repeats of each other"
    assert repeat(3) == [True, True, True]
