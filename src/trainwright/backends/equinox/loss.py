"""Losses of spec-built models in JAX: means over records, weighted where records have weights."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import optax

from trainwright.base.errors import BackendError
from trainwright.models.heads import LEAST_DF, LEAST_SCALE, LEAST_VARIANCE
from trainwright.models.task import ModelTask
from trainwright.spec import losses
from trainwright.spec.fitting import class_weights_of
from trainwright.spec.own_code import make_own_loss, one_per_record

TINY = 1e-30  # a batch whose records weigh nothing has loss and gradient zero
LEAST_MISSED = 1e-12  # a chance, so that its powers have finite gradients
FAR = 1e9  # beside it, the similarity of unit vectors is nothing; finite, so that gradients stay so
Weight: TypeAlias = jax.Array | None
Loss = Callable[[jax.Array, jax.Array, Weight], jax.Array]  # outputs, target, weight of the records


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
        self._class_weights = None if weights is None else jnp.array(weights)

    def enter(self, x: jax.Array) -> jax.Array:
        """Gives what the network is asked about: the views of a record become rows, one after another.

        Raises:
            BackendError: If the records have no two views.
        """
        if self.views == 1:
            return x
        if x.ndim < 3 or x.shape[1] != self.views:
            raise BackendError(f"nt_xent takes records of shape (2, ...), two views, not {x.shape[1:]}")
        return x.reshape(-1, *x.shape[2:])

    def __call__(self, outputs: jax.Array, x: jax.Array, y: jax.Array, weight: Weight) -> jax.Array:
        """Gives the mean loss over the records of a batch.

        Args:
            outputs: What the network gives in training for `enter(x)`.
            x: Inputs.
            y: Targets.
            weight: Of the records, shape `(records,)`.
        """
        return self._loss(outputs, x if self._to_inputs else y, weight)

    def mass(self, x: jax.Array, y: jax.Array, weight: Weight) -> Any:
        """Gives what a batch weighs among others: its records, times their weights and those of their classes."""
        if self._class_weights is None:
            return x.shape[0] if weight is None else weight.sum()
        return _sum(_by_record(_of_class(self._class_weights, y)), weight)


def cross_entropy(
    outputs: jax.Array,
    y: jax.Array,
    weight: Weight,
    *,
    smoothing: float = 0.0,
    class_weights: jax.Array | None = None,
) -> jax.Array:
    """Gives the mean negative log-likelihood of classes.

    Args:
        outputs: Logits, shape `(records, classes, ...)`.
        y: Class numbers, shape `(records, ...)`, or probabilities, shape `(records, classes)`.
        weight: Of the records.
        smoothing: Part of the probability that is spread over all classes.
        class_weights: They multiply the weights of records; the mean is over these products.
    """
    logits = jnp.moveaxis(outputs, 1, -1)
    spread = -jax.nn.log_softmax(logits) * (1.0 if class_weights is None else class_weights)
    if jnp.issubdtype(y.dtype, jnp.floating):
        each = (y * spread).sum(1)
    else:
        each = optax.softmax_cross_entropy_with_integer_labels(logits, y)
        if class_weights is not None:
            each = each * class_weights[y]
    if smoothing:
        each = (1 - smoothing) * each + smoothing * spread.mean(-1)
    if class_weights is None:
        return _mean(_by_record(each), weight)
    mass = _sum(_by_record(_of_class(class_weights, y)), weight)
    return _sum(_by_record(each), weight) / jnp.maximum(mass, TINY)


def focal(
    outputs: jax.Array, y: jax.Array, weight: Weight, *, gamma: float, class_weights: jax.Array | None = None
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
        return _mean(_by_record(each), weight)
    importance = class_weights[y]
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
    return temperature**2 * _mean(each.sum(1), weight)


def binary_cross_entropy(
    outputs: jax.Array, y: jax.Array, weight: Weight, *, positive: jax.Array | None = None
) -> jax.Array:
    """Gives the mean negative log-likelihood over records and labels; `positive` is what a positive weighs."""
    hit = -jax.nn.log_sigmoid(outputs) * (1.0 if positive is None else positive)
    return _mean(_by_record(y * hit - (1 - y) * jax.nn.log_sigmoid(-outputs)), weight)


def binary_focal(
    outputs: jax.Array, y: jax.Array, weight: Weight, *, gamma: float, alpha: float | None
) -> jax.Array:
    """Gives the mean focal loss over records and labels; `alpha` is what positives weigh, of 1."""
    positive, negative = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    yes, no = jax.nn.log_sigmoid(outputs), jax.nn.log_sigmoid(-outputs)
    hit, miss = -yes * jnp.exp(gamma * no), -no * jnp.exp(gamma * yes)
    return _mean(_by_record(positive * y * hit + negative * (1 - y) * miss), weight)


def mse(outputs: jax.Array, y: jax.Array, weight: Weight) -> jax.Array:
    """Gives the mean squared error over records and outputs; both have shape `(records, outputs, ...)`."""
    return _mean(_by_record(jnp.square(outputs - y)), weight)


def mae(outputs: jax.Array, y: jax.Array, weight: Weight) -> jax.Array:
    """Gives the mean absolute error over records and outputs."""
    return _mean(_by_record(jnp.abs(outputs - y)), weight)


def huber(outputs: jax.Array, y: jax.Array, weight: Weight, *, delta: float) -> jax.Array:
    """Gives the mean over records and outputs of what is quadratic up to `delta`, then linear."""
    return _mean(_by_record(optax.huber_loss(outputs, y, delta=delta)), weight)


def gaussian_nll(outputs: jax.Array, y: jax.Array, weight: Weight) -> jax.Array:
    """Gives the mean negative log-likelihood of normal distributions; outputs are means, then raw spreads."""
    mean, spread = jnp.split(outputs, 2, axis=1)
    variance = jax.nn.softplus(spread) + LEAST_VARIANCE
    each = 0.5 * (jnp.log(variance) + jnp.square(y - mean) / variance + math.log(2 * math.pi))
    return _mean(_by_record(each), weight)


def laplace_nll(outputs: jax.Array, y: jax.Array, weight: Weight) -> jax.Array:
    """Gives the mean negative log-likelihood of Laplace distributions; outputs are centres, then raw scales."""
    centre, spread = jnp.split(outputs, 2, axis=1)
    scale = jax.nn.softplus(spread) + LEAST_SCALE
    return _mean(_by_record(jnp.log(2 * scale) + jnp.abs(y - centre) / scale), weight)


def student_t_nll(outputs: jax.Array, y: jax.Array, weight: Weight) -> jax.Array:
    """Gives the mean negative log-likelihood of Student's t; outputs are centres, raw scales, raw df."""
    centre, spread, tail = jnp.split(outputs, 3, axis=1)
    scale, df = jax.nn.softplus(spread) + LEAST_SCALE, jax.nn.softplus(tail) + LEAST_DF
    square = jnp.square((y - centre) / scale)
    each = jnp.log(scale) + _student_norm(df / 2) + (df + 1) / 2 * jnp.log1p(square / df)
    return _mean(_by_record(each), weight)


