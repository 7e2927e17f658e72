"""One training step as a pure function of arrays, the same on every engine."""

from collections.abc import Callable, Mapping
from typing import Any

from keras import ops

from trainwright.backends.keras import loss as losses
from trainwright.backends.keras.network import run_layers
from trainwright.backends.keras.own import Keys
from trainwright.backends.keras.rules import make_rule
from trainwright.models.objective import TINY, Objective
from trainwright.models.task import ModelTask
from trainwright.train.groups import ParameterOptions, frozen_layers

Arrays = dict[str, Any]
Moments = dict[str, Arrays]  # by slot and name; those of the rule, and `average` where that is asked for
Parts = list[tuple[Any, Any, Any]]  # x, y, weight (or None) of each batch of a step
# From a function of arrays that gives (loss, more), and the arrays: the loss, more, and the gradients by name.
Differentiate = Callable[[Callable[[Arrays], Any], Arrays], tuple[Any, Any, Arrays]]


class Program:
    """What a step of a task does.

    Args:
        task: What is trained.
        options: Of each parameter.
        differentiate: How the engine finds gradients.

    Attributes:
        free: Names of what a step changes by its gradient.
        first: First value of each moment, by slot.
    """

    def __init__(
        self, task: ModelTask, options: Mapping[str, ParameterOptions], differentiate: Differentiate
    ) -> None:
        train, plan = task.train, task.blueprint
        self._options = {name: one for name, one in options.items() if not one.frozen}
        self._train = train
        self._rule = make_rule(train)
        self._objective = Objective(task, losses, library="keras")
        self._differentiate = differentiate
        self._layers = (*plan.layers, *plan.training_layers)
        self._still = frozen_layers(options)
        self.free = tuple(self._options)
        self.first = {**self._rule.slots, **({} if train.ema is None else {"average": 0.0})}

    def step(
        self, free: Arrays, rest: Arrays, moments: Moments, parts: Parts, keys: Keys, step: Any, numbers: Any
    ) -> tuple[Arrays, Arrays, Moments, Any, Any]:
        """Makes one step.

        Args:
            free: What is trained, by name.
            rest: What is frozen, and running statistics.
            moments: By slot and name.
            parts: The batches of the step.
            keys: Of the dropout layers.
            step: Its number, counted from 0.
            numbers: The rate, what is left of Adam's two biases, and what the average takes of the new weights.

        Returns:
            The first three afterwards, the mean loss over all records, and what they weigh together.
        """
        totals = [self._objective.mass(*part) for part in parts]
        total = sum(totals[1:], totals[0])
        gradients: Arrays = {}
        loss, first = 0.0, 0
        for part, records in zip(parts, totals, strict=True):
            value, running, found = self._differentiate(
                self._objective_of(part, rest, keys, (step, first)), free
            )
            if len(parts) > 1:
                share = records / (max(total, TINY) if isinstance(total, int) else ops.maximum(total, TINY))
                value, found = value * share, {name: one * share for name, one in found.items()}
            gradients = {n: gradients[n] + one for n, one in found.items()} if gradients else found
            rest, loss = {**rest, **running}, loss + value
            first += part[0].shape[0] * self._objective.views
        return *self._descend(free, rest, moments, self._clipped(gradients), numbers), loss, total

    def _objective_of(
        self, part: tuple[Any, Any, Any], rest: Arrays, keys: Keys, place: tuple[Any, int]
    ) -> Callable[[Arrays], Any]:
        x, y, weight = part

        def objective(free: Arrays) -> Any:
            rows = self._objective.enter(x)
            outputs, running = run_layers(
                self._layers, {**rest, **free}, rows, place=place, keys=keys, still=self._still
            )
            return self._objective(outputs, x, y, weight), running

        return objective

    def _clipped(self, gradients: Arrays) -> Arrays:
        train = self._train
        if train.clip_value is not None:
            gradients = {n: ops.clip(g, -train.clip_value, train.clip_value) for n, g in gradients.items()}
        if train.clip_norm is not None:
            squares = [ops.sum(g * g) for g in gradients.values()]
            norm = ops.sqrt(sum(squares[1:], squares[0]))
            scale = train.clip_norm / ops.maximum(norm, train.clip_norm)
            gradients = {n: g * scale for n, g in gradients.items()}
        return gradients

    def _descend(
        self, free: Arrays, rest: Arrays, moments: Moments, gradients: Arrays, numbers: Any
    ) -> tuple[Arrays, Arrays, Moments]:
        rate, left, taken = numbers[0], (numbers[1], numbers[2]), numbers[3]
        after: Arrays = {}
        moved: Moments = {slot: {} for slot in moments}
        for name, one in self._options.items():
            slots = {slot: moments[slot][name] for slot in self._rule.slots}
            move, slots = self._rule.direction(gradients[name], free[name], slots, one.weight_decay, left)
            after[name] = free[name] - (rate * one.lr_scale) * move
            for slot, value in slots.items():
                moved[slot][name] = value
            if "average" in moments:
                old = moments["average"][name]
                moved["average"][name] = old + taken * (after[name] - old)
        return after, rest, moved
