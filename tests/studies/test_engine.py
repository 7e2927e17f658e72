"""Members that are trained as one program: ordinary runs, with the bits of any company."""

import os
import signal

import pytest

from trainwright.base.errors import SpecError
from trainwright.experiment import resume_run, run_experiment
from trainwright.reproduce import reproduce_version
from trainwright.spec.edit import edit
from trainwright.store.overview import COMPANY
from trainwright.studies.folds import run_folds
from trainwright.studies.repeats import run_repeats
from trainwright.studies.sweep import run_sweep
from trainwright.train.callback import Callback
from trainwright.train.moment import Stop

pytest.importorskip("equinox")
SPLIT = {"method": "stratified", "val": 0.2, "test": 0.2}
EQUINOX = {"backend": "equinox"}
LR = "train.optimizer.lr"


def sweep(bench, values=(0.003, 0.01, 0.03), *, train=None, **options):
    spec = bench.experiment(SPLIT, train={**EQUINOX, **(train or {})})
    return run_sweep(spec, values={LR: list(values)}, **{**bench.places, **options})


def weights_of(bench, one):
    return [row.weights for row in bench.registry.versions(run=one.trained.run)]


def edges_of(bench, one, what):
    return [edge.target for edge in bench.registry.edges(one.trained.run) if edge.what == what]


@pytest.fixture(scope="module")
def study(shared_bench):
    return sweep(shared_bench)


def test_each_member_is_an_ordinary_run(shared_bench, study):
    bench = shared_bench
    assert (study.engine.name, study.engine.why) == ("vectorised", "3 members are one program")
    assert [one.member.name for one in study.members] == ["lr 0.003", "lr 0.01", "lr 0.03"]
    assert len({one.trained.run for one in study.members}) == 3
    for one, lr in zip(study.members, (0.003, 0.01, 0.03), strict=True):
        row = bench.registry.run(one.trained.run)
        spec = bench.registry.spec(row)
        assert row.state == "done" and spec["train"]["vectorised"] is True
        assert spec["train"]["optimizer"]["lr"] == lr
        assert [version.epoch for version in bench.registry.versions(run=row.id)] == [1, 2, 3]
        assert {row.name for row in bench.registry.metrics(row.id)} >= {"train/loss", "val/loss"}
        assert one.trained.report.exists() and bench.registry.best(row.id) is not None
        assert {name.split("/")[0] for name in one.metrics} == {"val"}  # the test split was not asked for
    assert len({weights for one in study.members for weights in weights_of(bench, one)}) == 9
    assert len({target for one in study.members for target in edges_of(bench, one, COMPANY)}) == 1
    best = min(study.members, key=lambda one: one.metrics["val/loss"])
    assert study.best == best and study.tree()["best"] == best.member.name
    assert study.tree()["members"][1]["values"] == {LR: 0.01}


def test_it_learns_what_the_sequential_engine_learns(shared_bench, study, tmp_path):
    other = sweep(shared_bench, engine="sequential", home=tmp_path / "other")
    assert other.engine.name == "sequential" and other.id == study.id
    for one, alone in zip(study.members, other.members, strict=True):
        assert one.metrics == pytest.approx(alone.metrics, rel=1e-4)
        assert (
            one.version.weights != alone.version.weights
        )  # the last digits are others, and the record says so


def test_a_member_has_the_same_weights_in_another_company_and_by_itself(shared_bench, study, tmp_path):
    other = sweep(shared_bench, [0.1, 0.03, 0.01, 0.05], home=tmp_path / "other")
    mine = {one.member.name: weights_of(shared_bench, one) for one in study.members}
    bench = type("Bench", (), {"registry": None})()
    from trainwright.store.registry import Registry
    from trainwright.store.store import Store

    bench.registry = Registry(Store.open(tmp_path / "other"))
    for one in other.members[1:3]:
        assert weights_of(bench, one) == mine[one.member.name]
    lone = edit(study.members[1].member.experiment, {"train.vectorised": True})
    trained = run_experiment(lone, folder=shared_bench.folder, home=tmp_path / "lone")
    assert trained.final.weights == mine["lr 0.01"][-1]


def test_a_member_is_reproduced_with_its_company(shared_bench, study, monkeypatch):
    seats = []
    from trainwright.backends.equinox import company

    begin = company.EquinoxCompany.__init__
    monkeypatch.setattr(
        company.EquinoxCompany, "__init__", lambda self, found: seats.append(len(found)) or begin(self, found)
    )
    one = study.members[1].version
    verdict = reproduce_version(f"{one.model}@{one.number}", home=shared_bench.home)
    assert (verdict.word, list(verdict.differences)) == ("identical", [])
    assert seats == [3]
    changed = reproduce_version(
        f"{one.model}@{one.number}", home=shared_bench.home, changes=["train.vectorised=false"]
    )
    assert changed.word in ("within tolerance", "different")
    assert changed.differences[0] == ("train.vectorised", True, False)


