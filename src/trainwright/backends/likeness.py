"""Which trainings can be one program: those that differ in numbers alone."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from trainwright.base.errors import BackendError
from trainwright.models.blueprint import Blueprint
from trainwright.models.objective import split_terms
from trainwright.models.task import ModelTask
from trainwright.spec.fitting import names_of
from trainwright.spec.optimizer import OwnOptimizer
from trainwright.train.feed import Feed
from trainwright.train.groups import settle_groups
from trainwright.train.learner import Seat

FREE = ("lr", "weight_decay", "lr_decay")  # of an optimizer: rates are computed outside, the decay is traced
FEWEST = 4  # members of one program with which torch is faster than with one after another
LARGEST = 500_000  # multiplications of a product, in the mean, up to which the calls take the time
ANY_RATE = 0.5  # stands for the rates of dropouts, which are traced


def likeness(task: ModelTask, feed: Feed) -> str:
    """Describes all that the program of a company depends on; trainings that are alike can be members of one.

    Free are the seed, the learning rate and its schedule, the number of epochs, weight decay, the rates of dropouts,
    the label smoothing (not whether there is any), the weights of losses that are added, and what the loop alone
    knows, such as callbacks.

    Args:
        task: What is trained.
        feed: Which records make a step; its records may be others, as many and of the same shape.
    """
    train = task.train
    terms = [one for one, _ in split_terms(task.loss)]
    optimizer = train.optimizer.model_dump()
    names = [name for name, one in task.blueprint.parameters.items() if one.trained]
    groups = settle_groups(train.groups, names, optimizer=train.optimizer)
    arrays = feed.arrays or {}
    parts = {
        "backend": task.backend,
        "network": any_rates(task.blueprint),
        "optimizer": {name: value for name, value in optimizer.items() if name not in FREE},
        "groups": [(name, one.lr_scale, one.frozen) for name, one in groups.items()],
        "train": (train.clip_value, train.clip_norm, train.ema, train.batch_size, train.accumulate),
        "loss": (terms, factors_of(task) is None, task.quantiles, task.components),
        "records": {name: (array.shape, str(array.dtype)) for name, array in arrays.items()},
    }
    return repr(parts)


def check_alike(seats: Sequence[Seat]) -> str:
    """Gives the likeness of trainings that are to be a company.

    Raises:
        BackendError: If they are fewer than two, not alike, or one cannot be trained with others.
    """
    alike = {likeness(one.task, one.feed) for one in seats}
    if len(seats) < 2 or len(alike) > 1:
        raise BackendError(
            f"{seats[0].task.backend}: {len(seats)} trainings of {len(alike)} kinds are no company; it has two or more "
            "members that differ in seed, rates, weight decay, dropout, label smoothing or weights of losses alone"
        )
    for seat in seats:
        if why := why_alone(seat.task, seat.feed):
            raise BackendError(f"train.vectorised: {why}; leave it out")
    return next(iter(alike))


def why_alone(task: ModelTask, feed: Feed) -> str | None:
    """Says why a training cannot be a member of a company; None if it can."""
    train = task.train
    if task.blueprint.has_convolutions:
        return "many convolutions as one are slow on a CPU"
    if task.blueprint.constants:
        return "each would read a graph of its own, whole in every step"
    if isinstance(train.optimizer, OwnOptimizer):
        return "an optimizer of your own makes the steps of one run"
    if task.backend == "torch":
        if any(layer.kind == "graphs" for layer in task.blueprint.layers):
            return "torch has no layers of graphs for several members"
        if train.optimizer.name == "lbfgs":
            return "lbfgs chooses its steps by evaluations of one run"
        if train.precision not in ("auto", "float32"):
            return f"torch makes steps together in float32 alone, not in {train.precision}"
        if train.device == "cuda":
            return "torch makes steps together on a CPU alone"
        if train.threads not in ("auto", 1):
            return "torch makes steps together on one thread: several add in an order that depends on their number"
        if "own" in names_of(task.loss):
            return "a loss of your own is computed for one run at a time by torch"
    if feed.arrays is None:
        return "the records are augmented, or stay in their file; only those that lie in memory are gathered together"
    return None


def why_slower(task: ModelTask, members: int) -> str | None:
    """Says why trainings would not be faster together than one after another; None if they should be.

    With torch, what is saved are calls, so it goes by the number of members and by what a call does: measured with
    `benchmarks/sweep.py`, and never on the spot, because the same study has to be trained alike everywhere.

    Args:
        task: Of any of them.
        members: How many there are.
    """
    if task.backend != "torch":
        return None
    if members < FEWEST:
        return f"torch is faster with members one after another where one program has fewer than {FEWEST}"
    largest = mean_product(task)
    if largest > LARGEST:
        millions = f"{largest / 1e6:.1f} million multiplications, only below {LARGEST / 1e6:g}"
        return f"torch gains nothing by products of {millions}"
    return None


def mean_product(task: ModelTask) -> float:
    """Gives the multiplications of a dense layer for a batch, in the mean over these layers.

    Example:
        >>> from trainwright.models.assemble import build_blueprint
        >>> from trainwright.spec.model import ModelSpec
        >>> from trainwright.spec.train import TrainSpec
        >>> spec = ModelSpec(architecture="mlp", input_shape=[4], output_dim=2, hidden_dims=[8])
        >>> mean_product(ModelTask(build_blueprint(spec), TrainSpec(batch_size=10), 1))
        240.0
    """
    plan = task.blueprint
    positions = 1
    if "position.table" in plan.parameters:
        positions = plan.parameters["position.table"].shape[0]
    elif any(layer.kind == "embed_columns" for layer in plan.layers):
        positions = plan.input_shape[0] + 1  # a token per column and one of the class
    sizes = [
        math.prod(one.shape)
        for name, one in plan.parameters.items()
        if name.endswith(".weight") and len(one.shape) == 2
    ]
    return task.train.batch_size * positions * sum(sizes) / max(1, len(sizes))


def any_rates(blueprint: Blueprint) -> Blueprint:
    """Gives the plan with one rate for all dropouts, so that plans that differ in nothing else are equal."""

    def layer(one: Any) -> Any:
        return replace(one, options={**one.options, "rate": ANY_RATE}) if one.kind == "dropout" else one

    return replace(
        blueprint,
        layers=tuple(map(layer, blueprint.layers)),
        training_layers=tuple(map(layer, blueprint.training_layers)),
    )


def factors_of(task: ModelTask) -> tuple[float, ...] | None:
    """Gives the weights of the terms of a loss; None for a loss that is no sum."""
    terms = split_terms(task.loss)
    return None if terms == [(task.loss, 1.0)] else tuple(weight for _, weight in terms)
