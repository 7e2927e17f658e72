"""Cross-validation with real runs: which records, by which model, with which score."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics
from typer.testing import CliRunner

from trainwright.base.errors import DataError, SpecError
from trainwright.cli.app import app
from trainwright.data.dataset import open_dataset
from trainwright.experiment import run_experiment
from trainwright.model_op import ModelOp
from trainwright.registration import register_dataset
from trainwright.spec.edit import edit
from trainwright.spec.experiment import Experiment
from trainwright.spec.read import check_tree
from trainwright.spec.write import write_yaml
from trainwright.studies.ensemble import run_ensemble
from trainwright.studies.folds import run_folds

pytest.importorskip("torch")
SPLIT = {"method": "stratified_kfold", "folds": 3, "fold": 1, "test": 0.2}


@pytest.fixture(scope="module")
def study(shared_bench):
    return run_folds(shared_bench.experiment(SPLIT), **shared_bench.places)


def splits_of(bench, run):
    spec = Experiment.model_validate(bench.registry.spec(bench.registry.run(run)))
    return spec.data.split.fold, open_dataset(spec.data, folder=bench.folder).splits


def test_every_record_outside_test_is_predicted_once_by_a_model_that_has_not_seen_it(shared_bench, study):
    found = study.out_of_fold
    _, splits = splits_of(shared_bench, study.members[0].trained.run)
    assert len(splits["test"]) == 12
    assert found.records.tolist() == sorted(set(range(60)) - set(splits["test"].tolist()))
    for number, one in enumerate(study.members):
        assert one.member.name == f"fold {number}"
        fold, splits = splits_of(shared_bench, one.trained.run)
        own = found.records[found.folds == number]
        assert fold == number
        assert own.tolist() == splits["val"].tolist()
        assert not np.isin(own, splits["train"]).any()
        model = ModelOp.load(shared_bench.registry, f"tiny@{one.version.number}")
        np.testing.assert_allclose(
            found.predictions.outputs["logits"][found.folds == number],
            model.outputs(shared_bench.x[own])["logits"],
            rtol=1e-5,
            atol=1e-6,
        )


def test_the_pooled_scores_are_those_of_scikit_learn(shared_bench, study):
    found = study.out_of_fold
    true, logits = shared_bench.y[found.records], found.predictions.outputs["logits"]
    chances = softmax(logits.astype(np.float64), axis=1)
    expected = {
        "accuracy": metrics.accuracy_score(true, logits.argmax(1)),
        "macro_f1": metrics.f1_score(true, logits.argmax(1), average="macro"),
        "loss": metrics.log_loss(true, chances),
        "roc_auc": metrics.roc_auc_score(true, chances, multi_class="ovr"),
    }
    assert {name: found.scores[name]["value"] for name in expected} == pytest.approx(expected, rel=1e-6)
    assert found.scores["accuracy"]["low"] < expected["accuracy"] < found.scores["accuracy"]["high"]


def test_the_summary_is_that_of_the_scores_of_the_folds(shared_bench, study):
    found, each = study.out_of_fold, []
    for number, one in enumerate(study.members):
        own = found.folds == number
        said = found.predictions.outputs["logits"][own].argmax(1)
        each.append(metrics.accuracy_score(shared_bench.y[found.records[own]], said))
        assert one.metrics["val/accuracy"] == pytest.approx(each[-1])
    spread = study.summary()["val/accuracy"]
    assert (spread.mean, spread.std, spread.stderr) == pytest.approx(
        (np.mean(each), np.std(each, ddof=1), np.std(each, ddof=1) / np.sqrt(3))
    )


def test_folds_differ(study):
    assert len({one.version.weights for one in study.members}) == 3
    assert len({one.metrics["val/loss"] for one in study.members}) == 3


def test_another_call_trains_nothing_and_finds_the_same(shared_bench, study):
    before = len(shared_bench.registry.runs())
    again = run_folds(shared_bench.experiment({**SPLIT, "fold": 2}), **shared_bench.places)
    assert len(shared_bench.registry.runs()) == before
    assert [one.recorded for one in again.members] == [True] * 3
    assert again.id == study.id
    assert again.out_of_fold.scores == study.out_of_fold.scores
    assert again.summary() == study.summary()


def test_plain_values_tell_what_was_found(study):
    tree = study.tree()
    assert tree["study"] == study.id and [one["name"] for one in tree["members"]] == [
        "fold 0",
        "fold 1",
        "fold 2",
    ]
    assert tree["members"][1]["run"] == study.members[1].trained.run
    assert tree["members"][1]["version"] == study.members[1].version.number
    assert tree["summary"]["val/loss"]["mean"] == pytest.approx(
        np.mean([one["metrics"]["val/loss"] for one in tree["members"]])
    )
    assert tree["out_of_fold"] == {"records": 48, "scores": study.out_of_fold.scores}


def test_the_test_split_is_looked_at_only_when_asked_and_once(bench):
    spec = bench.experiment(SPLIT)
    unseen = run_folds(spec, **bench.places)
    runs = [one.trained.run for one in unseen.members]
    assert [len(bench.registry.looks(run)) for run in runs] == [0, 0, 0]
    assert not any(name.startswith("test/") for one in unseen.members for name in one.metrics)
    assert not any(one.name.startswith("test/") for run in runs for one in bench.registry.artifacts(run))

    for _ in range(2):
        seen = run_folds(spec, test=True, **bench.places)
        assert [one.trained.run for one in seen.members] == runs
        assert [len(bench.registry.looks(run)) for run in runs] == [1, 1, 1]
    _, splits = splits_of(bench, runs[0])
    each = []
    for one in seen.members:
        said = ModelOp.load(bench.registry, f"tiny@{one.version.number}")(bench.x[splits["test"]])
        each.append(metrics.accuracy_score(bench.y[splits["test"]], said))
        assert one.metrics["test/accuracy"] == pytest.approx(each[-1])
    assert seen.summary()["test/accuracy"].mean == pytest.approx(np.mean(each))
    # What a run keeps of a look is the same, whenever it was taken.
    whole = run_experiment(spec, **bench.places)
    kept = {one.name for one in bench.registry.artifacts(whole.run) if one.name.startswith("test/")}
    assert kept == {one.name for one in bench.registry.artifacts(runs[1]) if one.name.startswith("test/")}
    assert whole.scores.keys() == seen.members[1].trained.scores.keys()
    assert whole.scores["test/loss"]["value"] == pytest.approx(seen.members[1].metrics["test/loss"])
    assert "test" in seen.members[1].trained.report.read_text()
    # Asked from the start, the look is that of the run itself; not asked, a recorded score is not shown.
    assert not any("test/" in name for name in run_folds(spec, **bench.places).summary())
    assert len(bench.registry.looks(whole.run)) == 1


def test_asked_from_the_start_each_run_looks_once(bench):
    spec = bench.experiment({**SPLIT, "folds": 2})
    study = run_folds(spec, test=True, **bench.places)
    assert [len(bench.registry.looks(one.trained.run)) for one in study.members] == [1, 1]
    assert all("test/accuracy" in one.metrics for one in study.members)


def test_a_regression_is_pooled_in_the_unit_of_the_data(bench):
    spec = bench.experiment(
        {"method": "kfold", "folds": 2, "fold": 0},
        data={"target": "value", "target_operators": [{"use": "Standardize"}], "weight": "weight"},
        model={"head": "mean_variance"},
        train={"epochs": 20},
    )
    found = run_folds(spec, **bench.places).out_of_fold
    assert found.records.tolist() == list(range(60))
    said = found.predictions.outputs["y"]
    assert abs(said.mean() - bench.value.mean()) < 60, "not in the unit of the data"
    expected = {
        "rmse": metrics.root_mean_squared_error(bench.value, said[:, 0], sample_weight=bench.weight),
        "mae": metrics.mean_absolute_error(bench.value, said[:, 0], sample_weight=bench.weight),
        "r2": metrics.r2_score(bench.value, said[:, 0], sample_weight=bench.weight),
    }
    assert {name: found.scores[name]["value"] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert found.predictions.outputs["variance"].mean() > 1, "squared units of the data"


def test_a_group_is_never_split(bench):
    spec = bench.experiment({"method": "grouped_kfold", "folds": 3, "fold": 0, "by": "group"})
    found = run_folds(spec, **bench.places).out_of_fold
    for group in np.unique(bench.group):
        assert len(set(found.folds[bench.group[found.records] == group].tolist())) == 1
    assert set(found.folds.tolist()) == {0, 1, 2}


def test_embeddings_of_different_folds_are_not_put_together(bench):
    spec = bench.experiment(
        {"method": "stratified_kfold", "folds": 2, "fold": 0},
        model={"task_type": "embedding", "output_dim": 4},
        train={"loss": "supervised_contrastive", "epochs": 1},
    )
    study = run_folds(spec, **bench.places)
    assert study.out_of_fold is None and study.tree()["out_of_fold"] is None
    assert "val/loss" in study.summary()


def test_a_fold_that_was_run_on_its_own_is_not_trained_again(bench):
    spec = bench.experiment()
    alone = run_experiment(edit(spec, {"data.split.fold": 2}), **bench.places)
    study = run_folds(spec, **bench.places)
    assert [one.recorded for one in study.members] == [False, False, True]
    assert study.members[2].trained.run == alone.run


def test_a_registered_dataset_brings_its_folds(bench):
    file = bench.folder / "experiment.yaml"
    file.write_text(write_yaml(bench.experiment()))
    register_dataset(bench.home, "mine", file)
    bare = check_tree(
        {
            "name": "tiny",
            "data": {"dataset": "mine"},
            "model": {"architecture": "mlp"},
            "train": {"backend": "torch", "epochs": 1},
        }
    )
    study = run_folds(bare, **bench.places)
    assert len(study.members) == 3 and study.out_of_fold.records.tolist() == list(range(60))


@pytest.mark.parametrize("method", ["random", "stratified", "given"])
def test_a_split_without_folds_is_refused(bench, method):
    given = {"train": list(range(40)), "val": list(range(40, 60))} if method == "given" else {}
    with pytest.raises(SpecError, match=rf"data.split.method: '{method}' has no folds; write kfold, "):
        run_folds(bench.experiment({"method": method, **given}), **bench.places)
    assert not bench.home.exists()


def test_a_test_split_that_is_not_there_is_refused(bench):
    with pytest.raises(SpecError, match=r"data\.split\.test: there is no test split"):
        run_folds(bench.experiment(), test=True, **bench.places)
    assert not bench.home.exists()


def test_a_fold_that_cannot_be_trained_is_found_before_the_first_is(bench):
    bench.y[:] = np.arange(60) % 2
    spec = bench.experiment({"method": "kfold", "folds": 3, "fold": 0})
    last = open_dataset(edit(spec, {"data.split.fold": 2}).data, folder=bench.folder).splits["val"]
    bench.y[last[0]] = 7  # the only record of its class
    bench.write()
    with pytest.raises(DataError, match=r"fold 2: data\.split\.val: 1 of its records are of a class"):
        run_folds(spec, **bench.places)
    assert not bench.home.exists()


def test_an_ensemble_of_folds_need_not_name_one_and_is_the_study_that_names_it(bench):
    split = {"method": "kfold", "folds": 2}
    unnamed = bench.experiment(split, ensemble="folds", train={"epochs": 1})
    first = run_ensemble(unnamed, **bench.places)
    assert [one.member.experiment.data.split.fold for one in first.members] == [0, 1]
    named = bench.experiment({**split, "fold": 1}, train={"epochs": 1})
    again = run_folds(named, **bench.places)
    assert again.id == first.id and all(one.recorded for one in again.members)
    file = bench.folder / "tiny.yaml"
    file.write_text(write_yaml(unnamed))
    done = CliRunner().invoke(app, ["run", str(file), "--store", str(bench.home), "--dry-run"])
    assert done.exit_code == 0 and "ensemble  2 members, one for each fold" in done.stderr, done.output
    with pytest.raises(DataError, match=r"data\.split\.fold: it is missing; say which"):
        open_dataset(unnamed.data, folder=bench.folder)  # and not that nothing is in val


def test_targets_that_an_ensemble_would_hide_are_refused_before_the_first_fold(bench):
    data = {"target": ["value", "value.disagreement"]}
    with pytest.raises(SpecError, match=r"would be called 'value\.disagreement'; rename one"):
        run_folds(bench.experiment(data=data), **bench.places)
    with pytest.raises(SpecError, match=r"data\.target: two columns .* 'value\.disagreement'; rename one"):
        bench.experiment(data=data, ensemble=2)
    assert not bench.home.exists()
