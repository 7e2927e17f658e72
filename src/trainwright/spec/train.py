"""What a user says about training."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from trainwright.spec.part import Auto, Broken, Part, Rule, Use

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0.0)]
Amount = Annotated[float, Field(ge=0.0)]
Decay = Annotated[float, Field(ge=0.0, lt=1.0)]


def _nesterov(optimizer: Any) -> Iterator[Broken]:
    if optimizer.nesterov and optimizer.momentum == 0:
        text = "it needs momentum; add momentum: 0.9, or leave nesterov out"
        yield Broken(("nesterov",), text)


class SGD(Part):
    r"""Stochastic gradient descent: :math:`b \leftarrow \mu b + g,\; w \leftarrow w - \eta b`.

    Weight decay is coupled: it is added to the gradient.

    Args:
        name: Chooses it.
        lr: The rate :math:`\eta`.
        momentum: :math:`\mu`, the part of the last update that stays.
        nesterov: Whether the gradient looks ahead: :math:`w \leftarrow w - \eta (g + \mu b)`.
        weight_decay: This times the weight is added to the gradient.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_nesterov,)

    name: Literal["sgd"]
    lr: Rate = 1e-2
    momentum: Decay = 0.0
    nesterov: bool = False
    weight_decay: Amount = 0.0


class Adam(Part):
    """Adam (Kingma & Ba 2015, algorithm 1, with eps outside the root); weight decay is coupled.

    Args:
        name: Chooses it.
        lr: The rate.
        beta1: Decay of the running mean of the gradient, per step.
        beta2: Decay of the running mean of its square, per step.
        eps: Added to the root of the mean square, outside the root.
        weight_decay: This times the weight is added to the gradient.
    """

    name: Literal["adam"]
    lr: Rate = 1e-3
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    eps: Rate = 1e-8
    weight_decay: Amount = 0.0


class AdamW(Part):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2).

    Args:
        name: Chooses it.
        lr: The rate.
        beta1: Decay of the running mean of the gradient, per step.
        beta2: Decay of the running mean of its square, per step.
        eps: Added to the root of the mean square, outside the root.
        weight_decay: This times the rate times the weight is taken from the weight.
    """

    name: Literal["adamw"]
    lr: Rate = 1e-3
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    eps: Rate = 1e-8
    weight_decay: Amount = 1e-2


class Constant(Part):
    """The rate stays as it is.

    Args:
        name: Chooses it.
    """

    name: Literal["constant"]


class Cosine(Part):
    """The rate falls along half a cosine, after a linear warm-up (Loshchilov & Hutter 2017, equation 5).

    Args:
        name: Chooses it.
        warmup_epochs: Epochs (parts too) over which the rate rises from zero.
        final_fraction: The last rate, as a fraction of `lr`.
    """

    name: Literal["cosine"]
    warmup_epochs: Amount = 0.0
    final_fraction: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0


class OneCycle(Part):
    """The rate rises along half a cosine to `lr` and falls along another (Smith & Topin 2018).

    Args:
        name: Chooses it.
        rise: Fraction of the run that the rise takes.
        initial_fraction: The first rate, as a fraction of `lr`.
        final_fraction: The last rate, as a fraction of `lr`.
    """

    name: Literal["one_cycle"]
    rise: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    initial_fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 0.04
    final_fraction: Annotated[float, Field(ge=0.0, le=1.0)] = 4e-6


def _plateau_metric(schedule: Any) -> Iterator[Broken]:
    if not schedule.metric.startswith("val/"):
        text = f"{schedule.metric!r} is not a validation metric; write one such as 'val/loss'"
        yield Broken(("metric",), text)


class Plateau(Part):
    """The rate is cut when a metric has not improved for a while.

    Args:
        name: Chooses it.
        metric: A validation metric.
        mode: Whether smaller or larger is better.
        factor: What the rate is multiplied by.
        patience: The rate is cut at this many validations in a row without improvement.
        min_fraction: The rate never falls below this fraction of `lr`.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_plateau_metric,)

    name: Literal["plateau"]
    metric: str = "val/loss"
    mode: Literal["min", "max"] = "min"
    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    patience: Count = 10
    min_fraction: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0


