"""The lean loop: nothing per step beyond the step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainwright.backends.torch import loss as losses
from trainwright.backends.torch.device import device_of, working
from trainwright.backends.torch.lbfgs import LBFGS
from trainwright.backends.torch.network import Network
from trainwright.backends.torch.optimizer import Optimizer, clip_by_norm, clip_by_value
from trainwright.backends.torch.scaler import LossScale
from trainwright.base.tree import Array, Tree
from trainwright.models.blueprint import MANY, records_at_once
from trainwright.models.objective import TINY, Objective
from trainwright.models.task import ModelTask
from trainwright.spec import optimizer as spec
from trainwright.train.clock import Clock
from trainwright.train.feed import Feed
from trainwright.train.groups import ParameterOptions, settle_groups
from trainwright.train.learner import Answer, Learner, Resolved
from trainwright.train.schedule import ema_decay
from trainwright.train.stepping import Stepping

BLOCK_BYTES = 32 * 2**20  # steps whose records are gathered at once, so that a batch is a slice
HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}

Part = tuple[Tensor, Tensor, Tensor | None]  # x, y, weight


def predict(network: Network, x: Array, *, batch_size: int | None, whole: bool = False) -> Array:
    """Predicts in batches of one fixed size, because the last bits may depend on the size.

    Args:
        network: In any state; it is not changed.
        x: Inputs after preprocessing, shape `(records, ...)`.
        batch_size: Records at once; as the blueprint says unless given, more on a GPU, and all nodes of one graph.
        whole: Whether the layers that are there for training alone come after the others.

    Returns:
        What the network gives, shape `(records, outputs, ...)`.
    """
    size = batch_size or _at_once(network, len(x))
    call = network.whole if whole else partial(network, training=False)
    with torch.inference_mode():
        parts = [
            call(torch.from_numpy(np.ascontiguousarray(x[i : i + size])).to(network.device)).cpu().numpy()
            for i in range(0, len(x), size)
        ]
    shape = network.blueprint.input_shape if whole else network.blueprint.output_shape
    return np.concatenate(parts) if parts else np.empty((0, *shape), dtype=np.float32)


def _at_once(network: Network, count: int) -> int:
    if network.blueprint.reads_one_graph:
        return max(1, count)  # it is computed whole, whatever is asked of it
    return records_at_once(network.blueprint.layers) if network.device.type == "cpu" else MANY


class TorchLearner(Stepping):
    """A spec-built model in training.

    Args:
        task: What is trained.
        feed: Which records make a step; resident arrays are put on a GPU once.
        seed: Of initial values and dropout.
        run_on: Device and threads.
    """

    backend = "torch"

    def __init__(self, task: ModelTask, feed: Feed, *, seed: int, run_on: Resolved) -> None:
        blueprint, train = task.blueprint, task.train
        super().__init__(train, steps=task.epochs * feed.steps_per_epoch)
        self.task = task
        self.run_on = run_on
        self.device = device_of(run_on)
        names = [name for name, one in blueprint.parameters.items() if one.trained]
        options = settle_groups(train.groups, names, optimizer=train.optimizer)
        self.network = self._make_network(seed, options)
        trained = {name: one for name, one in self.network.tensors.items() if one.requires_grad}
        self._moving = frozenset(trained)
        self.optimizer: Optimizer | LBFGS
        if isinstance(train.optimizer, spec.LBFGS):
            self.optimizer = LBFGS(train.optimizer, trained)
        else:
            assert not isinstance(train.optimizer, spec.OwnOptimizer)
            self.optimizer = Optimizer(train.optimizer, trained, options=options)
        self.averaged: Network | None = None
        if train.ema is not None:
            self.averaged = Network(blueprint, self.network.arrays(), options=options, device=self.device)
        self.loss_scale = LossScale() if train.precision == "float16" else None
        self._half = HALVES.get(train.precision)
        self._objective = Objective(task, losses, library="torch")
        self._open: list[tuple[Tensor, float]] = []  # losses that are not in the sums yet
        self.block_bytes = BLOCK_BYTES
        self._keeps_records = self.device.type != "cpu"
        self._resident: tuple[Any, list[Tensor | None]] = (None, [])

    def train(self, feed: Feed, clock: Clock, tell: Callable[[Learner], Answer]) -> None:
        """Trains until `clock.end`, tells exactly at each `clock.next`, returns right after a stop."""
        with working(self.run_on):
            super().train(feed, clock, tell)

    def predict(self, x: Tree, *, batch_size: int | None = None) -> dict[str, Array]:
        """Predicts in evaluation mode, by the averaged weights if there are any; leaves the state untouched."""
        rows: Any = x  # an array, or rows that are read as they are sliced
        with working(self.run_on):
            network = self._served()
            found = self.task.decode(predict(network, rows, batch_size=batch_size))
            if self.task.reconstructs:
                found["reconstruction"] = predict(network, rows, batch_size=batch_size, whole=True)
            return found

    def weights(self) -> dict[str, Array]:
        """Gives the weights as copies, by neutral name and in neutral layout; averaged ones if there are any."""
        return self._served().arrays()

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Takes weights, the average too; the optimizer is left as it is."""
        self.network.load(weights)
        if self.averaged is not None:
            self.averaged.load(weights)

    def _arrays(self) -> dict[str, Any]:
        found: dict[str, Any] = {"weights": self.network.arrays(), "optimizer": self.optimizer.state()}
        if self.averaged is not None:
            found["ema"] = {n: one for n, one in self.averaged.arrays().items() if n in self._moving}
        if self.loss_scale is not None:
            found["loss_scale"] = self.loss_scale.state()
        return found

    def _load_arrays(self, kept: Any) -> None:
        self._open.clear()
        self.network.load(kept["weights"])
        self.optimizer.load_state(kept["optimizer"])
        if self.averaged is not None:
            self.averaged.load(kept["weights"] | {name: kept["ema"][name] for name in self._moving})
        if self.loss_scale is not None:
            self.loss_scale.load_state(kept["loss_scale"])

    def _served(self) -> Network:
        """Gives the network that is evaluated; the averaged one shares what is not trained."""
        if self.averaged is None:
            return self.network
        with torch.no_grad():
            for name, tensor in self.averaged.tensors.items():
                if not tensor.requires_grad:
                    tensor.copy_(self.network.tensors[name])
        return self.averaged

    def _advance(self, feed: Feed, due: int) -> None:
        while self.step < due:
            for parts, lr in self.stretch(feed, due):
                self.update(parts, lr)
            self.close()

    def stretch(self, feed: Feed, due: int) -> Iterator[tuple[list[Part], float]]:
        """Gives the batches and the rate of each step up to `due` or the epoch's end; may begin an epoch."""
        per_epoch = feed.steps_per_epoch
        if self.step % per_epoch == 0:
            self._sum, self._weight = 0.0, 0.0
        last = min(due, self.step - self.step % per_epoch + per_epoch)
        scales = (self._rates(self.step, last, per_epoch=per_epoch) * self.rate_scale).tolist()
        return zip(self._parts(feed, last), scales, strict=True)

    def update(self, parts: list[Part], lr: float) -> Tensor:
        """Makes one step; gives its mean loss."""
        loss, gradients, total = self._evaluate(parts)
        if isinstance(self.optimizer, LBFGS):
            self.optimizer.step(lambda: self._evaluate(parts)[:2], loss, gradients, lr=lr)
        with torch.no_grad():
            self.take(loss, gradients, total, lr=lr)
        return loss

    def take(self, loss: Tensor, gradients: Sequence[Tensor], total: float, *, lr: float) -> None:
        """Takes in what a step has brought; whoever calls it has switched gradients off.

        Args:
            loss: Mean over the records of the step.
            gradients: Of the loss, along the trained tensors; LBFGS has made its move by them.
            total: What the records weigh together.
            lr: The rate.
        """
        self._open.append((loss, total))
        self.step += 1
        if not isinstance(self.optimizer, LBFGS):
            self._descend(gradients, lr)
        if self.averaged is not None:
            assert self.task.train.ema is not None
            share = 1 - ema_decay(self.task.train.ema, self.step)
            torch._foreach_lerp_(self.averaged.trained, self.network.trained, share)

    def _make_network(self, seed: int, options: Mapping[str, ParameterOptions]) -> Network:
        blueprint = self.task.blueprint
        return Network(blueprint, blueprint.initial(seed), seed=seed, options=options, device=self.device)

    def _descend(self, gradients: Sequence[Tensor], lr: float) -> None:
        train, number = self.task.train, self.step
        assert isinstance(self.optimizer, Optimizer)
        if self.loss_scale is not None:
            unscaled = self.loss_scale.unscale(gradients)
            if unscaled is None:
                return
            gradients, number = unscaled, self.step - self.loss_scale.skipped
        if train.clip_value is not None:
            gradients = clip_by_value(gradients, train.clip_value)
        if train.clip_norm is not None:
            gradients = clip_by_norm(gradients, train.clip_norm)
        self.optimizer.step(gradients, lr=lr, number=number)

    def _evaluate(self, parts: list[Part]) -> tuple[Tensor, Sequence[Tensor], float]:
        """Gives the mean loss over all records of a step, its gradients, and what the records weigh together.

        The gradients carry the factor of the loss scale.
        """
        totals = [float(self._objective.mass(*part)) for part in parts]
        if len(parts) == 1:
            self.network.position = (self.step, 0)
            return *self._gradients(*parts[0]), totals[0]
        whole = sum(totals)
        gathered = [torch.zeros_like(tensor) for tensor in self.network.trained]
        mean: Any = 0.0
        first = 0
        for (x, y, weight), total in zip(parts, totals, strict=True):
            self.network.position = (self.step, first)
            loss, gradients = self._gradients(x, y, weight)
            share = total / max(whole, TINY)
            torch._foreach_add_(gathered, gradients, alpha=share)
            mean = mean + loss * share
            first += len(x) * self._objective.views
        return mean, gathered, whole

    def _gradients(self, x: Tensor, y: Tensor, weight: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Gives the mean loss of a batch and its gradients."""
        loss = self._objective(self._outputs(x), x, y, weight)
        scaled = loss if self.loss_scale is None else loss * self.loss_scale.value
        return loss.detach(), torch.autograd.grad(scaled, self.network.trained)

    def _outputs(self, x: Tensor) -> Tensor:
        """Gives what the network makes of a batch in training."""
        rows = self._objective.enter(x)
        if self._half is None:
            return self.network(rows, training=True)
        with torch.autocast(self.device.type, dtype=self._half):
            return self.network(rows, training=True).float()

    def close(self) -> None:
        """Takes the open losses into the sums: once for many steps, because a GPU is waited for each time."""
        if self._open:
            losses = torch.stack([loss for loss, _ in self._open]).tolist()
            first = self.step - len(losses) + 1
            for step, (loss, (_, total)) in enumerate(zip(losses, self._open, strict=True), first):
                self._add(loss, total, step=step)
            self._open.clear()

    def _parts(self, feed: Feed, last: int) -> Iterator[list[Part]]:
        """Yields the batches of each step up to `last`."""
        size = self.task.train.batch_size
        if feed.arrays is None:
            for step in range(self.step, last):
                batch = feed.batch(step)
                yield cut(batch.x, batch.y, batch.weight, size, self.device)
            return
        x = feed.arrays["x"]
        row_bytes = max(1, x.nbytes // max(1, len(x)))
        step = self.step
        while step < last:
            count = max(1, self.block_bytes // (row_bytes * max(1, len(feed.indices(step)))))
            until = min(last, step + count)
            rows = feed.span(step, until)
            block_x, block_y, block_weight = self._gather(feed.arrays, rows)
            begin = 0
            for number in range(step, until):
                end = begin + len(feed.indices(number))
                yield [
                    (block_x[i:j], block_y[i:j], None if block_weight is None else block_weight[i:j])
                    for i in range(begin, end, size)
                    for j in (min(i + size, end),)
                ]
                begin = end
            step = until

    def _gather(self, arrays: Mapping[str, Array], rows: Array) -> Part:
        """Gives some records; NumPy gathers them on a CPU, and a GPU from what lies there already."""
        names = ("x", "y", "weight")
        if not self._keeps_records:
            x, y, weight = (torch.from_numpy(arrays[n][rows]) if n in arrays else None for n in names)
        else:
            if self._resident[0] is not arrays:
                there = [torch.tensor(arrays[n], device=self.device) if n in arrays else None for n in names]
                self._resident = (arrays, there)
            chosen = torch.from_numpy(rows).to(self.device)
            x, y, weight = (None if one is None else one[chosen] for one in self._resident[1])
        assert x is not None and y is not None
        return x, y, weight


def cut(x: Array, y: Array, weight: Array | None, size: int, device: torch.device) -> list[Part]:
    """Gives the batches of a step, `size` records each but for the last one."""
    left, right = torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)
    heavy = None if weight is None else torch.from_numpy(weight).to(device)
    return [
        (left[i : i + size], right[i : i + size], None if heavy is None else heavy[i : i + size])
        for i in range(0, len(x), size)
    ]