def test_a_second_call_trains_only_what_is_new(shared_bench, study):
    again = sweep(shared_bench, (0.003, 0.01, 0.03, 0.3))
    assert [one.recorded for one in again.members] == [True, True, True, False]
    assert again.id == study.id
    assert [one.trained.run for one in again.members[:3]] == [one.trained.run for one in study.members]


class StopAt(Callback):
    """Stops the runs of one rate at an epoch."""

    def __init__(self, act):
        self.act, self.seen = act, []

    def on_epoch(self, moment):
        self.seen.append((moment.run, moment.epoch))
        return self.act(moment, list(dict.fromkeys(run for run, _ in self.seen)))


def test_a_member_that_stops_early_ends_alone(bench):
    watch = StopAt(
        lambda moment, runs: Stop("enough") if runs[0] == moment.run and moment.epoch == 2 else None
    )
    study = sweep(bench, listeners=[watch], train={"epochs": 4})
    assert [bench.registry.run(one.trained.run).state for one in study.members] == ["stopped", "done", "done"]
    assert [one.trained.final.epoch for one in study.members] == [2, 4, 4]
    whole = sweep(bench, again=True, train={"epochs": 4})
    for one, other in zip(study.members, whole.members, strict=True):
        mine, theirs = weights_of(bench, one), weights_of(bench, other)
        assert mine == theirs[: len(mine)]
    one = study.members[0].trained.final
    assert reproduce_version(f"{one.model}@{one.number}", home=bench.home).word == "identical"


def test_a_member_that_fails_ends_alone(bench):
    def act(moment, runs):
        if len(runs) > 1 and moment.run == runs[1]:
            raise ValueError("a callback of mine")

    watch = StopAt(act)
    with pytest.raises(ValueError, match="a callback of mine"):
        sweep(bench, listeners=[watch])
    assert sorted(run.state for run in bench.registry.runs()) == ["done", "done", "failed"]
    study = sweep(bench)
    assert [one.recorded for one in study.members] == [True, False, True]


def test_an_interrupted_study_goes_on_and_ends_in_the_same_weights(bench, tmp_path):
    long = {"epochs": 6}

    def act(moment, runs):
        # The handler runs in the main thread, so the first member may be one epoch ahead of the others.
        if moment.epoch == 2 and runs[0] == moment.run:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match=r"lr 0\.\d+ is interrupted .*goes on from there"):
        sweep(bench, listeners=[StopAt(act)], train=long)
    assert {run.state for run in bench.registry.runs()} == {"paused"}
    # One of them goes on by itself, the others as the study.
    cut = bench.registry.runs()[0]
    resume_run(cut.id, home=bench.home)
    study = sweep(bench, train=long)
    assert sorted(one.recorded for one in study.members) == [False, False, True]
    assert len(bench.registry.runs()) == 3
    whole = sweep(bench, home=tmp_path / "whole", train=long)
    for one, other in zip(study.members, whole.members, strict=True):
        assert one.trained.final.weights == other.trained.final.weights
        assert one.metrics == other.metrics


def test_torch_has_programs_of_many_members_too(bench):
    pytest.importorskip("torch")
    torch = {"backend": "torch"}
    study = sweep(bench, train=torch, engine="vectorised")
    assert (study.engine.name, study.engine.why) == ("vectorised", "asked for")
    mine = {one.member.name: weights_of(bench, one) for one in study.members}
    assert len({weights for one in mine.values() for weights in one}) == 9
    one = study.members[1].trained.final
    assert reproduce_version(f"{one.model}@{one.number}", home=bench.home).word == "identical"
    # Three are too few for `auto`, but these were trained together before.
    again = sweep(bench, (0.003, 0.01, 0.03), train=torch)
    assert [one.recorded for one in again.members] == [True] * 3
    lone = edit(study.members[1].member.experiment, {"train.vectorised": True})
    trained = run_experiment(lone, folder=bench.folder, home=bench.home.parent / "lone")
    assert trained.final.weights == mine["lr 0.01"][-1]


