"""Ensembles of real runs: their members, their numbers, and what every command makes of them."""

import os
import signal

import numpy as np
import pytest
from scipy import stats
from scipy.special import softmax
from sklearn import metrics

from trainwright import reproduce
from trainwright.base.errors import DataError, SpecError, StoreError
from trainwright.conversion import convert_model
from trainwright.data.dataset import open_dataset
from trainwright.ensemble_op import EnsembleOp
from trainwright.evaluation.version import evaluate_model
from trainwright.experiment import resume_run, run_experiment
from trainwright.model_op import ModelOp, load_model
from trainwright.recomputation import recompute_version
from trainwright.report.comparison import compare_versions
from trainwright.report.page import render_run
from trainwright.reproduce import Verdict, compare_records, reproduce_version
from trainwright.spec.experiment import Experiment
from trainwright.store.overview import list_runs
from trainwright.store.retention import collect
from trainwright.studies.ensemble import run_ensemble
from trainwright.studies.folds import run_folds
from trainwright.studies.repeats import run_repeats
from trainwright.train.callback import Callback
from trainwright.verification import verify_version

pytest.importorskip("torch")
SPLIT = {"method": "stratified", "val": 0.2, "test": 0.2}
FOLDS = {"method": "kfold", "folds": 3, "fold": 1, "test": 0.2}
SURE = {
    "data": {"target": "value", "target_operators": [{"use": "Standardize"}]},
    "model": {"task_type": "regression", "head": "mean_variance"},
}


@pytest.fixture(scope="module")
def study(shared_bench):
    return run_ensemble(shared_bench.experiment(SPLIT, ensemble=3, seed=5), **shared_bench.places)


@pytest.fixture(scope="module")
def folds(shared_bench):
    spec = shared_bench.experiment(FOLDS, ensemble="folds", **SURE)
    return run_ensemble(spec, **shared_bench.places)


def name_of(row):
    return f"{row.model}@{row.number}"


def spec_of(bench, run):
    return Experiment.model_validate(bench.registry.spec(bench.registry.run(run)))


def part_of(bench, run, split):
    spec = spec_of(bench, run)
    return open_dataset(spec.data, folder=bench.folder, task_type=spec.model.task_type).part(split)


def test_it_is_one_version_of_ordinary_runs_that_differ_in_their_seed(shared_bench, study):
    registry, made = shared_bench.registry, study.ensemble
    runs = [registry.run(one.trained.run) for one in study.members]
    assert [row.seed for row in runs] == [5, 6, 7] and {row.state for row in runs} == {"done"}
    assert [registry.spec(row)["ensemble"] for row in runs] == [None] * 3
    assert all(len(registry.versions(run=row.id)) == 3 for row in runs)
    version = made.final
    assert registry.members(version) == [one.version for one in study.members]
    assert registry.spec(registry.run(made.run))["ensemble"] == 3
    assert registry.resolve(f"{made.run}@best") == version == registry.resolve(f"{made.run}@final")
    assert {one.run.id for one in list_runs(registry, study=study.id)} == {
        made.run,
        *(row.id for row in runs),
    }
    # One look at the test split is for all.
    assert [len(registry.looks(run)) for run in (made.run, *(row.id for row in runs))] == [1, 0, 0, 0]
    assert not any(one.trained.scores for one in study.members)


def test_it_predicts_the_mean_of_what_its_members_predict(shared_bench, study):
    op = load_model(study.ensemble.run, home=shared_bench.home)
    assert isinstance(op, EnsembleOp) and op.version == study.ensemble.final
    alone = [load_model(name_of(one.version), home=shared_bench.home) for one in study.members]
    x = shared_bench.x
    chances = np.stack([softmax(one.outputs(x)["logits"].astype(np.float64), axis=1) for one in alone])
    found = op.uncertainty(x)
    np.testing.assert_allclose(found["mean"], chances.mean(0), rtol=1e-6)
    apart = stats.entropy(chances.mean(0), axis=1) - stats.entropy(chances, axis=2).mean(0)
    np.testing.assert_allclose(found["disagreement"], apart, rtol=1e-5, atol=1e-9)
    assert (op(x) == chances.mean(0).argmax(1)).all() and apart.min() > 0
    with pytest.raises(StoreError, match="is an ensemble of 3 models; load_model gives it"):
        ModelOp.load(shared_bench.registry, study.ensemble.run)


