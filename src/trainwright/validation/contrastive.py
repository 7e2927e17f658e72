"""Losses of an embedding with classes, measured on a split as they are trained: batch by batch, in order.

A record without a partner in its batch has no loss and does not count. Where none has one, the loss is nan.
"""

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.validation.neighbours import distance_blocks
from trainwright.validation.weights import Floats, settle_weight, weighted_mean

BATCH = 256
Mask = NDArray[np.bool_]


def supervised_contrastive(
    embedding: Array, y: Array, *, temperature: float = 0.1, batch: int = BATCH, weight: Array | None = None
) -> float:
    r"""Measures :math:`-\frac{1}{|P(i)|} \sum_{p \in P(i)} \log (e^{s_{ip}} / \sum_{a \ne i} e^{s_{ia}})`.

    Here :math:`s_{ij} = z_i \cdot z_j / \tau`, and P(i) are the others of the class of i.

    Args:
        embedding: Unit vectors, shape `(records, width)`.
        y: Classes, shape `(records,)`.
        temperature: The :math:`\tau`.
        batch: Records that are compared with one another, in order.
        weight: Of each record as an anchor, shape `(records,)`.

    Raises:
        DataError: If the shapes do not belong together, or the weights are wrong.

    Example:
        >>> z = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> print(f"{supervised_contrastive(z, np.array([0, 0, 1]), temperature=1.0):.4f}")
        0.3133

    Source:
        Khosla et al., Supervised contrastive learning, 2020, equation 2 (L_out).
    """
    weights, losses, anchors = _check(embedding, y, batch, weight), np.zeros(len(y)), np.zeros(len(y), bool)
    for begin in range(0, len(y), batch):
        here = slice(begin, begin + batch)
        z = embedding[here].astype(np.float64)
        partners, itself = _partners(y[here])
        with np.errstate(invalid="ignore", over="ignore"):
            alike = np.where(itself, -np.inf, z @ z.T / temperature)
            top = np.where(itself.all(axis=1), 0.0, alike.max(axis=1))[:, None]
            whole = np.exp(alike - top).sum(axis=1, keepdims=True)
            logs = alike - top - np.log(whole, where=whole != 0, out=np.zeros_like(whole))
        anchors[here] = partners.any(axis=1)
        losses[here] = -np.where(partners, logs, 0.0).sum(axis=1) / np.maximum(partners.sum(axis=1), 1)
    return _over_anchors(losses, anchors, weights)


def triplet(
    embedding: Array, y: Array, *, margin: float = 0.2, batch: int = BATCH, weight: Array | None = None
) -> float:
    r"""Measures :math:`\max(0, m + \max_p d(i, p) - \min_n d(i, n))` over the batch of each record.

    Args:
        embedding: Shape `(records, width)`; distances are Euclidean.
        y: Classes, shape `(records,)`; p are the others of the class of i, n those of other classes.
        margin: The :math:`m`, in the unit of the distance.
        batch: As of `supervised_contrastive`.
        weight: As of `supervised_contrastive`.

    Raises:
        DataError: As `supervised_contrastive`.

    Example:
        >>> print(f"{triplet(np.array([[0.0], [1.0], [1.5]]), np.array([0, 0, 1])):.3f}")
        0.350

    Source:
        Hermans et al., In defense of the triplet loss for person re-identification, 2017, equation 5.
    """
    weights, losses, anchors = _check(embedding, y, batch, weight), np.zeros(len(y)), np.zeros(len(y), bool)
    for begin in range(0, len(y), batch):
        here = slice(begin, begin + batch)
        z = embedding[here].astype(np.float64)
        partners, itself = _partners(y[here])
        others = ~(partners | itself)
        distance = np.concatenate([rows for _, rows in distance_blocks(z, z, "euclidean")])
        furthest = np.where(partners, distance, -np.inf).max(axis=1)
        closest = np.where(others, distance, np.inf).min(axis=1)
        anchors[here] = partners.any(axis=1) & others.any(axis=1)
        losses[here] = np.maximum(0.0, np.where(anchors[here], margin + furthest - closest, 0.0))
    return _over_anchors(losses, anchors, weights)


def _partners(y: Array) -> tuple[Mask, Mask]:
    itself = np.eye(len(y), dtype=bool)
    return (y[:, None] == y) & ~itself, itself


def _over_anchors(losses: Floats, anchors: Mask, weight: Floats) -> float:
    counted = weight * anchors
    return float(weighted_mean(losses, counted)) if counted.any() else float("nan")


def _check(embedding: Array, y: Array, batch: int, weight: Array | None) -> Floats:
    if embedding.ndim != 2 or y.shape != (len(embedding),) or y.dtype.kind not in "iu":
        raise DataError(f"embeddings of shape {embedding.shape} do not belong to classes {y.dtype} {y.shape}")
    if batch < 2:
        raise ValueError(f"batch {batch} is not at least 2")
    return settle_weight(weight, len(y))
