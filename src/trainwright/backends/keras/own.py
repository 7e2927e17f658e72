"""Networks of the user's own: a `keras.Model` as one layer of a blueprint, a pure function of its arrays."""

import random
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from trainwright.backends.keras.engine import engine_module
from trainwright.base.blame import blame, raised_in
from trainwright.base.errors import BackendError
from trainwright.base.random import Stream, at, bits, stream
from trainwright.base.tree import Array
from trainwright.models.blueprint import Blueprint, Layer, Parameter
from trainwright.spec.build import build
from trainwright.spec.part import Use

FLOAT = "float32"  # whatever Keras was told about the type of numbers
Keys = Mapping[str, Stream]  # of the layers that draw, by name
Place = tuple[Any, Any]  # the step and the batch's offset within the step's records


@dataclass(frozen=True, slots=True)
class Own:
    """A network of the user's own, whose variables lend their places to given arrays.

    Args:
        network: A `keras.Model`.
        variables: By the name that they have in a blueprint: the path that Keras gives them, with dots.
        seeds: States of its random generators. They are no part of a checkpoint: each step sets them.
        kept: Those of the variables that change by no gradient.
        statistics: Layers with some of each, such as normalisations, by name.
    """

    network: Any
    variables: Mapping[str, Any]
    seeds: tuple[Any, ...]
    kept: Mapping[str, Any]
    statistics: Mapping[str, Any]


def complete(blueprint: Blueprint) -> Blueprint:
    """Gives a blueprint the arrays of its own network.

    Raises:
        SpecError: If the code has no method `keras`, or the arguments do not fit.
        BackendError: If what it gives cannot be trained and kept.
    """
    (layer,) = (one for one in blueprint.layers if one.kind == "own")
    own = _template(layer)
    _check(layer, own)
    found = {
        name: Parameter(tuple(one.shape), trained=name not in own.kept) for name, one in own.variables.items()
    }
    twice = sorted(found.keys() & blueprint.parameters.keys())
    if twice:
        raise BackendError(
            f"{_called(layer)}: {twice[0]!r} is the name of another layer; name this one otherwise"
        )
    completed = {**found, **blueprint.parameters}
    if not any(one.trained for one in completed.values()):
        raise BackendError(
            f"{_called(layer)}: every parameter is frozen; leave a layer whose trainable is True"
        )
    return replace(blueprint, parameters=completed)


def initial_values(blueprint: Blueprint, seed: int) -> dict[str, Array]:
    """Draws the initial values of a blueprint; those of an own network by its initializers, as the seed has them."""
    found, to_array = blueprint.initial(seed), engine_module().to_array
    for layer in blueprint.layers:
        if layer.kind == "own":
            made = _made(layer, seed=seed)
            found |= {name: to_array(one.value) for name, one in made.variables.items()}
    return found


def call_own(
    layer: Layer,
    arrays: Mapping[str, Any],
    x: Any,
    *,
    place: Place | None,
    keys: Keys | None,
    still: frozenset[str],
) -> tuple[Any, dict[str, Any]]:
    """Gives what a network makes of records, and in training the arrays that this changes.

    Args:
        layer: Of the network.
        arrays: By name.
        x: Shape `(records, ...)`.
        place: In training.
        keys: Where its draws come from.
        still: Layers whose parameters are frozen: their statistics are used in training and stay.
    """
    own = _template(layer)
    states = [(one, arrays[name]) for name, one in own.variables.items()] + _seeded(layer, own, place, keys)
    frozen = [] if place is None else [one for name, one in own.statistics.items() if name in still]
    for one in frozen:
        one.trainable = False
    draws = (
        nullcontext() if place is None or keys is None else engine_module().drawing(keys[layer.name], *place)
    )
    try:
        with draws, keras.StatelessScope(state_mapping=states) as scope:
            outputs = own.network(x, training=place is not None)
    except Exception as error:
        blame(error, _raiser(layer))
        raise
    finally:
        for one in frozen:
            one.trainable = True
    moved = {} if place is None else {name: scope.get_current_value(one) for name, one in own.kept.items()}
    return ops.cast(outputs, FLOAT), moved


def _seeded(layer: Layer, own: Own, place: Place | None, keys: Keys | None) -> list[tuple[Any, Any]]:
    """Gives each random generator a state of its own for the batch: a function of run, step and place in the step."""
    if place is None or keys is None or not own.seeds:
        return [(one, np.zeros(2, dtype=np.int32)) for one in own.seeds]
    step, first = place
    count = 2 * len(own.seeds)
    drawn = bits(at(keys[layer.name], step), ops.arange(count, dtype="int32") + first * count)
    return [(one, ops.cast(drawn[2 * n : 2 * n + 2], one.dtype)) for n, one in enumerate(own.seeds)]


