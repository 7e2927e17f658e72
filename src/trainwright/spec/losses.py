"""What a user says about the loss."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field

from trainwright.spec.part import Broken, Part, Rule

Positive = Annotated[float, Field(gt=0.0)]
Weights = list[Annotated[float, Field(ge=0.0)]]


def _some_class_weighs(loss: Any) -> Iterator[Broken]:
    weights = loss.class_weights
    if isinstance(weights, list) and not any(weight > 0 for weight in weights):
        yield Broken(("class_weights",), "no class weighs anything; write a number above 0 for at least one")


class CrossEntropy(Part):
    r"""Negative log-likelihood of the class, of each pixel for a segmentation: :math:`-\log p_y`.

    Args:
        name: Chooses it.
        label_smoothing: Part of the probability that is spread over all classes (Szegedy et al. 2016, section 7).
        class_weights: One per class, in the order of the classes; they multiply the weights of records. `balanced` is
            n / (classes * count) in train.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_some_class_weighs,)

    name: Literal["cross_entropy"]
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    class_weights: Literal["balanced"] | Weights | None = None


class BinaryCrossEntropy(Part):
    r"""Negative log-likelihood of each label, averaged over labels: :math:`-y \log p - (1 - y) \log (1 - p)`.

    Args:
        name: Chooses it.
        class_weights: One per label, what a positive weighs beside a negative. `balanced` is negatives / positives in
            train.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_some_class_weighs,)

    name: Literal["binary_cross_entropy"]
    class_weights: Literal["balanced"] | Weights | None = None


class MeanSquaredError(Part):
    r"""Mean over outputs of :math:`(\hat y - y)^2`.

    Args:
        name: Chooses it.
    """

    name: Literal["mse"]


class MeanAbsoluteError(Part):
    r"""Mean over outputs of :math:`|\hat y - y|`.

    Args:
        name: Chooses it.
    """

    name: Literal["mae"]


class Huber(Part):
    r"""Mean over outputs of :math:`e^2/2` up to :math:`|e| = \delta`, then :math:`\delta(|e| - \delta/2)` (Huber 1964).

    Args:
        name: Chooses it.
        delta: From which error on it is linear, in the unit of the target after its operators.
    """

    name: Literal["huber"]
    delta: Positive = 1.0


class GaussianNLL(Part):
    r"""Negative log-likelihood of a normal distribution, for `head: mean_variance`.

    Args:
        name: Chooses it.
    """

    name: Literal["gaussian_nll"]


class QuantileLoss(Part):
    r"""Pinball loss at the levels of `model.quantiles`, for `head: quantiles` (Koenker & Bassett 1978).

    Args:
        name: Chooses it.
    """

    name: Literal["quantile"]


class SupervisedContrastive(Part):
    """Pulls records of one class together and pushes others apart (Khosla et al. 2020, equation 2).

    Args:
        name: Chooses it.
        temperature: What cosine similarities are divided by.
    """

    name: Literal["supervised_contrastive"]
    temperature: Positive = 0.1


class Triplet(Part):
    """The farthest of its class should be nearer than the nearest of another (Hermans et al. 2017, equation 5).

    Args:
        name: Chooses it.
        margin: By how much nearer; distances are those of unit vectors, from 0 to 2.
    """

    name: Literal["triplet"]
    margin: Positive = 0.2


class Reconstruction(Part):
    """Mean squared error between what the decoder makes of the embedding and the input; needs no target.

    Args:
        name: Chooses it.
    """

    name: Literal["reconstruction"]


class NTXent(Part):
    """Finds the other augmented view of a record among those of all others (Chen et al. 2020, equation 1).

    Args:
        name: Chooses it.
        temperature: What cosine similarities are divided by.
    """

    name: Literal["nt_xent"]
    temperature: Positive = 0.5


LossName = Literal[
    "cross_entropy",
    "binary_cross_entropy",
    "mse",
    "mae",
    "huber",
    "gaussian_nll",
    "quantile",
    "supervised_contrastive",
    "triplet",
    "reconstruction",
    "nt_xent",
]
LossPart = (
    CrossEntropy
    | BinaryCrossEntropy
    | MeanSquaredError
    | MeanAbsoluteError
    | Huber
    | GaussianNLL
    | QuantileLoss
    | SupervisedContrastive
    | Triplet
    | Reconstruction
    | NTXent
)
Loss = LossName | Annotated[LossPart, Field(discriminator="name")]

# Which losses train which task; the first one that goes with the head is what `auto` takes.
FITTING: Mapping[str, tuple[str, ...]] = {
    "classification": ("cross_entropy",),
    "multi_label": ("binary_cross_entropy",),
    "segmentation": ("cross_entropy",),
    "regression": ("mse", "mae", "huber", "gaussian_nll", "quantile"),
    "embedding": ("supervised_contrastive", "triplet", "reconstruction", "nt_xent"),
}
HEADS: Mapping[str, str] = {"gaussian_nll": "mean_variance", "quantile": "quantiles"}  # all others: point
SELF_SUPERVISED = ("reconstruction", "nt_xent")  # they look at no target

_KINDS: Mapping[str, type[Part]] = {
    get_args(kind.model_fields["name"].annotation)[0]: kind for kind in get_args(LossPart)
}


def spell_out(loss: Loss) -> LossPart:
    """Gives the loss with all its options, also where only its name was written.

    Raises:
        ValueError: If it is still `auto`.

    Example:
        >>> spell_out("huber").delta
        1.0
    """
    if not isinstance(loss, str):
        return loss
    if loss not in _KINDS:
        raise ValueError(f"the loss {loss!r} is not decided")
    part: LossPart = _KINDS[loss].model_validate({"name": loss})  # type: ignore[assignment]
    return part


def fitting_losses(task_type: str, head: str) -> tuple[str, ...]:
    """Names the losses that train a task with a head; the first is the usual one.

    Example:
        >>> fitting_losses("regression", "point"), fitting_losses("regression", "quantiles")
        (('mse', 'mae', 'huber'), ('quantile',))
    """
    return tuple(name for name in FITTING[task_type] if HEADS.get(name, "point") == head)
