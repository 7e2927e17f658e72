"""Losses of spec-built models in JAX: means over records, weighted where records have weights."""

import math
from collections.abc import Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
import optax

from trainwright.models.heads import LEAST_DF, LEAST_SCALE, LEAST_VARIANCE
from trainwright.models.objective import TINY

LEAST_MISSED = 1e-12  # a chance, so that its powers have finite gradients
FAR = 1e9  # beside it, the similarity of unit vectors is nothing; finite, so that gradients stay so
Weight: TypeAlias = jax.Array | None


def cross_entropy(
    outputs: jax.Array,
    y: jax.Array,
    weight: Weight,
    *,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | None = None,
) -> jax.Array:
    """Gives the mean negative log-likelihood of classes.

    Args:
        outputs: Logits, shape `(records, classes, ...)`.
        y: Class numbers, shape `(records, ...)`, or probabilities, shape `(records, classes)`.
        weight: Of the records.
        label_smoothing: Part of the probability that is spread over all classes.
        class_weights: They multiply the weights of records; the mean is over these products.
    """
    logits = jnp.moveaxis(outputs, 1, -1)
    given = None if class_weights is None else jnp.array(class_weights)
    spread = -jax.nn.log_softmax(logits) * (1.0 if given is None else given)
    if jnp.issubdtype(y.dtype, jnp.floating):
        each = (y * spread).sum(1)
    else:
        each = optax.softmax_cross_entropy_with_integer_labels(logits, y)
        if given is not None:
            each = each * given[y]
    if label_smoothing:
        each = (1 - label_smoothing) * each + label_smoothing * spread.mean(-1)
    if given is None:
        return mean(_by_record(each), weight)
    mass = _sum(_by_record(_of_class(given, y)), weight)
    return _sum(_by_record(each), weight) / jnp.maximum(mass, TINY)


def focal(
    outputs: jax.Array,
    y: jax.Array,
    weight: Weight,
    *,
    gamma: float,
    class_weights: Sequence[float] | None = None,
) -> jax.Array:
    """Gives the mean cross-entropy of classes times the chance that was missed to the power of `gamma`.

    Args:
        outputs: Logits, shape `(records, classes, ...)`.
        y: Class numbers, shape `(records, ...)`.
        weight: Of the records.
        gamma: Not negative.
        class_weights: As of `cross_entropy`.
    """
    each = optax.softmax_cross_entropy_with_integer_labels(jnp.moveaxis(outputs, 1, -1), y)
    missed = jnp.maximum(-jnp.expm1(-each), LEAST_MISSED)
    each = jnp.power(missed, gamma) * each
    if class_weights is None:
        return mean(_by_record(each), weight)
    importance = jnp.array(class_weights)[y]
    mass = _sum(_by_record(importance), weight)
    return _sum(_by_record(each * importance), weight) / jnp.maximum(mass, TINY)


def kl(outputs: jax.Array, y: jax.Array, weight: Weight, *, temperature: float) -> jax.Array:
    """Gives the mean divergence of the predicted from the wanted probabilities, times the squared temperature.

    Args:
        outputs: Logits, shape `(records, classes)`.
        y: Probabilities, shape of `outputs`.
        weight: Of the records.
        temperature: What logits are divided by, those of `y` too.
    """
    logits = jnp.where(y > 0, jnp.log(jnp.maximum(y, TINY)), -FAR)
    wanted = jax.nn.log_softmax(logits / temperature, axis=1)
    each = jnp.exp(wanted) * (wanted - jax.nn.log_softmax(outputs / temperature, axis=1))
    return temperature**2 * mean(each.sum(1), weight)


def binary_cross_entropy(
    outputs: jax.Array, y: jax.Array, weight: Weight, *, class_weights: Sequence[float] | None = None
) -> jax.Array:
    """Gives the mean negative log-likelihood over records and labels; `class_weights` are what positives weigh."""
    hit = -jax.nn.log_sigmoid(outputs) * (1.0 if class_weights is None else jnp.array(class_weights))
    return mean(_by_record(y * hit - (1 - y) * jax.nn.log_sigmoid(-outputs)), weight)