def test_its_scores_are_those_of_the_mean_and_stand_beside_those_of_its_members(shared_bench, study):
    made, registry = study.ensemble, shared_bench.registry
    op = load_model(made.run, home=shared_bench.home)
    kept = {one.name: one for one in registry.artifacts(made.run)}
    for split, together in (("val", made.final.metrics), ("test", made.scores)):
        records = part_of(shared_bench, made.run, split)
        expected = metrics.log_loss(records.y, op.uncertainty(records.x)["mean"], labels=[0, 1, 2])
        value = together[f"{split}/loss"]
        value = value["value"] if split == "test" else value
        assert value == pytest.approx(expected, rel=1e-6)
        table = registry.artifact_value(kept[f"{split}/members"])
        assert table["names"] == [name_of(one.version) for one in study.members]
        for one, loss in zip(study.members, table["scores"]["loss"], strict=True):
            alone = load_model(name_of(one.version), home=shared_bench.home).outputs(records.x)["logits"]
            assert loss == pytest.approx(
                metrics.log_loss(records.y, softmax(alone, axis=1), labels=[0, 1, 2]), rel=1e-5
            )
        assert value < np.mean(table["scores"]["loss"])  # Jensen


def test_a_second_call_records_nothing_and_more_members_train_only_the_new_ones(shared_bench, study):
    before = len(shared_bench.registry.runs())
    again = run_ensemble(shared_bench.experiment(SPLIT, ensemble=3, seed=5), **shared_bench.places)
    assert again.ensemble.run == study.ensemble.run and again.ensemble.scores == study.ensemble.scores
    assert len(shared_bench.registry.runs()) == before
    more = run_ensemble(shared_bench.experiment(SPLIT, ensemble=4, seed=5), **shared_bench.places)
    assert [one.recorded for one in more.members] == [True, True, True, False]
    assert more.ensemble.final.parents[:3] == study.ensemble.final.parents
    assert len(shared_bench.registry.runs()) == before + 2


@pytest.mark.parametrize("which", ["study", "folds"])
def test_its_recorded_spec_gives_it_again(shared_bench, request, which):
    made = request.getfixturevalue(which).ensemble
    again = run_ensemble(spec_of(shared_bench, made.run), **shared_bench.places)
    assert again.ensemble.run == made.run and all(one.recorded for one in again.members)


def test_repeats_that_were_trained_before_are_its_members(shared_bench, study):
    repeats = run_repeats(shared_bench.experiment(SPLIT, seed=5), seeds=2, **shared_bench.places)
    assert repeats.ensemble is None and repeats.id == study.id
    assert [one.trained.run for one in repeats.members] == [one.trained.run for one in study.members[:2]]


def test_it_is_reproduced_member_by_member(shared_bench, study):
    ref = name_of(study.ensemble.final)
    verdict = reproduce_version(ref, home=shared_bench.home)
    assert (verdict.word, verdict.recorded, verdict.found) == (
        "identical",
        study.ensemble.final.files,
        study.ensemble.final.files,
    )
    with pytest.raises(
        StoreError,
        match=f"is an ensemble; reproduce its members otherwise: {name_of(study.members[0].version)}",
    ):
        reproduce_version(ref, home=shared_bench.home, changes=["train.epochs=1"])


def test_it_is_verified_and_its_val_scores_come_out_again(shared_bench, study):
    ref = name_of(study.ensemble.final)
    assert {one.what: one.ok for one in verify_version(shared_bench.registry, ref)}["members"]
    checks = {one.what: one for one in recompute_version(shared_bench.registry, ref)}
    assert all(one.ok for one in checks.values())
    assert "val/loss" in checks["val scores"].detail and "with the same bits" in checks["val scores"].detail
    assert checks["samples"].detail.endswith("predicted again, the same")


