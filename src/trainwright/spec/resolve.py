"""Decides every `auto` of a spec, once, when a run begins."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainwright.base.errors import BackendError, SpecError
from trainwright.spec.experiment import Experiment
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
        output_dim: Number of classes, or of regression targets.
        task_type: `classification` or `regression`.
        content_digest: Of the data.
        features: Names of feature columns, or of the array.
        target: Name of the target column or array.
        installed: Backends that could be used.
        in_memory: Whether the features are in memory, or stay in their file.
        threads: The number of threads each backend is already bound to, where it is.
    """

    input_shape: tuple[int, ...]
    output_dim: int
    task_type: str
    content_digest: str
    features: str | list[str]
    target: str
    installed: tuple[str, ...]
    threads: Mapping[str, int]
    in_memory: bool = True


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
        "in_memory": facts.in_memory,
    }
    tree = experiment.tree()
    tree["model"] |= model
    tree["train"] |= train
    tree["data"] |= data
    return check_tree(tree), why


def _decide_model(experiment: Experiment, facts: Facts, why: dict[str, str]) -> dict[str, Any]:
    model = experiment.model
    shape = list(facts.input_shape)
    faults = []
    if model.input_shape not in ("auto", shape):
        faults.append(
            f"model.input_shape: {model.input_shape} contradicts the data, whose records have shape {shape}"
        )
    if model.input_dim is not None and model.input_dim != math.prod(shape):
        faults.append(
            f"model.input_dim: {model.input_dim} contradicts the data, whose records have {math.prod(shape)} features"
        )
    if model.output_dim not in ("auto", facts.output_dim):
        what = "classes" if facts.task_type == "classification" else "targets"
        faults.append(
            f"model.output_dim: {model.output_dim} contradicts the data, which has {facts.output_dim} {what}"
        )
    if faults:
        raise SpecError("\n".join(f"{fault}; leave it out to take it from the data" for fault in faults))
    if model.task_type == "auto":
        why["model.task_type"] = f"{facts.task_type}: by the values of the target"
    return {
        "task_type": facts.task_type,
        "input_shape": shape,
        "output_dim": facts.output_dim,
        "kernel_size": (model.kernel_size or 3) if model.architecture == "cnn" else None,
    }


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
    order = ("torch", "equinox") if experiment.model.architecture == "cnn" else ("equinox", "torch")
    for name in order:
        if name in facts.installed:
            reason = (
                "convolutions on a CPU" if order[0] == "torch" else "dense layers as one compiled program"
            )
            return name, reason if name == order[0] else f"{order[0]} is not installed"
    raise BackendError("train.backend: no backend is installed: pip install 'trainwright[torch]'")