def binary_focal(
    outputs: jax.Array, y: jax.Array, weight: Weight, *, gamma: float, alpha: float | None
) -> jax.Array:
    """Gives the mean focal loss over records and labels; `alpha` is what positives weigh, of 1."""
    positive, negative = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    yes, no = jax.nn.log_sigmoid(outputs), jax.nn.log_sigmoid(-outputs)
    hit, miss = -yes * jnp.exp(gamma * no), -no * jnp.exp(gamma * yes)
    return mean(_by_record(positive * y * hit + negative * (1 - y) * miss), weight)


def mse(outputs: jax.Array, y: jax.Array, weight: Weight) -> jax.Array:
    """Gives the mean squared error over records and outputs; both have shape `(records, outputs, ...)`."""
    return mean(_by_record(jnp.square(outputs - y)), weight)


def mae(outputs: jax.Array, y: jax.Array, weight: Weight) -> jax.Array:
    """Gives the mean absolute error over records and outputs."""
    return mean(_by_record(jnp.abs(outputs - y)), weight)


def huber(outputs: jax.Array, y: jax.Array, weight: Weight, *, delta: float) -> jax.Array:
    """Gives the mean over records and outputs of what is quadratic up to `delta`, then linear."""
    return mean(_by_record(optax.huber_loss(outputs, y, delta=delta)), weight)


def gaussian_nll(outputs: jax.Array, y: jax.Array, weight: Weight) -> jax.Array:
    """Gives the mean negative log-likelihood of normal distributions; outputs are means, then raw spreads."""
    centre, spread = jnp.split(outputs, 2, axis=1)
    variance = jax.nn.softplus(spread) + LEAST_VARIANCE
    each = 0.5 * (jnp.log(variance) + jnp.square(y - centre) / variance + math.log(2 * math.pi))
    return mean(_by_record(each), weight)


def laplace_nll(outputs: jax.Array, y: jax.Array, weight: Weight) -> jax.Array:
    """Gives the mean negative log-likelihood of Laplace distributions; outputs are centres, then raw scales."""
    centre, spread = jnp.split(outputs, 2, axis=1)
    scale = jax.nn.softplus(spread) + LEAST_SCALE
    return mean(_by_record(jnp.log(2 * scale) + jnp.abs(y - centre) / scale), weight)


def student_t_nll(outputs: jax.Array, y: jax.Array, weight: Weight) -> jax.Array:
    """Gives the mean negative log-likelihood of Student's t; outputs are centres, raw scales, raw df."""
    centre, spread, tail = jnp.split(outputs, 3, axis=1)
    scale, df = jax.nn.softplus(spread) + LEAST_SCALE, jax.nn.softplus(tail) + LEAST_DF
    square = jnp.square((y - centre) / scale)
    each = jnp.log(scale) + _student_norm(df / 2) + (df + 1) / 2 * jnp.log1p(square / df)
    return mean(_by_record(each), weight)


def mixture_nll(outputs: jax.Array, y: jax.Array, weight: Weight) -> jax.Array:
    """Gives the mean negative log-likelihood of mixtures, per target; outputs are logits, means, raw spreads."""
    targets = y.shape[1]
    components = outputs.shape[1] // (1 + 2 * targets)
    logits, means, spreads = jnp.split(outputs, [components, components * (1 + targets)], axis=1)
    means, spreads = (one.reshape(-1, components, *y.shape[1:]) for one in (means, spreads))
    variance = jax.nn.softplus(spreads) + LEAST_VARIANCE
    each = jnp.log(variance) + jnp.square(y[:, None] - means) / variance + math.log(2 * math.pi)
    shares = jax.nn.log_softmax(logits, axis=1) - 0.5 * each.sum(2)
    return mean(_by_record(-jax.nn.logsumexp(shares, axis=1) / targets), weight)


def quantile(outputs: jax.Array, y: jax.Array, weight: Weight, *, levels: Sequence[float]) -> jax.Array:
    """Gives the mean pinball loss over records, levels and targets; outputs are all targets at the first level, ..."""
    by_level = outputs.reshape(outputs.shape[0], len(levels), *y.shape[1:])
    error = y[:, None] - by_level
    tau = jnp.array(levels).reshape(-1, *[1] * (y.ndim - 1))
    return mean(_by_record(jnp.maximum(tau * error, (tau - 1) * error)), weight)


