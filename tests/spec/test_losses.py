"""Losses in a spec: by name or with options, and only where they can work."""

import types
from typing import get_args

import pytest

from trainwright.spec.data import DataSpec
from trainwright.spec.edit import edit
from trainwright.spec.experiment import Experiment, _views
from trainwright.spec.faults import find_faults
from trainwright.spec.fields import chosen, describe, fields_of
from trainwright.spec.losses import (
    Composite,
    Huber,
    LossName,
    OwnLoss,
    Share,
    spell_out,
)
from trainwright.spec.model import ModelSpec
from trainwright.spec.part import Use
from trainwright.spec.read import check_tree
from trainwright.spec.train import TrainSpec
from trainwright.spec.write import write_yaml

NAMES = get_args(LossName)


def tree(loss, **model):
    found = {"name": "a", "data": {"path": "a.csv"}, "model": {"architecture": "mlp", **model}}
    return {**found, "train": {"loss": loss}}


def composite(*losses):
    return {"name": "composite", "losses": [{"loss": one, "weight": 2.0} for one in losses]}


def lines(*arguments, **model):
    return [str(fault) for fault in find_faults(tree(*arguments, **model), Experiment)]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stands_for_the_loss_with_its_defaults(name):
    assert spell_out(name) == TrainSpec.model_validate({"loss": {"name": name}}).loss
    assert spell_out(name).name == name
    assert spell_out(spell_out(name)) is not None


def test_what_is_not_decided_cannot_be_spelt_out():
    with pytest.raises(ValueError, match="not decided"):
        spell_out("auto")


@pytest.mark.parametrize(
    ("loss", "line"),
    [
        ("hubr", "train.loss: 'hubr' is not 'cross_entropy', "),
        (3, "train.loss: 3 is not 'cross_entropy', "),
        (None, "train.loss: nothing is given (null); it takes 'cross_entropy', "),
        ({}, "train.loss.name: required field is missing; it takes 'cross_entropy', "),
        ({"name": "hubr"}, "train.loss.name: 'hubr' is not 'cross_entropy', "),
        ({"name": "huber", "delta": 0.0}, "train.loss.delta: 0.0 is not a number > 0"),
        (
            {"name": "huber", "delta": "2"},
            "train.loss.delta: '2' is text; write the number without quotes: 2",
        ),
        ({"name": "huber", "dleta": 2}, "train.loss.dleta: unknown key 'dleta', nearest: 'delta'"),
        ({"name": "mse", "delta": 2}, "train.loss.delta: unknown key 'delta', known: name"),
        ({"name": "mse", "class_weights": "balanced"}, "train.loss.class_weights: unknown key"),
        ({"name": "mse", "label_smoothing": 0.1}, "train.loss.label_smoothing: unknown key"),
        (
            {"name": "cross_entropy", "label_smoothing": 1.0},
            "train.loss.label_smoothing: 1.0 is not a number",
        ),
        ({"name": "cross_entropy", "class_weights": "balance"}, "train.loss.class_weights: 'balance' is not"),
        (
            {"name": "cross_entropy", "class_weights": [1, -1]},
            "train.loss.class_weights.1: -1 is not a number",
        ),
        ({"name": "cross_entropy", "class_weights": [0, 0.0]}, "train.loss.class_weights: no class weighs"),
        ({"name": "focal", "gamma": -1.0}, "train.loss.gamma: -1.0 is not a number >= 0"),
        ({"name": "focal", "class_weights": [0, 0.0]}, "train.loss.class_weights: no class weighs"),
        ({"name": "focal", "alpha": 0.3}, "train.loss.alpha: unknown key"),
        ({"name": "binary_focal", "alpha": 1.0}, "train.loss.alpha: 1.0 is not a number"),
        ("composite", "train.loss: 'composite' is not 'cross_entropy', "),
        ("own", "train.loss: 'own' is not 'cross_entropy', "),
        ({"name": "own"}, "train.loss.use: required field is missing"),
        (
            {"name": "own", "use": "Scale"},
            "train.loss.use: 'Scale' is no code of your own; write module:Name",
        ),
        ({"name": "composite"}, "train.loss.losses: required field is missing"),
        ({"name": "composite", "losses": []}, "train.loss.losses: there is nothing to add"),
        (
            {"name": "composite", "losses": [{"loss": "mse", "weight": 0.0}]},
            "train.loss.losses.0.weight: 0.0 is not a number > 0",
        ),
        (
            {"name": "composite", "losses": [{"loss": {"name": "huber", "dleta": 0.0}}]},
            "train.loss.losses.0.loss.dleta: unknown key 'dleta', nearest: 'delta'",
        ),
        (
            {"name": "composite", "losses": [{"loss": "triplet"}, {"loss": "nt_xent"}]},
            "train.loss.losses.1.loss: 'nt_xent' needs a network of its own",
        ),
        (
            {"name": "composite", "losses": [{"loss": {"name": "composite", "losses": []}}]},
            "train.loss.losses.0.loss.name: 'composite' is not 'cross_entropy', ",
        ),
        (
            composite({"name": "cross_entropy", "class_weights": [1.0, 2.0]}, "focal"),
            "train.loss.losses: class_weights are not the same in all of them",
        ),
        (
            composite({"name": "focal", "class_weights": [1.0, 2.0]}, {"name": "own", "use": "a:B"}),
            "train.loss.losses: class_weights are not the same in all of them",
        ),
        ({"name": "triplet", "margin": 0}, "train.loss.margin: 0 is not a number > 0"),
        (
            {"name": "supervised_contrastive", "temperature": -1.0},
            "train.loss.temperature: -1.0 is not a number > 0",
        ),
    ],
)
def test_a_wrong_loss_gives_one_line_with_the_cure(loss, line):
    (found,) = lines(loss)
    assert found.startswith(line)


