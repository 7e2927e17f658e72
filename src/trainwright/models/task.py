"""A spec-built model together with all that its training needs."""

from collections.abc import Mapping
from dataclasses import dataclass

from trainwright.models.blueprint import Blueprint
from trainwright.spec.train import TrainSpec


@dataclass(frozen=True, slots=True)
class ModelTask:
    """What a backend needs to train a spec-built model.

    Args:
        blueprint: The network.
        train: The resolved training spec.
        epochs: Passes over the train split: the horizon of the schedule.
    """

    blueprint: Blueprint
    train: TrainSpec
    epochs: int

    @property
    def backend(self) -> str:
        """Names the backend that trains it."""
        return self.train.backend

    @property
    def outputs(self) -> Mapping[str, tuple[int, ...]]:
        """Gives the shape of each output for one record: `logits` of a classifier, `y` of a regression."""
        name = "logits" if self.train.loss == "cross_entropy" else "y"
        return {name: (self.blueprint.output_dim,)}