def test_its_report_and_comparison_tell_of_the_members(shared_bench, study):
    made, first = study.ensemble, study.members[0].version
    page = render_run(shared_bench.registry, made.run)
    assert "The predictions of 3 models, which differ in their seed, are averaged" in page
    assert "mean of members" in page and name_of(first) in page and "No metrics were recorded" not in page
    assert "mean of members" not in render_run(shared_bench.registry, first.run)
    found = compare_versions(shared_bench.registry, name_of(made.final), name_of(first))
    assert found.left.parameters == 3 * found.right.parameters
    pairs = {
        field: (one, other) for field, one, other in compare_records(shared_bench.registry, made.final, first)
    }
    assert pairs["weights"] == (f"sha256:{made.final.files}", f"sha256:{first.weights}")


def test_what_goes_on_from_weights_names_the_members(shared_bench, study):
    ref, home = name_of(study.ensemble.final), shared_bench.home
    names = ", ".join(name_of(one.version) for one in study.members)
    with pytest.raises(StoreError, match=f"is an ensemble: .* else convert each of {names}"):
        convert_model(ref, backend="equinox", home=home)
    with pytest.raises(SpecError, match=rf"init_from: {ref} is an ensemble; begin from one of {names}"):
        run_experiment(shared_bench.experiment(SPLIT, train={"init_from": ref}), **shared_bench.places)
    for epochs in (None, 9):
        with pytest.raises(StoreError, match="is an ensemble: run its experiment again"):
            resume_run(ref, epochs=epochs, home=home)


@pytest.mark.slow
def test_another_backend_serves_all_members(shared_bench, study):
    pytest.importorskip("equinox")
    here, there = (
        load_model(study.ensemble.run, home=shared_bench.home, backend=one) for one in (None, "equinox")
    )
    assert {one.description["backend"] for one in there.members} == {"equinox"}
    np.testing.assert_allclose(
        here.outputs(shared_bench.x)["logits"], there.outputs(shared_bench.x)["logits"], atol=1e-5
    )
    with pytest.raises(SpecError, match="there is no 'no_such'"):
        load_model(study.ensemble.run, home=shared_bench.home, backend="no_such")


def test_folds_become_an_ensemble_with_the_scores_out_of_fold(shared_bench, folds):
    made, registry = folds.ensemble, shared_bench.registry
    assert registry.spec(registry.run(made.run))["ensemble"] == "folds"
    assert made.final.metrics == {
        f"out_of_fold/{name}": score["value"] for name, score in folds.out_of_fold.scores.items()
    }
    assert registry.best(made.run) == made.final
    alone = [load_model(name_of(one.version), home=shared_bench.home) for one in folds.members]
    scales = {one.preparation.targets.invert(np.zeros((1, 1))).item() for one in alone}
    assert len(scales) == 3  # each fold has its own scale, so that only the unit of the data is common
    records = part_of(shared_bench, made.run, "test")
    op = load_model(made.run, home=shared_bench.home)
    means = np.stack([one.columns(records.x)["value"] for one in alone]).astype(np.float64)
    own = np.stack([one.columns(records.x)["value.std"] for one in alone]) ** 2
    columns = op.columns(records.x)
    np.testing.assert_allclose(columns["value"], means.mean(0), rtol=1e-6)
    np.testing.assert_allclose(columns["value.disagreement"], means.var(0), rtol=1e-4)
    variance = own.mean(0) + means.var(0)
    np.testing.assert_allclose(columns["value.std"], np.sqrt(variance), rtol=1e-6)
    y = records.y.reshape(-1)
    nll = -stats.norm.logpdf(y, means.mean(0), np.sqrt(variance)).mean()
    assert made.scores["test/nll"]["value"] == pytest.approx(nll, rel=1e-6)