def test_a_misspelt_loss_is_told_its_nearest():
    assert lines("hubr")[0].endswith("nearest: 'huber'")


def test_a_loss_says_what_it_takes():
    words = describe(fields_of(TrainSpec)["loss"])
    assert words.startswith("'cross_entropy', ") and words.endswith(
        "'auto' or a mapping with name and options"
    )
    assert chosen(fields_of(TrainSpec)["loss"], {"name": "huber"}) is Huber


@pytest.mark.parametrize(
    ("loss", "model", "line"),
    [
        (
            "mse",
            {"task_type": "classification"},
            "train.loss: 'mse' does not go with task_type 'classification'",
        ),
        ({"name": "huber"}, {"task_type": "embedding"}, "train.loss: 'huber' does not go with task_type"),
        (
            "cross_entropy",
            {"task_type": "multi_label"},
            "train.loss: 'cross_entropy' does not go with task_type",
        ),
        (
            "triplet",
            {"task_type": "regression"},
            "train.loss: 'triplet' does not go with task_type 'regression'",
        ),
        ("mse", {"head": "mean_variance"}, "train.loss: 'mse' does not go with model.head 'mean_variance'"),
        ("gaussian_nll", {"head": "point"}, "train.loss: 'gaussian_nll' does not go with model.head 'point'"),
        (
            {"name": "huber", "delta": 2.0},
            {"head": "quantiles", "quantiles": [0.5], "task_type": "regression"},
            "train.loss: 'huber' does not go with model.head 'quantiles'; write 'quantile' or 'auto'",
        ),
        (
            "auto",
            {"task_type": "segmentation", "head": "mean_variance"},
            "model.head: 'mean_variance' does not go with task_type 'segmentation'",
        ),
        ("nt_xent", {"task_type": "embedding"}, "train.loss: 'nt_xent' compares two augmented views"),
        (
            {"name": "own", "use": "a:B"},
            {"head": "laplace", "task_type": "regression"},
            "train.loss: 'own' does not go with model.head 'laplace'; write 'laplace_nll' or 'auto'",
        ),
        (
            {"name": "own", "use": "a:B"},
            {"task_type": "embedding"},
            "train.loss: an embedding is trained by comparing records, 'own' gives a number for each by itself",
        ),
        (
            composite("mse", "gaussian_nll"),
            {"task_type": "regression"},
            "train.loss: 'gaussian_nll' does not go with model.head 'point'",
        ),
        (
            composite("mae", "mse"),
            {"task_type": "classification"},
            "train.loss: 'mse' does not go with task_type 'classification'",
        ),
        (
            composite("mae", "cross_entropy"),
            {},
            "train.loss: no task is trained by 'mae' and 'cross_entropy' together",
        ),
    ],
)
def test_a_loss_that_cannot_work_is_refused_with_the_reason(loss, model, line):
    assert any(found.startswith(line) for found in lines(loss, **model))


def test_two_views_need_something_that_makes_them_differ():
    def experiment(augment):
        data = types.SimpleNamespace(augment=augment)
        return types.SimpleNamespace(data=data, train=TrainSpec(loss="nt_xent"))

    assert [*_views(experiment([]))] and not [*_views(experiment([Use(use="HorizontalFlip")]))]


def base(loss="auto"):
    return Experiment(
        name="a", data=DataSpec(path="a.csv"), model=ModelSpec(architecture="mlp"), train=TrainSpec(loss=loss)
    )


@pytest.mark.parametrize("loss", ["huber", Huber(name="huber", delta=3.0)])
def test_an_option_can_be_changed_by_path(loss):
    assert edit(base(loss), {"train.loss.delta": 2.0}).train.loss == Huber(name="huber", delta=2.0)


def test_another_name_drops_the_options_of_the_old_one():
    assert edit(base(Huber(name="huber", delta=3.0)), {"train.loss.name": "mae"}).train.loss == spell_out(
        "mae"
    )
    assert edit(base(Huber(name="huber", delta=3.0)), {"train.loss": "mae"}).train.loss == "mae"


SUM = Composite(
    name="composite",
    losses=[
        Share(loss=Huber(name="huber", delta=3.0), weight=0.5),
        Share(loss="mae"),
        Share(loss=OwnLoss(name="own", use="a:B")),
    ],
)


def test_an_option_within_a_sum_can_be_changed_by_path():
    changed = edit(base(SUM), {"train.loss.losses.0.loss.delta": 2.0, "train.loss.losses.1.weight": 4.0})
    assert changed.train.loss.losses[0].loss.delta == 2.0
    assert changed.train.loss.losses[1].weight == 4.0


@pytest.mark.parametrize("loss", ["mae", Huber(name="huber", delta=3.0), SUM])
def test_a_loss_comes_back_from_yaml(loss):
    from trainwright.spec.text import read_text

    text = write_yaml(base(loss))
    assert check_tree(read_text(text).value) == base(loss)