def mixture_nll(outputs: jax.Array, y: jax.Array, weight: Weight) -> jax.Array:
    """Gives the mean negative log-likelihood of mixtures, per target; outputs are logits, means, raw spreads."""
    targets = y.shape[1]
    components = outputs.shape[1] // (1 + 2 * targets)
    logits, means, spreads = jnp.split(outputs, [components, components * (1 + targets)], axis=1)
    means, spreads = (one.reshape(-1, components, *y.shape[1:]) for one in (means, spreads))
    variance = jax.nn.softplus(spreads) + LEAST_VARIANCE
    each = jnp.log(variance) + jnp.square(y[:, None] - means) / variance + math.log(2 * math.pi)
    shares = jax.nn.log_softmax(logits, axis=1) - 0.5 * each.sum(2)
    return _mean(_by_record(-jax.nn.logsumexp(shares, axis=1) / targets), weight)


def quantile(outputs: jax.Array, y: jax.Array, weight: Weight, *, levels: tuple[float, ...]) -> jax.Array:
    """Gives the mean pinball loss over records, levels and targets; outputs are all targets at the first level, ..."""
    by_level = outputs.reshape(outputs.shape[0], len(levels), *y.shape[1:])
    error = y[:, None] - by_level
    tau = jnp.array(levels).reshape(-1, *[1] * (y.ndim - 1))
    return _mean(_by_record(jnp.maximum(tau * error, (tau - 1) * error)), weight)


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
    return _mean(each, _only(others > 0, weight))


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
    return _mean(each, _only(complete, weight))


def nt_xent(outputs: jax.Array, y: jax.Array, weight: Weight, *, temperature: float) -> jax.Array:
    """Gives the mean over records of how hard the two views, neighbouring rows, are to find among all rows."""
    del y
    rows = jnp.arange(outputs.shape[0])
    close = jnp.where(rows[:, None] == rows[None, :], -FAR, _similarity(outputs) / temperature)
    each = optax.softmax_cross_entropy_with_integer_labels(close, rows ^ 1)
    return _mean(each.reshape(-1, 2).mean(1), weight)


def own(
    outputs: jax.Array, y: jax.Array, weight: Weight, *, each: Callable[[jax.Array, jax.Array], jax.Array]
) -> jax.Array:
    """Gives the mean over records of what code of the user's own says of each.

    Raises:
        BackendError: If it does not give one number per record.
    """
    return _mean(one_per_record(each(outputs, y), outputs.shape[0]), weight)


def composite(
    outputs: jax.Array, y: jax.Array, weight: Weight, *, parts: Sequence[Loss], factors: Sequence[float]
) -> jax.Array:
    """Gives the sum of several losses, each times its factor."""
    terms = [factor * part(outputs, y, weight) for part, factor in zip(parts, factors, strict=True)]
    return sum(terms[1:], terms[0])


def _choose(spec: losses.LossPart, levels: tuple[float, ...]) -> Loss:
    match spec:
        case losses.CrossEntropy():
            weights = None if spec.class_weights is None else jnp.array(spec.class_weights)
            return partial(cross_entropy, smoothing=spec.label_smoothing, class_weights=weights)
        case losses.Focal():
            weights = None if spec.class_weights is None else jnp.array(spec.class_weights)
            return partial(focal, gamma=spec.gamma, class_weights=weights)
        case losses.KLDivergence():
            return partial(kl, temperature=spec.temperature)
        case losses.BinaryCrossEntropy():
            weights = None if spec.class_weights is None else jnp.array(spec.class_weights)
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
            return lambda outputs, x, weight: mse(_flat(outputs), _flat(x), weight)
        case losses.NTXent():
            return partial(nt_xent, temperature=spec.temperature)
        case losses.OwnLoss():
            return partial(own, each=make_own_loss(spec, library="equinox"))
        case losses.Composite():
            parts = [_choose(losses.spell_out(share.loss), levels) for share in spec.losses]
            return partial(composite, parts=parts, factors=[share.weight for share in spec.losses])


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


def _mean(each: jax.Array, weight: Weight) -> jax.Array:
    return each.mean() if weight is None else (each * weight).sum() / jnp.maximum(weight.sum(), TINY)
