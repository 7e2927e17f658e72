"""Decides every `auto` of a spec, once, when a run begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainwright.base.errors import BackendError, SpecError
from trainwright.spec.data import ColumnSpec
from trainwright.spec.experiment import Experiment
from trainwright.spec.losses import SELF_SUPERVISED, Loss, fitting_losses
from trainwright.spec.model_settle import settle_model
from trainwright.spec.part import Use
from trainwright.spec.read import check_tree
from trainwright.spec.train import TrainSpec

REQUIRED = {"torch": ("torch",), "equinox": ("jax", "equinox", "optax")}
EXTRA = {"torch": "torch", "equinox": "jax"}
# What a backend has not, by the place in the spec; every other backend has it.
LACKING: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "equinox": {
        "train.optimizer.name": ("lbfgs",),
        "train.precision": ("bfloat16", "float16"),
        "train.device": ("cuda",),
    },
}
ROUTINE = {
    "classification": "ClassificationScores",
    "multi_label": "MultiLabelScores",
    "segmentation": "SegmentationScores",
    "regression": "RegressionScores",
    "embedding": "EmbeddingScores",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the data and the machine say.

    Args:
        input_shape: Of one record after preprocessing.
        output_shape: Of one target as the network should give it, such as (classes,) or (targets,); None where the
            data do not say, as for an embedding.
        task_type: Of `model.task_type`, without `auto`.
        content_digest: Of the data.
        features: Names of feature columns, or of the array.
        target: Name of the target array or column, or of the target columns; None where none is asked for.
        columns: Of a table: what each column is, decided.
        integers: Whether the records hold integers.
        ragged: Whether the last channel of the records is a mask.
        vocabulary_size: The largest token id plus one.
        categories: For each input 0 if it is numeric, otherwise the number of its categories.
        installed: Backends that could be used.
        in_memory: Whether the features are in memory, or stay in their file.
        threads: The number of threads each backend is already bound to, where it is.
        cuda: Whether torch can use a GPU.
        class_weights: What `class_weights: balanced` is in train; empty unless it was asked for.
        has_target: Whether there is a target; only an embedding can do without.
        graph: What a record is where there are edges: `node`, `pair`, `arrow` or `graph`.
        node_features: Of each node after preprocessing, where there are edges.
    """

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...] | None
    task_type: str
    content_digest: str
    features: str | list[str]
    target: str | list[str] | None
    installed: tuple[str, ...]
    threads: Mapping[str, int]
    columns: Sequence[ColumnSpec] = ()
    integers: bool = False
    ragged: bool = False
    vocabulary_size: int | None = None
    categories: Sequence[int] | None = None
    cuda: bool = False
    class_weights: Sequence[float] = ()
    has_target: bool = True
    in_memory: bool = True
    graph: str | None = None
    node_features: int | None = None


def resolve(experiment: Experiment, facts: Facts) -> tuple[Experiment, dict[str, str]]:
    """Decides what the spec leaves open.

    Returns:
        The spec without any `auto`, and the reason of each choice by its path.

    Raises:
        SpecError: If the spec contradicts the data.
        BackendError: If a backend is asked for that is not installed.
    """
    why: dict[str, str] = {}
    model = _decide_model(experiment, facts, why)
    train = _decide_train(experiment, facts, why)
    data = {
        "features": facts.features,
        "target": facts.target,
        "digest": facts.content_digest,
        "columns": [one.tree() for one in facts.columns],
        "operators": []
        if experiment.data.operators == "auto"
        else [one.tree() for one in experiment.data.operators],
        "in_memory": facts.in_memory,
    }
    tree = experiment.tree()
    tree["model"] |= model
    tree["train"] |= train
    tree["data"] |= data
    return check_tree(tree), why


def _decide_model(experiment: Experiment, facts: Facts, why: dict[str, str]) -> dict[str, Any]:
    model = settle_model(
        experiment.model,
        input_shape=facts.input_shape,
        output_shape=facts.output_shape,
        integers=facts.integers,
        ragged=facts.ragged,
        vocabulary_size=facts.vocabulary_size,
        categories=facts.categories,
        task_type=facts.task_type,
        graph=facts.graph,
        node_features=facts.node_features,
    )
    if experiment.model.task_type == "auto":
        why["model.task_type"] = f"{facts.task_type}: by the values of the target"
    return model.tree()


