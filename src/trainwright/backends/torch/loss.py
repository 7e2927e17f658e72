"""Losses of spec-built models in torch: means over records, weighted where records have weights."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from trainwright.base.errors import BackendError
from trainwright.models.heads import LEAST_DF, LEAST_SCALE, LEAST_VARIANCE
from trainwright.models.task import ModelTask
from trainwright.spec import losses
from trainwright.spec.fitting import class_weights_of
from trainwright.spec.own_code import make_own_loss, one_per_record

TINY = 1e-30  # a batch whose records weigh nothing has loss and gradient zero
LEAST_MISSED = 1e-12  # a chance, so that its powers have finite gradients
FAR = 1e9  # beside it, the similarity of unit vectors is nothing; finite, so that gradients stay so
Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]  # outputs, target, weight of the records


class Objective:
    """What a step makes smaller: the loss of a task, between what the network gives and what it should have given.

    The losses that compare records with one another (`supervised_contrastive`, `triplet`, `nt_xent`) compare those of
    one batch: with `accumulate`, those of each part by itself.

    Args:
        task: What is trained.

    Attributes:
        views: How often each record is there: twice for `nt_xent`.
    """

    def __init__(self, task: ModelTask) -> None:
        spec = task.loss
        self._loss = _choose(spec, task.quantiles)
        self._to_inputs = isinstance(spec, losses.Reconstruction)
        self.views = 2 if isinstance(spec, losses.NTXent) else 1
        weights = class_weights_of(spec)
        self._class_weights = None if weights is None else torch.tensor(weights)

    def enter(self, x: Tensor) -> Tensor:
        """Gives what the network is asked about: the views of a record become rows, one after another.

        Raises:
            BackendError: If the records have no two views.
        """
        if self.views == 1:
            return x
        if x.dim() < 3 or x.shape[1] != self.views:
            raise BackendError(
                f"nt_xent takes records of shape (2, ...), two views, not {tuple(x.shape[1:])}"
            )
        return x.flatten(0, 1)

    def __call__(self, outputs: Tensor, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        """Gives the mean loss over the records of a batch.

        Args:
            outputs: What the network gives in training for `enter(x)`.
            x: Inputs.
            y: Targets.
            weight: Of the records, shape `(records,)`.
        """
        return self._loss(outputs, x if self._to_inputs else y, weight)

    def mass(self, x: Tensor, y: Tensor, weight: Tensor | None) -> float:
        """Gives what a batch weighs among others: its records, times their weights and those of their classes."""
        if self._class_weights is None:
            return len(x) if weight is None else float(weight.sum())
        return float(_sum(_by_record(_of_class(self._class_weights.to(y.device), y)), weight))


def cross_entropy(
    outputs: Tensor,
    y: Tensor,
    weight: Tensor | None,
    *,
    smoothing: float = 0.0,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Gives the mean negative log-likelihood of classes.

    Args:
        outputs: Logits, shape `(records, classes, ...)`.
        y: Class numbers, shape `(records, ...)`, or probabilities, shape `(records, classes)`.
        weight: Of the records.
        smoothing: Part of the probability that is spread over all classes.
        class_weights: They multiply the weights of records; the mean is over these products.
    """
    if class_weights is None and weight is None:
        return F.cross_entropy(outputs, y, label_smoothing=smoothing)
    if class_weights is not None:
        class_weights = class_weights.to(device=outputs.device, dtype=outputs.dtype)
    each = F.cross_entropy(outputs, y, class_weights, reduction="none", label_smoothing=smoothing)
    mass = each.new_ones(len(y)) if class_weights is None else _by_record(_of_class(class_weights, y))
    return _sum(_by_record(each), weight) / _sum(mass, weight).clamp(min=TINY)


