"""Which trainings can be one program: those that differ in numbers alone."""

from dataclasses import replace
from typing import Any

from trainwright.models.blueprint import Blueprint
from trainwright.models.task import ModelTask
from trainwright.spec.losses import CrossEntropy
from trainwright.spec.optimizer import OwnOptimizer
from trainwright.train.feed import Feed
from trainwright.train.groups import settle_groups

FREE = ("lr", "weight_decay", "lr_decay")  # of an optimizer: rates are computed outside, the decay is traced
ANY_RATE = 0.5  # stands for the rates of dropouts, which are traced


def likeness(task: ModelTask, feed: Feed) -> str:
    """Describes all that the program of a company depends on; trainings that are alike can be members of one.

    Free are the seed, the learning rate and its schedule, the number of epochs, weight decay, the rates of dropouts
    and the label smoothing (not whether there is any), and what the loop alone knows, such as callbacks.

    Args:
        task: What is trained.
        feed: Which records make a step; its records may be others, as many and of the same shape.
    """
    train, loss = task.train, task.loss
    smoothed = isinstance(loss, CrossEntropy) and loss.label_smoothing > 0
    if isinstance(loss, CrossEntropy):
        loss = loss.model_copy(update={"label_smoothing": 0.0})
    optimizer = train.optimizer.model_dump()
    names = [name for name, one in task.blueprint.parameters.items() if one.trained]
    groups = settle_groups(train.groups, names, optimizer=train.optimizer)
    arrays = feed.arrays or {}
    parts = {
        "network": any_rates(task.blueprint),
        "optimizer": {name: value for name, value in optimizer.items() if name not in FREE},
        "groups": [(name, one.lr_scale, one.frozen) for name, one in groups.items()],
        "train": (train.clip_value, train.clip_norm, train.ema, train.batch_size, train.accumulate),
        "loss": (loss, smoothed, task.quantiles, task.components),
        "records": {name: (array.shape, str(array.dtype)) for name, array in arrays.items()},
    }
    return repr(parts)


def why_alone(task: ModelTask, feed: Feed) -> str | None:
    """Says why a training cannot be a member of a company; None if it can."""
    if task.blueprint.has_convolutions:
        return "many convolutions as one are slow on a CPU"
    if task.blueprint.constants:
        return "each would read a graph of its own, whole in every step"
    if isinstance(task.train.optimizer, OwnOptimizer):
        return "an optimizer of your own makes the steps of one run"
    if feed.arrays is None:
        return "the records are augmented, or stay in their file; only those that lie in memory are gathered together"
    return None


def any_rates(blueprint: Blueprint) -> Blueprint:
    """Gives the plan with one rate for all dropouts, so that plans that differ in nothing else are equal."""

    def layer(one: Any) -> Any:
        return replace(one, options={**one.options, "rate": ANY_RATE}) if one.kind == "dropout" else one

    return replace(
        blueprint,
        layers=tuple(map(layer, blueprint.layers)),
        training_layers=tuple(map(layer, blueprint.training_layers)),
    )