Optimizer = Annotated[SGD | Adam | AdamW, Field(discriminator="name")]
Schedule = Annotated[Constant | Cosine | OneCycle | Plateau, Field(discriminator="name")]


def _best_metric(best: Any) -> Iterator[Broken]:
    if best.metric.startswith("test/"):
        text = (
            "a version chosen by test records makes their score worthless; write a metric such as 'val/loss'"
        )
        yield Broken(("metric",), text)


class BestSpec(Part):
    """By which metric the `best` version is chosen.

    Args:
        metric: Name of the metric.
        mode: Whether smaller or larger is better.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_best_metric,)

    metric: str = "val/loss"
    mode: Literal["min", "max"] = "min"


def _warmup(train: Any) -> Iterator[Broken]:
    schedule = train.schedule
    if schedule.name == "cosine" and schedule.warmup_epochs > train.epochs:
        text = (
            f"the warm-up of {schedule.warmup_epochs:g} epochs outlasts the {train.epochs} epochs of the run"
        )
        yield Broken(("schedule", "warmup_epochs"), f"{text}; write a smaller number")


def _origin(train: Any) -> Iterator[Broken]:
    if train.init_from is not None:
        return
    for name in ("init_weights", "new_head", "keep_preparation"):
        if getattr(train, name):
            yield Broken((name,), "it needs init_from; name the version to begin from, or leave it out")


class TrainSpec(Part):
    """How a model is trained.

    Args:
        backend: `torch` or `equinox`; `auto` chooses by architecture and by what is installed.
        device: Where it runs.
        threads: Threads of the training process; `auto` is 1, the fastest for small models.
        epochs: Passes over the train split.
        batch_size: Records of one batch.
        accumulate: Batches whose gradients make one step; the last step of an epoch may have fewer.
        optimizer: Update rule and its rate.
        schedule: How the rate changes over the run.
        clip_norm: The largest norm of the whole gradient; larger ones are scaled down.
        loss: `cross_entropy` or `mse`; `auto` goes by the task type.
        best: By which metric the `best` version is chosen.
        restore_best: Whether the tag `final` points to the best version instead of the last.
        routines: What is measured while training; `auto` measures the val split after each epoch.
        callbacks: What listens to the run; a `Checkpoint` every epoch is added unless there is one.
        init_from: A recorded version whose weights the training begins from: `name@best`, `name@7`, a run or the
            beginning of a digest. When the run begins it becomes `name@number`, whatever moves later.
        init_weights: The digest the weights of `init_from` must have; it is filled in when the run begins.
        new_head: Whether the output layer is drawn anew, as for other classes; only with `init_from`.
        keep_preparation: Whether the fitted preprocessing of `init_from` is used instead of fitting it to the new
            data; the features must be the same, and with `new_head` the target's is fitted anyway.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_warmup, _origin)

    backend: Literal["torch", "equinox"] | Auto = "auto"
    device: Literal["cpu"] | Auto = "auto"
    threads: Count | Auto = "auto"
    epochs: Count = 10
    batch_size: Count = 32
    accumulate: Count = 1
    optimizer: Optimizer = AdamW(name="adamw")
    schedule: Schedule = Constant(name="constant")
    clip_norm: Rate | None = None
    loss: Literal["cross_entropy", "mse"] | Auto = "auto"
    best: BestSpec = BestSpec()
    restore_best: bool = False
    routines: list[Use] | Auto = "auto"
    callbacks: list[Use] = Field(default=[])
    init_from: str | None = None
    init_weights: str | None = None
    new_head: bool = False
    keep_preparation: bool = False
