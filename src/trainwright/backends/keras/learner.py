"""A spec-built model in training by `keras.Model.fit`."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from trainwright.backends.keras.engine import engine_module
from trainwright.backends.keras.listeners import give_back, keep_states, make_listeners
from trainwright.backends.keras.network import Network, own_copy
from trainwright.backends.keras.own import initial_values
from trainwright.backends.keras.program import Program
from trainwright.backends.keras.rules import bias_left
from trainwright.backends.keras.training import Bridge, Relay, Trained, batches, ticks
from trainwright.base.errors import BackendError
from trainwright.base.tree import Array, Tree
from trainwright.models.blueprint import Blueprint, Layer, records_at_once
from trainwright.models.task import ModelTask
from trainwright.train.clock import Clock
from trainwright.train.feed import Feed
from trainwright.train.groups import ParameterOptions, settle_groups
from trainwright.train.learner import Answer, Learner, Resolved
from trainwright.train.schedule import ema_decay
from trainwright.train.stepping import Stepping


def working(run_on: Resolved) -> AbstractContextManager[None]:
    """Owns threads, precision and device for a while."""
    owned: AbstractContextManager[None] = engine_module().working(run_on)
    return owned


def predict(
    layers: Sequence[Layer],
    arrays: Mapping[str, Any],
    x: Array,
    *,
    batch_size: int | None,
    shape: Sequence[int],
) -> Array:
    """Predicts in batches of one fixed size, because the last bits may depend on the size.

    Args:
        layers: In order.
        arrays: What they are made of, by name.
        x: Inputs after preprocessing, shape `(records, ...)`.
        batch_size: Records at once; as many as a CPU does best unless given.
        shape: Of the outputs for one record.
    """
    size, evaluate = batch_size or records_at_once(layers), engine_module().evaluate
    parts = [evaluate(layers, arrays, x[i : i + size], size=size) for i in range(0, len(x), size)]
    return np.concatenate(parts) if parts else np.empty((0, *shape), dtype=np.float32)


class KerasLearner(Stepping):
    """A spec-built model in training.

    Args:
        task: What is trained.
        feed: Which records make a step.
        seed: Of initial values and dropout.
        run_on: Threads.
    """

    backend = "keras"

    def __init__(self, task: ModelTask, feed: Feed, *, seed: int, run_on: Resolved) -> None:
        train, plan = task.train, task.blueprint
        super().__init__(train, steps=task.epochs * feed.steps_per_epoch)
        self.task, self.run_on = task, run_on
        names = [name for name, one in plan.parameters.items() if one.trained]
        options = settle_groups(train.groups, names, optimizer=train.optimizer)
        self.steps_per_epoch = feed.steps_per_epoch
        self.listeners = make_listeners(train.keras)
        keep_states(self.listeners)  # what cannot be kept is refused before step 1
        self._relay: Relay | None = None
        self._rate = train.optimizer.lr
        self._planned: tuple[int, Array] = (-1, np.empty(0))
        program, step = program_of(task, options)
        with working(run_on):
            self.model = Trained(
                task,
                program,
                engine=engine_module(),
                step=step,
                seed=seed,
                position=self._position,
                rate=lambda: self._rate,
            )
            self._average_from(copies(self.model.by_name))

    def train(self, feed: Feed, clock: Clock, tell: Callable[[Learner], Answer]) -> None:
        """Trains until `clock.end`, tells exactly at each `clock.next`, returns right after a stop.

        Raises:
            BackendError: If Keras, or a callback of the user's own, ends before.
        """
        if self.step >= clock.end:
            return
        self._relay = Relay(self, clock, tell) if self.listeners else None
        bridge = self._relay or Bridge(self, clock, tell)
        self.model.source = batches(feed, self.step, clock.end, size=self.task.train.batch_size)
        with working(self.run_on):
            self.model.fit(
                ticks(),
                steps_per_epoch=clock.end - self.step,
                shuffle=False,
                verbose=0,
                callbacks=[bridge],
            )
        if self.step < clock.end and not bridge.stopped:
            raise BackendError(
                f"keras: fit ended at step {self.step} of {clock.end}; unset KERAS_MAX_STEPS_PER_EPOCH and "
                "KERAS_MAX_EPOCHS"
            )

    def hear(self, measured: Mapping[str, float]) -> None:
        """Ends the epoch for the user's own callbacks, before their states are kept."""
        if self._relay is not None:
            self._relay.hear(measured)

    def predict(self, x: Tree, *, batch_size: int | None = None) -> dict[str, Array]:
        """Predicts in evaluation mode, by the averaged weights if there are any; leaves the state untouched."""
        rows: Any = x  # an array, or rows that are read as they are sliced
        plan, arrays = self.task.blueprint, {name: one.value for name, one in self._served().items()}
        with working(self.run_on):
            raw = predict(plan.layers, arrays, rows, batch_size=batch_size, shape=plan.output_shape)
            found = self.task.decode(raw)
            if self.task.reconstructs:
                layers = (*plan.layers, *plan.training_layers)
                found["reconstruction"] = predict(
                    layers, arrays, rows, batch_size=batch_size, shape=plan.input_shape
                )
        return found

    def weights(self) -> dict[str, Array]:
        """Gives the weights as copies, by neutral name and in neutral layout; averaged ones if there are any."""
        return copies(self._served())

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Takes weights, the average too; the optimizer is left as it is."""
        with working(self.run_on):
            self.model.load(weights)
            self._average_from(weights)

    def close(self) -> None:
        """Takes the losses that were heard into the sums: once for many steps, because a device is waited for."""
        model = self.model
        for step in range(self.step - len(model.heard) + 1, self.step + 1):
            if (step - 1) % self.steps_per_epoch == 0:
                self._sum, self._weight = 0.0, 0.0
            loss, mass = model.heard.popleft()
            self._add(float(loss), float(mass), step=step)

    def _arrays(self) -> dict[str, Any]:
        slots = {slot: copies(found) for slot, found in self.model.moments.by_slot.items()}
        average = slots.pop("average", None)
        found: dict[str, Any] = {"weights": copies(self.model.by_name), "optimizer": slots}
        if self.listeners:
            found["keras"] = keep_states(self.listeners)
        return found if average is None else found | {"ema": average}

    def _load_arrays(self, kept: Any) -> None:
        slots = kept["optimizer"]
        if "average" in self.model.moments.by_slot:
            slots = {**slots, "average": kept["ema"]}
        with working(self.run_on):
            self.model.load(kept["weights"])
            for slot, found in self.model.moments.by_slot.items():
                for name, one in found.items():
                    one.assign(own_copy(slots[slot][name]))
        if self.listeners:
            give_back(self.listeners, kept["keras"])
        self.model.heard.clear()

    def _average_from(self, weights: Mapping[str, Array]) -> None:
        for name, one in self.model.moments.by_slot.get("average", {}).items():
            one.assign(own_copy(weights[name]))

    def _served(self) -> dict[str, Any]:
        """Gives the variables that are evaluated."""
        return {**self.model.by_name, **self.model.moments.by_slot.get("average", {})}

    def _position(self) -> tuple[int, tuple[float, ...]]:
        """Gives the number of the next step, its rate, what is left of Adam's biases, and what the average takes."""
        train, inside = self.task.train, self.step % self.steps_per_epoch
        offset = self.step - inside
        if self._planned[0] != offset:
            self._planned = (
                offset,
                self._rates(offset, offset + self.steps_per_epoch, per_epoch=self.steps_per_epoch),
            )
        self._rate = rate = float(self._planned[1][inside]) * self.rate_scale
        taken = 0.0 if train.ema is None else 1 - ema_decay(train.ema, self.step + 1)
        return self.step, (rate, *bias_left(train, self.step + 1), taken)


def copies(variables: Mapping[str, Any]) -> dict[str, Array]:
    """Gives copies of variables as arrays."""
    to_array = engine_module().to_array
    return {name: to_array(one.value) for name, one in variables.items()}


_PROGRAMS: dict[str, tuple[Program, Any]] = {}


def program_of(task: ModelTask, options: Mapping[str, ParameterOptions]) -> tuple[Program, Any]:
    """Gives the step of a task; tasks that differ in nothing it depends on share one compilation."""
    train, plan, engine = task.train, task.blueprint, engine_module()
    chosen = (
        train.optimizer,
        train.clip_value,
        train.clip_norm,
        train.ema,
        task.loss,
        task.quantiles,
        plan.layers,
        plan.training_layers,
        list(options.items()),
    )
    key = repr(chosen)
    if key not in _PROGRAMS:
        program = Program(task, options, engine.differentiate)
        _PROGRAMS[key] = program, engine.prepare_program(program)
    return _PROGRAMS[key]


def make_network(blueprint: Blueprint, *, seed: int) -> Network:
    """Makes a plain model with the initial values of a seed."""
    return Network(blueprint, initial_values(blueprint, seed), seed=seed)
