"""What a user says about the update rule."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from trainwright.spec.part import Arguments, Broken, Part, Rule, is_own_code

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


class RMSprop(Part):
    r"""RMSprop (Tieleman & Hinton 2012, lecture 6.5), with eps outside the root.

    :math:`s \leftarrow \alpha s + (1 - \alpha) g^2,\; b \leftarrow \mu b + g / (\sqrt s + \epsilon),\;
    w \leftarrow w - \eta b`. Weight decay is coupled.

    Args:
        name: Chooses it.
        lr: The rate :math:`\eta`.
        alpha: Decay of the running mean of the square, per step.
        eps: Added to the root of the mean square, outside the root.
        momentum: :math:`\mu`, the part of the last update that stays.
        centered: Whether the square of the running mean gradient is taken from the mean square (Graves 2013).
        weight_decay: This times the weight is added to the gradient.
    """

    name: Literal["rmsprop"]
    lr: Rate = 1e-2
    alpha: Decay = 0.99
    eps: Rate = 1e-8
    momentum: Decay = 0.0
    centered: bool = False
    weight_decay: Amount = 0.0


class Adagrad(Part):
    r"""Adagrad (Duchi et al. 2011): :math:`s \leftarrow s + g^2,\; w \leftarrow w - \eta g / (\sqrt s + \epsilon)`.

    Weight decay is coupled.

    Args:
        name: Chooses it.
        lr: The rate :math:`\eta`.
        lr_decay: The rate of step t, counted from 0, is divided by `1 + t * lr_decay`.
        initial_accumulator: The first value of the sum of squares :math:`s`.
        eps: Added to the root of the sum, outside the root.
        weight_decay: This times the weight is added to the gradient.
    """

    name: Literal["adagrad"]
    lr: Rate = 1e-2
    lr_decay: Amount = 0.0
    initial_accumulator: Amount = 0.0
    eps: Rate = 1e-10
    weight_decay: Amount = 0.0


class LBFGS(Part):
    """The quasi-Newton method with limited memory (Nocedal & Wright 2006, algorithm 7.5); for large batches.

    A step minimises the loss of its records by several iterations, each of which evaluates them anew (and moves the
    running statistics of a normalisation again).

    Args:
        name: Chooses it.
        lr: The length of an iteration's step, or the first one the line search tries.
        max_iter: Iterations of one step.
        history_size: Pairs of changes (of the weights, of the gradient) that approximate the curvature.
        line_search: `strong_wolfe` looks for a step that lowers the loss enough; `none` takes `lr`.
    """

    name: Literal["lbfgs"]
    lr: Rate = 1.0
    max_iter: Count = 20
    history_size: Count = 100
    line_search: Literal["strong_wolfe", "none"] = "strong_wolfe"


class OwnOptimizer(Part):
    """An update rule of your own, for `backend: equinox`: a class with a method `optax`.

    The method takes the rate of the step, which follows the schedule, and gives an Optax `GradientTransformation`, such
    as `optax.lion(rate)`. Clipping comes before it; the `lr_scale` of a group multiplies what it gives.

    Args:
        name: Chooses it.
        use: The class, `module:Name`.
        args: Keyword arguments of its constructor.
        lr: The rate.
    """

    rules: ClassVar[tuple[Rule, ...]] = (is_own_code,)

    name: Literal["own"]
    use: str
    args: Arguments = Field(default={})
    lr: Rate = 1e-3


def count_moments(optimizer: SGD | Adam | AdamW | RMSprop | Adagrad | LBFGS | OwnOptimizer) -> int:
    """Counts the numbers that a rule remembers of each parameter from step to step; own code is taken for an Adam.

    Example:
        >>> count_moments(Adam(name="adam")), count_moments(SGD(name="sgd")), count_moments(RMSprop(name="rmsprop"))
        (2, 0, 1)
    """
    match optimizer:
        case SGD():
            return int(optimizer.momentum > 0)
        case Adam() | AdamW() | OwnOptimizer():
            return 2
        case RMSprop():
            return 1 + optimizer.centered + (optimizer.momentum > 0)
        case Adagrad():
            return 1
        case LBFGS():
            return 2 + 2 * optimizer.history_size  # the last gradient, the direction, and at most all pairs


def _frozen_alone(group: Any) -> Iterator[Broken]:
    if group.frozen and (group.weight_decay is not None or group.lr_scale != 1.0):
        field = "lr_scale" if group.weight_decay is None else "weight_decay"
        yield Broken((field,), "a frozen parameter is not updated; leave it out, or set frozen: false")


class Group(Part):
    """How some parameters are treated differently; a parameter obeys the first group that names it.

    A normalisation whose parameters are all frozen uses its running statistics in training too, and leaves them.

    Args:
        match: Names of parameters, patterns with `*` and `?`, separated by `|`, such as `norm_*|*.bias`.
        weight_decay: Instead of the optimizer's; null leaves it.
        lr_scale: What the rate is multiplied by.
        frozen: Whether they keep their values.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_frozen_alone,)

    match: str
    weight_decay: Amount | None = None
    lr_scale: Rate = 1.0
    frozen: bool = False


class Ema(Part):
    r"""The weights averaged over steps, which are the ones that are evaluated, kept and served.

    After update n, counted from 1, :math:`a \leftarrow d a + (1 - d) w`.

    Args:
        decay: The largest d.
        warmup: Whether :math:`d = \min(decay, (1 + n) / (10 + n))`, so that early weights are soon forgotten.
    """

    decay: Decay = 0.999
    warmup: bool = True