def focal(
    outputs: Tensor, y: Tensor, weight: Tensor | None, *, gamma: float, class_weights: Tensor | None = None
) -> Tensor:
    """Gives the mean cross-entropy of classes times the chance that was missed to the power of `gamma`.

    Args:
        outputs: Logits, shape `(records, classes, ...)`.
        y: Class numbers, shape `(records, ...)`.
        weight: Of the records.
        gamma: Not negative.
        class_weights: As of `cross_entropy`.
    """
    each = F.cross_entropy(outputs, y, reduction="none")
    missed = (-torch.expm1(-each)).clamp(min=LEAST_MISSED)
    each = missed.pow(gamma) * each
    if class_weights is None:
        return _mean(_by_record(each), weight)
    importance = class_weights.to(device=outputs.device, dtype=outputs.dtype)[y]
    return _sum(_by_record(each * importance), weight) / _sum(_by_record(importance), weight).clamp(min=TINY)


def kl(outputs: Tensor, y: Tensor, weight: Tensor | None, *, temperature: float) -> Tensor:
    """Gives the mean divergence of the predicted from the wanted probabilities, times the squared temperature.

    Args:
        outputs: Logits, shape `(records, classes)`.
        y: Probabilities, shape of `outputs`.
        weight: Of the records.
        temperature: What logits are divided by, those of `y` too.
    """
    logits = torch.where(y > 0, y.clamp(min=TINY).log(), -FAR)
    wanted = F.log_softmax(logits / temperature, dim=1)
    each = wanted.exp() * (wanted - F.log_softmax(outputs / temperature, dim=1))
    return temperature**2 * _mean(each.sum(1), weight)


def binary_cross_entropy(
    outputs: Tensor, y: Tensor, weight: Tensor | None, *, positive: Tensor | None = None
) -> Tensor:
    """Gives the mean negative log-likelihood over records and labels; `positive` is what a positive weighs."""
    if positive is not None:
        positive = positive.to(device=outputs.device, dtype=outputs.dtype)
    each = F.binary_cross_entropy_with_logits(outputs, y, pos_weight=positive, reduction="none")
    return _mean(_by_record(each), weight)


def binary_focal(
    outputs: Tensor, y: Tensor, weight: Tensor | None, *, gamma: float, alpha: float | None
) -> Tensor:
    """Gives the mean focal loss over records and labels; `alpha` is what positives weigh, of 1."""
    positive, negative = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    yes, no = F.logsigmoid(outputs), F.logsigmoid(-outputs)
    hit, miss = -yes * (gamma * no).exp(), -no * (gamma * yes).exp()
    return _mean(_by_record(positive * y * hit + negative * (1 - y) * miss), weight)


