"""What a step makes smaller, said once for all frameworks."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from trainwright.base.errors import BackendError
from trainwright.models.task import ModelTask
from trainwright.spec.fitting import class_weights_of
from trainwright.spec.losses import (
    Composite,
    CrossEntropy,
    LossPart,
    OwnLoss,
    QuantileLoss,
    Reconstruction,
    spell_out,
)
from trainwright.spec.own_code import make_own_loss, one_per_record

TINY = 1e-30  # a batch whose records weigh nothing has loss and gradient zero
Loss = Callable[[Any, Any, Any], Any]  # outputs, target, weight of the records


class Losses(Protocol):
    """The losses of a framework: a module with a function for each, called as the spec calls the loss.

    It takes outputs, targets and the weights of the records or None, and the options of the spec by their names (a
    `quantile` the `levels`), and gives the mean over records.
    """

    def mean(self, each: Any, weight: Any) -> Any:
        """Gives the mean of a number per record, weighted where there are weights."""
        ...

    def total(self, weight: Any) -> Any:
        """Gives the sum of the weights of the records."""
        ...

    def reshape(self, values: Any, shape: tuple[int, ...]) -> Any:
        """Gives values in another shape; arrays of TensorFlow have no method for it."""
        ...

    def class_mass(self, class_weights: Sequence[float], y: Any, weight: Any) -> Any:
        """Gives the sum of what the classes of the records weigh, times the weights of the records."""
        ...


class Objective:
    """The loss of a task, between what the network gives and what it should have given.

    The losses that compare records with one another (`supervised_contrastive`, `triplet`, `nt_xent`) compare those of
    one batch: with `accumulate`, those of each part by itself.

    Args:
        task: What is trained.
        losses: Of the framework.
        library: What the method of an own loss is called: `torch`, `equinox` or `keras`.
        loss: Another one than that of the task, such as one of its terms.

    Attributes:
        views: How often each record is there: twice for `nt_xent`.
    """

    def __init__(
        self, task: ModelTask, losses: Losses, *, library: str, loss: LossPart | None = None
    ) -> None:
        spec = task.loss if loss is None else loss
        self._losses = losses
        self._loss = _choose(spec, losses, library=library, levels=task.quantiles)
        self._to_inputs = spec.name == "reconstruction"
        self.views = 2 if spec.name == "nt_xent" else 1
        self._class_weights = class_weights_of(spec)

    def enter(self, x: Any) -> Any:
        """Gives what the network is asked about: the views of a record become rows, one after another.

        Raises:
            BackendError: If the records have no two views.
        """
        if self.views == 1:
            return x
        if x.ndim < 3 or x.shape[1] != self.views:
            raise BackendError(
                f"nt_xent takes records of shape (2, ...), two views, not {tuple(x.shape[1:])}"
            )
        return self._losses.reshape(x, (-1, *x.shape[2:]))

    def __call__(self, outputs: Any, x: Any, y: Any, weight: Any) -> Any:
        """Gives the mean loss over the records of a batch.

        Args:
            outputs: What the network gives in training for `enter(x)`.
            x: Inputs.
            y: Targets.
            weight: Of the records, shape `(records,)`, or None.
        """
        return self._loss(outputs, x if self._to_inputs else y, weight)

    def mass(self, x: Any, y: Any, weight: Any) -> Any:
        """Gives what a batch weighs among others: its records, times their weights and those of their classes."""
        if self._class_weights is not None:
            return self._losses.class_mass(self._class_weights, y, weight)
        return x.shape[0] if weight is None else self._losses.total(weight)


def split_terms(loss: LossPart) -> list[tuple[LossPart, float]]:
    """Splits a loss into what it is a weighted sum of: losses, and the weight of each.

    Those of a `composite` are its parts; label smoothing is one, too, of the plain loss and of one with nothing else.

    Example:
        >>> from trainwright.spec.losses import Share
        >>> [(one.name, weight) for one, weight in split_terms(spell_out("mse"))]
        [('mse', 1.0)]
        >>> parts = [Share(loss="mse", weight=2.0), Share(loss="mae")]
        >>> [(one.name, weight) for one, weight in split_terms(Composite(name="composite", losses=parts))]
        [('mse', 2.0), ('mae', 1.0)]
        >>> terms = split_terms(CrossEntropy(name="cross_entropy", label_smoothing=0.25))
        >>> [(one.label_smoothing, weight) for one, weight in terms]
        [(0.0, 0.75), (1.0, 0.25)]
    """
    if isinstance(loss, Composite):
        return [
            (term, share.weight * weight)
            for share in loss.losses
            for term, weight in split_terms(spell_out(share.loss))
        ]
    if isinstance(loss, CrossEntropy) and loss.label_smoothing > 0:
        kinds = ((0.0, 1 - loss.label_smoothing), (1.0, loss.label_smoothing))
        return [(loss.model_copy(update={"label_smoothing": part}), weight) for part, weight in kinds]
    return [(loss, 1.0)]


class Terms:
    """A loss as the weighted sum that it is, with weights that are said anew in each call.

    Args:
        task: As of `Objective`.
        losses: As of `Objective`.
        library: As of `Objective`.
    """

    def __init__(self, task: ModelTask, losses: Losses, *, library: str) -> None:
        self._each = [Objective(task, losses, library=library, loss=one) for one, _ in split_terms(task.loss)]

    def __call__(self, outputs: Any, x: Any, y: Any, weight: Any, factors: Sequence[Any]) -> Any:
        """Gives the mean loss over the records of a batch.

        Args:
            outputs: As of `Objective`.
            x: As of `Objective`.
            y: As of `Objective`.
            weight: As of `Objective`.
            factors: The weight of each term.
        """
        terms = [factor * one(outputs, x, y, weight) for one, factor in zip(self._each, factors, strict=True)]
        return sum(terms[1:], terms[0])


def _choose(spec: LossPart, losses: Losses, *, library: str, levels: tuple[float, ...]) -> Loss:
    if isinstance(spec, Composite):
        parts = [
            (_choose(spell_out(share.loss), losses, library=library, levels=levels), share.weight)
            for share in spec.losses
        ]
        return partial(_add, parts)
    if isinstance(spec, OwnLoss):
        each = make_own_loss(spec, library=library)
        return lambda outputs, y, weight: losses.mean(
            one_per_record(each(outputs, y), outputs.shape[0]), weight
        )
    if isinstance(spec, Reconstruction):
        mse: Loss = losses.mse  # type: ignore[attr-defined]  # the protocol names none of the losses

        def flat(values: Any) -> Any:
            return losses.reshape(values, (values.shape[0], -1))

        return lambda outputs, x, weight: mse(flat(outputs), flat(x), weight)
    options = {name: value for name, value in spec if name != "name"}
    if isinstance(spec, QuantileLoss):
        options["levels"] = levels
    return partial(getattr(losses, spec.name), **options)


def _add(parts: Sequence[tuple[Loss, float]], outputs: Any, y: Any, weight: Any) -> Any:
    terms = [factor * part(outputs, y, weight) for part, factor in parts]
    return sum(terms[1:], terms[0])
