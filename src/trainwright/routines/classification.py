"""Measures a classifier on one split."""

from dataclasses import dataclass

from trainwright.routines.period import read_period
from trainwright.train.clock import Period
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
class ClassificationScores:
    """Measures cross-entropy, accuracy, balanced accuracy and macro F1, weighted by record.

    Args:
        split: Which split; the metrics are called `<split>/loss`, `<split>/accuracy` and so on.
        every_n_epochs: Cadence; 1 when none is given.
        every_n_steps: Cadence in steps, instead.

    Example:
        >>> ClassificationScores(split="train").names(None)[:2]
        ('train/loss', 'train/accuracy')
    """

    split: str = "val"
    every_n_epochs: int | None = None
    every_n_steps: int | None = None

    def __post_init__(self) -> None:
        read_period(self.every_n_epochs, self.every_n_steps)

    @property
    def every(self) -> Period:
        """Says how often."""
        return read_period(self.every_n_epochs, self.every_n_steps)

    def names(self, task: Task | None) -> tuple[str, ...]:
        """Gives the names of the metrics."""
        return tuple(f"{self.split}/{name}" for name in SCORES)

    def __call__(self, view: View) -> Results:
        """Measures."""
        logits, examples = view.predictions(self.split)["logits"], view.examples(self.split)
        return Results(
            {
                f"{self.split}/{name}": score(logits, examples.y, weight=examples.weight)
                for name, score in SCORES.items()
            }
        )
