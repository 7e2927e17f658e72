"""The one description of one run."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from trainwright.base.digest import digest_json
from trainwright.spec.data import KFOLD, DataSpec
from trainwright.spec.fitting import FITTING, fitting_losses, names_of
from trainwright.spec.model import ModelSpec
from trainwright.spec.part import Broken, Name, Part, Rule
from trainwright.spec.train import TrainSpec


def _target_operators(experiment: Any) -> Iterator[Broken]:
    task = experiment.model.task_type
    if task not in ("auto", "regression") and experiment.data.target_operators:
        cure = "classes are not shifted or scaled; leave it out, or set model.task_type: regression"
        yield Broken(("data", "target_operators"), f"it does not go with task_type {task!r}; {cure}")


def _loss_fits_the_task(experiment: Any) -> Iterator[Broken]:
    task = experiment.model.task_type
    for name in names_of(experiment.train.loss):
        if name == "own" and task == "embedding":
            text = "an embedding is trained by comparing records, 'own' gives a number for each by itself"
            yield Broken(("train", "loss"), f"{text}; write {FITTING[task][0]!r}")
        elif "auto" not in (task, name) and name not in (*FITTING[task], "own"):
            fitting = ", ".join(map(repr, FITTING[task]))
            text = f"{name!r} does not go with task_type {task!r}; write {fitting} or 'auto'"
            yield Broken(("train", "loss"), text)


def _loss_fits_the_head(experiment: Any) -> Iterator[Broken]:
    task, head = experiment.model.task_type, experiment.model.head
    for name in names_of(experiment.train.loss):
        # Another task has no such head or no such loss, and is told so by the rules above.
        if task not in ("auto", "regression") or name not in (*FITTING["regression"], "own"):
            continue
        if name not in (*fitting_losses("regression", head), *(("own",) if head == "point" else ())):
            fitting = ", ".join(map(repr, fitting_losses("regression", head)))
            text = f"{name!r} does not go with model.head {head!r}; write {fitting} or 'auto'"
            yield Broken(("train", "loss"), text)


def _losses_are_of_one_task(experiment: Any) -> Iterator[Broken]:
    names = [name for name in names_of(experiment.train.loss) if name not in ("auto", "own")]
    if names and not any(set(names) <= set(fitting) for fitting in FITTING.values()):
        text = f"no task is trained by {' and '.join(map(repr, names))} together; add losses of one task"
        yield Broken(("train", "loss"), text)


def _views(experiment: Any) -> Iterator[Broken]:
    if "nt_xent" in names_of(experiment.train.loss) and not getattr(experiment.data, "augment", ()):
        text = "'nt_xent' compares two augmented views of a record; say in data.augment how they differ"
        yield Broken(("train", "loss"), text)


def _edges_and_gnn(experiment: Any) -> Iterator[Broken]:
    data, architecture = experiment.data, experiment.model.architecture
    if data.graph is None:
        # A registered dataset brings its edges when its name is looked up.
        if architecture == "gnn" and data.dataset is None:
            text = "architecture 'gnn' needs edges; say in data.graph where they are, such as {edges: edges}"
            yield Broken(("data", "graph"), text)
        return
    if architecture != "gnn":
        text = f"architecture {architecture!r} does not see edges; write gnn, or leave out data.graph"
        yield Broken(("model", "architecture"), text)
    refused = {
        "test": (data.test is not None, "name the records of the test in data.split.test"),
        "augment": (bool(data.augment), "leave it out"),
        "in_memory": (data.in_memory is False, "leave it out"),
        "max_length": (data.max_length is not None, "leave it out"),
    }
    for field, (asked, cure) in refused.items():
        if asked:
            yield Broken(("data", field), f"it does not go with data.graph; {cure}")


def _one_fold_is_trained(experiment: Any) -> Iterator[Broken]:
    split = experiment.data.split
    if getattr(split, "method", None) in KFOLD and split.fold is None and experiment.ensemble != "folds":
        text = (
            f"it is missing; with method {split.method!r}, say which of them is val, from 0 (`study` trains them all, "
            "whatever it says)"
        )
        yield Broken(("data", "split", "fold"), text)


def _members_of_an_ensemble(experiment: Any) -> Iterator[Broken]:
    method = getattr(experiment.data.split, "method", None)
    if experiment.ensemble is None:
        return
    if experiment.model.task_type == "embedding":
        text = "embeddings of different models lie in different spaces and cannot be averaged; leave it out"
        yield Broken(("ensemble",), text)
    if experiment.ensemble == "folds" and method not in KFOLD and experiment.data.dataset is None:
        text = f"data.split.method {method!r} has no folds; write {', '.join(KFOLD[:-1])} or {KFOLD[-1]}, or a number"
        yield Broken(("ensemble",), text)
    targets = experiment.data.target
    apart = [one for one in targets if f"{one}.disagreement" in targets] if isinstance(targets, list) else []
    if apart:
        text = f"two columns of predictions would be called '{apart[0]}.disagreement'; rename one in the data"
        yield Broken(("data", "target"), text)
    if experiment.ensemble != "folds" and experiment.seed + experiment.ensemble > 2**63:
        text = (
            f"{experiment.ensemble} seeds from it on go beyond {2**63 - 1}, the largest; write a smaller one"
        )
        yield Broken(("seed",), text)


class Experiment(Part):
    """One run: which data, which model, which training.

    Args:
        name: Of the model whose versions the run makes.
        seed: Of initial values, order and dropout.
        ensemble: How many models are trained and become one, each an ordinary run with a seed of its own, from `seed`
            on; `folds` trains one for each fold of a k-fold split; null trains one model.
        data: Which records, and what is done to them.
        model: What is trained.
        train: How it is trained.

    Example:
        >>> Experiment(name="a", data=DataSpec(path="a.csv"), model=ModelSpec(architecture="mlp")).seed
        0
    """

    rules: ClassVar[tuple[Rule, ...]] = (
        _target_operators,
        _loss_fits_the_task,
        _loss_fits_the_head,
        _losses_are_of_one_task,
        _views,
        _edges_and_gnn,
        _one_fold_is_trained,
        _members_of_an_ensemble,
    )

    name: Name
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] = 0  # as the catalogue can hold it
    ensemble: Annotated[int, Field(ge=2)] | Literal["folds"] | None = None
    data: DataSpec
    model: ModelSpec
    train: TrainSpec = TrainSpec()

    def digest(self) -> str:
        """Names the spec by its content; the YAML form and the Python form of one spec have one digest."""
        return digest_json(self.tree())
