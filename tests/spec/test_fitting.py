"""Which losses go with which task and head."""

from typing import get_args

import pytest

from trainwright.spec.experiment import Experiment
from trainwright.spec.faults import find_faults
from trainwright.spec.fitting import (
    FITTING,
    HEADS,
    class_weights_of,
    fitting_losses,
    head_of,
    names_of,
    parts_of,
)
from trainwright.spec.losses import (
    BinaryCrossEntropy,
    Composite,
    CrossEntropy,
    Huber,
    LossName,
    OwnLoss,
    Share,
)

NAMES = get_args(LossName)


def tree(loss, **model):
    found = {"name": "a", "data": {"path": "a.csv"}, "model": {"architecture": "mlp", **model}}
    return {**found, "train": {"loss": loss}}


def lines(*arguments, **model):
    return [str(fault) for fault in find_faults(tree(*arguments, **model), Experiment)]


def test_every_loss_trains_some_task():
    assert {name for fitting in FITTING.values() for name in fitting} == set(NAMES)


@pytest.mark.parametrize(
    ("task", "head", "first"),
    [
        ("classification", "point", "cross_entropy"),
        ("multi_label", "point", "binary_cross_entropy"),
        ("segmentation", "point", "cross_entropy"),
        ("regression", "point", "mse"),
        ("regression", "mean_variance", "gaussian_nll"),
        ("regression", "laplace", "laplace_nll"),
        ("regression", "student_t", "student_t_nll"),
        ("regression", "mixture", "mixture_nll"),
        ("regression", "quantiles", "quantile"),
        ("embedding", "point", "supervised_contrastive"),
    ],
)
def test_a_task_with_a_head_has_a_usual_loss(task, head, first):
    assert fitting_losses(task, head)[0] == first


@pytest.mark.parametrize("task", FITTING)
@pytest.mark.parametrize("name", NAMES)
def test_exactly_the_losses_of_a_task_are_taken(task, name):
    head = HEADS.get(name, "point") if task == "regression" else "point"
    quantiles = {"quantiles": [0.1, 0.5, 0.9]} if head == "quantiles" else {}
    architecture = "unet" if task == "segmentation" else "mlp"
    found = lines(name, task_type=task, head=head, architecture=architecture, **quantiles)
    refused = [one for one in found if one.startswith("train.loss") and "augment" not in one]
    assert bool(refused) == (name not in FITTING[task])


SUM = Composite(
    name="composite",
    losses=[
        Share(loss=Huber(name="huber", delta=3.0), weight=0.5),
        Share(loss="mae"),
        Share(loss=OwnLoss(name="own", use="a:B")),
    ],
)


def test_a_sum_says_what_its_losses_say():
    assert names_of(SUM) == ("huber", "mae", "own") and head_of(SUM) == "point"
    assert parts_of("mse") == ("mse",) and class_weights_of("cross_entropy") is None
    weighed = CrossEntropy(name="cross_entropy", class_weights=[1.0, 2.0])
    assert class_weights_of(weighed) == [1.0, 2.0]
    assert class_weights_of(Composite(name="composite", losses=[Share(loss=weighed)])) == [1.0, 2.0]
    positives = BinaryCrossEntropy(name="binary_cross_entropy", class_weights=[1.0, 2.0])
    assert class_weights_of(positives) is None  # they weigh positives, not records
