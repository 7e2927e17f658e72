"""Keras' steps on torch: eager, and in place."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import torch

from trainwright.backends.keras.network import run_layers
from trainwright.backends.keras.program import Program
from trainwright.backends.torch.device import working as torch_working
from trainwright.base.random import Stream, at
from trainwright.base.tree import Array
from trainwright.models.blueprint import Layer
from trainwright.train.learner import Resolved


@contextmanager
def working(run_on: Resolved) -> Iterator[None]:
    """Owns torch's threads and precision for a while, and works on the CPU."""
    with torch_working(run_on), keras.device("cpu"):
        yield


@contextmanager
def drawing(keys: Stream, step: int, first: int) -> Iterator[None]:
    """Gives torch's own generator a state for a batch, for Keras' dropout draws from it; it is given back as it was."""
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(at(at(keys, step), first).first & 0xFFFFFFFF)
        yield


def to_array(value: Any) -> Array:
    """Gives a copy as an array."""
    return np.array(value.detach().numpy())


def differentiate(function: Callable[[Any], Any], arrays: Any) -> tuple[Any, Any, Any]:
    """Gives the loss, what else the function gives, and the gradients."""
    with torch.enable_grad():
        loss, more = function(arrays)
        gradients = torch.autograd.grad(loss, list(arrays.values()))
    return loss.detach(), more, dict(zip(arrays, gradients, strict=True))


def prepare_program(program: Program) -> Callable[..., Any]:
    """Gives the step as it is."""
    return program.step


def make_train_function(model: Any) -> Callable[[Any], Any]:
    """Makes what `fit` calls for each step."""
    free = {name: model.by_name[name].value for name in model.free_names}
    rest = {name: model.by_name[name].value for name in model.rest_names if name in model.by_name}
    moments = {
        slot: {name: one.value for name, one in found.items()}
        for slot, found in model.moments.by_slot.items()
    }
    old = [*free.values(), *rest.values(), *(one for found in moments.values() for one in found.values())]

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def make_step(tick: Any) -> dict[str, Any]:
        del tick
        parts = [
            tuple(None if one is None else torch.from_numpy(one) for one in part)
            for part in next(model.source)
        ]
        count, numbers = model.position()
        *after, loss, mass = model.step(free, rest, moments, parts, model.keys, count, numbers)
        model.heard.append((loss, mass))
        new = [*(after[0][name] for name in free), *(after[1][name] for name in rest)]
        for slot, found in moments.items():
            new += [after[2][slot][name] for name in found]
        torch._foreach_copy_(old, new)
        return {}

    return make_step


@torch.no_grad()  # type: ignore[untyped-decorator]
def evaluate(layers: Sequence[Layer], arrays: Any, x: Any, *, size: int) -> Any:
    """Gives what layers make of at most `size` records."""
    del size
    return run_layers(layers, arrays, torch.from_numpy(np.ascontiguousarray(x)))[0].numpy()
