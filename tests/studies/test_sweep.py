"""What a sweep is asked for, and which member it calls the best."""

import math
import re
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from trainwright.base.errors import SpecError
from trainwright.cli.app import app
from trainwright.cli.study import _show_sweep as show_sweep
from trainwright.spec.write import write_yaml
from trainwright.studies.comparing import differing_losses
from trainwright.studies.members import Engine, Finished, Member
from trainwright.studies.sweep import SweepStudy, parse_sweep, run_sweep

LR = "train.optimizer.lr"


@pytest.mark.parametrize(
    ("text", "path", "values"),
    [
        ("train.optimizer.lr=1e-4,3e-4, 1e-3", LR, [1e-4, 3e-4, 1e-3]),
        ("seed=0,1", "seed", [0, 1]),
        ("model.hidden_dims=[8],[8, 4]", "model.hidden_dims", [[8], [8, 4]]),
        ("model.activation=relu,tanh", "model.activation", ["relu", "tanh"]),
    ],
)
def test_a_sweep_is_read_as_a_field_and_its_values(text, path, values):
    assert parse_sweep(text) == (path, values)


@pytest.mark.parametrize("text", ["lr", "=1,2", "train.epochs=", "train.epochs=[1"])
def test_what_is_no_sweep_is_refused(text):
    with pytest.raises(SpecError, match=r"^--sweep "):
        parse_sweep(text)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({LR: [0.1]}, "nothing to compare"),
        ({}, "nothing to compare"),
        ({LR: []}, "nothing to compare"),
        ({LR: [0.1, 0.2, 0.1]}, r"lr 0\.1 is there twice"),
        ({"train.optimizer.rate": [0.1, 0.2]}, r"^--sweep train.optimizer.rate: unknown field 'rate'"),
        ({LR: [0.1, -1.0]}, f"^--sweep {LR}: "),
    ],
)
def test_a_wrong_sweep_is_refused_before_anything_is_written(bench, values, text):
    with pytest.raises(SpecError, match=text):
        run_sweep(bench.experiment(), values=values, **bench.places)
    assert not bench.home.exists()


def test_a_test_split_that_is_not_there_cannot_be_looked_at(bench):
    with pytest.raises(SpecError, match=r"data\.split\.test: there is no test split"):
        run_sweep(bench.experiment(), values={LR: [0.1, 0.2]}, test=True, **bench.places)


@pytest.mark.parametrize(
    ("mode", "found", "best"),
    [
        ("min", [0.3, 0.1, 0.2], 1),
        ("max", [0.3, 0.1, 0.2], 0),
        ("min", [math.nan, 0.4, None], 1),  # one that diverged, and one that was never measured
        ("min", [math.nan, None], None),
    ],
)
def test_the_best_member_is_the_one_with_the_best_version(bench, mode, found, best):
    spec = bench.experiment(train={"best": {"metric": "val/loss", "mode": mode}})
    members = tuple(
        Finished(
            Member(f"m{place}", spec),
            SimpleNamespace(run="r"),
            SimpleNamespace(model="tiny", number=place, metrics={} if value is None else {"val/loss": value}),
            False,
            {},
        )
        for place, value in enumerate(found)
    )
    study = SweepStudy("0" * 12, members, Engine("sequential", ""), tuple({} for _ in found), mode=mode)
    assert study.best is (None if best is None else members[best])
    told = None if best is None else f"tiny@{best}"  # `tiny@best` is that of the run that finished last
    assert study.tree()["best_version"] == told


def spec_of(loss, *, quantiles=None, target_operators=()):
    return {
        "train": {"loss": loss},
        "model": {"quantiles": quantiles},
        "data": {"target_operators": list(target_operators)},
    }


def sum_of(weight):
    parts = [{"loss": "mse", "weight": 1.0}, {"loss": {"name": "huber", "delta": 1.0}, "weight": weight}]
    return {"name": "composite", "losses": parts}


SMOOTHED = {"name": "cross_entropy", "label_smoothing": 0.1, "class_weights": None}


