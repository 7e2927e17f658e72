"""The one description of one run."""

from typing import Annotated

from pydantic import AfterValidator

from trainwright.base.digest import digest_json
from trainwright.base.names import check_name
from trainwright.spec.data import DataSpec
from trainwright.spec.model import ModelSpec
from trainwright.spec.part import Part
from trainwright.spec.train import TrainSpec


def _name(value: str) -> str:
    from trainwright.base.errors import SpecError

    try:
        return check_name(value)
    except SpecError as error:
        raise ValueError(str(error)) from error


class Experiment(Part):
    """One run: which data, which model, which training.

    Args:
        name: Of the model whose versions the run makes.
        seed: Of initial values, order and dropout.
        data: Which records, and what is done to them.
        model: What is trained.
        train: How it is trained.

    Example:
        >>> Experiment(name="a", data=DataSpec(path="a.csv"), model=ModelSpec(architecture="mlp")).seed
        0
    """

    name: Annotated[str, AfterValidator(_name)]
    seed: int = 0
    data: DataSpec
    model: ModelSpec
    train: TrainSpec = TrainSpec()

    def digest(self) -> str:
        """Names the spec by its content; the YAML form and the Python form of one spec have one digest."""
        return digest_json(self.tree())
