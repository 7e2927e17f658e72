"""Models of a spec as plain modules of a framework, for use anywhere."""

from typing import Any

from trainwright.backends import CATALOG as BACKENDS
from trainwright.base.errors import BackendError
from trainwright.models.assemble import build_blueprint
from trainwright.spec.build import find
from trainwright.spec.model import ModelSpec


def build_model(spec: ModelSpec, *, backend: str = "torch", seed: int = 0) -> Any:
    """Builds the network of a spec with the initial values of a seed, as a module of its framework.

    Args:
        spec: With `input_shape` (or `input_dim`) and `output_dim`, unless it is resolved.
        backend: `torch` gives a `torch.nn.Module`: `module(x)` are the outputs, its state dict has the neutral names,
            and dropout follows `train()` and `eval()`. `equinox` gives an `equinox.Module`: `module(x)` is the pair
            of the outputs in evaluation mode and the running statistics. `keras` gives a `keras.Model` on whichever
            engine Keras runs in this process, `keras-jax` and `keras-torch` on theirs.
        seed: Of initial values and dropout.

    Returns:
        The module; it gives raw outputs, shape `(records, *output_shape)`, and has its `blueprint`.

    Raises:
        SpecError: If the spec does not fit together.
        BackendError: If there is no such backend, or it is not installed.
    """
    if backend not in BACKENDS:
        raise BackendError(f"backend: there is no {backend!r}; write {' or '.join(map(repr, BACKENDS))}")
    return find(backend, BACKENDS, where="backend")().module(build_blueprint(spec), seed=seed)


def count_parameters(model: Any) -> int:
    """Counts the numbers that training changes, of a model spec or of what `build_model` gave.

    Example:
        >>> count_parameters(ModelSpec(architecture="mlp", input_dim=3, output_dim=2, hidden_dims=[4]))
        26
    """
    blueprint = build_blueprint(model) if isinstance(model, ModelSpec) else model.blueprint
    counted: int = blueprint.count_parameters()
    return counted
