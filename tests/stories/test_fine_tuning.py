"""A run that begins from the weights of another, and can be repeated whatever happens to tags."""

import numpy as np
import pytest

from stories.conftest import Lab
from trainwright.base.errors import SpecError
from trainwright.experiment import resume_run, run_experiment
from trainwright.model_op import load_model
from trainwright.plan import make_plan
from trainwright.report.page import render_run
from trainwright.reproduce import reproduce_version
from trainwright.spec.read import read_experiment
from trainwright.store.registry import Registry
from trainwright.store.run import LocalRun
from trainwright.store.store import Store

pytest.importorskip("torch")

STILL = "train.optimizer={name: sgd, lr: 1e-30}"  # what was taken is still there at the end


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A folder where `parent` was trained on three classes; `wide.npz` has five, `named.npz` has other three."""
    lab = Lab(tmp_path_factory.mktemp("tuning"))
    np.savez(lab.folder / "wide.npz", x=lab.x, y=lab.y + 2 * (lab.x[:, 2] > 3))
    np.savez(lab.folder / "named.npz", x=lab.x, y=lab.y + 5)
    np.savez(lab.folder / "far.npz", x=10 * lab.x + 7, y=lab.y)
    np.savez(lab.folder / "narrow.npz", x=lab.x[:, :3], y=lab.y)
    train(lab, "name=parent", "train.epochs=20")
    return lab


def train(lab, *changes):
    document = read_experiment(lab.file, changes=list(changes))
    return run_experiment(document.experiment, folder=document.folder, home=lab.home)


def tune(lab, *changes, ref="parent@20"):
    return train(lab, "name=tuned", "train.epochs=1", f"train.init_from={ref}", *changes)


def registry_of(lab):
    return Registry(Store.open(lab.home))


def refuse(lab, *changes, ref="parent@20"):
    before = registry_of(lab).runs()
    with pytest.raises(SpecError) as caught:
        tune(lab, *changes, ref=ref)
    assert registry_of(lab).runs() == before, "nothing is recorded"
    return str(caught.value)


def test_a_first_epoch_is_much_better_when_it_begins_from_trained_weights(lab):
    tuned, fresh = tune(lab), train(lab, "name=fresh", "train.epochs=1")
    loss, scratch = tuned.final.metrics["val/loss"], fresh.final.metrics["val/loss"]
    assert loss < 0.6 * scratch
    assert tuned.final.weights != fresh.final.weights


@pytest.mark.parametrize("backend", ["torch", "equinox"])
def test_every_weight_is_that_of_the_parent_on_either_backend(lab, backend):
    registry = registry_of(lab)
    tuned = tune(lab, STILL, f"train.backend={backend}")
    before, after = (registry.weights(row) for row in (registry.resolve("parent@20"), tuned.final))
    assert before.keys() == after.keys()
    for name in before:
        if "running" not in name:  # batch statistics go on moving
            np.testing.assert_array_equal(after[name], before[name], err_msg=name)


def test_a_new_head_is_drawn_for_other_classes_and_the_rest_is_taken(lab):
    registry, wide = registry_of(lab), "data.path=wide.npz"
    tuned = tune(lab, STILL, wide, "train.new_head=true")
    fresh = train(lab, STILL, wide, "name=fresh", "train.epochs=1")
    before, after, scratch = (
        registry.weights(row) for row in (registry.resolve("parent@20"), tuned.final, fresh.final)
    )
    assert after["output.weight"].shape == (5, 8)
    for name in ("output.weight", "output.bias"):
        np.testing.assert_array_equal(after[name], scratch[name])
    for name in ("dense_0.weight", "dense_1.weight", "norm_0.weight"):
        np.testing.assert_array_equal(after[name], before[name])
        assert name == "norm_0.weight" or not np.array_equal(after[name], scratch[name])
    assert set(load_model(tuned.run, home=lab.home)(lab.x).tolist()) <= {0, 1, 2, 3, 4}


def test_a_new_head_is_drawn_though_the_old_one_would_fit(lab):
    registry = registry_of(lab)
    kept, drawn = (
        registry.weights(tune(lab, STILL, f"train.new_head={flag}").final) for flag in ("false", "true")
    )
    assert not np.array_equal(kept["output.weight"], drawn["output.weight"])


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (
            ["data.path=wide.npz"],
            ["parent@20 tells the classes 0, 1, 2, these data have 0, 1, 2, 3, 4", "train.new_head: true"],
        ),
        (
            ["data.path=named.npz"],
            ["tells the classes 0, 1, 2, these data have 5, 6, 7", "train.new_head: true"],
        ),
        (
            ["model.hidden_dims=[32, 8]"],
            [
                "dense_0.weight has the shape (16, 4) there, (32, 4) here",
                "model.hidden_dims is [16, 8] there, [32, 8] here",
            ],
        ),
        (["model.hidden_dims=[16]"], ["dense_1.weight has the shape (8, 16) there, none here"]),
        (["model.normalization=none"], ["dense_0.bias", "and 4 more", "model.normalization is batch there"]),
        (["model.architecture=cnn"], ["model.architecture is mlp there, cnn here"]),
        (["data.path=narrow.npz"], ["dense_0.weight has the shape (16, 4) there, (16, 3) here"]),
        (
            ["data.path=narrow.npz", "train.keep_preparation=true", "data.operators=[]"],
            ["train.keep_preparation", "arrays of shape (4,)", "arrays of shape (3,)"],
        ),
        (
            ["data.operators=[{use: MinMax}]", "train.keep_preparation=true"],
            ["data.operators: train.keep_preparation takes those of parent@20"],
        ),
        ([f"train.init_weights={'a' * 64}"], ["train.init_weights: parent@20 has the weights"]),
        (["model.task_type=regression"], ["was trained for classification, this is regression"]),
    ],
    ids=lambda value: value[0][:40],
)
def test_what_does_not_fit_is_refused_with_its_name_and_the_cure(lab, changes, parts):
    told = refuse(lab, *changes)
    for part in parts:
        assert part in told


def test_an_output_of_another_shape_is_refused_with_both_shapes(lab):
    told = refuse(lab, "data.path=wide.npz", "model.task_type=regression", ref="parent@20")
    assert "new_head" in told
    train(lab, "name=pair", "train.epochs=1", "model.task_type=regression")
    np.savez(lab.folder / "pair.npz", x=lab.x, y=lab.x[:, :2])
    told = refuse(lab, "data.path=pair.npz", "data.split.method=random", ref="pair")
    assert "output.weight has the shape (1, 8) there, (2, 8) here" in told
    assert "write train.new_head: true" in told


@pytest.mark.parametrize(
    ("ref", "why"),
    [
        ("nobody", "train.init_from: there is no model, run or digest 'nobody'"),
        ("parent@3", "train.init_from: parent@3 is version 3 of parent, which retention has collected"),
        ("parent@99", "train.init_from: "),
    ],
)
def test_a_version_that_is_not_there_is_refused(lab, ref, why):
    assert refuse(lab, ref=ref).startswith(why)


@pytest.mark.parametrize("field", ["new_head=true", "keep_preparation=true", "init_weights=abc"])
def test_what_means_nothing_without_a_parent_is_refused(lab, field):
    with pytest.raises(SpecError, match=f"train.{field.partition('=')[0]}: it needs init_from"):
        train(lab, f"train.{field}")


def test_the_preparation_is_fitted_anew_unless_it_is_kept(lab):
    far = ["data.path=far.npz"]
    means = []
    kept = "train.keep_preparation=true"
    for more in ([], [kept], [kept, "data.operators=[]"], [kept, "data.operators=auto"]):
        model = load_model(tune(lab, *far, *more).run, home=lab.home)
        means.append(model.preparation.inputs.steps[0].mean)
    parent = load_model("parent", home=lab.home).preparation.inputs.steps[0].mean
    np.testing.assert_allclose(means[0], 10 * parent + 7, rtol=1e-5)
    np.testing.assert_array_equal(means[1], parent)
    np.testing.assert_array_equal(means[2], parent)
    np.testing.assert_array_equal(means[3], parent)


def test_the_preparation_of_a_table_is_kept_column_by_column(lab):
    table = {"a": lab.x[:, 0], "kind": np.where(lab.x[:, 1] > 0, "u", "v"), "y": lab.y}
    for name, factor in (("near", 1.0), ("wide-apart", 9.0)):
        rows = [f"{factor * a},{kind},{y}" for a, kind, y in zip(*table.values(), strict=True)]
        (lab.folder / f"{name}.csv").write_text("\n".join(["a,kind,y", *rows]))
    near = ["data.path=near.csv", "data.target=y", "data.operators=auto"]
    parent = train(lab, "name=tabular", "train.epochs=1", *near)
    registry = registry_of(lab)
    before = registry.operator(registry.resolve(parent.run))["preparation"]["inputs"]
    for keep in (True, False):
        other = [*near, "data.path=wide-apart.csv", f"train.keep_preparation={str(keep).lower()}"]
        run = tune(lab, *other, ref=parent.run).run
        now = registry.operator(registry.resolve(run))["preparation"]["inputs"]
        assert (now == before) is keep
        columns = registry.spec(registry.run(run))["data"]["columns"]
        assert [one["use"] for column in columns for one in column["operators"]] == ["Standardize", "OneHot"]
        assert reproduce_version(run, home=lab.home).word == "identical"


def test_the_columns_of_a_table_keep_their_preparation_and_the_spec_says_which(lab):
    def write(scale):
        rows = [
            f"{scale * a},{'north' if b > 3 else 'south'},{y}"
            for (a, b, *_), y in zip(lab.x, lab.y, strict=True)
        ]
        (lab.folder / "t.csv").write_text("\n".join(["a,side,y", *rows]) + "\n")

    write(1.0)
    table = ["data.path=t.csv", "data.target=y", "data.operators=auto", "train.epochs=1"]
    train(lab, "name=scaled", *table, "data.columns=[{name: a, operators: [{use: MinMax}]}]")
    registry, found = registry_of(lab), []
    write(9.0)
    for more in (["train.keep_preparation=true"], []):
        tuned = tune(lab, *table, *more, ref="scaled").run
        columns = registry.spec(registry.run(tuned))["data"]["columns"]
        found.append((load_model(tuned, home=lab.home).preparation.inputs.spec, columns[0]["operators"]))
        assert reproduce_version(tuned, home=lab.home).word == "identical"
    (kept, said), (fitted, usual) = found
    assert kept == load_model("scaled", home=lab.home).preparation.inputs.spec != fitted
    assert said == [{"use": "MinMax", "args": {}}] and usual == [{"use": "Standardize", "args": {}}]
    told = refuse(
        lab, *table, "train.keep_preparation=true", "data.columns=[{name: a, operators: []}]", ref="scaled"
    )
    assert told.startswith("data.columns.0.operators: train.keep_preparation takes those of scaled@1")


def test_kept_classes_may_be_more_than_the_data_have(lab):
    few = lab.y < 2
    np.savez(lab.folder / "few.npz", x=lab.x[few], y=lab.y[few])
    assert "these data have 0, 1" in refuse(lab, "data.path=few.npz")
    model = load_model(tune(lab, "data.path=few.npz", "train.keep_preparation=true").run, home=lab.home)
    assert model.preparation.targets.values == (0, 1, 2)


def test_the_spec_names_the_version_for_good_and_a_moved_tag_changes_nothing(lab):
    registry = registry_of(lab)
    registry.tag("parent@20", "production")
    digest = registry.resolve("parent@20").weights
    first = tune(lab, ref="parent@production")
    by_digest, by_run = tune(lab, ref=digest[:12]), tune(lab, ref=registry.resolve("parent@20").run)
    assert first.final.weights == by_digest.final.weights == by_run.final.weights
    pinned = registry.spec(registry.run(first.run))["train"]
    assert (pinned["init_from"], pinned["init_weights"]) == ("parent@20", digest)

    registry.tag("parent@19", "production")
    verdict = reproduce_version(first.run, home=lab.home)
    assert (verdict.word, list(verdict.differences)) == ("identical", [])
    assert tune(lab, ref="parent@production").final.weights != first.final.weights


def test_a_tuned_run_that_was_cut_is_resumed_exactly_after_the_tag_moved(lab, monkeypatch):
    registry = registry_of(lab)
    registry.tag("parent@20", "chosen")
    whole = tune(lab, "train.epochs=4", ref="parent@chosen")
    save = LocalRun.save

    def save_and_fall(self, snapshot):
        version = save(self, snapshot)
        if snapshot.epoch == 2:
            version.wait()
            raise KeyboardInterrupt
        return version

    monkeypatch.setattr(LocalRun, "save", save_and_fall)
    with pytest.raises(KeyboardInterrupt):
        tune(lab, "train.epochs=4", ref="parent@chosen")
    monkeypatch.undo()
    registry.tag("parent@19", "chosen")
    cut = registry.runs(state="failed")[-1].id
    assert resume_run(cut, home=lab.home).final.weights == whole.final.weights


def test_a_branch_of_a_tuned_run_is_repeated_too(lab):
    tuned = tune(lab)
    longer = resume_run(tuned.run, home=lab.home, epochs=2)
    registry = registry_of(lab)
    assert tuned.run in registry.fine_tunings() and longer.run not in registry.fine_tunings()
    assert reproduce_version(longer.run, home=lab.home).word == "identical"


def test_the_parent_is_shown_everywhere_and_stays(lab):
    tuned = tune(lab)
    registry = registry_of(lab)
    parent = registry.resolve("parent@20")
    assert registry.fine_tunings()[tuned.run] == parent.id
    assert "fine-tuned from" in render_run(registry, tuned.run)
    shown = lab.json("show", tuned.run)
    assert shown["fine tuned from"] == "parent@20"
    assert lab.json("show", "parent")["fine tuned from"] is None
    found = lab.json("lineage", tuned.run)
    assert found["fine_tuned_from"] == [[f"version:{parent.id}", f"run:{tuned.run}"]]
    assert f"version parent@20  ->  run {tuned.run} (done)  (fine-tuned)" in lab.call("lineage", tuned.run)
    assert '"fine_tuned_from"' in lab.call("show", tuned.run, "--artifact", "prov.json")


def test_the_plan_says_how_much_is_taken(lab):
    document = read_experiment(lab.file, changes=["train.init_from=parent", "train.new_head=true"])
    plan = make_plan(document.experiment, document.folder, home=lab.home)
    assert plan.why["train.init_from"] == "10 of 12 arrays of parent@20 are taken"
