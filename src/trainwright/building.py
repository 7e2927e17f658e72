"""Models of a spec as plain modules of a framework, for use anywhere."""

from collections.abc import Mapping
from typing import Any

from trainwright.backends import CATALOG as BACKENDS
from trainwright.base.errors import BackendError, SpecError
from trainwright.base.tree import Array
from trainwright.models.assemble import build_blueprint
from trainwright.models.blueprint import Blueprint
from trainwright.models.task import ModelTask
from trainwright.spec.build import find
from trainwright.spec.losses import spell_out
from trainwright.spec.model import ModelSpec
from trainwright.spec.model_settle import COMPONENTS
from trainwright.spec.train import TrainSpec


def lay_out(
    spec: ModelSpec,
    *,
    backend: str,
    loss: str | None = None,
    constants: Mapping[str, Array] | None = None,
    threads: int | None = None,
) -> Blueprint:
    """Lays out the network of a spec for a backend, which completes one of the user's own: it is built once.

    Args:
        spec: As of `build_blueprint`.
        backend: Its name.
        loss: As of `build_blueprint`.
        constants: As of `build_blueprint`.
        threads: Of the process; those it has, or 1, unless given.

    Raises:
        SpecError: As `build_blueprint`; or the code of the user's own has not what the backend asks for.
        BackendError: If the backend has no networks of the user's own.
    """
    blueprint = build_blueprint(spec, loss=loss, constants=constants)
    if spec.architecture != "own":
        return blueprint
    made = find(backend, BACKENDS, where="backend")()
    if not hasattr(made, "complete"):
        raise BackendError(f"backend: {backend!r} has no networks of your own; write 'keras'")
    completed: Blueprint = made.complete(blueprint, threads=threads)
    return completed


def build_model(
    spec: ModelSpec, *, backend: str = "torch", seed: int = 0, train: TrainSpec | None = None
) -> Any:
    """Builds the network of a spec with the initial values of a seed, as a module of its framework.

    Args:
        spec: With `input_shape` (or `input_dim`) and `output_dim`, unless it is resolved.
        backend: `torch` gives a `torch.nn.Module`: `module(x)` are the outputs, its state dict has the neutral names,
            and dropout follows `train()` and `eval()`. `equinox` gives an `equinox.Module`: `module(x)` is the pair
            of the outputs in evaluation mode and the running statistics. `keras` gives a `keras.Model` on whichever
            engine Keras runs in this process, `keras-jax` and `keras-torch` on theirs. `lightning` gives a
            `LightningModule` that is as torch's.
        seed: Of initial values and dropout.
        train: By whose loss, optimizer and groups the module trains itself in a `lightning.Trainer`; only with
            `lightning`. What else it says is not read: that is for the `Trainer`.

    Returns:
        The module; it gives raw outputs, shape `(records, *output_shape)`, and has its `blueprint`.

    Raises:
        SpecError: If the spec does not fit together, or the loss is left open.
        BackendError: If there is no such backend, or it is not installed.
    """
    if backend not in BACKENDS:
        raise BackendError(f"backend: there is no {backend!r}; write {' or '.join(map(repr, BACKENDS))}")
    made = find(backend, BACKENDS, where="backend")()
    if train is None:
        return made.module(lay_out(spec, backend=backend), seed=seed)
    if not hasattr(made, "trainable"):
        raise BackendError(f"train: a module of {backend!r} does not train itself; write backend='lightning'")
    if train.loss == "auto":
        raise SpecError("train.loss: say which, for there are no data to tell; the spec of a run says it")
    blueprint = lay_out(spec, backend=backend, loss=spell_out(train.loss).name)
    levels = () if spec.quantiles is None or spec.quantiles == "auto" else tuple(spec.quantiles)
    components = spec.components
    if components == "auto":
        components = COMPONENTS if spec.head == "mixture" else None
    task = ModelTask(blueprint, train, train.epochs, quantiles=levels, components=components)
    return made.trainable(task, seed=seed)


def count_parameters(model: Any) -> int:
    """Counts the numbers that training changes, of a model spec or of what `build_model` gave.

    Example:
        >>> count_parameters(ModelSpec(architecture="mlp", input_dim=3, output_dim=2, hidden_dims=[4]))
        26
    """
    blueprint = lay_out(model, backend="keras") if isinstance(model, ModelSpec) else model.blueprint
    counted: int = blueprint.count_parameters()
    return counted
