"""Measures a regression on one split."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainwright.base.errors import SpecError
from trainwright.base.tree import Array
from trainwright.routines.period import SplitRoutine, check_extra, check_output
from trainwright.routines.trained import TrainedOn, trained_on
from trainwright.train.learner import Task
from trainwright.train.routine import Results, View
from trainwright.validation.correlation import pearson, spearman
from trainwright.validation.probabilistic import (
    between_terms,
    gaussian_crps,
    gaussian_nll,
    interval_coverage,
    nominal_coverage,
    pinball,
)
from trainwright.validation.regression import huber, mae, mape, mse, r2, rmse
from trainwright.validation.space import spread_weight, to_places
from trainwright.validation.unit import invert_quantiles, invert_variance
from trainwright.validation.weights import settle_weight, weighted_mean

SCORES: dict[str, Callable[..., float]] = {"rmse": rmse, "mae": mae, "r2": r2}
EXTRA: dict[str, Callable[..., float]] = {"mse": mse, "mape": mape, "pearson": pearson, "spearman": spearman}
GAUSSIAN: dict[str, Callable[..., float]] = {
    "nll": gaussian_nll,
    "crps": gaussian_crps,
    "coverage_90": interval_coverage,
}
POINT_LOSSES: dict[str, Callable[..., float]] = {"mse": mse, "mae": mae, "huber": huber}


@dataclass(frozen=True, kw_only=True)
class RegressionScores(SplitRoutine):
    """Measures the loss, and root mean square error, mean absolute error and R² in the unit of the target.

    The loss is the one the model is trained on, after the operators of the target: mean squared error unless the
    task says otherwise. A model with a variance is also measured by negative log-likelihood, CRPS and the
    coverage of its central 90 % interval, one with quantiles by pinball loss and by the coverage of the interval
    between the lowest and the highest, such as `coverage_80`. On a grid, each place of a channel is a record.

    Args:
        split: Which split; the metrics are called `<split>/loss`, `<split>/rmse` and so on.
        every_n_epochs: Cadence; 1 when none is given.
        every_n_steps: Cadence in steps, instead.
        extra: Further scores: mse, mape, pearson, spearman.

    Example:
        >>> RegressionScores(extra=["mape"]).names(None)
        ('val/loss', 'val/rmse', 'val/mae', 'val/r2', 'val/mape')
    """

    extra: Sequence[str] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "extra", check_extra(self.extra, EXTRA))

    def names(self, task: Task | None) -> tuple[str, ...]:
        """Gives the names of the metrics; on train, the loss is the loop's own.

        Raises:
            SpecError: If the model has no output `y`, or is trained on a loss that is none of a regression.
        """
        check_output(task, "y", routine=type(self).__name__)
        trained = trained_on(task, default="mse")
        if trained.loss not in (*POINT_LOSSES, "gaussian_nll", "quantile"):
            raise SpecError(
                f"train.routines: {type(self).__name__} knows no loss {trained.loss!r}; "
                "leave it out, or name another routine"
            )
        outputs = () if task is None else task.outputs
        return self.name_all(["loss", *SCORES, *self.extra, *_of_spread(outputs, trained)])

    def __call__(self, view: View) -> Results:
        """Measures."""
        outputs, examples = view.predictions(self.split), view.examples(self.split)
        trained = trained_on(getattr(view.learner, "task", None), default="mse")
        weight = spread_weight(examples.weight, examples.y)
        measured = {}
        if self.split != "train":
            measured["loss"] = _loss(outputs, examples.y, weight, trained)
        guess, true = (view.invert(one) for one in (outputs["y"], examples.y))
        for name, score in (SCORES | {one: EXTRA[one] for one in self.extra}).items():
            measured[name] = score(_places(guess), _places(true), weight=weight)
        if "variance" in outputs:
            variance = _places(invert_variance(outputs["variance"], view.invert))
            for name, score in GAUSSIAN.items():
                measured[name] = score(_places(guess), variance, _places(true), weight=weight)
        if "quantiles" in outputs:
            levels = trained.settle_levels()
            quantiles = invert_quantiles(outputs["quantiles"], view.invert)
            measured["pinball"] = pinball(quantiles, true, levels=levels, weight=examples.weight)
            inside = between_terms(quantiles, true)
            measured[nominal_coverage(levels)] = float(
                weighted_mean(inside, settle_weight(examples.weight, len(inside)))
            )
        return Results({f"{self.split}/{name}": value for name, value in measured.items()})


def _of_spread(outputs: Collection[str], trained: TrainedOn) -> list[str]:
    names = list(GAUSSIAN) if "variance" in outputs else []
    return names + (["pinball", nominal_coverage(trained.settle_levels())] if "quantiles" in outputs else [])


def _loss(outputs: Mapping[str, Array], y: Array, weight: Array | None, trained: TrainedOn) -> float:
    if trained.loss == "gaussian_nll":
        mean, variance = _places(outputs["y"]), _places(outputs["variance"])
        return gaussian_nll(mean, variance, _places(y), weight=weight)
    if trained.loss == "quantile":
        return pinball(outputs["quantiles"], y, levels=trained.settle_levels(), weight=weight)
    options: dict[str, Any] = trained.pick("delta") if trained.loss == "huber" else {}
    return POINT_LOSSES[trained.loss](_places(outputs["y"]), _places(y), weight=weight, **options)


def _places(values: Array) -> Array:
    return to_places(values) if values.ndim > 2 else values