@pytest.mark.parametrize(
    ("one", "other", "val", "train"),
    [
        (spec_of("mse"), spec_of("mse"), [], []),
        (spec_of("mse"), spec_of("gaussian_nll"), ["train.loss"], ["train.loss"]),
        (spec_of(sum_of(1.0)), spec_of(sum_of(2.0)), ["train.loss"], ["train.loss"]),
        (
            spec_of("cross_entropy"),
            spec_of("focal"),
            [],
            ["train.loss"],
        ),  # of classes, the plain loss is measured
        (spec_of("cross_entropy"), spec_of(SMOOTHED), [], ["train.loss"]),
        (spec_of("cross_entropy"), spec_of("mse"), ["train.loss"], ["train.loss"]),
        (
            spec_of("quantile", quantiles=[0.1, 0.5]),
            spec_of("quantile", quantiles=[0.4, 0.5]),
            ["model.quantiles"],
            ["model.quantiles"],
        ),
        (
            spec_of("mse", target_operators=[{"use": "Standardize"}]),
            spec_of("mse"),
            ["data.target_operators"],
            ["data.target_operators"],
        ),
    ],
)
def test_losses_that_are_no_common_measure_are_told_by_their_fields(one, other, val, train):
    assert differing_losses([one, one, other], plain=True) == val
    assert differing_losses([one, one, other], plain=False) == train


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            {"train.loss": ["mse", "mae"]},
            "val/loss is another measure for each, by train.loss; choose a metric",
        ),
        ({"train.loss": ["mse", "mae"], "train.best.metric": ["val/rmse"]}, None),
        ({"model.head": ["point", "mean_variance"]}, "val/loss is another measure for each, by train.loss;"),
        ({"data.split.seed": [0, 1]}, "val is not the same records for all"),
        ({"train.best.mode": ["min", "max"]}, "train.best is not the same for all"),
        ({"model.hidden_dims": [[8], [4]]}, None),
    ],
    ids=str,
)
def test_members_that_cannot_be_compared_name_no_best_one(bench, capsys, values, says):
    pytest.importorskip("torch")
    split = {"method": "random", "val": 0.3, "test": 0.0}
    experiment = bench.experiment(
        split,
        data={"target": "value"},
        model={"task_type": "regression"},
        train={"epochs": 1, "callbacks": []},
    )
    study = run_sweep(experiment, values=values, engine="sequential", **bench.places)
    show_sweep(study)
    told = capsys.readouterr()
    if says is None:
        assert study.incomparable is None and study.best in study.members and "best     " in told.out
    else:
        assert study.incomparable.startswith(says) and study.tree()["incomparable"] == study.incomparable
        assert study.best is None and f"no best one is named: {says}" in told.err


def test_the_command_sweeps_over_every_combination(bench):
    pytest.importorskip("torch")
    file = bench.folder / "tiny.yaml"
    split = {"method": "stratified", "val": 0.2, "test": 0.2}
    file.write_text(write_yaml(bench.experiment(split, train={"epochs": 1})))
    command = ["study", str(file), "--store", str(bench.home), "-q"]
    values = ["--sweep", f"{LR}=0.01,0.1", "--sweep", "seed=0,1"]
    done = CliRunner().invoke(app, [*command, *values, "--test"])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[1:5]] == [
        "lr 0.01, seed 0",
        "lr 0.01, seed 1",
        "lr 0.1, seed 0",
        "lr 0.1, seed 1",
    ]
    versions = {line.split("  ")[0]: line.split()[4] for line in lines[1:5]}
    assert "test/accuracy" in lines[0]
    word, name, version = re.fullmatch(r"(best) +(.*): (tiny@\d+)", lines[5]).groups()
    assert versions[name] == version
    assert lines[6] == "engine   vectorised: 4 members are one program"
    assert len(bench.registry.runs()) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        ["--engine", "fast"],
        ["--seeds", "2", "--sweep", "seed=0,1"],
        ["--sweep", "seed=0,1", "--sweep", "seed=2"],
    ],
)
def test_options_that_contradict_one_another_are_refused(bench, wrong):
    file = bench.folder / "tiny.yaml"
    file.write_text(write_yaml(bench.experiment()))
    done = CliRunner().invoke(app, ["study", str(file), "--store", str(bench.home), *wrong])
    assert done.exit_code != 0
    assert not bench.home.exists()
