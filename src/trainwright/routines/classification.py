"""Measures a classifier on one split."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from trainwright.base.tree import Array
from trainwright.routines.period import SplitRoutine, check_extra, check_output
from trainwright.train.learner import Task
from trainwright.train.routine import Results, View
from trainwright.validation import confusion
from trainwright.validation.calibration import brier, expected_calibration_error
from trainwright.validation.classification import (
    accuracy,
    balanced_accuracy,
    cross_entropy,
    macro_f1,
    top_k_accuracy,
)
from trainwright.validation.confusion import Tally, tally_classes
from trainwright.validation.ranking import class_average_precision, class_roc_auc
from trainwright.validation.softlabels import agreement, kl, spread_classes
from trainwright.validation.weights import Floats

SCORES: dict[str, Callable[..., float]] = {
    "loss": cross_entropy,
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
}
BY_TALLY: dict[str, Callable[[Tally], Floats]] = {
    "macro_precision": confusion.precision,
    "macro_recall": confusion.recall,
    "weighted_precision": partial(confusion.precision, average="weighted"),
    "weighted_recall": partial(confusion.recall, average="weighted"),
    "weighted_f1": partial(confusion.f1, average="weighted"),
    "mcc": confusion.matthews,
}
EXTRA: dict[str, Callable[..., float]] = {
    "roc_auc": class_roc_auc,
    "weighted_roc_auc": partial(class_roc_auc, average="weighted"),
    "average_precision": class_average_precision,
    "brier": brier,
    "ece": expected_calibration_error,
    "top_3_accuracy": partial(top_k_accuracy, k=3),
    "top_5_accuracy": partial(top_k_accuracy, k=5),
}
SOFT: dict[str, Callable[..., float]] = {"kl": kl, "agreement": agreement}


@dataclass(frozen=True, kw_only=True)
class ClassificationScores(SplitRoutine):
    """Measures cross-entropy, accuracy, balanced accuracy and macro F1, weighted by record.

    The loss is the plain cross-entropy: without label smoothing and class weights, so that runs that train
    with other ones can be compared. Where the target is probabilities, a record counts as one of each class with
    that weight.

    Args:
        split: Which split; the metrics are called `<split>/loss`, `<split>/accuracy` and so on.
        every_n_epochs: Cadence; 1 when none is given.
        every_n_steps: Cadence in steps, instead.
        extra: Further scores: macro_precision, macro_recall, weighted_precision, weighted_recall, weighted_f1,
            mcc, roc_auc, weighted_roc_auc, average_precision, brier, ece, top_3_accuracy, top_5_accuracy; kl (from
            the probabilities of the target to those of the model) and agreement (the most probable class is the same).

    Example:
        >>> ClassificationScores(extra=["mcc"]).names(None)[-2:]
        ('val/macro_f1', 'val/mcc')
    """

    extra: Sequence[str] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "extra", check_extra(self.extra, [*BY_TALLY, *EXTRA, *SOFT]))

    def names(self, task: Task | None) -> tuple[str, ...]:
        """Gives the names of the metrics; on train, the loss is the loop's own.

        Raises:
            SpecError: If the model has no output `logits`.
        """
        check_output(task, "logits", routine=type(self).__name__)
        return self.name_all([*SCORES, *self.extra])

    def __call__(self, view: View) -> Results:
        """Measures."""
        logits, examples = view.predictions(self.split)["logits"], view.examples(self.split)
        soft = {
            name: SOFT[name](logits, examples.y, weight=examples.weight)
            for name in self.extra
            if name in SOFT
        }
        logits, y, weight = spread_classes(logits, examples.y, weight=examples.weight)
        measured = {
            name: score(logits, y, weight=weight)
            for name, score in SCORES.items()
            if f"{self.split}/{name}" != "train/loss"
        }
        measured |= self._measure_extra(logits, y, weight) | soft
        return Results({f"{self.split}/{name}": value for name, value in measured.items()})

    def _measure_extra(self, logits: Array, y: Array, weight: Array | None) -> dict[str, float]:
        extra = [name for name in self.extra if name not in SOFT]
        if not extra:
            return {}
        tally = tally_classes(logits, y, weight=weight)
        return {
            name: float(BY_TALLY[name](tally)) if name in BY_TALLY else EXTRA[name](logits, y, weight=weight)
            for name in extra
        }
