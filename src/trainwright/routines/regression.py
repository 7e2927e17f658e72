"""Measures a regression on one split."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainwright.base.errors import DataError, SpecError
from trainwright.base.tree import Array
from trainwright.routines.period import SplitRoutine, check_extra, check_output
from trainwright.routines.trained import TrainedOn, trained_on
from trainwright.spec.losses import OwnLoss
from trainwright.spec.own_code import make_own_loss, one_per_record
from trainwright.train.learner import Task
from trainwright.train.routine import Results, View
from trainwright.validation.correlation import pearson, spearman
from trainwright.validation.families import family_of
from trainwright.validation.probabilistic import between_terms, nominal_coverage, pinball
from trainwright.validation.regression import huber, mae, mape, mse, r2, rmse
from trainwright.validation.space import spread_weight, to_places
from trainwright.validation.unit import invert_spread
from trainwright.validation.weights import settle_weight, weighted_mean

SCORES: dict[str, Callable[..., float]] = {"rmse": rmse, "mae": mae, "r2": r2}
EXTRA: dict[str, Callable[..., float]] = {"mse": mse, "mape": mape, "pearson": pearson, "spearman": spearman}
OF_A_DISTRIBUTION = ("nll", "crps", "coverage_90")
SPREADS = ("variance", "scale", "mixing")  # a distribution has one of them
LIKELIHOODS = ("gaussian_nll", "laplace_nll", "student_t_nll", "mixture_nll")
POINT_LOSSES: dict[str, Callable[..., float]] = {"mse": mse, "mae": mae, "huber": huber}


@dataclass(frozen=True, kw_only=True)
class RegressionScores(SplitRoutine):
    """Measures the loss, and root mean square error, mean absolute error and R² in the unit of the target.

    The loss is the one the model is trained on, after the operators of the target: mean squared error unless the
    task says otherwise. A model with a distribution is also measured by negative log-likelihood, CRPS and the
    coverage of its central 90 % interval, one with quantiles by pinball loss and by the coverage of the interval
    between the lowest and the highest, such as `coverage_80`. On a grid, each place of a channel is a record. With
    several outputs each score is the mean of that of each: `rmse` is then not the root of `mse`.

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
        for one, _ in trained.shares():
            if one.loss not in (*POINT_LOSSES, *LIKELIHOODS, "quantile", "own"):
                raise SpecError(
                    f"train.routines: {type(self).__name__} knows no loss {one.loss!r}; "
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
            measured["loss"] = _loss(outputs, examples.y, examples.weight, trained)
        guess, true = (view.invert(one) for one in (outputs["y"], examples.y))
        for name, score in (SCORES | {one: EXTRA[one] for one in self.extra}).items():
            measured[name] = score(_places(guess), _places(true), weight=weight)
        spread = invert_spread(outputs, view.invert)
        family = family_of({"y": guess, **spread})
        if family is not None:
            measured |= family.scores(true, weight=examples.weight)
        if "quantiles" in outputs:
            levels, quantiles = trained.settle_levels(), spread["quantiles"]
            measured["pinball"] = pinball(quantiles, true, levels=levels, weight=examples.weight)
            inside = between_terms(quantiles, true)
            measured[nominal_coverage(levels)] = float(
                weighted_mean(inside, settle_weight(examples.weight, len(inside)))
            )
        return Results({f"{self.split}/{name}": value for name, value in measured.items()})


def _of_spread(outputs: Collection[str], trained: TrainedOn) -> list[str]:
    names = list(OF_A_DISTRIBUTION) if any(name in outputs for name in SPREADS) else []
    return names + (["pinball", nominal_coverage(trained.settle_levels())] if "quantiles" in outputs else [])


def _loss(outputs: Mapping[str, Array], y: Array, weight: Array | None, trained: TrainedOn) -> float:
    return sum(factor * _one_loss(outputs, y, weight, one) for one, factor in trained.shares())


def _one_loss(outputs: Mapping[str, Array], y: Array, weight: Array | None, trained: TrainedOn) -> float:
    if trained.loss == "own":
        return _own_loss(outputs["y"], y, weight, trained)
    if trained.loss in LIKELIHOODS:
        family = family_of(outputs)
        assert family is not None
        return float(weighted_mean(family.nll_terms(y), settle_weight(weight, len(y))))
    weight = spread_weight(weight, y)
    if trained.loss == "quantile":
        return pinball(outputs["quantiles"], y, levels=trained.settle_levels(), weight=weight)
    options: dict[str, Any] = trained.pick("delta") if trained.loss == "huber" else {}
    return POINT_LOSSES[trained.loss](_places(outputs["y"]), _places(y), weight=weight, **options)


def _own_loss(guess: Array, y: Array, weight: Array | None, trained: TrainedOn) -> float:
    each = np.asarray(make_own_loss(OwnLoss.model_validate(trained.options), library="numpy")(guess, y))
    one_per_record(each, len(y), error=DataError)
    return float(weighted_mean(each.astype(np.float64), settle_weight(weight, len(y))))


def _places(values: Array) -> Array:
    return to_places(values) if values.ndim > 2 else values
