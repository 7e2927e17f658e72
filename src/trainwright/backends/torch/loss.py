"""Losses of spec-built models in torch: means over records, weighted where records have weights."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from trainwright.models.heads import LEAST_DF, LEAST_SCALE, LEAST_VARIANCE
from trainwright.models.objective import TINY

LEAST_MISSED = 1e-12  # a chance, so that its powers have finite gradients
FAR = 1e9  # beside it, the similarity of unit vectors is nothing; finite, so that gradients stay so


def cross_entropy(
    outputs: Tensor,
    y: Tensor,
    weight: Tensor | None,
    *,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | None = None,
) -> Tensor:
    """Gives the mean negative log-likelihood of classes.

    Args:
        outputs: Logits, shape `(records, classes, ...)`.
        y: Class numbers, shape `(records, ...)`, or probabilities, shape `(records, classes)`.
        weight: Of the records.
        label_smoothing: Part of the probability that is spread over all classes.
        class_weights: They multiply the weights of records; the mean is over these products.
    """
    if class_weights is None and weight is None:
        return F.cross_entropy(outputs, y, label_smoothing=label_smoothing)
    given = None if class_weights is None else outputs.new_tensor(class_weights)
    each = _by_record(F.cross_entropy(outputs, y, given, reduction="none", label_smoothing=label_smoothing))
    if given is None:
        return mean(each, weight)
    return _sum(each, weight) / _sum(_by_record(_of_class(given, y)), weight).clamp(min=TINY)


def focal(
    outputs: Tensor,
    y: Tensor,
    weight: Tensor | None,
    *,
    gamma: float,
    class_weights: Sequence[float] | None = None,
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
        return mean(_by_record(each), weight)
    importance = outputs.new_tensor(class_weights)[y]
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
    return temperature**2 * mean(each.sum(1), weight)


def binary_cross_entropy(
    outputs: Tensor, y: Tensor, weight: Tensor | None, *, class_weights: Sequence[float] | None = None
) -> Tensor:
    """Gives the mean negative log-likelihood over records and labels; `class_weights` are what positives weigh."""
    positive = None if class_weights is None else outputs.new_tensor(class_weights)
    each = F.binary_cross_entropy_with_logits(outputs, y, pos_weight=positive, reduction="none")
    return mean(_by_record(each), weight)


def binary_focal(
    outputs: Tensor, y: Tensor, weight: Tensor | None, *, gamma: float, alpha: float | None
) -> Tensor:
    """Gives the mean focal loss over records and labels; `alpha` is what positives weigh, of 1."""
    positive, negative = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    yes, no = F.logsigmoid(outputs), F.logsigmoid(-outputs)
    hit, miss = -yes * (gamma * no).exp(), -no * (gamma * yes).exp()
    return mean(_by_record(positive * y * hit + negative * (1 - y) * miss), weight)


def mse(outputs: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
    """Gives the mean squared error over records and outputs; both have shape `(records, outputs, ...)`."""
    if weight is None:
        return F.mse_loss(outputs, y)
    return mean(_by_record(torch.square(outputs - y)), weight)


def mae(outputs: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
    """Gives the mean absolute error over records and outputs."""
    return mean(_by_record(torch.abs(outputs - y)), weight)


def huber(outputs: Tensor, y: Tensor, weight: Tensor | None, *, delta: float) -> Tensor:
    """Gives the mean over records and outputs of what is quadratic up to `delta`, then linear."""
    return mean(_by_record(F.huber_loss(outputs, y, reduction="none", delta=delta)), weight)


def gaussian_nll(outputs: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
    """Gives the mean negative log-likelihood of normal distributions; outputs are means, then raw spreads."""
    centre, spread = outputs.chunk(2, dim=1)
    variance = F.softplus(spread) + LEAST_VARIANCE
    each = 0.5 * (variance.log() + torch.square(y - centre) / variance + math.log(2 * math.pi))
    return mean(_by_record(each), weight)


def laplace_nll(outputs: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
    """Gives the mean negative log-likelihood of Laplace distributions; outputs are centres, then raw scales."""
    centre, spread = outputs.chunk(2, dim=1)
    scale = F.softplus(spread) + LEAST_SCALE
    return mean(_by_record((2 * scale).log() + torch.abs(y - centre) / scale), weight)


def student_t_nll(outputs: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
    """Gives the mean negative log-likelihood of Student's t; outputs are centres, raw scales, raw df."""
    centre, spread, tail = outputs.chunk(3, dim=1)
    scale, df = F.softplus(spread) + LEAST_SCALE, F.softplus(tail) + LEAST_DF
    square = torch.square((y - centre) / scale)
    each = scale.log() + _student_norm(df / 2) + (df + 1) / 2 * torch.log1p(square / df)
    return mean(_by_record(each), weight)


def mixture_nll(outputs: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
    """Gives the mean negative log-likelihood of mixtures, per target; outputs are logits, means, raw spreads."""
    targets = y.shape[1]
    components = outputs.shape[1] // (1 + 2 * targets)
    logits, means, spreads = outputs.split([components, *[components * targets] * 2], dim=1)
    means, spreads = (one.unflatten(1, (components, targets)) for one in (means, spreads))
    variance = F.softplus(spreads) + LEAST_VARIANCE
    each = variance.log() + torch.square(y.unsqueeze(1) - means) / variance + math.log(2 * math.pi)
    found = -torch.logsumexp(F.log_softmax(logits, dim=1) - 0.5 * each.sum(2), dim=1) / targets
    return mean(_by_record(found), weight)


def quantile(outputs: Tensor, y: Tensor, weight: Tensor | None, *, levels: Sequence[float]) -> Tensor:
    """Gives the mean pinball loss over records, levels and targets; outputs are all targets at the first level, ..."""
    by_level = outputs.reshape(len(outputs), len(levels), *y.shape[1:])
    error = y.unsqueeze(1) - by_level
    tau = torch.tensor(levels, dtype=error.dtype, device=error.device).view(-1, *[1] * (y.dim() - 1))
    return mean(_by_record(torch.maximum(tau * error, (tau - 1) * error)), weight)


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
    return mean(each, _only(others > 0, weight))


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
    return mean(each, _only(complete, weight))


def nt_xent(outputs: Tensor, y: Tensor, weight: Tensor | None, *, temperature: float) -> Tensor:
    """Gives the mean over records of how hard the two views, neighbouring rows, are to find among all rows."""
    del y
    rows = torch.arange(len(outputs), device=outputs.device)
    itself = rows[:, None] == rows[None, :]
    close = (_similarity(outputs) / temperature).masked_fill(itself, -FAR)
    each = F.cross_entropy(close, rows ^ 1, reduction="none")
    return mean(each.view(-1, 2).mean(1), weight)


def total(weight: Tensor) -> Tensor:
    """Gives the sum of the weights of the records."""
    return weight.sum()


def reshape(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Gives values in another shape."""
    return values.reshape(shape)


def class_mass(class_weights: Sequence[float], y: Tensor, weight: Tensor | None) -> Tensor:
    """Gives the sum of what the classes of the records weigh, times the weights of the records."""
    return _sum(_by_record(_of_class(torch.tensor(class_weights, device=y.device), y)), weight)


def mean(each: Tensor, weight: Tensor | None) -> Tensor:
    """Gives the mean of a number per record, weighted where there are weights; where those are of groups, of each."""
    return each.mean() if weight is None else _sum(each, weight) / weight.sum(-1).clamp(min=TINY)


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
    return each.sum() if weight is None else (each.view(weight.shape) * weight).sum(-1)
