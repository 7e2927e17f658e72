"""Measures a classifier on one split."""

from dataclasses import dataclass

from trainwright.routines.period import SplitRoutine, check_output
from trainwright.train.learner import Task
from trainwright.train.routine import Results, View
from trainwright.validation.classification import accuracy, balanced_accuracy, cross_entropy, macro_f1

SCORES = {
    "loss": cross_entropy,
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
}


@dataclass(frozen=True, kw_only=True)
class ClassificationScores(SplitRoutine):
    """Measures cross-entropy, accuracy, balanced accuracy and macro F1, weighted by record.

    Args:
        split: Which split; the metrics are called `<split>/loss`, `<split>/accuracy` and so on.
        every_n_epochs: Cadence; 1 when none is given.
        every_n_steps: Cadence in steps, instead.

    Example:
        >>> ClassificationScores().names(None)[:2]
        ('val/loss', 'val/accuracy')
    """

    def names(self, task: Task | None) -> tuple[str, ...]:
        """Gives the names of the metrics; on train, the loss is the loop's own.

        Raises:
            SpecError: If the model has no output `logits`.
        """
        check_output(task, "logits", routine=type(self).__name__)
        return tuple(name for name in (f"{self.split}/{one}" for one in SCORES) if name != "train/loss")

    def __call__(self, view: View) -> Results:
        """Measures."""
        logits, examples = view.predictions(self.split)["logits"], view.examples(self.split)
        measured = {
            f"{self.split}/{name}": score(logits, examples.y, weight=examples.weight)
            for name, score in SCORES.items()
        }
        measured.pop("train/loss", None)
        return Results(measured)