@pytest.mark.parametrize(
    ("values", "model", "engine", "why"),
    [
        ((0.003, 0.01, 0.03, 0.1), {}, "vectorised", "4 members are one program"),
        ((0.003, 0.01, 0.03), {}, "sequential", "torch is faster with members one after another where"),
        (
            (0.003, 0.01, 0.03, 0.1),
            {"hidden_dims": [400, 400]},
            "sequential",
            "torch gains nothing by products of 0.9 million multiplications, only below 0.5",
        ),
    ],
)
def test_for_torch_a_rule_says_which_engine_is_faster(bench, values, model, engine, why):
    pytest.importorskip("torch")
    spec = bench.experiment(SPLIT, model=model, train={"backend": "torch", "epochs": 1})
    study = run_sweep(spec, values={LR: list(values)}, **bench.places)
    assert study.engine.name == engine and study.engine.why.startswith(why)


def test_seeds_and_folds_can_be_one_program(bench):
    repeats = run_repeats(
        bench.experiment(SPLIT, train=EQUINOX), seeds=3, engine="vectorised", **bench.places
    )
    assert (repeats.engine.name, repeats.engine.why) == ("vectorised", "asked for")
    assert len({one.version.weights for one in repeats.members}) == 3
    assert all("test/loss" in one.metrics for one in repeats.members)
    spec = bench.experiment(train=EQUINOX)
    folds = run_folds(spec, engine="vectorised", **bench.places)
    alone = run_folds(spec, engine="sequential", **bench.places)
    assert folds.out_of_fold.scores["loss"]["value"] == pytest.approx(
        alone.out_of_fold.scores["loss"]["value"], rel=1e-4
    )
    one = folds.members[1].trained.final
    assert reproduce_version(f"{one.model}@{one.number}", home=bench.home).word == "identical"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"train": {"backend": "lightning"}}, "lr 0.003: the backend lightning trains one run at a time"),
        ({"train": {"backend": "torch", "threads": 2}}, "lr 0.003: torch makes steps together on one thread"),
        (
            {"train": EQUINOX, "model": {"architecture": "cnn", "input": "sequence"}},
            "lr 0.003: many convolutions",
        ),
    ],
)
def test_what_cannot_be_one_program_is_trained_one_by_one_or_refused(bench, change, why):
    pytest.importorskip("lightning")
    spec = bench.experiment(SPLIT, **change)
    values = {LR: [0.003, 0.01]}
    with pytest.raises(SpecError, match=f"engine: {why}"):
        run_sweep(spec, values=values, engine="vectorised", **bench.places)
    study = run_sweep(edit(spec, {"train.epochs": 1}), values=values, **bench.places)
    assert study.engine.name == "sequential" and study.engine.why.startswith(why)


def test_auto_goes_on_with_what_was_trained_by_itself(bench):
    first = sweep(bench, engine="sequential")
    second = sweep(bench, (0.003, 0.01, 0.03, 0.1))
    assert (second.engine.name, second.engine.why) == ("sequential", "lr 0.003 was trained by itself before")
    assert [one.recorded for one in second.members] == [True, True, True, False]
    assert first.id == second.id
    third = sweep(bench, engine="vectorised")
    assert not any(one.recorded for one in third.members)


def test_members_that_no_program_shares_are_trained_one_by_one(bench):
    spec = bench.experiment(SPLIT, train={**EQUINOX, "epochs": 1})
    values = {"model.hidden_dims": [[4], [8]]}
    study = run_sweep(spec, values=values, **bench.places)
    assert study.engine.why == "no two members can be one program"
    with pytest.raises(
        SpecError, match="engine: no two members can be one program; write sequential, or auto"
    ):
        run_sweep(spec, values=values, engine="vectorised", **bench.places)
    both = run_sweep(spec, values={**values, LR: [0.01, 0.02]}, **bench.places)
    assert both.engine.why == "4 members are 2 programs"
    assert [one.member.name for one in both.members][:2] == [
        "hidden_dims [4], lr 0.01",
        "hidden_dims [4], lr 0.02",
    ]


@pytest.mark.parametrize(
    ("train", "data", "text"),
    [
        (
            {"backend": "keras-torch", "vectorised": True},
            {},
            "keras-torch has no 'steps of several runs as one program'; write train.backend: torch",
        ),
        (
            {**EQUINOX, "vectorised": True},
            {"augment": [{"use": "GaussianNoise", "args": {"std": 0.1}}]},
            "train.vectorised: the records are augmented",
        ),
    ],
)
def test_what_cannot_be_vectorised_is_refused_before_a_run_begins(bench, train, data, text):
    with pytest.raises(SpecError, match=text):
        run_experiment(bench.experiment(SPLIT, train=train, data=data), **bench.places)
    assert not bench.home.exists() or not bench.registry.runs()
