"""What a learner is trained on, so that the same loss is measured on other splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainwright.base.errors import SpecError


@dataclass(frozen=True, slots=True)
class TrainedOn:
    """The loss of a task.

    Args:
        loss: Its name.
        options: Its settings, such as `delta`; what is not set has the default of the score.
        levels: Of a model that predicts quantiles.
    """

    loss: str
    options: Mapping[str, Any] = field(default_factory=dict)
    levels: Sequence[float] | None = None

    def pick(self, *names: str) -> dict[str, Any]:
        """Gives those of the named options that are set, as arguments of a score."""
        return {name: self.options[name] for name in names if self.options.get(name) is not None}

    def shares(self) -> list[tuple["TrainedOn", float]]:
        """Gives each of the losses that are added, with its factor; a loss that is no sum is the only one.

        Example:
            >>> [(one.loss, factor) for one, factor in TrainedOn("mse").shares()]
            [('mse', 1.0)]
        """
        if self.loss != "composite":
            return [(self, 1.0)]
        return [(_read(share["loss"], self.levels), share["weight"]) for share in self.options["losses"]]

    def settle_levels(self) -> list[float]:
        """Gives the levels of the quantiles.

        Raises:
            SpecError: If the task does not say them.
        """
        if self.levels is None:
            raise SpecError("train.routines: the model gives quantiles, but its task names no levels")
        return list(self.levels)


def trained_on(task: Any, *, default: str) -> TrainedOn:
    """Reads the loss of a task: `task.train.loss`, a name or a part with one, and `task.quantiles`.

    Args:
        task: Of a spec-built model, or a user's own, which need not have these.
        default: The loss of a task that names none.

    Example:
        >>> trained_on(None, default="mse").loss
        'mse'
    """
    loss = getattr(getattr(task, "train", None), "loss", default)
    levels = getattr(task, "quantiles", None)
    return _read(loss if isinstance(loss, str) else loss.tree(), levels)


def _read(loss: str | Mapping[str, Any], levels: Sequence[float] | None) -> TrainedOn:
    return TrainedOn(loss, {}, levels) if isinstance(loss, str) else TrainedOn(loss["name"], loss, levels)
