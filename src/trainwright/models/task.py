"""A spec-built model together with all that its training needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainwright.base.errors import BackendError
from trainwright.base.tree import Array
from trainwright.models.blueprint import Blueprint
from trainwright.models.heads import PARTS, decode
from trainwright.spec.fitting import FITTING, OF_CLASSES, head_of, names_of
from trainwright.spec.losses import LossPart, spell_out
from trainwright.spec.resolve import another_backend, lacking
from trainwright.spec.train import TrainSpec

OUTPUT = {
    "classification": "logits",
    "multi_label": "logits",
    "segmentation": "logits",
    "regression": "y",
    "embedding": "embedding",
}


@dataclass(frozen=True, slots=True)
class ModelTask:
    """What a backend needs to train a spec-built model.

    Args:
        blueprint: The network.
        train: The resolved training spec.
        epochs: Passes over the train split: the horizon of the schedule.
        quantiles: Levels of the loss `quantile`, sorted, 0.5 among them.
        components: Of the loss `mixture_nll`.
        kind: What is predicted, where the loss does not tell it: code of one's own goes with several tasks.

    Example:
        >>> plan = Blueprint((2,), (6,), (), {})
        >>> task = ModelTask(plan, TrainSpec(loss="quantile"), 1, quantiles=(0.1, 0.5, 0.9))
        >>> task.task_type, task.head, dict(task.outputs)
        ('regression', 'quantiles', {'y': (2,), 'quantiles': (3, 2)})
    """

    blueprint: Blueprint
    train: TrainSpec
    epochs: int
    quantiles: tuple[float, ...] = ()
    components: int | None = None
    kind: str | None = None

    @property
    def backend(self) -> str:
        """Names the backend that trains it."""
        return self.train.backend

    @property
    def loss(self) -> LossPart:
        """Gives the loss with all its options."""
        assert self.train.loss != "auto"
        return spell_out(self.train.loss)

    @property
    def task_type(self) -> str:
        """Says what is predicted; the loss tells it, and the classes of pixels are told by their space."""
        if self.kind is not None:
            return self.kind
        name = next(name for name in names_of(self.loss) if name != "own")
        if name in OF_CLASSES:
            return "classification" if len(self.blueprint.output_shape) == 1 else "segmentation"
        return next(task for task, losses in FITTING.items() if name in losses)

    @property
    def head(self) -> str:
        """Says what the numbers of a regression mean, such as `point`, `mean_variance` or `quantiles`."""
        return head_of(self.loss)

    @property
    def outputs(self) -> Mapping[str, tuple[int, ...]]:
        """Gives the shape of each output for one record, the main one first.

        Classes and labels: `logits`. Regression: `y`, and `variance`, `scale`, `scale` and `df`, `quantiles`, or
        `mixing`, `means` and `variances` by its head. Otherwise `embedding`, and `reconstruction` where that is learnt.
        """
        count, *space = self.blueprint.output_shape
        name = OUTPUT[self.task_type]
        if self.task_type == "regression" and self.head in PARTS:
            names = PARTS[self.head]
            return dict.fromkeys(names, (count // len(names), *space))
        if self.head == "quantiles":
            levels = len(self.quantiles)
            return {"y": (count // levels, *space), "quantiles": (levels, count // levels, *space)}
        if self.head == "mixture":
            assert self.components is not None
            targets = (count // self.components - 1) // 2
            shapes = dict.fromkeys(("means", "variances"), (self.components, targets, *space))
            return {"y": (targets, *space), "mixing": (self.components, *space), **shapes}
        found = {name: (count, *space)}
        return found | {"reconstruction": self.blueprint.input_shape} if self.reconstructs else found

    @property
    def reconstructs(self) -> bool:
        """Says whether the network learns to give back its inputs; it predicts them too, so that this is measured."""
        return self.loss.name == "reconstruction"

    def decode(self, raw: Array) -> dict[str, Array]:
        """Names what the network gives when it predicts, shape `(records, outputs, ...)`."""
        return name_outputs(
            OUTPUT[self.task_type],
            raw,
            head=self.head,
            quantiles=self.quantiles,
            components=self.components,
        )


def model_task(task: Any, *, backend: str) -> ModelTask:
    """Gives a task back that a backend can train.

    Raises:
        BackendError: If it names another backend, or asks for what this one has not.
    """
    if task.backend != backend or not isinstance(task, ModelTask):
        raise BackendError(f"train.backend: a task for {task.backend!r} cannot be trained by {backend!r}")
    if lacks := lacking(backend, task.train):
        raise BackendError(f"{lacks}; {another_backend(task.train)}")
    return task


def name_outputs(
    output: str,
    raw: Array,
    *,
    head: str = "point",
    quantiles: Sequence[float] = (),
    components: int | None = None,
) -> dict[str, Array]:
    """Names what a network gives when it predicts.

    Args:
        output: `logits`, `y` or `embedding`.
        raw: Shape `(records, outputs, ...)`.
        head: Of a regression.
        quantiles: Levels of the head `quantiles`.
        components: Of the head `mixture`.
    """
    if output != "y":
        return {output: raw}
    return decode(head, raw, quantiles=quantiles, components=components)
