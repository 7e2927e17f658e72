"""Losses of spec-built models in Keras' operations: means over records, weighted where records have weights."""

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from trainwright.models.heads import LEAST_DF, LEAST_SCALE, LEAST_VARIANCE
from trainwright.models.objective import TINY

LEAST_MISSED = 1e-12  # a chance, so that its powers have finite gradients
FAR = 1e9  # beside it, the similarity of unit vectors is nothing; finite, so that gradients stay so
Weight = Any  # an array, shape (records,), or None


def cross_entropy(
    outputs: Any,
    y: Any,
    weight: Weight,
    *,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | None = None,
) -> Any:
    """Gives the mean negative log-likelihood of classes.

    Args:
        outputs: Logits, shape `(records, classes, ...)`.
        y: Class numbers, shape `(records, ...)`, or probabilities, shape `(records, classes)`.
        weight: Of the records.
        label_smoothing: Part of the probability that is spread over all classes.
        class_weights: They multiply the weights of records; the mean is over these products.
    """
    log_chance = _log_softmax(outputs)
    spread = -log_chance
    if class_weights is not None:
        spread = spread * ops.reshape(_numbers(class_weights), (1, -1, *[1] * (len(outputs.shape) - 2)))
        heavy = _of_class(class_weights, y)
    each = ops.sum(y * spread, 1) if _is_shares(y) else _chosen(spread, y)
    if label_smoothing:
        each = (1 - label_smoothing) * each + label_smoothing * ops.mean(spread, 1)
    if class_weights is None:
        return mean(_by_record(each), weight)
    mass = _sum(_by_record(heavy), weight)
    return _sum(_by_record(each), weight) / ops.maximum(mass, TINY)


def focal(
    outputs: Any, y: Any, weight: Weight, *, gamma: float, class_weights: Sequence[float] | None = None
) -> Any:
    """Gives the mean cross-entropy of classes times the chance that was missed to the power of `gamma`."""
    each = _chosen(-_log_softmax(outputs), y)
    missed = ops.maximum(-ops.expm1(-each), LEAST_MISSED)
    each = ops.power(missed, gamma) * each
    if class_weights is None:
        return mean(_by_record(each), weight)
    heavy = _of_class(class_weights, y)
    return _sum(_by_record(each * heavy), weight) / ops.maximum(_sum(_by_record(heavy), weight), TINY)


def kl(outputs: Any, y: Any, weight: Weight, *, temperature: float) -> Any:
    """Gives the mean divergence of the predicted from the wanted probabilities, times the squared temperature.

    Args:
        outputs: Logits, shape `(records, classes)`.
        y: Probabilities, shape of `outputs`.
        weight: Of the records.
        temperature: What logits are divided by, those of `y` too.
    """
    logits = ops.where(y > 0, ops.log(ops.maximum(y, TINY)), -FAR)
    wanted = _log_softmax(logits / temperature)
    each = ops.exp(wanted) * (wanted - _log_softmax(outputs / temperature))
    return temperature**2 * mean(ops.sum(each, 1), weight)


def binary_cross_entropy(
    outputs: Any, y: Any, weight: Weight, *, class_weights: Sequence[float] | None = None
) -> Any:
    """Gives the mean negative log-likelihood over records and labels; `class_weights` are what positives weigh."""
    hit = ops.softplus(-outputs)
    if class_weights is not None:
        hit = hit * _numbers(class_weights)
    return mean(_by_record(y * hit + (1 - y) * ops.softplus(outputs)), weight)


def binary_focal(outputs: Any, y: Any, weight: Weight, *, gamma: float, alpha: float | None) -> Any:
    """Gives the mean focal loss over records and labels; `alpha` is what positives weigh, of 1."""
    positive, negative = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    yes, no = -ops.softplus(-outputs), -ops.softplus(outputs)
    hit, miss = -yes * ops.exp(gamma * no), -no * ops.exp(gamma * yes)
    return mean(_by_record(positive * y * hit + negative * (1 - y) * miss), weight)


def mse(outputs: Any, y: Any, weight: Weight) -> Any:
    """Gives the mean squared error over records and outputs; both have shape `(records, outputs, ...)`."""
    return mean(_by_record(ops.square(outputs - y)), weight)


