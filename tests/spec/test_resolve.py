"""What is decided when the data are known: loss, class weights, routines."""

import pytest

from trainwright.base.errors import SpecError
from trainwright.spec.data import DataSpec
from trainwright.spec.experiment import Experiment
from trainwright.spec.losses import BinaryCrossEntropy, CrossEntropy, Huber
from trainwright.spec.model import ModelSpec
from trainwright.spec.resolve import Facts, resolve
from trainwright.spec.train import TrainSpec

OUTPUT = {"embedding": None, "segmentation": (3, 8, 8)}


def experiment(loss="auto", **model):
    spec = ModelSpec(**{"architecture": "mlp", **model})
    return Experiment(name="a", data=DataSpec(path="a.csv"), model=spec, train=TrainSpec(loss=loss))


def facts(task_type, **more):
    known = {
        "input_shape": (1, 8, 8) if task_type == "segmentation" else (4,),
        "output_shape": OUTPUT.get(task_type, (3,)),
        "task_type": task_type,
        "content_digest": "0" * 64,
        "features": ["a"],
        "target": "y",
        "installed": ("torch",),
        "threads": {},
    }
    return Facts(**{**known, **more})


@pytest.mark.parametrize(
    ("task_type", "model", "loss", "routine"),
    [
        ("classification", {}, "cross_entropy", "ClassificationScores"),
        ("multi_label", {}, "binary_cross_entropy", "MultiLabelScores"),
        ("segmentation", {"architecture": "unet"}, "cross_entropy", "SegmentationScores"),
        ("regression", {}, "mse", "RegressionScores"),
        ("regression", {"head": "mean_variance"}, "gaussian_nll", "RegressionScores"),
        ("regression", {"head": "quantiles", "quantiles": [0.5]}, "quantile", "RegressionScores"),
        ("embedding", {}, "supervised_contrastive", "EmbeddingScores"),
    ],
)
def test_loss_and_routine_go_by_task_and_head(task_type, model, loss, routine):
    resolved, _ = resolve(experiment(**model), facts(task_type))
    assert resolved.train.loss == loss and [one.use for one in resolved.train.routines] == [routine]
    again, _ = resolve(resolved, facts(task_type))
    assert again == resolved


@pytest.mark.parametrize("asked", ["auto", 5])
def test_an_embedding_is_as_long_as_it_is_asked_to_be(asked):
    resolved, _ = resolve(experiment(output_dim=asked), facts("embedding"))
    assert resolved.model.output_dim == (16 if asked == "auto" else 5)


def test_records_without_a_target_are_learnt_from_alone():
    resolved, why = resolve(experiment(), facts("embedding", has_target=False))
    assert resolved.train.loss == "reconstruction" and "no target" in why["train.loss"]
    with pytest.raises(SpecError, match=r"train\.loss: 'triplet' compares classes, and there is no target"):
        resolve(experiment("triplet"), facts("embedding", has_target=False))


@pytest.mark.parametrize(
    "loss",
    [
        CrossEntropy(name="cross_entropy", class_weights="balanced"),
        BinaryCrossEntropy(name="binary_cross_entropy", class_weights="balanced"),
    ],
)
def test_balanced_weights_become_numbers(loss):
    task = "classification" if loss.name == "cross_entropy" else "multi_label"
    resolved, why = resolve(experiment(loss), facts(task, class_weights=(0.5, 1.0, 2.0)))
    assert resolved.train.loss == loss.model_copy(update={"class_weights": [0.5, 1.0, 2.0]})
    assert "train split" in why["train.loss.class_weights"]


def test_there_is_a_weight_for_each_class():
    loss = CrossEntropy(name="cross_entropy", class_weights=[1.0, 2.0])
    with pytest.raises(
        SpecError, match=r"train.loss.class_weights: it has 2 numbers, the target has 3 classes"
    ):
        resolve(experiment(loss), facts("classification"))
    kept = CrossEntropy(name="cross_entropy", class_weights=[1.0, 2.0, 3.0], label_smoothing=0.1)
    assert resolve(experiment(kept), facts("classification"))[0].train.loss == kept


@pytest.mark.parametrize(
    ("loss", "model", "task_type", "says"),
    [
        ("mse", {}, "classification", "train.loss: 'mse' does not go with task_type 'classification'"),
        (Huber(name="huber"), {}, "embedding", "train.loss: 'huber' does not go with task_type 'embedding'"),
        (
            "auto",
            {"head": "mean_variance"},
            "classification",
            "model.head: 'mean_variance' does not go with task_type 'classification'",
        ),
        ("kl", {}, "classification", "train.loss: 'kl' compares with probabilities .*; write cross_entropy"),
    ],
)
def test_what_the_data_contradict_is_refused(loss, model, task_type, says):
    with pytest.raises(SpecError, match=says):
        resolve(experiment(loss, **model), facts(task_type))


@pytest.mark.parametrize(
    ("task_type", "target", "cure"),
    [
        ("regression", ["p", "q", "r"], "model.task_type: classification"),
        ("multi_label", ["p", "q", "r"], "model.task_type: classification"),
        ("regression", "y", "mse"),
        ("classification", "y", "cross_entropy"),
    ],
)
def test_a_loss_of_probabilities_names_what_makes_the_target_such(task_type, target, cure):
    with pytest.raises(SpecError, match=f"'kl' compares with probabilities of classes, .*; write {cure}$"):
        resolve(experiment("kl"), facts(task_type, target=target))


def test_probabilities_of_classes_are_measured_for_what_they_are():
    resolved, _ = resolve(experiment(), facts("classification", soft=True))
    assert resolved.train.loss == "cross_entropy"
    assert [one.args for one in resolved.train.routines] == [{"extra": ["kl", "agreement"]}]
    assert resolve(experiment("kl"), facts("classification", soft=True))[0].train.loss == "kl"
    with pytest.raises(
        SpecError, match=r"train\.loss: 'focal' looks at the one class .*; write cross_entropy or kl"
    ):
        resolve(experiment("focal"), facts("classification", soft=True))
