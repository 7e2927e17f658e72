"""Decides every `auto` of a spec, once, when a run begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainwright.base.errors import BackendError, SpecError
from trainwright.spec.data import ColumnSpec
from trainwright.spec.experiment import Experiment
from trainwright.spec.fitting import FITTING, SELF_SUPERVISED, fitting_losses, names_of
from trainwright.spec.losses import Loss
from trainwright.spec.model_settle import settle_model
from trainwright.spec.part import Use
from trainwright.spec.read import check_tree
from trainwright.spec.train import TrainSpec

REQUIRED = {
    "torch": ("torch",),
    "equinox": ("jax", "equinox", "optax"),
    "lightning": ("torch", "lightning"),
    "keras-jax": ("keras", "jax"),
    "keras-torch": ("keras", "torch"),
    "keras-tensorflow": ("keras", "tensorflow"),
}
EXTRA = {
    "torch": "torch",
    "equinox": "jax",
    "lightning": "lightning",
    "keras-jax": "keras,jax",
    "keras-torch": "keras,torch",
    "keras-tensorflow": "keras,tensorflow",
}
SERVED_BY = {"lightning": "torch"}  # whose trained networks are those of another backend
_OWN: dict[str, tuple[str, ...]] = {"train.optimizer.name": ("own",)}
_ALONE: dict[str, tuple[str, ...]] = {"train.vectorised": ("steps of several runs as one program",)}
_PLAIN: dict[str, tuple[str, ...]] = {
    "train.optimizer.name": ("lbfgs",),
    "train.precision": ("bfloat16", "float16"),
    "train.device": ("cuda",),
}
_NO_OWN: dict[str, tuple[str, ...]] = {"model.architecture": ("own",)}
_NOT_IN_KERAS = {"train.optimizer.name": ("lbfgs", "own"), "model.architecture": ("gnn",)}
# What a backend has not, by the place in the spec; every other backend has it.
LACKING: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "torch": _OWN | _NO_OWN,
    "lightning": _OWN | _ALONE | _NO_OWN,
    "equinox": _PLAIN | _NO_OWN,
    "keras-jax": _PLAIN | _NOT_IN_KERAS | _ALONE,
    "keras-torch": _PLAIN | _NOT_IN_KERAS | _ALONE,
    "keras-tensorflow": _PLAIN | _NOT_IN_KERAS | _ALONE,
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
        keras: What Keras runs on in this process or is told to run on, `jax`, `torch` or `tensorflow`; None where
            nothing says.
        threads: The number of threads each backend is already bound to, where it is.
        cuda: Whether torch can use a GPU.
        class_weights: What `class_weights: balanced` is in train; empty unless it was asked for.
        soft: Whether the targets are probabilities of classes.
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
    soft: bool = False
    has_target: bool = True
    in_memory: bool = True
    keras: str | None = None
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
    elif backend == "keras":
        backend, why["train.backend"] = _choose_engine(experiment, facts)
    elif backend not in facts.installed:
        raise BackendError(
            f"train.backend: {backend} is not installed: pip install 'trainwright[{EXTRA[backend]}]'"
        )
    if lacks := lacking(backend, train, architecture=experiment.model.architecture):
        raise SpecError(f"{lacks}; {another_backend(train, architecture=experiment.model.architecture)}")
    device = train.device
    if device == "auto":
        who = f"{backend} trains"
        if train.processes > 1 or train.has_own_module:
            who = "several processes train" if train.processes > 1 else "a module of your own trains"
        elif SERVED_BY.get(backend, backend) == "torch" and facts.cuda:
            device = "cuda"
        device = "cpu" if device == "auto" else device
        if facts.cuda:
            why["train.device"] = "torch finds a GPU" if device == "cuda" else f"{who} on the CPU"
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
        args: dict[str, Any] = {"extra": ["kl", "agreement"]} if facts.soft else {}
        routines = [Use(use=ROUTINE[facts.task_type], args={"labelled": True} if alone else args)]
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


def lacking(backend: str, train: TrainSpec, *, architecture: str | None = None) -> str | None:
    """Says what a training asks for that a backend has not, with its place; None if nothing.

    Args:
        backend: Its name.
        train: What is asked for.
        architecture: Of the model, where that is known.

    Example:
        >>> lacking("equinox", TrainSpec(device="cuda"))
        "train.device: equinox has no 'cuda'"
    """
    asked = {
        "model.architecture": architecture,
        "train.optimizer.name": train.optimizer.name,
        "train.precision": train.precision,
        "train.device": train.device,
        "train.vectorised": "steps of several runs as one program" if train.vectorised else "",
    }
    missing = LACKING.get(backend, {})
    found = (
        f"{where}: {backend} has no {word!r}"
        for where, word in asked.items()
        if word in missing.get(where, ())
    )
    return next(found, None)


def another_backend(train: TrainSpec, *, architecture: str | None = None) -> str:
    """Names a backend that has all a training asks for, as the cure of a message.

    Args:
        train: What is asked for.
        architecture: Of the model, where that is known.

    Example:
        >>> another_backend(TrainSpec(device="cuda"))
        'write train.backend: torch'
    """
    whole = [name for name in REQUIRED if lacking(name, train, architecture=architecture) is None]
    return f"write train.backend: {whole[0]}" if whole else "no backend has all that train asks for"


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
    name = names_of(loss)[0]
    if task == "embedding" and not facts.has_target and name not in SELF_SUPERVISED:
        choices = " or ".join(SELF_SUPERVISED)
        raise SpecError(f"train.loss: {name!r} compares classes, and there is no target; write {choices}")
    for one in names_of(loss):
        if facts.soft and one == "focal":
            text = "looks at the one class of a record, and the target is probabilities of classes"
            raise SpecError(f"train.loss: {one!r} {text}; write cross_entropy or kl")
        if one == "kl" and not facts.soft:
            text = "compares with probabilities of classes, and the target is not such"
            # Columns of numbers are probabilities only if somebody says so.
            several = isinstance(facts.target, list) and task in ("regression", "multi_label")
            cure = "model.task_type: classification" if several else FITTING[task][0]
            raise SpecError(f"train.loss: {one!r} {text}; write {cure}")
    return loss if isinstance(loss, str) else _settle_loss(loss, facts, why)


def _settle_loss(loss: Loss, facts: Facts, why: dict[str, str]) -> dict[str, Any]:
    assert not isinstance(loss, str)
    tree = loss.tree()
    for one in [share["loss"] for share in tree["losses"]] if loss.name == "composite" else [tree]:
        if isinstance(one, dict):
            _weigh_classes(one, facts, why)
    return tree


def _weigh_classes(tree: dict[str, Any], facts: Facts, why: dict[str, str]) -> None:
    """Decides the weights of classes of one loss, in its tree."""
    given = tree.get("class_weights")
    if given == "balanced" and facts.class_weights:
        tree["class_weights"] = list(facts.class_weights)
        why["train.loss.class_weights"] = "balanced: by the classes of the train split"
    elif isinstance(given, list) and facts.output_shape is not None and len(given) != facts.output_shape[0]:
        raise SpecError(
            f"train.loss.class_weights: it has {len(given)} numbers, the target has {facts.output_shape[0]} classes; "
            "write one for each, in their sorted order, or 'balanced'"
        )


def _choose_engine(experiment: Experiment, facts: Facts) -> tuple[str, str]:
    """Decides what Keras runs on: what it is told to, otherwise by architecture and by what is installed."""
    if facts.keras is not None and f"keras-{facts.keras}" in facts.installed:
        return f"keras-{facts.keras}", f"Keras is told to run on {facts.keras}"
    spatial = experiment.model.architecture in ("cnn", "unet")
    reasons = {
        "keras-torch": "convolutions on a CPU" if spatial else "jax is not installed",
        "keras-jax": "torch is not installed" if spatial else "dense layers, compiled",
    }
    for name in reasons if spatial else reversed(reasons):
        if name in facts.installed:
            return name, reasons[name]
    if "keras-tensorflow" in facts.installed:
        return "keras-tensorflow", "neither jax nor torch is installed"
    raise BackendError("train.backend: keras is not installed: pip install 'trainwright[keras,torch]'")


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
    if experiment.model.architecture == "own":
        return _choose_engine(experiment, facts)  # nobody else has it
    first, second = (
        ("torch", "equinox") if experiment.model.architecture in ("cnn", "unet") else ("equinox", "torch")
    )
    lacks = {name: lacking(name, experiment.train) for name in (first, second)}
    if first in facts.installed and lacks[first] is None:
        return first, _REASONS[experiment.model.architecture]
    if second in facts.installed and lacks[second] is None:
        return second, lacks[first] or f"{first} is not installed"
    missing = next((text for text in lacks.values() if text), "train.backend: no backend is installed")
    whole = [name for name in REQUIRED if lacking(name, experiment.train) is None]
    if not whole:
        raise BackendError(f"{'; '.join(text for text in lacks.values() if text)}: no backend has both")
    raise BackendError(f"{missing}: pip install 'trainwright[{EXTRA[whole[0]]}]'")
