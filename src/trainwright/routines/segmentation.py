"""Measures a segmentation on one split."""

from collections.abc import Callable
from dataclasses import dataclass

from trainwright.routines.period import SplitRoutine, check_output
from trainwright.train.learner import Task
from trainwright.train.routine import Results, View
from trainwright.validation.confusion import Tally, accuracy, mean_dice, mean_iou
from trainwright.validation.segmentation import place_cross_entropy, tally_places
from trainwright.validation.weights import Floats

BY_TALLY: dict[str, Callable[[Tally], Floats]] = {
    "pixel_accuracy": accuracy,
    "mean_iou": mean_iou,
    "mean_dice": mean_dice,
}


@dataclass(frozen=True, kw_only=True)
class SegmentationScores(SplitRoutine):
    """Measures cross-entropy, pixel accuracy, mean IoU and mean Dice; a pixel weighs what its record does.

    IoU and Dice are taken over all pixels of the split, not by image, then averaged over classes.

    Args:
        split: Which split; the metrics are called `<split>/loss`, `<split>/mean_iou` and so on.
        every_n_epochs: Cadence; 1 when none is given.
        every_n_steps: Cadence in steps, instead.

    Example:
        >>> SegmentationScores().names(None)
        ('val/loss', 'val/pixel_accuracy', 'val/mean_iou', 'val/mean_dice')
    """

    def names(self, task: Task | None) -> tuple[str, ...]:
        """Gives the names of the metrics; on train, the loss is the loop's own.

        Raises:
            SpecError: If the model has no output `logits`.
        """
        check_output(task, "logits", routine=type(self).__name__)
        return self.name_all(["loss", *BY_TALLY])

    def __call__(self, view: View) -> Results:
        """Measures."""
        logits, examples = view.predictions(self.split)["logits"], view.examples(self.split)
        tally = tally_places(logits, examples.y, weight=examples.weight)
        measured = {f"{self.split}/{name}": float(score(tally)) for name, score in BY_TALLY.items()}
        if self.split != "train":
            loss = place_cross_entropy(logits, examples.y, weight=examples.weight)
            measured[f"{self.split}/loss"] = loss
        return Results(measured)
