"""What a user says about training."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from trainwright.spec.keras import KerasSpec
from trainwright.spec.lightning import LightningSpec
from trainwright.spec.losses import Loss
from trainwright.spec.optimizer import (
    LBFGS,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Count,
    Ema,
    Group,
    OwnOptimizer,
    Rate,
    RMSprop,
)
from trainwright.spec.part import Auto, Broken, Part, Rule, Use
from trainwright.spec.schedule import (
    Constant,
    Cosine,
    Exponential,
    Linear,
    MultiStep,
    OneCycle,
    Plateau,
    Polynomial,
    Step,
)

Optimizer = Annotated[
    SGD | Adam | AdamW | RMSprop | Adagrad | LBFGS | OwnOptimizer, Field(discriminator="name")
]
Schedule = Annotated[
    Constant | Cosine | OneCycle | Step | MultiStep | Exponential | Linear | Polynomial | Plateau,
    Field(discriminator="name"),
]


def _best_metric(best: Any) -> Iterator[Broken]:
    if best.metric.startswith("test/"):
        text = (
            "a version chosen by test records makes their score worthless; write a metric such as 'val/loss'"
        )
        yield Broken(("metric",), text)


class BestSpec(Part):
    """By which metric the `best` version is chosen.

    Args:
        metric: Name of the metric; `auto` is `val/loss`, or `train/loss` where there is no loss on the val split.
        mode: Whether smaller or larger is better.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_best_metric,)

    metric: str | Auto = "auto"
    mode: Literal["min", "max"] = "min"


def _warmup(train: Any) -> Iterator[Broken]:
    epochs = getattr(train.schedule, "warmup_epochs", 0.0)
    if epochs > train.epochs:
        text = f"the warm-up of {epochs:g} epochs outlasts the {train.epochs} epochs of the run"
        yield Broken(("schedule", "warmup_epochs"), f"{text}; write a smaller number")


def _unbent(field: str, *fitting: Any, why: str) -> Rule:
    """A line search compares exact losses along one direction for all, so nothing may bend or round its gradient."""

    def rule(train: Any) -> Iterator[Broken]:
        if train.optimizer.name == "lbfgs" and getattr(train, field) not in fitting:
            yield Broken((field,), f"lbfgs {why}; leave it out, or use another optimizer")

    return rule


def _one_direction(train: Any) -> Iterator[Broken]:
    for number, group in enumerate(train.groups if train.optimizer.name == "lbfgs" else ()):
        for field, usual in (("weight_decay", None), ("lr_scale", 1.0)):
            if getattr(group, field) != usual:
                text = (
                    "lbfgs moves all parameters along one direction; leave it out, or use another optimizer"
                )
                yield Broken(("groups", number, field), text)


def _own_decay(train: Any) -> Iterator[Broken]:
    for number, group in enumerate(train.groups if train.optimizer.name == "own" else ()):
        if group.weight_decay is not None:
            text = (
                "an optimizer of your own decides about decay itself; leave it out, or use another optimizer"
            )
            yield Broken(("groups", number, "weight_decay"), text)


def _origin(train: Any) -> Iterator[Broken]:
    if train.init_from is not None:
        return
    for name in ("init_weights", "new_head", "keep_preparation"):
        if getattr(train, name):
            yield Broken((name,), "it needs init_from; name the version to begin from, or leave it out")


def _heard_by(train: Any) -> Iterator[Broken]:
    if train.lightning is not None and train.backend != "lightning":
        yield Broken(("lightning",), "nobody but backend: lightning hears it; write that, or leave it out")
    if train.keras is not None and not train.backend.startswith("keras"):
        yield Broken(("keras",), "nobody but backend: keras hears it; write that, or leave it out")


def _on_a_cpu(train: Any) -> Iterator[Broken]:
    if train.device == "cuda" and train.lightning is not None:
        cases = (("devices", 1, "several processes train"), ("module", None, "a module of your own trains"))
        for field, usual, who in cases:
            if getattr(train.lightning, field) != usual:
                text = f"{who} on a CPU only; leave it out, or write device: cpu"
                yield Broken(("lightning", field), text)


def _module_decides(train: Any) -> Iterator[Broken]:
    if train.lightning is None or train.lightning.module is None:
        return
    for field in ("optimizer", "schedule", "groups", "ema"):
        usual = TrainSpec.model_fields[field].get_default(call_default_factory=True)
        if getattr(train, field) != usual:
            yield Broken((field,), "train.lightning.module decides about it; leave out one of the two")
    if train.precision == "float16":
        yield Broken(
            ("precision",), "a module of your own has no float16 on a CPU; write bfloat16 or float32"
        )
    if train.clip_value is not None and train.clip_norm is not None:
        yield Broken(("clip_norm",), "Lightning clips in one way; leave out clip_value or clip_norm")