def test_a_fold_ensemble_is_not_scored_on_what_trained_its_members(shared_bench, folds):
    with pytest.raises(DataError, match="every record of it has trained members"):
        evaluate_model(folds.ensemble.run, split="val", home=shared_bench.home)
    assert "test/nll" in evaluate_model(folds.ensemble.run, home=shared_bench.home)
    page = render_run(shared_bench.registry, folds.ensemble.run)
    assert "one of each fold" in page and "Out of fold" in page
    checks = {one.what: one.detail for one in recompute_version(shared_bench.registry, folds.ensemble.run)}
    assert checks["val scores"] == "none recorded at this step"


def test_the_run_of_a_fold_is_found_though_the_ensemble_came_later(shared_bench, folds):
    spec = shared_bench.experiment(FOLDS, **SURE)
    again = run_folds(spec, **shared_bench.places)
    assert all(one.recorded for one in again.members) and again.ensemble.run == folds.ensemble.run


def test_without_a_look_at_test_there_are_no_scores_and_a_later_call_may_look(bench):
    wild = {"epochs": 12, "optimizer": {"name": "sgd", "lr": 3.0}}
    spec = bench.experiment(SPLIT, ensemble=2, train=wild)
    unseen = run_ensemble(spec, test=False, **bench.places)
    assert any(one.version != one.trained.final for one in unseen.members), (
        "the last epochs are the best ones"
    )
    assert unseen.ensemble.final.parents == [one.version.id for one in unseen.members]  # the best ones
    assert "nobody has looked at the test split" in render_run(bench.registry, unseen.ensemble.run)
    assert unseen.ensemble.scores == {} and bench.registry.looks(unseen.ensemble.run) == []
    seen = run_ensemble(spec, **bench.places)
    assert seen.ensemble.run == unseen.ensemble.run and seen.ensemble.scores["test/loss"]["value"] > 0
    assert len(bench.registry.looks(seen.ensemble.run)) == 1


class Cut(Callback):
    """Interrupts the second run."""

    def __init__(self):
        self.runs = []

    def on_start(self, moment):
        self.runs.append(moment.run)

    def on_epoch(self, moment):
        if len(self.runs) == 2 and moment.epoch == 1:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.slow
def test_one_that_is_stopped_goes_on_and_ends_in_the_same_members(bench, tmp_path, monkeypatch):
    spec = bench.experiment(SPLIT, ensemble=3)
    with pytest.raises(KeyboardInterrupt, match=r"seed 1 is interrupted .*goes on from there"):
        run_ensemble(spec, listeners=[Cut()], **bench.places)
    assert not any(bench.registry.members(row) for row in bench.registry.versions())
    # Stopped again, when its version is in the store and its run is not finished.
    with monkeypatch.context() as patch:
        patch.setattr(
            "trainwright.studies.joining.write_provenance", lambda *_, **__: os.kill(os.getpid(), 2)
        )
        with pytest.raises(KeyboardInterrupt):
            run_ensemble(spec, **bench.places)
    study = run_ensemble(spec, **bench.places)
    assert all(one.recorded for one in study.members)
    assert sorted(row.state for row in bench.registry.runs()) == ["done"] * 4 + ["failed"]
    assert bench.registry.resolve("tiny@best") == study.ensemble.final
    whole = run_ensemble(spec, folder=bench.folder, home=tmp_path / "whole")
    assert study.ensemble.final.files == whole.ensemble.final.files
    assert study.ensemble.scores == whole.ensemble.scores


def test_collection_keeps_what_it_needs(bench):
    keep = [{"use": "Checkpoint", "args": {"keep_last": 1}}]
    spec = bench.experiment(SPLIT, ensemble=2, train={"callbacks": keep, "epochs": 6})
    study = run_ensemble(spec, **bench.places)
    before = load_model(study.ensemble.run, home=bench.home).outputs(bench.x)
    assert any(row.status == "collected" for row in bench.registry.versions())
    collect(bench.registry.store)
    after = load_model(study.ensemble.run, home=bench.home).outputs(bench.x)
    np.testing.assert_array_equal(before["logits"], after["logits"])


def test_damage_to_a_member_is_found(bench):
    study = run_ensemble(bench.experiment(SPLIT, ensemble=2, train={"epochs": 1}), **bench.places)
    path = bench.registry.store.blobs.path(study.members[1].version.weights)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    checks = {one.what: one.ok for one in verify_version(bench.registry, study.ensemble.run)}
    assert not checks["files"] and checks["operator"] and "code" not in checks
    with pytest.raises(StoreError):
        load_model(study.ensemble.run, home=bench.home)


