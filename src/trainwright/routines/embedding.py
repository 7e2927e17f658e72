"""Measures an embedding on one split."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.routines.period import SplitRoutine, check_output
from trainwright.routines.trained import trained_on
from trainwright.train.learner import Task
from trainwright.train.routine import Results, View
from trainwright.validation.contrastive import supervised_contrastive, triplet
from trainwright.validation.embedding import look_around, recall_terms, vote_terms
from trainwright.validation.neighbours import Metric
from trainwright.validation.regression import mse
from trainwright.validation.weights import settle_weight, weighted_mean

LOSSES: dict[str, tuple[Callable[..., float], str]] = {
    "supervised_contrastive": (supervised_contrastive, "temperature"),
    "triplet": (triplet, "margin"),
}
NEIGHBOURS = ("knn_accuracy", "recall_at_1")


@dataclass(frozen=True, kw_only=True)
class EmbeddingScores(SplitRoutine):
    """Measures the loss of an embedding with classes, and whether neighbours in the train split agree.

    The loss is that of the training (`supervised_contrastive` or `triplet`), taken in batches of 256 records in
    order, or the squared error of a `reconstruction`; `nt_xent` is not measured, because it needs augmented views. On
    train, no record is its own neighbour.

    Args:
        split: Which split; the metrics are called `<split>/loss`, `<split>/knn_accuracy`, `<split>/recall_at_1`.
        every_n_epochs: Cadence; 1 when none is given.
        every_n_steps: Cadence in steps, instead.
        neighbours: How many of them vote.
        metric: `cosine` or `euclidean`.
        labelled: Whether the targets are classes; unless given, they are where the loss needs them.

    Example:
        >>> EmbeddingScores().names(None)
        ('val/loss', 'val/knn_accuracy', 'val/recall_at_1')
    """

    neighbours: int = 5
    metric: Metric = "cosine"
    labelled: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.neighbours) is not int or self.neighbours < 1:
            raise ValueError(f"neighbours: {self.neighbours!r} is not a positive whole number")
        if self.metric not in ("cosine", "euclidean"):
            raise ValueError(f"metric: {self.metric!r} is not `cosine` or `euclidean`")

    def names(self, task: Task | None) -> tuple[str, ...]:
        """Gives the names of the metrics; on train, the loss is the loop's own.

        Raises:
            SpecError: If the model has no output `embedding`.
        """
        check_output(task, "embedding", routine=type(self).__name__)
        loss = trained_on(task, default="supervised_contrastive").loss
        scores = ["loss"] if loss in (*LOSSES, "reconstruction") else []
        return self.name_all([*scores, *(NEIGHBOURS if self._has_classes(loss) else ())])

    def __call__(self, view: View) -> Results:
        """Measures.

        Raises:
            DataError: If the targets are no classes, and `labelled` says so.
        """
        examples = view.examples(self.split)
        task = getattr(view.learner, "task", None)
        trained = trained_on(task, default="supervised_contrastive")
        measured: dict[str, float] = {}
        if trained.loss in LOSSES and self.split != "train":
            score, option = LOSSES[trained.loss]
            embedding, y = view.predictions(self.split)["embedding"], self._classes(examples.y)
            measured["loss"] = score(embedding, y, weight=examples.weight, **trained.pick(option))
        if trained.loss == "reconstruction" and self.split != "train":
            rebuilt = view.predictions(self.split)["reconstruction"]
            flat, wanted = rebuilt.reshape(len(rebuilt), -1), np.asarray(examples.x[:])
            measured["loss"] = mse(flat, wanted.reshape(flat.shape), weight=examples.weight)
        if self._has_classes(trained.loss):
            embedding, y = view.predictions(self.split)["embedding"], self._classes(examples.y)
            around = look_around(
                embedding,
                view.predictions("train")["embedding"],
                reference_y=self._classes(view.examples("train").y),
                k=self.neighbours,
                metric=self.metric,
                among_itself=self.split == "train",
            )
            weight = settle_weight(examples.weight, len(y))
            found = (vote_terms(around, y), recall_terms(around, y, k=1))
            measured |= {
                name: float(weighted_mean(terms, weight))
                for name, terms in zip(NEIGHBOURS, found, strict=True)
            }
        return Results({f"{self.split}/{name}": value for name, value in measured.items()})

    def _has_classes(self, loss: str) -> bool:
        return loss in LOSSES if self.labelled is None else self.labelled

    def _classes(self, y: Array) -> Array:
        if not isinstance(y, np.ndarray) or y.ndim != 1 or y.dtype.kind not in "iu":
            raise DataError(f"{type(self).__name__} needs classes as targets; write labelled: false")
        return y