def supervised_contrastive(
    outputs: jax.Array, y: jax.Array, weight: Weight, *, temperature: float
) -> jax.Array:
    """Gives the mean over the records that have another of their class in the batch (the loss "out")."""
    itself = jnp.eye(y.shape[0], dtype=bool)
    same = (y[:, None] == y[None, :]) & ~itself
    close = jnp.where(itself, -FAR, _similarity(outputs) / temperature)
    log_chance = jax.nn.log_softmax(close, axis=1)
    others = same.sum(1)
    each = -(log_chance * same).sum(1) / jnp.maximum(others, 1)
    return mean(each, _only(others > 0, weight))


def triplet(outputs: jax.Array, y: jax.Array, weight: Weight, *, margin: float) -> jax.Array:
    """Gives the mean over the records that have others of their class, and of another class, in the batch."""
    distance = jnp.sqrt(jnp.maximum(2 - 2 * _similarity(outputs), 1e-12))
    same = y[:, None] == y[None, :]
    other_class = ~same
    same = same & ~jnp.eye(y.shape[0], dtype=bool)
    farthest = jnp.where(same, distance, 0.0).max(1)
    nearest = jnp.where(other_class, distance, FAR).min(1)
    complete = same.any(1) & other_class.any(1)
    each = jax.nn.relu(jnp.where(complete, farthest - nearest + margin, 0.0))
    return mean(each, _only(complete, weight))


def nt_xent(outputs: jax.Array, y: jax.Array, weight: Weight, *, temperature: float) -> jax.Array:
    """Gives the mean over records of how hard the two views, neighbouring rows, are to find among all rows."""
    del y
    rows = jnp.arange(outputs.shape[0])
    close = jnp.where(rows[:, None] == rows[None, :], -FAR, _similarity(outputs) / temperature)
    each = optax.softmax_cross_entropy_with_integer_labels(close, rows ^ 1)
    return mean(each.reshape(-1, 2).mean(1), weight)


def total(weight: jax.Array) -> jax.Array:
    """Gives the sum of the weights of the records."""
    return weight.sum()


def reshape(values: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Gives values in another shape."""
    return values.reshape(shape)


def class_mass(class_weights: Sequence[float], y: jax.Array, weight: Weight) -> jax.Array:
    """Gives the sum of what the classes of the records weigh, times the weights of the records."""
    return _sum(_by_record(_of_class(jnp.array(class_weights), y)), weight)


def mean(each: jax.Array, weight: Weight) -> jax.Array:
    """Gives the mean of a number per record, weighted where there are weights."""
    return each.mean() if weight is None else (each * weight).sum() / jnp.maximum(weight.sum(), TINY)


def _student_norm(x: jax.Array) -> jax.Array:
    r"""Gives :math:`\log \sqrt{2 \pi x} + \log \Gamma(x) - \log \Gamma(x + 1/2)` for x of at least 1.

    A difference of two large logarithms would lose its digits in float32. It is Stirling's series, moved to x + 4,
    where its next term is below 2e-8.
    """
    far = x + 4
    series = 1 / (8 * far) - 1 / (192 * far**3) + 1 / (640 * far**5)
    near = jnp.stack([jnp.log1p(0.5 / (x + number)) for number in range(4)]).sum(0)
    return 0.5 * math.log(2 * math.pi) - 0.5 * jnp.log1p(4 / x) + series + near


def _similarity(outputs: jax.Array) -> jax.Array:
    """Gives the cosines between all rows; not by a norm, whose gradient at zero is no number."""
    squares = jnp.square(outputs).sum(1, keepdims=True)
    unit = outputs * jax.lax.rsqrt(jnp.maximum(squares, 1e-24))
    return unit @ unit.T


def _of_class(weights: jax.Array, y: jax.Array) -> jax.Array:
    """Gives what the class of each record or place weighs; the mean of it where there are probabilities."""
    return y @ weights if jnp.issubdtype(y.dtype, jnp.floating) else weights[y]


def _only(chosen: jax.Array, weight: Weight) -> jax.Array:
    return chosen.astype(jnp.float32) if weight is None else chosen * weight


def _flat(values: jax.Array) -> jax.Array:
    return values.reshape(values.shape[0], -1)


def _by_record(each: jax.Array) -> jax.Array:
    return each if each.ndim == 1 else _flat(each).mean(1)


def _sum(each: jax.Array, weight: Weight) -> jax.Array:
    return each.sum() if weight is None else (each * weight).sum()
