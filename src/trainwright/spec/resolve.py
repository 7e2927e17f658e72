"""Decides every `auto` of a spec, once, when a run begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainwright.base.errors import BackendError
from trainwright.spec.data import ColumnSpec
from trainwright.spec.experiment import Experiment
from trainwright.spec.model_settle import settle_model
from trainwright.spec.part import Use
from trainwright.spec.read import check_tree

REQUIRED = {"torch": ("torch",), "equinox": ("jax", "equinox", "optax")}
EXTRA = {"torch": "torch", "equinox": "jax"}
ROUTINE = {"classification": "ClassificationScores", "regression": "RegressionScores"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the data and the machine say.

    Args:
        input_shape: Of one record after preprocessing.
        output_shape: Of one target as the network should give it, such as (classes,) or (targets,).
        task_type: What is learnt, by the target.
        content_digest: Of the data.
        features: Names of feature columns, or of the array.
        target: Name of the target array or column, or of the target columns.
        columns: Of a table: what each column is, decided.
        integers: Whether the records hold integers.
        ragged: Whether the last channel of the records is a mask.
        vocabulary_size: The largest token id plus one.
        categories: For each input 0 if it is numeric, otherwise the number of its categories.
        installed: Backends that could be used.
        threads: The number of threads each backend is already bound to, where it is.
    """

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    task_type: str
    content_digest: str
    features: str | list[str]
    target: str | list[str]
    installed: tuple[str, ...]
    threads: Mapping[str, int]
    columns: Sequence[ColumnSpec] = ()
    integers: bool = False
    ragged: bool = False
    vocabulary_size: int | None = None
    categories: Sequence[int] | None = None


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
    threads = train.threads
    if threads == "auto":
        threads = facts.threads.get(backend, 1)
        bound = (
            f"JAX was imported with {threads}" if backend in facts.threads else "1: fastest for small models"
        )
        why["train.threads"] = bound
    loss = train.loss
    if loss == "auto":
        loss = "cross_entropy" if facts.task_type == "classification" else "mse"
    routines = train.routines
    if routines == "auto":
        routines = [Use(use=ROUTINE[facts.task_type])]
    callbacks = list(train.callbacks)
    if not any(one.use == "Checkpoint" for one in callbacks):
        callbacks.append(Use(use="Checkpoint"))
    return {
        "backend": backend,
        "device": "cpu",
        "threads": threads,
        "loss": loss,
        "routines": [one.tree() for one in routines],
        "callbacks": [one.tree() for one in callbacks],
    }


def _choose_backend(experiment: Experiment, facts: Facts) -> tuple[str, str]:
    """Goes by architecture and by what is installed, never by a timing (design, section 10)."""
    order = ("torch", "equinox") if experiment.model.architecture in ("cnn", "unet") else ("equinox", "torch")
    for name in order:
        if name in facts.installed:
            reason = (
                "convolutions on a CPU" if order[0] == "torch" else "dense layers as one compiled program"
            )
            return name, reason if name == order[0] else f"{order[0]} is not installed"
    raise BackendError("train.backend: no backend is installed: pip install 'trainwright[torch]'")