def mae(outputs: Any, y: Any, weight: Weight) -> Any:
    """Gives the mean absolute error over records and outputs."""
    return mean(_by_record(ops.abs(outputs - y)), weight)


def huber(outputs: Any, y: Any, weight: Weight, *, delta: float) -> Any:
    """Gives the mean over records and outputs of what is quadratic up to `delta`, then linear."""
    error = ops.abs(outputs - y)
    near = ops.minimum(error, delta)
    return mean(_by_record(0.5 * near * near + delta * (error - near)), weight)


def gaussian_nll(outputs: Any, y: Any, weight: Weight) -> Any:
    """Gives the mean negative log-likelihood of normal distributions; outputs are means, then raw spreads."""
    centre, spread = ops.split(outputs, 2, axis=1)
    variance = ops.softplus(spread) + LEAST_VARIANCE
    each = 0.5 * (ops.log(variance) + ops.square(y - centre) / variance + math.log(2 * math.pi))
    return mean(_by_record(each), weight)


def laplace_nll(outputs: Any, y: Any, weight: Weight) -> Any:
    """Gives the mean negative log-likelihood of Laplace distributions; outputs are centres, then raw scales."""
    centre, spread = ops.split(outputs, 2, axis=1)
    scale = ops.softplus(spread) + LEAST_SCALE
    return mean(_by_record(ops.log(2 * scale) + ops.abs(y - centre) / scale), weight)


def student_t_nll(outputs: Any, y: Any, weight: Weight) -> Any:
    """Gives the mean negative log-likelihood of Student's t; outputs are centres, raw scales, raw df."""
    centre, spread, tail = ops.split(outputs, 3, axis=1)
    scale, df = ops.softplus(spread) + LEAST_SCALE, ops.softplus(tail) + LEAST_DF
    square = ops.square((y - centre) / scale)
    each = ops.log(scale) + _student_norm(df / 2) + (df + 1) / 2 * ops.log1p(square / df)
    return mean(_by_record(each), weight)


def mixture_nll(outputs: Any, y: Any, weight: Weight) -> Any:
    """Gives the mean negative log-likelihood of mixtures, per target; outputs are logits, means, raw spreads."""
    targets = y.shape[1]
    components = outputs.shape[1] // (1 + 2 * targets)
    logits, means, spreads = ops.split(outputs, [components, components * (1 + targets)], axis=1)
    means, spreads = (ops.reshape(one, (-1, components, *y.shape[1:])) for one in (means, spreads))
    variance = ops.softplus(spreads) + LEAST_VARIANCE
    each = ops.log(variance) + ops.square(y[:, None] - means) / variance + math.log(2 * math.pi)
    shares = _log_softmax(logits) - 0.5 * ops.sum(each, 2)
    return mean(_by_record(-ops.logsumexp(shares, axis=1) / targets), weight)


def quantile(outputs: Any, y: Any, weight: Weight, *, levels: Sequence[float]) -> Any:
    """Gives the mean pinball loss over records, levels and targets; outputs are all targets at the first level, ..."""
    by_level = ops.reshape(outputs, (-1, len(levels), *y.shape[1:]))
    error = y[:, None] - by_level
    tau = ops.reshape(_numbers(levels), (-1, *[1] * (len(y.shape) - 1)))
    return mean(_by_record(ops.maximum(tau * error, (tau - 1) * error)), weight)


def supervised_contrastive(outputs: Any, y: Any, weight: Weight, *, temperature: float) -> Any:
    """Gives the mean over the records that have another of their class in the batch (the loss "out")."""
    itself = ops.eye(y.shape[0], dtype="bool")
    same = (y[:, None] == y[None, :]) & ~itself
    log_chance = _log_softmax(ops.where(itself, -FAR, _similarity(outputs) / temperature))
    same = ops.cast(same, "float32")
    others = ops.sum(same, 1)
    each = -ops.sum(log_chance * same, 1) / ops.maximum(others, 1.0)
    return mean(each, _only(others > 0, weight))


