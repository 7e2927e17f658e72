"""The one description of one run."""

from collections.abc import Iterator
from typing import Any, ClassVar

from trainwright.base.digest import digest_json
from trainwright.spec.data import DataSpec
from trainwright.spec.model import ModelSpec
from trainwright.spec.part import Broken, Name, Part, Rule
from trainwright.spec.train import TrainSpec


def _target_operators(experiment: Any) -> Iterator[Broken]:
    if experiment.model.task_type == "classification" and experiment.data.target_operators:
        cure = "classes are not shifted or scaled; leave it out, or set model.task_type: regression"
        yield Broken(("data", "target_operators"), f"it does not go with task_type 'classification'; {cure}")


def _loss(experiment: Any) -> Iterator[Broken]:
    task, loss = experiment.model.task_type, experiment.train.loss
    fitting = {"classification": "cross_entropy", "regression": "mse"}.get(task, "auto")
    if "auto" not in (fitting, loss) and loss != fitting:
        yield Broken(
            ("train", "loss"), f"{loss!r} does not go with task_type {task!r}; write {fitting!r} or 'auto'"
        )


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

    rules: ClassVar[tuple[Rule, ...]] = (_target_operators, _loss)

    name: Name
    seed: int = 0
    data: DataSpec
    model: ModelSpec
    train: TrainSpec = TrainSpec()

    def digest(self) -> str:
        """Names the spec by its content; the YAML form and the Python form of one spec have one digest."""
        return digest_json(self.tree())