_TEMPLATES: dict[str, Own] = {}


def _template(layer: Layer) -> Own:
    key = repr(layer)
    if key not in _TEMPLATES:
        _TEMPLATES[key] = _made(layer, seed=0)
    return _TEMPLATES[key]


def _made(layer: Layer, *, seed: int) -> Own:
    part = Use(use=layer.options["use"], args=dict(layer.options["args"]))
    method = build(part, {}, where="model", has=("keras(input_shape, outputs)",)).keras
    # Keras numbers the names of layers by thread: in a new one they depend on nothing that was made before.
    with ThreadPoolExecutor(1) as executor:
        network = executor.submit(_build, layer, method, seed).result()
    variables: dict[str, Any] = {}
    for one in network.variables:
        name = one.path.removeprefix(f"{network.name}/").replace("/", ".")
        if one.name != "seed_generator_state" and variables.setdefault(name, one) is not one:
            raise BackendError(
                f"{_called(layer)}: two of its arrays are called {name!r}; give the layers names"
            )
    seeds = tuple(one for one in network.variables if one.name == "seed_generator_state")
    trained = {id(one) for one in network.trainable_variables}
    kept = {name: one for name, one in variables.items() if id(one) not in trained}
    return Own(network, variables, seeds, kept, _statistics(network, variables))


def _build(layer: Layer, method: Callable[..., Any], seed: int) -> Any:
    shape, outputs = layer.options["input_shape"], layer.options["outputs"]
    with keras.device("cpu"), _drawn_by(seed):
        with raised_in(_raiser(layer)):
            network = method(tuple(shape), outputs)
        if not isinstance(network, keras.Model):
            raise BackendError(f"{_called(layer)}: keras() gave {type(network).__name__}, not a keras.Model")
        with raised_in(_raiser(layer)):
            found = network(ops.zeros((2, *shape), dtype=FLOAT))  # builds what is not built yet
    if tuple(getattr(found, "shape", ())) != (2, outputs):
        raise BackendError(
            f"{_called(layer)}: for 2 records of shape {tuple(shape)} it gives {_shape(found)}; it has to give "
            f"numbers of shape (2, {outputs})"
        )
    return network


@contextmanager
def _drawn_by(seed: int) -> Iterator[None]:
    """Lets initializers draw by a seed: Keras asks Python's generator for theirs. Nobody else notices."""
    before, numbers = random.getstate(), np.random.get_state()
    keys = stream(seed, "initial", "own")
    random.seed(keys.first)
    np.random.seed(keys.first & 0xFFFFFFFF)
    try:
        with engine_module().drawing(keys, 0, 0):
            yield
    finally:
        random.setstate(before)
        np.random.set_state(numbers)


def _statistics(network: Any, variables: Mapping[str, Any]) -> dict[str, Any]:
    names = {id(one): name for name, one in variables.items()}
    found = {}
    for layer in network._flatten_layers():
        own = [
            one for one in (*layer._trainable_variables, *layer._non_trainable_variables) if id(one) in names
        ]
        if layer.trainable and len({one.trainable for one in own}) == 2:
            found[names[id(own[0])].rpartition(".")[0]] = layer
    return found


def _check(layer: Layer, own: Own) -> None:
    """Refuses what would be lost: losses of layers, and what is neither among the arrays nor a generator of a layer."""
    odd = [f"{name} ({one.dtype})" for name, one in own.variables.items() if one.dtype != FLOAT]
    if odd:
        raise BackendError(f"{_called(layer)}: its arrays have to be {FLOAT}, not {', '.join(odd)}")
    states = [(one, one.value) for one in (*own.variables.values(), *own.seeds)]
    draws = engine_module().drawing(stream(0, "initial", layer.name), 0, 0)
    scope = keras.StatelessScope(state_mapping=states, collect_losses=True)
    with draws, raised_in(_raiser(layer)), scope:
        own.network(ops.zeros((2, *layer.options["input_shape"]), dtype=FLOAT), training=True)
    if scope.losses or own.network.losses:
        raise BackendError(
            f"{_called(layer)}: its layers add losses of their own, which nobody would minimise; leave out "
            "regularizers and add_loss, and write train.optimizer.weight_decay or train.loss"
        )
    if scope.state_mapping.keys() - {id(one) for one, _ in states}:
        raise BackendError(
            f"{_called(layer)}: it changes a variable that is none of its own, so that no run could be repeated; give "
            "each layer that draws a keras.random.SeedGenerator"
        )


def _called(layer: Layer) -> str:
    return f"model.use: {layer.options['use']}"


def _raiser(layer: Layer) -> str:
    return f"model: {layer.options['use']}.keras"


def _shape(found: Any) -> str:
    return str(tuple(found.shape)) if hasattr(found, "shape") else type(found).__name__