def mse(outputs: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
    """Gives the mean squared error over records and outputs; both have shape `(records, outputs, ...)`."""
    if weight is None:
        return F.mse_loss(outputs, y)
    return _mean(_by_record(torch.square(outputs - y)), weight)


def mae(outputs: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
    """Gives the mean absolute error over records and outputs."""
    return _mean(_by_record(torch.abs(outputs - y)), weight)


def huber(outputs: Tensor, y: Tensor, weight: Tensor | None, *, delta: float) -> Tensor:
    """Gives the mean over records and outputs of what is quadratic up to `delta`, then linear."""
    return _mean(_by_record(F.huber_loss(outputs, y, reduction="none", delta=delta)), weight)


def gaussian_nll(outputs: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
    """Gives the mean negative log-likelihood of normal distributions; outputs are means, then raw spreads."""
    mean, spread = outputs.chunk(2, dim=1)
    variance = F.softplus(spread) + LEAST_VARIANCE
    each = 0.5 * (variance.log() + torch.square(y - mean) / variance + math.log(2 * math.pi))
    return _mean(_by_record(each), weight)


def laplace_nll(outputs: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
    """Gives the mean negative log-likelihood of Laplace distributions; outputs are centres, then raw scales."""
    centre, spread = outputs.chunk(2, dim=1)
    scale = F.softplus(spread) + LEAST_SCALE
    return _mean(_by_record((2 * scale).log() + torch.abs(y - centre) / scale), weight)


def student_t_nll(outputs: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
    """Gives the mean negative log-likelihood of Student's t; outputs are centres, raw scales, raw df."""
    centre, spread, tail = outputs.chunk(3, dim=1)
    scale, df = F.softplus(spread) + LEAST_SCALE, F.softplus(tail) + LEAST_DF
    square = torch.square((y - centre) / scale)
    each = scale.log() + _student_norm(df / 2) + (df + 1) / 2 * torch.log1p(square / df)
    return _mean(_by_record(each), weight)


def mixture_nll(outputs: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
    """Gives the mean negative log-likelihood of mixtures, per target; outputs are logits, means, raw spreads."""
    targets = y.shape[1]
    components = outputs.shape[1] // (1 + 2 * targets)
    logits, means, spreads = outputs.split([components, *[components * targets] * 2], dim=1)
    means, spreads = (one.unflatten(1, (components, targets)) for one in (means, spreads))
    variance = F.softplus(spreads) + LEAST_VARIANCE
    each = variance.log() + torch.square(y.unsqueeze(1) - means) / variance + math.log(2 * math.pi)
    found = -torch.logsumexp(F.log_softmax(logits, dim=1) - 0.5 * each.sum(2), dim=1) / targets
    return _mean(_by_record(found), weight)


def quantile(outputs: Tensor, y: Tensor, weight: Tensor | None, *, levels: tuple[float, ...]) -> Tensor:
    """Gives the mean pinball loss over records, levels and targets; outputs are all targets at the first level, ..."""
    by_level = outputs.reshape(len(outputs), len(levels), *y.shape[1:])
    error = y.unsqueeze(1) - by_level
    tau = torch.tensor(levels, dtype=error.dtype, device=error.device).view(-1, *[1] * (y.dim() - 1))
    return _mean(_by_record(torch.maximum(tau * error, (tau - 1) * error)), weight)


def supervised_contrastive(
    outputs: Tensor, y: Tensor, weight: Tensor | None, *, temperature: float
) -> Tensor:
    """Gives the mean over the records that have another of their class in the batch (the loss "out")."""
    close = _similarity(outputs)
    itself = torch.eye(len(y), dtype=torch.bool, device=y.device)
    same = (y[:, None] == y[None, :]) & ~itself
    close = (close / temperature).masked_fill(itself, -FAR)
    log_chance = close - close.logsumexp(1, keepdim=True)
    others = same.sum(1)
    each = -(log_chance * same).sum(1) / others.clamp(min=1)
    return _mean(each, _only(others > 0, weight))


def triplet(outputs: Tensor, y: Tensor, weight: Tensor | None, *, margin: float) -> Tensor:
    """Gives the mean over the records that have others of their class, and of another class, in the batch."""
    distance = (2 - 2 * _similarity(outputs)).clamp(min=1e-12).sqrt()
    same = y[:, None] == y[None, :]
    other_class = ~same
    same = same & ~torch.eye(len(y), dtype=torch.bool, device=y.device)
    farthest = distance.masked_fill(~same, 0.0).amax(1)
    nearest = distance.masked_fill(~other_class, FAR).amin(1)
    complete = same.any(1) & other_class.any(1)
    each = torch.relu(torch.where(complete, farthest - nearest + margin, 0.0))
    return _mean(each, _only(complete, weight))


def nt_xent(outputs: Tensor, y: Tensor, weight: Tensor | None, *, temperature: float) -> Tensor:
    """Gives the mean over records of how hard the two views, neighbouring rows, are to find among all rows."""
    del y
    rows = torch.arange(len(outputs), device=outputs.device)
    itself = rows[:, None] == rows[None, :]
    close = (_similarity(outputs) / temperature).masked_fill(itself, -FAR)
    each = F.cross_entropy(close, rows ^ 1, reduction="none")
    return _mean(each.view(-1, 2).mean(1), weight)


def own(
    outputs: Tensor, y: Tensor, weight: Tensor | None, *, each: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Gives the mean over records of what code of the user's own says of each.

    Raises:
        BackendError: If it does not give one number per record.
    """
    return _mean(one_per_record(each(outputs, y), len(outputs)), weight)


def composite(
    outputs: Tensor, y: Tensor, weight: Tensor | None, *, parts: Sequence[Loss], factors: Sequence[float]
) -> Tensor:
    """Gives the sum of several losses, each times its factor."""
    terms = [factor * part(outputs, y, weight) for part, factor in zip(parts, factors, strict=True)]
    return sum(terms[1:], terms[0])


def _choose(spec: losses.LossPart, levels: tuple[float, ...]) -> Loss:
    match spec:
        case losses.CrossEntropy():
            weights = None if spec.class_weights is None else torch.tensor(spec.class_weights)
            return partial(cross_entropy, smoothing=spec.label_smoothing, class_weights=weights)
        case losses.Focal():
            weights = None if spec.class_weights is None else torch.tensor(spec.class_weights)
            return partial(focal, gamma=spec.gamma, class_weights=weights)
        case losses.KLDivergence():
            return partial(kl, temperature=spec.temperature)
        case losses.BinaryCrossEntropy():
            weights = None if spec.class_weights is None else torch.tensor(spec.class_weights)
            return partial(binary_cross_entropy, positive=weights)
        case losses.BinaryFocal():
            return partial(binary_focal, gamma=spec.gamma, alpha=spec.alpha)
        case losses.MeanSquaredError():
            return mse
        case losses.MeanAbsoluteError():
            return mae
        case losses.Huber():
            return partial(huber, delta=spec.delta)
        case losses.GaussianNLL():
            return gaussian_nll
        case losses.LaplaceNLL():
            return laplace_nll
        case losses.StudentTNLL():
            return student_t_nll
        case losses.MixtureNLL():
            return mixture_nll
        case losses.QuantileLoss():
            return partial(quantile, levels=levels)
        case losses.SupervisedContrastive():
            return partial(supervised_contrastive, temperature=spec.temperature)
        case losses.Triplet():
            return partial(triplet, margin=spec.margin)
        case losses.Reconstruction():
            return lambda outputs, x, weight: mse(outputs.flatten(1), x.flatten(1), weight)
        case losses.NTXent():
            return partial(nt_xent, temperature=spec.temperature)
        case losses.OwnLoss():
            return partial(own, each=make_own_loss(spec, library="torch"))
        case losses.Composite():
            parts = [_choose(losses.spell_out(share.loss), levels) for share in spec.losses]
            return partial(composite, parts=parts, factors=[share.weight for share in spec.losses])


def _student_norm(x: Tensor) -> Tensor:
    r"""Gives :math:`\log \sqrt{2 \pi x} + \log \Gamma(x) - \log \Gamma(x + 1/2)` for x of at least 1.

    A difference of two large logarithms would lose its digits in float32. It is Stirling's series, moved to x + 4,
    where its next term is below 2e-8.
    """
    far = x + 4
    series = 1 / (8 * far) - 1 / (192 * far**3) + 1 / (640 * far**5)
    near = torch.stack([torch.log1p(0.5 / (x + number)) for number in range(4)]).sum(0)
    return 0.5 * math.log(2 * math.pi) - 0.5 * torch.log1p(4 / x) + series + near


def _similarity(outputs: Tensor) -> Tensor:
    """Gives the cosines between all rows; not by a norm, whose gradient at zero is no number."""
    rows = outputs.float()
    unit = rows * torch.rsqrt(rows.square().sum(1, keepdim=True).clamp(min=1e-24))
    return unit @ unit.T


def _of_class(weights: Tensor, y: Tensor) -> Tensor:
    """Gives what the class of each record or place weighs; the mean of it where there are probabilities."""
    return y.to(weights.dtype) @ weights if y.is_floating_point() else weights[y]


def _only(chosen: Tensor, weight: Tensor | None) -> Tensor:
    return chosen.float() if weight is None else chosen * weight


def _by_record(each: Tensor) -> Tensor:
    return each if each.dim() == 1 else each.flatten(1).mean(1)


def _sum(each: Tensor, weight: Tensor | None) -> Tensor:
    return each.sum() if weight is None else (each * weight).sum()


def _mean(each: Tensor, weight: Tensor | None) -> Tensor:
    return each.mean() if weight is None else (each * weight).sum() / weight.sum().clamp(min=TINY)
