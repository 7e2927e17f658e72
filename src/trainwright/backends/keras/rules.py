"""Update rules for a rate of one, by plain operators that every engine of Keras has."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from trainwright.backends.keras.network import own_copy
from trainwright.base.errors import BackendError
from trainwright.spec.optimizer import SGD, Adagrad, Adam, AdamW, RMSprop
from trainwright.spec.train import TrainSpec

Slots = dict[str, Any]  # the moments of one array, by name
Update = Callable[[Any, Any, Slots, float, tuple[Any, Any]], tuple[Any, Slots]]


@dataclass(frozen=True, slots=True)
class Rule:
    """What is kept about each array, and how it moves.

    Args:
        slots: First values of the moments, by name.
        direction: From (gradient, weight, slots, weight decay, what is left of Adam's bias) to what the rate
            multiplies, and the slots afterwards.
    """

    slots: Mapping[str, float]
    direction: Update


def make_rule(train: TrainSpec) -> Rule:
    """Makes the rule of a training.

    Raises:
        BackendError: If there is none of this name.
    """
    spec = train.optimizer
    match spec:
        case SGD():
            return _sgd(spec)
        case Adam() | AdamW():
            return _adam(spec)
        case RMSprop():
            return _rmsprop(spec)
        case Adagrad():
            return _adagrad(spec)
        case _:
            raise BackendError(f"train.optimizer: Keras has no {spec.name!r}")


def bias_left(train: TrainSpec, number: int) -> tuple[float, float]:
    """Gives what the moments of Adam are divided by after a number of updates; ones for other rules."""
    spec = train.optimizer
    if isinstance(spec, Adam | AdamW):
        return 1 - spec.beta1**number, 1 - spec.beta2**number
    return 1.0, 1.0


def _sgd(spec: SGD) -> Rule:
    def direction(g: Any, w: Any, slots: Slots, decay: float, left: Any) -> tuple[Any, Slots]:
        g = _decayed(g, w, decay)
        if not spec.momentum:
            return g, {}
        momentum = spec.momentum * slots["momentum"] + g
        return g + spec.momentum * momentum if spec.nesterov else momentum, {"momentum": momentum}

    return Rule({"momentum": 0.0} if spec.momentum else {}, direction)


def _adam(spec: Adam | AdamW) -> Rule:
    coupled = isinstance(spec, Adam)

    def direction(g: Any, w: Any, slots: Slots, decay: float, left: Any) -> tuple[Any, Slots]:
        g = _decayed(g, w, decay) if coupled else g
        mean = slots["mean"] + (1 - spec.beta1) * (g - slots["mean"])
        square = spec.beta2 * slots["square"] + (1 - spec.beta2) * (g * g)
        move = mean / left[0] / (ops.sqrt(square / left[1]) + spec.eps)
        return move if coupled else _decayed(move, w, decay), {"mean": mean, "square": square}

    return Rule({"mean": 0.0, "square": 0.0}, direction)


def _rmsprop(spec: RMSprop) -> Rule:
    wanted = {"square": True, "mean": spec.centered, "momentum": spec.momentum > 0}

    def direction(g: Any, w: Any, slots: Slots, decay: float, left: Any) -> tuple[Any, Slots]:
        g = _decayed(g, w, decay)
        after = {"square": spec.alpha * slots["square"] + (1 - spec.alpha) * (g * g)}
        spread = after["square"]
        if spec.centered:
            after["mean"] = slots["mean"] + (1 - spec.alpha) * (g - slots["mean"])
            # Rounding may leave a variance just below zero.
            spread = ops.maximum(spread - after["mean"] * after["mean"], 0.0)
        move = g / (ops.sqrt(spread) + spec.eps)
        if spec.momentum:
            move = after["momentum"] = spec.momentum * slots["momentum"] + move
        return move, after

    return Rule({name: 0.0 for name, used in wanted.items() if used}, direction)


def _adagrad(spec: Adagrad) -> Rule:
    def direction(g: Any, w: Any, slots: Slots, decay: float, left: Any) -> tuple[Any, Slots]:
        g = _decayed(g, w, decay)
        total = slots["sum"] + g * g
        return g / (ops.sqrt(total) + spec.eps), {"sum": total}

    return Rule({"sum": spec.initial_accumulator}, direction)


def _decayed(g: Any, w: Any, decay: float) -> Any:
    return g + decay * w if decay else g


class Moments(keras.optimizers.Optimizer):
    """Holds the moments of a rule as Keras' variables; the step of the model moves them.

    Args:
        first: First value of each moment, by slot.
        variables: What is trained, by name.
        rate: Gives the rate of the step that was made last.

    Attributes:
        by_slot: The variables by slot and name.
    """

    def __init__(
        self, first: Mapping[str, float], variables: Mapping[str, Any], *, rate: Callable[[], float]
    ) -> None:
        super().__init__(learning_rate=rate, name="moments")
        self.build(list(variables.values()))
        self.by_slot = {
            slot: {name: self._add(slot, one, value) for name, one in variables.items()}
            for slot, value in first.items()
        }

    @property
    def learning_rate(self) -> float:
        """Gives the rate of the step that was made last."""
        rate: float = self._learning_rate()
        return rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise BackendError("keras: the learning rate is that of train.optimizer.lr and train.schedule")

    def _add(self, slot: str, variable: Any, value: float) -> Any:
        # Not by an initializer of Keras: JAX would compile one for each shape.
        first = own_copy(np.full(variable.shape, value))
        return self.add_variable_from_reference(variable, name=slot, initializer=lambda *_, **__: first)
