"""Several predictions of the same target, as one, and what they disagree about."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.validation.classification import log_probabilities
from trainwright.validation.families import Family, Mixture, Normal
from trainwright.validation.space import to_places
from trainwright.validation.weights import Floats


class MixedChances(NamedTuple):
    """The mean of several predictions of probabilities.

    Args:
        logits: Of the mean probabilities, as a single model would give them; shape of one member.
        disagreement: What the prediction and the member that made it tell of each other, in nats: 0 where all
            members say the same, up to the logarithm of their number; shape of `logits` without the axis of classes.
    """

    logits: Floats
    disagreement: Floats


def mix_gaussians(means: Array, variances: Array) -> tuple[Floats, Floats]:
    r"""Gives mean and variance of an evenly weighted mixture of Gaussians, such as the members of an ensemble.

    .. math:: m_* = \frac1M \sum_k m_k, \quad v_* = \frac1M \sum_k (v_k + m_k^2) - m_*^2

    The second is computed as the mean variance plus the variance of the means, which loses no digits where the
    means are large. What members disagree about is thus added to what each holds for noise.

    Args:
        means: Of each member, shape `(members, records, outputs)` or `(members, records)`.
        variances: Shape of `means`, in the squared unit of the target.

    Returns:
        Mean and variance, each of the shape of one member. Where a member's variance is negative or anything is
        nan, the variance is nan: no score of it is good by accident.

    Raises:
        DataError: If the shapes do not belong together, or there is no member.

    Example:
        Two members that are sure of different things make an unsure ensemble:

        >>> mean, variance = mix_gaussians(np.array([[1.0], [3.0]]), np.array([[0.5], [0.5]]))
        >>> mean.tolist(), variance.tolist()
        ([2.0], [1.5])

    Source:
        Lakshminarayanan, Pritzel & Blundell, Simple and Scalable Predictive Uncertainty Estimation using Deep
        Ensembles, 2017, section 2.4.
    """
    if means.shape != variances.shape or means.ndim < 2 or len(means) == 0:
        raise DataError(
            f"means of shape {means.shape} and variances of shape {variances.shape} are no mixture; "
            "stack those of each member along a first axis"
        )
    centres, spreads = means.astype(np.float64), variances.astype(np.float64)
    mean: Floats = centres.mean(axis=0)
    with np.errstate(invalid="ignore"):
        variance: Floats = np.where(spreads < 0, np.nan, spreads).mean(axis=0) + centres.var(axis=0)
    return mean, variance


def mix_classes(logits: Array) -> MixedChances:
    r"""Gives the mean of the members' class probabilities and their mutual information with the choice of a member.

    .. math:: \bar p = \frac1M \sum_k p_k, \quad
        I = H(\bar p) - \frac1M \sum_k H(p_k) = \frac1M \sum_k \mathrm{KL}(p_k \,\|\, \bar p)

    It is computed as the last, whose terms cannot cancel.

    Args:
        logits: Of each member, shape `(members, records, classes, ...)`.

    Returns:
        Logarithms of the mean probabilities, shape `(records, classes, ...)`, and the disagreement, shape `(records,
        ...)`. Where a member says nan, both are nan.

    Raises:
        DataError: If there is no member, or there are no classes.

    Example:
        Two members that are sure of different classes:

        >>> mixed = mix_classes(np.array([[[50.0, 0.0]], [[0.0, 50.0]]]))
        >>> np.exp(mixed.logits).round(6).tolist(), (mixed.disagreement / np.log(2)).round(6).tolist()
        ([[0.5, 0.5]], [1.0])

    Source:
        Houlsby et al., Bayesian Active Learning for Classification and Preference Learning, 2011, equation 2;
        Lakshminarayanan, Pritzel & Blundell, 2017, section 2.4.
    """
    if logits.ndim < 3 or len(logits) == 0:
        raise DataError(f"logits of shape {logits.shape} are not (members, records, classes, ...)")
    _, records, classes, *space = logits.shape
    flat = np.stack([log_probabilities(to_places(one)) for one in logits])
    mean = _log_mean(flat)
    gap = _divergence(flat, mean).sum(axis=2).mean(axis=0)
    shaped = np.moveaxis(mean.reshape(records, *space, classes), -1, 1)
    return MixedChances(shaped, np.maximum(gap, 0.0).reshape(records, *space))


def mix_labels(logits: Array) -> MixedChances:
    """Does as `mix_classes` for labels that each hold or not: the disagreement is of each label by itself.

    Args:
        logits: Of each member, shape `(members, records, labels)`.

    Returns:
        Both of shape `(records, labels)`.

    Raises:
        DataError: If there is no member.

    Example:
        >>> mixed = mix_labels(np.array([[[0.0]], [[0.0]]]))
        >>> mixed.logits.tolist(), mixed.disagreement.tolist()
        ([[0.0]], [[0.0]])
    """
    if logits.ndim != 3 or len(logits) == 0:
        raise DataError(f"logits of shape {logits.shape} are not (members, records, labels)")
    numbers = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):
        sides = np.stack([-np.logaddexp(0.0, -numbers), -np.logaddexp(0.0, numbers)])  # log p, log (1 - p)
    means = np.stack([_log_mean(side) for side in sides])
    gaps = np.stack([_divergence(side, mean) for side, mean in zip(sides, means, strict=True)])
    return MixedChances(means[0] - means[1], np.maximum(gaps.sum(axis=0).mean(axis=0), 0.0))


def _log_mean(logs: Floats) -> Floats:
    """Gives the logarithm of the mean over members of what the logarithms are of."""
    with np.errstate(invalid="ignore"):
        mean: Floats = np.logaddexp.reduce(logs, axis=0) - np.log(len(logs))
    return mean


def _divergence(logs: Floats, mean: Floats) -> Floats:
    """Gives the terms of the divergence of each member from the mean; a probability of nothing adds nothing."""
    with np.errstate(invalid="ignore"):
        terms: Floats = np.where(np.isneginf(logs), 0.0, np.exp(logs) * (logs - mean))
    return terms


def mix_families(families: Sequence[Family]) -> Mixture:
    """Gives the evenly weighted mixture of normal distributions, or of mixtures of them, exactly.

    The targets of a record have in common which member they come from.

    Args:
        families: Of each member, for the same records.

    Raises:
        DataError: If there is none, or one is of another kind: no class holds their mixture.

    Example:
        >>> one, other = (Normal(np.full((1, 1), mean), np.ones((1, 1))) for mean in (-1.0, 3.0))
        >>> found = mix_families([one, other])
        >>> found.centre.tolist(), found.means.tolist(), found.std().tolist() == [[5**0.5]]
        ([[1.0]], [[[-1.0], [3.0]]], True)
    """
    if not families:
        raise DataError("a mixture needs members")
    parts: list[tuple[Floats, Floats, Floats]] = []
    for one in families:
        if isinstance(one, Mixture):
            parts.append((one.mixing, one.means, one.variances))
        elif isinstance(one, Normal):
            whole = np.ones((len(one.centre), 1, *one.centre.shape[2:]))
            parts.append((whole, one.centre[:, None], one.variance[:, None]))
        else:
            raise DataError(f"of {one.told} no mixture is known here, only of normal distributions")
    mixing, means, variances = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
    centre: Floats = np.stack([one.centre for one in families]).mean(axis=0)
    return Mixture(centre, mixing / len(families), means, variances)
