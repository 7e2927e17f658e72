"""What a model must beat: the scores of the answer that ignores the features."""

from typing import Any

import numpy as np

from trainwright.base.tree import Array
from trainwright.data.dataset import Records
from trainwright.data.prepare import Preparation
from trainwright.validation import classification, multilabel, regression
from trainwright.validation.softlabels import spread_classes
from trainwright.validation.weights import Floats, settle_weight

FLOOR = 1e-12  # of a share, so that its logarithm is finite


def baseline_scores(preparation: Preparation, train: Records, records: Records) -> dict[str, float]:
    """Scores the best constant answer: the shares of the classes in train, or the mean of its targets.

    Args:
        preparation: Fitted on train.
        train: The train split, raw.
        records: Those that are judged, raw.

    Returns:
        By the names of the model's own scores; empty where a constant answers nothing, as for an embedding.
    """
    task = preparation.task_type
    if train.y is None or records.y is None or task not in ("classification", "multi_label", "regression"):
        return {}
    own = settle_weight(train.weight, len(train))
    if task == "regression":
        return _of_values(train.y, records.y, own=own, weight=records.weight)
    known, asked = (_encode(preparation, one) for one in (train, records))
    if task == "multi_label":
        shares = np.clip(own @ known / own.sum(), FLOOR, 1 - FLOOR)
        logits = np.broadcast_to(np.log(shares / (1 - shares)), asked.shape)
        return {
            "loss": multilabel.binary_cross_entropy(logits, asked, weight=records.weight),
            "hamming_loss": multilabel.hamming_loss(logits, asked, weight=records.weight),
        }
    shares = (own @ known if known.ndim == 2 else np.bincount(known, weights=own)) / own.sum()
    logits = np.broadcast_to(np.log(np.maximum(shares, FLOOR)), (len(asked), len(shares)))
    scores: dict[str, Any] = {
        "accuracy": classification.accuracy,
        "balanced_accuracy": classification.balanced_accuracy,
        "macro_f1": classification.macro_f1,
        "loss": classification.cross_entropy,
    }
    logits, asked, weight = spread_classes(logits, asked, weight=records.weight)
    return {name: score(logits, asked, weight=weight) for name, score in scores.items()}


def _encode(preparation: Preparation, records: Records) -> Any:
    assert records.y is not None
    return preparation.targets(records.y)


def _of_values(known: Array, asked: Array, *, own: Floats, weight: Array | None) -> dict[str, float]:
    flat: Any = known.reshape(len(known), -1)
    wanted = asked.reshape(len(asked), -1)
    guess = np.broadcast_to(own @ flat / own.sum(), wanted.shape)
    scores: dict[str, Any] = {"rmse": regression.rmse, "mae": regression.mae, "r2": regression.r2}
    return {name: score(guess, wanted, weight=weight) for name, score in scores.items()}