class TrainSpec(Part):
    """How a model is trained.

    Args:
        backend: `torch`, `equinox`, `lightning`, which makes the steps of `torch` in Lightning's `Trainer`,
            `keras-jax`, `keras-torch` or `keras-tensorflow`, which train by `keras.Model.fit`; `auto` chooses `torch`
            or `equinox`, and `keras` one of its first two, by architecture and by what is installed.
        vectorised: Whether its steps are made together with those of other members of a study, as one program; a run
            by itself has a twin. The weights are the same to the last bit in any company of two or more, and differ
            in their last digits from those of a run that trains alone. A study sets it; `equinox` and `torch`.
        device: Where it runs; `auto` is `cuda` where the backend finds a GPU, otherwise `cpu`.
        precision: Of the forward pass and its gradient; `auto` is `float32`. Weights, optimizer, loss, validation
            and predictions are always `float32`.
        threads: Threads of the training process; `auto` is 1, the fastest for small models.
        epochs: Passes over the train split.
        batch_size: Records of one batch; each process has one.
        accumulate: Batches of each process whose gradients make one step; the last step of an epoch may have fewer.
        optimizer: Update rule and its rate.
        schedule: How the rate changes over the run.
        groups: Parameters that are treated differently, by name; the first group that matches holds.
        clip_value: The largest absolute value of an element of the gradient; it comes before `clip_norm`.
        clip_norm: The largest norm of the whole gradient; larger ones are scaled down.
        ema: Averages the weights over steps; null keeps the last ones.
        loss: What is minimised: a name, or a mapping with the name and its options; `auto` goes by task type and head.
        best: By which metric the `best` version is chosen.
        restore_best: Whether the tag `final` points to the best version instead of the last.
        routines: What is measured while training; `auto` measures the val split after each epoch.
        callbacks: What listens to the run; a `Checkpoint` every epoch is added unless there is one.
        lightning: Your own parts of Lightning, and its processes; only with `backend: lightning`.
        keras: Callbacks of Keras that hear the training; only with `backend: keras`, or one of its names.
        init_from: A recorded version whose weights the training begins from: `name@best`, `name@7`, a run or the
            beginning of a digest. When the run begins it becomes `name@number`, whatever moves later.
        init_weights: The digest the weights of `init_from` must have; it is filled in when the run begins.
        new_head: Whether the output layer is drawn anew, as for other classes; only with `init_from`.
        keep_preparation: Whether the fitted preprocessing of `init_from` is used instead of fitting it to the new
            data; the features must be the same, and with `new_head` the target's is fitted anyway.
    """

    rules: ClassVar[tuple[Rule, ...]] = (
        _warmup,
        _unbent("clip_value", None, why="needs the gradient as it is"),
        _unbent("clip_norm", None, why="needs the gradient as it is"),
        _unbent("precision", "auto", "float32", why="compares losses in their last digits"),
        _one_direction,
        _heard_by,
        _on_a_cpu,
        _module_decides,
        _own_decay,
        _origin,
    )

    backend: (
        Literal["torch", "equinox", "lightning", "keras", "keras-jax", "keras-torch", "keras-tensorflow"]
        | Auto
    ) = "auto"
    vectorised: bool = False
    device: Literal["cpu", "cuda"] | Auto = "auto"
    precision: Literal["float32", "bfloat16", "float16"] | Auto = "auto"
    threads: Count | Auto = "auto"
    epochs: Count = 10
    batch_size: Count = 32
    accumulate: Count = 1
    optimizer: Optimizer = AdamW(name="adamw")
    schedule: Schedule = Constant(name="constant")
    groups: list[Group] = Field(default=[])
    clip_value: Rate | None = None
    clip_norm: Rate | None = None
    ema: Ema | None = None
    loss: Loss | Auto = "auto"
    best: BestSpec = BestSpec()
    restore_best: bool = False
    routines: list[Use] | Auto = "auto"
    callbacks: list[Use] = Field(default=[])
    lightning: LightningSpec | None = None
    keras: KerasSpec | None = None
    init_from: str | None = None
    init_weights: str | None = None
    new_head: bool = False
    keep_preparation: bool = False

    @property
    def processes(self) -> int:
        """Counts the processes that make each step together."""
        return 1 if self.lightning is None else self.lightning.devices

    @property
    def has_own_module(self) -> bool:
        """Says whether a LightningModule of the user's own makes the steps."""
        return self.lightning is not None and self.lightning.module is not None

    @property
    def records_per_step(self) -> int:
        """Counts the records of one step, but for the last one of an epoch."""
        return self.batch_size * self.accumulate * self.processes