def _decide_train(experiment: Experiment, facts: Facts, why: dict[str, str]) -> dict[str, Any]:
    train = experiment.train
    backend: str = train.backend
    if backend == "auto":
        backend, why["train.backend"] = _choose_backend(experiment, facts)
    elif backend not in facts.installed:
        raise BackendError(
            f"train.backend: {backend} is not installed: pip install 'trainwright[{EXTRA[backend]}]'"
        )
    if lacks := lacking(backend, train):
        raise SpecError(f"{lacks}; write train.backend: torch")
    device = train.device
    if device == "auto":
        device = "cuda" if backend == "torch" and facts.cuda else "cpu"
        if facts.cuda:
            why["train.device"] = "torch finds a GPU" if device == "cuda" else f"{backend} trains on the CPU"
    elif device == "cuda" and not facts.cuda:
        raise BackendError("train.device: torch finds no GPU; write device: cpu, or install torch with CUDA")
    threads = train.threads
    if threads == "auto":
        threads = facts.threads.get(backend, 1)
        bound = (
            f"JAX was imported with {threads}" if backend in facts.threads else "1: fastest for small models"
        )
        why["train.threads"] = bound
    loss = _decide_loss(experiment, facts, why)
    routines = train.routines
    if routines == "auto":
        # The classes of an embedding that learns without them still say how good it is.
        alone = facts.task_type == "embedding" and facts.has_target and _name(loss) in SELF_SUPERVISED
        routines = [Use(use=ROUTINE[facts.task_type], args={"labelled": True} if alone else {})]
    best = train.best.tree()
    if best["metric"] == "auto":
        # Two views of a record are drawn in training only.
        best["metric"] = "train/loss" if _name(loss) == "nt_xent" else "val/loss"
    callbacks = list(train.callbacks)
    if not any(one.use == "Checkpoint" for one in callbacks):
        callbacks.append(Use(use="Checkpoint"))
    return {
        "backend": backend,
        "device": device,
        "precision": "float32" if train.precision == "auto" else train.precision,
        "threads": threads,
        "loss": loss,
        "best": best,
        "routines": [one.tree() for one in routines],
        "callbacks": [one.tree() for one in callbacks],
    }


def lacking(backend: str, train: TrainSpec) -> str | None:
    """Says what a training asks for that a backend has not, with its place; None if nothing.

    Example:
        >>> lacking("equinox", TrainSpec(device="cuda"))
        "train.device: equinox has no 'cuda'"
    """
    asked = {
        "train.optimizer.name": train.optimizer.name,
        "train.precision": train.precision,
        "train.device": train.device,
    }
    missing = LACKING.get(backend, {})
    found = (
        f"{where}: {backend} has no {word!r}"
        for where, word in asked.items()
        if word in missing.get(where, ())
    )
    return next(found, None)


def _name(loss: Any) -> str:
    return str(loss["name"] if isinstance(loss, dict) else loss if isinstance(loss, str) else loss.name)


def _decide_loss(experiment: Experiment, facts: Facts, why: dict[str, str]) -> Any:
    loss, model, task = experiment.train.loss, experiment.model, facts.task_type
    if loss == "auto":
        if task == "embedding" and not facts.has_target:
            name = "nt_xent" if getattr(experiment.data, "augment", ()) else "reconstruction"
            why["train.loss"] = f"{name}: there is no target"
            return name
        fitting = fitting_losses(task, model.head)
        if not fitting:
            raise SpecError(f"model.head: {model.head!r} is for regression, this is {task}; leave it out")
        return fitting[0]
    name = loss if isinstance(loss, str) else loss.name
    if task == "embedding" and not facts.has_target and name not in SELF_SUPERVISED:
        choices = " or ".join(SELF_SUPERVISED)
        raise SpecError(f"train.loss: {name!r} compares classes, and there is no target; write {choices}")
    return loss if isinstance(loss, str) else _weigh_classes(loss, facts, why)


def _weigh_classes(loss: Loss, facts: Facts, why: dict[str, str]) -> dict[str, Any]:
    assert not isinstance(loss, str)
    tree = loss.tree()
    given = tree.get("class_weights")
    if given == "balanced" and facts.class_weights:
        tree["class_weights"] = list(facts.class_weights)
        why["train.loss.class_weights"] = "balanced: by the classes of the train split"
    elif isinstance(given, list) and facts.output_shape is not None and len(given) != facts.output_shape[0]:
        raise SpecError(
            f"train.loss.class_weights: it has {len(given)} numbers, the target has {facts.output_shape[0]} classes; "
            "write one for each, in their sorted order, or 'balanced'"
        )
    return tree


_CONVOLUTIONS, _COMPILED = "convolutions on a CPU", "dense layers as one compiled program"
_REASONS = {
    "mlp": _COMPILED,
    "cnn": _CONVOLUTIONS,
    "transformer": _COMPILED,
    "unet": _CONVOLUTIONS,
    "gnn": "sums over edges as one compiled program",
}


def _choose_backend(experiment: Experiment, facts: Facts) -> tuple[str, str]:
    """Goes by what is asked for, by architecture and by what is installed, never by a timing (design, section 10)."""
    first, second = (
        ("torch", "equinox") if experiment.model.architecture in ("cnn", "unet") else ("equinox", "torch")
    )
    lacks = {name: lacking(name, experiment.train) for name in (first, second)}
    if first in facts.installed and lacks[first] is None:
        return first, _REASONS[experiment.model.architecture]
    if second in facts.installed and lacks[second] is None:
        return second, lacks[first] or f"{first} is not installed"
    missing = next((text for text in lacks.values() if text), "train.backend: no backend is installed")
    raise BackendError(f"{missing}: pip install 'trainwright[torch]'")
