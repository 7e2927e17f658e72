"""Measures a model that says yes or no to several labels, on one split."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from trainwright.routines.period import SplitRoutine, check_extra, check_output
from trainwright.train.learner import Task
from trainwright.train.routine import Results, View
from trainwright.validation import confusion
from trainwright.validation.confusion import Tally
from trainwright.validation.multilabel import (
    binary_cross_entropy,
    hamming_loss,
    label_areas,
    subset_accuracy,
    tally_labels,
)
from trainwright.validation.weights import Floats

BY_TALLY: dict[str, Callable[[Tally], Floats]] = {
    "macro_f1": confusion.f1,
    "micro_f1": partial(confusion.f1, average="micro"),
    "weighted_f1": partial(confusion.f1, average="weighted"),
    "macro_precision": confusion.precision,
    "macro_recall": confusion.recall,
}
BY_LOGITS: dict[str, Callable[..., float]] = {
    "loss": binary_cross_entropy,
    "subset_accuracy": subset_accuracy,
    "hamming_loss": hamming_loss,
    "roc_auc": label_areas,
    "average_precision": partial(label_areas, under="precision_recall"),
}
USUAL = ("loss", "macro_f1", "micro_f1", "subset_accuracy", "hamming_loss")


@dataclass(frozen=True, kw_only=True)
class MultiLabelScores(SplitRoutine):
    """Measures binary cross-entropy, macro and micro F1, subset accuracy and Hamming loss, weighted by record.

    The loss is the plain one, without the weights of labels that a model may train with.

    Args:
        split: Which split; the metrics are called `<split>/loss`, `<split>/macro_f1` and so on.
        every_n_epochs: Cadence; 1 when none is given.
        every_n_steps: Cadence in steps, instead.
        extra: Further scores: weighted_f1, macro_precision, macro_recall, roc_auc, average_precision.

    Example:
        >>> MultiLabelScores(extra=["roc_auc"]).names(None)[-2:]
        ('val/hamming_loss', 'val/roc_auc')
    """

    extra: Sequence[str] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        known = [name for name in (*BY_TALLY, *BY_LOGITS) if name not in USUAL]
        object.__setattr__(self, "extra", check_extra(self.extra, known))

    def names(self, task: Task | None) -> tuple[str, ...]:
        """Gives the names of the metrics; on train, the loss is the loop's own.

        Raises:
            SpecError: If the model has no output `logits`.
        """
        check_output(task, "logits", routine=type(self).__name__)
        return self.name_all([*USUAL, *self.extra])

    def __call__(self, view: View) -> Results:
        """Measures."""
        logits, examples = view.predictions(self.split)["logits"], view.examples(self.split)
        tally = tally_labels(logits, examples.y, weight=examples.weight)
        measured: dict[str, float] = {}
        for metric in self.name_all([*USUAL, *self.extra]):
            name = metric.rpartition("/")[2]
            if name in BY_TALLY:
                measured[metric] = float(BY_TALLY[name](tally))
            else:
                measured[metric] = BY_LOGITS[name](logits, examples.y, weight=examples.weight)
        return Results(measured)