@pytest.mark.slow
def test_members_are_one_program_where_they_can_be(bench):
    pytest.importorskip("equinox")
    spec = bench.experiment(SPLIT, ensemble=3, train={"backend": "equinox", "epochs": 2})
    study = run_ensemble(spec, **bench.places)
    assert study.engine.why == "3 members are one program"
    assert reproduce_version(study.ensemble.run, home=bench.home).word == "identical"
    again = run_ensemble(spec, **bench.places)
    assert again.ensemble.run == study.ensemble.run


def test_an_embedding_has_no_ensemble(bench):
    task = {"model": {"task_type": "embedding", "output_dim": 2}}
    with pytest.raises(SpecError, match="ensemble: embeddings of different models"):
        bench.experiment(SPLIT, ensemble=2, **task)
    study = run_folds(bench.experiment(train={"epochs": 1}, **task), **bench.places)
    assert study.ensemble is None and study.out_of_fold is None


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"ensemble": 1}, "ensemble: 1 is not a whole number >= 2, 'folds' or null"),
        ({"ensemble": "fold"}, "'folds' or null; nearest: 'folds'"),
        ({"ensemble": "folds"}, r"data\.split\.method 'stratified' has no folds"),
        ({"ensemble": True}, "ensemble: "),
        ({"ensemble": 2.5}, "ensemble: "),
    ],
)
def test_what_is_no_ensemble_is_refused(bench, fields, text):
    with pytest.raises(SpecError, match=text):
        bench.experiment(SPLIT, **fields)


def test_who_trains_one_model_refuses_several(bench):
    both = bench.experiment(SPLIT, ensemble=2)
    for call in (run_experiment, lambda spec, **places: run_repeats(spec, seeds=2, **places)):
        with pytest.raises(SpecError, match="ensemble: one model is trained here"):
            call(both, **bench.places)
    with pytest.raises(SpecError, match="ensemble: 2 seeds are no folds"):
        run_folds(bench.experiment(ensemble=2), **bench.places)
    with pytest.raises(SpecError, match="ensemble: it is null"):
        run_ensemble(bench.experiment(SPLIT), **bench.places)
    assert not bench.home.exists()


def test_the_verdict_is_that_of_the_member_that_differs_most(shared_bench, study, monkeypatch):
    names = [name_of(one.version) for one in study.members]
    words = dict(zip(names, ("identical", "different", "within tolerance"), strict=True))

    def again(ref, **options):
        word = words[ref]
        same = word == "identical"
        weights = shared_bench.registry.resolve(ref).weights
        largest = {"identical": 0.0, "different": None, "within tolerance": 1e-7}[word]
        return Verdict(
            word, ref, weights, weights if same else "0" * 64, largest, [] if same else [("lr", 1, 2)]
        )

    ask = reproduce.reproduce_version
    monkeypatch.setattr(reproduce, "reproduce_version", again)
    verdict = ask(name_of(study.ensemble.final), home=shared_bench.home)
    assert verdict.word == "different" and verdict.largest == 1e-7
    assert verdict.recorded == study.ensemble.final.files != verdict.found
    assert list(verdict.differences) == [(f"{one}: lr", 1, 2) for one in names[1:]]


@pytest.mark.slow
def test_data_that_have_changed_make_every_member_differ(bench):
    study = run_ensemble(bench.experiment(SPLIT, ensemble=2, train={"epochs": 1}), **bench.places)
    bench.x[0] += 1
    bench.write()
    verdict = reproduce_version(study.ensemble.run, home=bench.home)
    assert (verdict.word, verdict.found) == ("different", None)
    assert [field for field, _, _ in verdict.differences] == [
        f"{name_of(one.version)}: data" for one in study.members
    ]
    with pytest.raises(DataError, match="has changed"):
        run_ensemble(spec_of(bench, study.ensemble.run), **bench.places)