def triplet(outputs: Any, y: Any, weight: Weight, *, margin: float) -> Any:
    """Gives the mean over the records that have others of their class, and of another class, in the batch."""
    distance = ops.sqrt(ops.maximum(2 - 2 * _similarity(outputs), 1e-12))
    same = y[:, None] == y[None, :]
    other_class = ~same
    same = same & ~ops.eye(y.shape[0], dtype="bool")
    farthest = ops.max(ops.where(same, distance, 0.0), 1)
    nearest = ops.min(ops.where(other_class, distance, FAR), 1)
    complete = ops.any(same, 1) & ops.any(other_class, 1)
    each = ops.relu(ops.where(complete, farthest - nearest + margin, 0.0))
    return mean(each, _only(complete, weight))


def nt_xent(outputs: Any, y: Any, weight: Weight, *, temperature: float) -> Any:
    """Gives the mean over records of how hard the two views, neighbouring rows, are to find among all rows."""
    del y
    rows = ops.arange(outputs.shape[0], dtype="int32")
    close = ops.where(rows[:, None] == rows[None, :], -FAR, _similarity(outputs) / temperature)
    each = _chosen(-_log_softmax(close), rows ^ 1)
    return mean(ops.mean(ops.reshape(each, (-1, 2)), 1), weight)


def total(weight: Any) -> Any:
    """Gives the sum of the weights of the records."""
    return ops.sum(weight)


def reshape(values: Any, shape: tuple[int, ...]) -> Any:
    """Gives values in another shape."""
    return ops.reshape(values, shape)


def class_mass(class_weights: Sequence[float], y: Any, weight: Weight) -> Any:
    """Gives the sum of what the classes of the records weigh, times the weights of the records."""
    return _sum(_by_record(_of_class(class_weights, y)), weight)


def mean(each: Any, weight: Weight) -> Any:
    """Gives the mean of a number per record, weighted where there are weights."""
    return ops.mean(each) if weight is None else _sum(each, weight) / ops.maximum(ops.sum(weight), TINY)


def _student_norm(x: Any) -> Any:
    r"""Gives :math:`\log \sqrt{2 \pi x} + \log \Gamma(x) - \log \Gamma(x + 1/2)` for x of at least 1.

    A difference of two large logarithms would lose its digits in float32. It is Stirling's series, moved to x + 4,
    where its next term is below 2e-8.
    """
    far = x + 4
    series = 1 / (8 * far) - 1 / (192 * far**3) + 1 / (640 * far**5)
    near = ops.sum(ops.stack([ops.log1p(0.5 / (x + number)) for number in range(4)]), 0)
    return 0.5 * math.log(2 * math.pi) - 0.5 * ops.log1p(4 / x) + series + near


def _numbers(values: Any) -> Any:
    return ops.convert_to_tensor(list(values), dtype="float32")


def _is_shares(y: Any) -> bool:
    """Says whether targets are probabilities of classes instead of their numbers."""
    return "float" in str(y.dtype)


def _of_class(values: Any, y: Any) -> Any:
    """Gives what the class of each record or place weighs; the mean of it where there are probabilities."""
    if _is_shares(y):
        return ops.matmul(y, _numbers(values))
    return ops.take(_numbers(values), y, axis=0)


def _log_softmax(outputs: Any) -> Any:
    """Gives the logarithms of the chances along the second axis."""
    return ops.log_softmax(outputs, axis=1)


def _chosen(each: Any, y: Any) -> Any:
    """Gives the value of class `y` from the second axis."""
    return ops.squeeze(ops.take_along_axis(each, ops.cast(y, "int32")[:, None], axis=1), 1)


def _similarity(outputs: Any) -> Any:
    """Gives the cosines between all rows; not by a norm, whose gradient at zero is no number."""
    squares = ops.sum(ops.square(outputs), 1, keepdims=True)
    unit = outputs * ops.rsqrt(ops.maximum(squares, 1e-24))
    return ops.matmul(unit, ops.transpose(unit))


def _only(chosen: Any, weight: Weight) -> Any:
    chosen = ops.cast(chosen, "float32")
    return chosen if weight is None else chosen * weight


def _flat(values: Any) -> Any:
    return ops.reshape(values, (values.shape[0], -1))


def _by_record(each: Any) -> Any:
    return each if len(each.shape) == 1 else ops.mean(_flat(each), 1)


def _sum(each: Any, weight: Weight) -> Any:
    return ops.sum(each) if weight is None else ops.sum(each * weight)
