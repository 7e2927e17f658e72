"""Measures a regression on one split."""

from dataclasses import dataclass

from trainwright.routines.period import SplitRoutine, check_output
from trainwright.train.learner import Task
from trainwright.train.routine import Results, View
from trainwright.validation.regression import mae, mse, r2, rmse

SCORES = {"rmse": rmse, "mae": mae, "r2": r2}


@dataclass(frozen=True, kw_only=True)
class RegressionScores(SplitRoutine):
    """Measures the loss, and root mean square error, mean absolute error and R² in the unit of the target.

    The loss is the mean squared error of what the model is trained on, after the operators of the target.

    Args:
        split: Which split; the metrics are called `<split>/loss`, `<split>/rmse` and so on.
        every_n_epochs: Cadence; 1 when none is given.
        every_n_steps: Cadence in steps, instead.
    """

    def names(self, task: Task | None) -> tuple[str, ...]:
        """Gives the names of the metrics; on train, the loss is the loop's own.

        Raises:
            SpecError: If the model has no output `y`.
        """
        check_output(task, "y", routine=type(self).__name__)
        return tuple(
            name for name in (f"{self.split}/{one}" for one in ("loss", *SCORES)) if name != "train/loss"
        )

    def __call__(self, view: View) -> Results:
        """Measures."""
        prediction, examples = view.predictions(self.split)["y"], view.examples(self.split)
        measured = {f"{self.split}/loss": mse(prediction, examples.y, weight=examples.weight)}
        inverted, true = view.invert(prediction), view.invert(examples.y)
        for name, score in SCORES.items():
            measured[f"{self.split}/{name}"] = score(inverted, true, weight=examples.weight)
        measured.pop("train/loss", None)
        return Results(measured)
