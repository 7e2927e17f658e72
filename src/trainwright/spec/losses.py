"""What a user says about the loss."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field

from trainwright.spec.part import Arguments, Broken, Part, Rule, is_own_code

Positive = Annotated[float, Field(gt=0.0)]
Weights = list[Annotated[float, Field(ge=0.0)]]


def _some_class_weighs(loss: Any) -> Iterator[Broken]:
    weights = loss.class_weights
    if isinstance(weights, list) and not any(weight > 0 for weight in weights):
        yield Broken(("class_weights",), "no class weighs anything; write a number above 0 for at least one")


def _can_be_added(loss: Any) -> Iterator[Broken]:
    if not loss.losses:
        yield Broken(("losses",), "there is nothing to add; write at least one loss")
    for number, share in enumerate(loss.losses):
        name = name_of(share.loss)
        if name in ("reconstruction", "nt_xent"):
            text = (
                f"{name!r} needs a network of its own, which no other loss looks at; write it as train.loss"
            )
            yield Broken(("losses", number, "loss"), text)


def _classes_weigh_the_same(loss: Any) -> Iterator[Broken]:
    # A batch counts by its records and the weights of their classes: parts that disagree have no common mean.
    said = [getattr(share.loss, "class_weights", None) for share in loss.losses]
    whole = [name_of(share.loss) in ("cross_entropy", "focal") for share in loss.losses]
    weights = [one if of_classes else None for one, of_classes in zip(said, whole, strict=True)]
    if any(one != weights[0] for one in weights[1:]):
        text = "class_weights are not the same in all of them; write them alike, or leave them out"
        yield Broken(("losses",), text)


def name_of(loss: Any) -> str:
    """Names a loss that is a name or a part.

    Example:
        >>> name_of("mse"), name_of(spell_out("mse"))
        ('mse', 'mse')
    """
    return loss if isinstance(loss, str) else loss.name


class CrossEntropy(Part):
    r"""Negative log-likelihood of the class, of each pixel for a segmentation: :math:`-\log p_y`.

    Of a target that is probabilities of classes, :math:`-\sum_k y_k \log p_k`.

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


class KLDivergence(Part):
    r"""From a target that is probabilities of classes to the prediction: :math:`T^2 \sum_k y_k \log (y_k / p_k)`.

    Both are first raised to the power 1/T and divided by their sums, as if their logits were divided by T.

    Args:
        name: Chooses it.
        temperature: T; above 1 it looks at the improbable classes too (distillation, Hinton et al. 2015, section 2).
    """

    name: Literal["kl"]
    temperature: Positive = 1.0


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


class Focal(Part):
    r"""Cross-entropy that looks away from what is already right: :math:`-(1 - p_y)^\gamma \log p_y` (Lin et al. 2017).

    Args:
        name: Chooses it.
        gamma: How far it looks away; 0 is the cross-entropy.
        class_weights: As of `cross_entropy`: one per class, or `balanced`; the :math:`\alpha` of the source.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_some_class_weighs,)

    name: Literal["focal"]
    gamma: Annotated[float, Field(ge=0.0)] = 2.0
    class_weights: Literal["balanced"] | Weights | None = None


class BinaryFocal(Part):
    r"""Focal loss of each label, averaged over labels: :math:`-\alpha y (1 - p)^\gamma \log p` and its mirror image.

    Where y = 0 it is :math:`-(1 - \alpha) p^\gamma \log (1 - p)` (Lin et al. 2017, equation 5).

    Args:
        name: Chooses it.
        gamma: How far it looks away from what is already right.
        alpha: What positives weigh; negatives weigh the rest of 1. With null both weigh 1.
    """

    name: Literal["binary_focal"]
    gamma: Annotated[float, Field(ge=0.0)] = 2.0
    alpha: Annotated[float, Field(gt=0.0, lt=1.0)] | None = 0.25


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


class LaplaceNLL(Part):
    r"""Negative log-likelihood of a Laplace distribution, for `head: laplace`: :math:`\log 2b + |e|/b`.

    Args:
        name: Chooses it.
    """

    name: Literal["laplace_nll"]


class StudentTNLL(Part):
    """Negative log-likelihood of Student's t with its centre, scale and degrees of freedom, for `head: student_t`.

    Args:
        name: Chooses it.
    """

    name: Literal["student_t_nll"]


class MixtureNLL(Part):
    r"""Negative log-likelihood of `model.components` normal distributions, for `head: mixture` (Bishop 1994).

    Per target, so that one component is `gaussian_nll`: :math:`-\frac1D \log \sum_k \pi_k \prod_d N(y_d; \mu_{kd},
    \sigma_{kd}^2)`.

    Args:
        name: Chooses it.
    """

    name: Literal["mixture_nll"]


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


class OwnLoss(Part):
    """Code of your own: a class with a method for each backend, named after it, that gives one number per record.

    Args:
        name: Chooses it.
        use: The class, `module:Name`.
        args: Keyword arguments of its constructor.
    """

    rules: ClassVar[tuple[Rule, ...]] = (is_own_code,)

    name: Literal["own"]
    use: str
    args: Arguments = Field(default={})


LossName = Literal[
    "cross_entropy",
    "focal",
    "kl",
    "binary_cross_entropy",
    "binary_focal",
    "mse",
    "mae",
    "huber",
    "gaussian_nll",
    "laplace_nll",
    "student_t_nll",
    "mixture_nll",
    "quantile",
    "supervised_contrastive",
    "triplet",
    "reconstruction",
    "nt_xent",
]
SimplePart = (
    CrossEntropy
    | Focal
    | KLDivergence
    | BinaryCrossEntropy
    | BinaryFocal
    | MeanSquaredError
    | MeanAbsoluteError
    | Huber
    | GaussianNLL
    | LaplaceNLL
    | StudentTNLL
    | MixtureNLL
    | QuantileLoss
    | SupervisedContrastive
    | Triplet
    | Reconstruction
    | NTXent
    | OwnLoss
)


class Share(Part):
    """One of several losses that are added.

    Args:
        loss: Which.
        weight: What it is multiplied by.
    """

    loss: LossName | Annotated[SimplePart, Field(discriminator="name")]
    weight: Positive = 1.0


class Composite(Part):
    """A weighted sum of losses of the same outputs and targets.

    Args:
        name: Chooses it.
        losses: What is added: each `{loss: ..., weight: ...}`, a loss and what it is multiplied by (1 unless given);
            `class_weights` of classes must be the same in all of them.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_can_be_added, _classes_weigh_the_same)

    name: Literal["composite"]
    losses: list[Share]


LossPart = SimplePart | Composite
Loss = LossName | Annotated[LossPart, Field(discriminator="name")]

_KINDS: Mapping[str, type[Part]] = {
    get_args(kind.model_fields["name"].annotation)[0]: kind for kind in get_args(LossPart)
}
_NAMES = get_args(LossName)


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
    if loss not in _NAMES:
        raise ValueError(f"the loss {loss!r} is not decided")
    part: LossPart = _KINDS[loss].model_validate({"name": loss})  # type: ignore[assignment]
    return part
