"""The lean loop: nothing per step beyond the step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainwright.backends.torch.loss import LOSSES, TINY
from trainwright.backends.torch.network import Network
from trainwright.backends.torch.optimizer import Optimizer, clip_by_norm
from trainwright.base.errors import BackendError
from trainwright.base.tree import Array, Tree
from trainwright.models.task import ModelTask
from trainwright.train.clock import Clock
from trainwright.train.feed import Feed
from trainwright.train.learner import Answer, Learner, Resolved
from trainwright.train.schedule import rates

BLOCK_BYTES = 32 * 2**20  # steps whose records are gathered at once, so that a batch is a slice
PREDICT_BATCH = 1024

Part = tuple[Tensor, Tensor, Tensor | None]  # x, y, weight


@contextmanager
def threads_of(run_on: Resolved) -> Iterator[None]:
    """Owns torch's threads for a while."""
    before = torch.get_num_threads()
    if before == run_on.threads:
        yield
        return
    torch.set_num_threads(run_on.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def predict(network: Network, x: Array, *, output: str, batch_size: int | None) -> dict[str, Array]:
    """Predicts in batches of one fixed size, because the last bits may depend on the size.

    Args:
        network: In any state; it is not changed.
        x: Inputs after preprocessing, shape `(records, ...)`.
        output: Name of the output.
        batch_size: Records at once; 1024 unless given.
    """
    size = batch_size or PREDICT_BATCH
    with torch.inference_mode():
        parts = [
            network(torch.from_numpy(np.ascontiguousarray(x[i : i + size])), training=False).numpy()
            for i in range(0, len(x), size)
        ]
    empty = np.empty((0, network.blueprint.output_dim), dtype=np.float32)
    return {output: np.concatenate(parts) if parts else empty}


class TorchLearner:
    """A spec-built model in training.

    Args:
        task: What is trained.
        feed: Which records make a step; resident arrays are wrapped, not copied.
        seed: Of initial values and dropout.
        run_on: Device and threads.
    """

    def __init__(self, task: ModelTask, feed: Feed, *, seed: int, run_on: Resolved) -> None:
        self.task = task
        self.run_on = run_on
        self.step = 0
        self.rate_scale = 1.0
        blueprint, train = task.blueprint, task.train
        self.network = Network(blueprint, blueprint.initial(seed), seed=seed)
        trained = {
            name: self.network.tensors[name] for name, one in blueprint.parameters.items() if one.trained
        }
        self.optimizer = Optimizer(train.optimizer, trained)
        self._loss = LOSSES[train.loss]
        self._output = next(iter(task.outputs))
        self._sum, self._weight = 0.0, 0.0
        self._steps = task.epochs * feed.steps_per_epoch

    @property
    def sums(self) -> Mapping[str, tuple[float, float]]:
        """Gives `(sum, weight)` of the loss over the open epoch."""
        return {"loss": (self._sum, self._weight)}

    def train(self, feed: Feed, clock: Clock, tell: Callable[[Learner], Answer]) -> None:
        """Trains until `clock.end`, tells exactly at each `clock.next`, returns right after a stop."""
        with threads_of(self.run_on):
            while self.step < clock.end:
                self._advance(feed, clock.next(self.step))
                answer = tell(self)
                self.rate_scale = answer.rate_scale
                if answer.stop is not None:
                    return

    def predict(self, x: Tree, *, batch_size: int | None = None) -> dict[str, Array]:
        """Predicts in evaluation mode; leaves the state untouched."""
        rows: Any = x  # an array, or rows that are read as they are sliced
        with threads_of(self.run_on):
            return predict(self.network, rows, output=self._output, batch_size=batch_size)

    def state(self) -> Tree:
        """Gives all that the next step depends on, as a copy."""
        tree: Any = {
            "step": self.step,
            "rate_scale": self.rate_scale,
            "loss_sum": self._sum,
            "loss_weight": self._weight,
            "weights": self.weights(),
            "optimizer": self.optimizer.state(),
        }
        return tree

    def load_state(self, tree: Tree) -> None:
        """Takes back what `state` gave.

        Raises:
            BackendError: If an item is missing.
        """
        kept: Any = tree
        try:
            self.load_weights(kept["weights"])
            self.optimizer.load_state(kept["optimizer"])
            self.step, self.rate_scale = kept["step"], kept["rate_scale"]
            self._sum, self._weight = kept["loss_sum"], kept["loss_weight"]
        except KeyError as error:
            raise BackendError(f"torch: the state lacks {error}; it was not made by this version") from error

    def weights(self) -> dict[str, Array]:
        """Gives the weights as copies, by neutral name and in neutral layout."""
        return self.network.arrays()

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Takes weights; the optimizer is left as it is."""
        self.network.load(weights)

    def _advance(self, feed: Feed, due: int) -> None:
        per_epoch, train = feed.steps_per_epoch, self.task.train
        while self.step < due:
            if self.step % per_epoch == 0:
                self._sum, self._weight = 0.0, 0.0
            last = min(due, self.step - self.step % per_epoch + per_epoch)
            for parts, scale in zip(self._parts(feed, last), self._rates(feed, last), strict=True):
                if len(parts) == 1:
                    self.network.position = (self.step, 0)
                    gradients: Sequence[Tensor] = self._gradients(*parts[0])
                else:
                    gradients = self._accumulated(parts)
                if train.clip_norm is not None:
                    clip_by_norm(gradients, train.clip_norm)
                self.step += 1
                self.optimizer.step(gradients, lr=scale, number=self.step)

    def _rates(self, feed: Feed, last: int) -> list[float]:
        train = self.task.train
        found = rates(
            train.schedule,
            self.step,
            last,
            lr=train.optimizer.lr,
            steps=self._steps,
            per_epoch=feed.steps_per_epoch,
        )
        scaled: list[float] = (found * self.rate_scale).tolist()
        return scaled

    def _parts(self, feed: Feed, last: int) -> Iterator[list[Part]]:
        """Yields the batches of each step up to `last`."""
        size = self.task.train.batch_size
        if feed.arrays is None:
            for step in range(self.step, last):
                batch = feed.batch(step)
                yield _cut(batch.x, batch.y, batch.weight, size)
            return
        x, y, weight = feed.arrays["x"], feed.arrays["y"], feed.arrays.get("weight")
        row_bytes = max(1, x.nbytes // max(1, len(x)))
        step = self.step
        while step < last:
            count = max(1, BLOCK_BYTES // (row_bytes * max(1, len(feed.indices(step)))))
            until = min(last, step + count)
            rows = feed.span(step, until)
            block_x, block_y = torch.from_numpy(x[rows]), torch.from_numpy(y[rows])
            block_weight = None if weight is None else torch.from_numpy(weight[rows])
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

    def _gradients(self, x: Tensor, y: Tensor, weight: Tensor | None) -> tuple[Tensor, ...]:
        loss = self._loss(self.network(x, training=True), y, weight)
        total = len(x) if weight is None else float(weight.sum())
        self._sum += loss.item() * total
        self._weight += total
        gradients: tuple[Tensor, ...] = torch.autograd.grad(loss, self.network.trained)
        return gradients

    def _accumulated(self, parts: list[Part]) -> list[Tensor]:
        """Gives the gradient of the mean over all records of the step, batch by batch."""
        totals = [len(x) if weight is None else float(weight.sum()) for x, _, weight in parts]
        gathered = [torch.zeros_like(tensor) for tensor in self.network.trained]
        first = 0
        for (x, y, weight), total in zip(parts, totals, strict=True):
            self.network.position = (self.step, first)
            gradients = self._gradients(x, y, weight)
            torch._foreach_add_(gathered, gradients, alpha=total / max(sum(totals), TINY))
            first += len(x)
        return gathered


def _cut(x: Array, y: Array, weight: Array | None, size: int) -> list[Part]:
    tensors = torch.from_numpy(x), torch.from_numpy(y), None if weight is None else torch.from_numpy(weight)
    return [
        (
            tensors[0][i : i + size],
            tensors[1][i : i + size],
            None if tensors[2] is None else tensors[2][i : i + size],
        )
        for i in range(0, len(x), size)
    ]
