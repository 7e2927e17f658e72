"""The learner whose steps several processes make together."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainwright.backends.lightning.learner import LightningLearner
from trainwright.backends.lightning.place import Place, joined
from trainwright.backends.lightning.ranks import Job, Ranks
from trainwright.backends.lightning.reduction import SharedNetwork, add_up
from trainwright.backends.lightning.states import keep_states
from trainwright.backends.torch.learner import Part, cut
from trainwright.base.digest import digest_bytes
from trainwright.base.tensors import dump_tree
from trainwright.base.tree import Tree
from trainwright.models.objective import TINY
from trainwright.models.task import ModelTask
from trainwright.train.clock import Clock
from trainwright.train.feed import Feed
from trainwright.train.groups import ParameterOptions
from trainwright.train.learner import Answer, Learner, Resolved


class SharedLearner(LightningLearner):
    """A learner in one of several processes, each of which takes its batches of a step, in turn.

    Gradients and what batch normalisation looks at are summed over all processes, each record with its weight; dropout
    goes by the place of a record in the step. So a step is that of one process with larger batches, up to the order
    of sums, and all processes hold the same bits. The first process tells, saves and is asked; the others follow it.

    Args:
        task: What is trained.
        feed: Which records make a step of all processes together.
        seed: Of initial values and dropout.
        run_on: Device and threads.
        rank: Which process this is.
    """

    network: SharedNetwork

    def __init__(self, task: ModelTask, feed: Feed, *, seed: int, run_on: Resolved, rank: int = 0) -> None:
        self.place = Place(rank, task.train.processes)
        super().__init__(task, feed, seed=seed, run_on=run_on)
        self._seed = seed
        self._ranks: Ranks | None = None
        # What their callbacks hold; they begin with what those of the first process begin with.
        self._heard: list[Tree] = [keep_states(self.listeners.callbacks)] * (self.place.of - 1)

    def train(self, feed: Feed, clock: Clock, tell: Callable[[Learner], Answer]) -> None:
        """Trains until `clock.end`, tells exactly at each `clock.next`, returns right after a stop.

        Raises:
            BackendError: If Lightning ended on its own, or another process failed or was ended.
        """
        if self.step >= clock.end:
            return
        with tempfile.TemporaryDirectory(prefix="trainwright-") as folder:
            meeting = Path(folder) / "meeting"
            with Ranks(self._jobs(feed, meeting, end=clock.end)) as ranks, joined(self.place, meeting):
                self._ranks = ranks
                try:
                    self.fit(feed, ranks.clock(clock), ranks.tell(tell))
                finally:
                    self._ranks = None
            self._heard = ranks.heard

    def fit(self, feed: Feed, clock: Clock, tell: Callable[[Learner], Answer]) -> None:
        """Makes this process's share of the steps until `clock.end`."""
        batch, size = feed.batch(0), self.task.train.batch_size
        x, y, weight = cut(batch.x, batch.y, batch.weight, size, self.device)[0]
        self._none = x[:0], y[:0], None if weight is None else weight[:0]
        self._feed = feed
        super().fit(feed.share(self.place.rank, of=self.place.of, batch_size=size), clock, tell)

    def hear(self, measured: Mapping[str, float]) -> None:
        """Lets the callbacks of all processes hear what was measured, before their states are kept."""
        if self._ranks is not None:
            self._ranks.hear(measured)
        super().hear(measured)

    def kept(self) -> tuple[str, Tree]:
        """Gives a digest of what is trained here, and the states of the callbacks of this process."""
        trained = digest_bytes(b"".join(dump_tree(super()._arrays() | {"lightning": None})))
        return trained, keep_states(self.listeners.callbacks)

    def _make_network(self, seed: int, options: Mapping[str, ParameterOptions]) -> SharedNetwork:
        blueprint = self.task.blueprint
        return SharedNetwork(
            blueprint, blueprint.initial(seed), seed=seed, options=options, device=self.device
        )

    def _jobs(self, feed: Feed, meeting: Path, *, end: int) -> list[Job]:
        heard = self.task.train.lightning
        assert heard is not None
        # The first process alone records.
        train = self.task.train.model_copy(update={"lightning": heard.model_copy(update={"loggers": []})})
        state: Any = self.state()
        return [
            Job(
                rank=rank,
                meeting=meeting,
                task=replace(self.task, train=train),
                feed=feed,
                seed=self._seed,
                run_on=self.run_on,
                state=state | {"lightning": callbacks},
                end=end,
            )
            for rank, callbacks in enumerate(self._heard, 1)
        ]

    def _arrays(self) -> dict[str, Any]:
        found = super()._arrays()
        if self._ranks is not None:
            self._heard = self._ranks.states(self.kept()[0])
        return found | {"lightning_others": self._heard} if self.listeners.callbacks else found

    def _load_arrays(self, kept: Any) -> None:
        super()._load_arrays(kept)
        if self.listeners.callbacks:
            self._heard = kept["lightning_others"]

    def _evaluate(self, parts: list[Part]) -> tuple[Tensor, Sequence[Tensor], float]:
        # Shares are of the number of records, which every process knows; what they weigh together is known in the end.
        records, mass = self._records(), 0.0
        mean = torch.zeros(())
        gathered = [torch.zeros_like(tensor) for tensor in self.network.trained]
        size = self.task.train.batch_size
        for number in range(-(-records // (size * self.place.of)) if self.network.normalises else len(parts)):
            x, y, weight = parts[number] if number < len(parts) else self._none
            place = number * self.place.of + self.place.rank
            self.network.position = (self.step, place * size)
            outputs = self._outputs(x)
            if len(x):
                own = float(self._objective.mass(x, y, weight))
                loss = self._objective(outputs, x, y, weight) * (own / records)
                mass += own
            else:
                loss = outputs.sum() * 0.0
            mean = mean + loss.detach()
            scaled = loss if self.loss_scale is None else loss * self.loss_scale.value
            torch._foreach_add_(gathered, torch.autograd.grad(scaled, self.network.trained))
        mean, total, *gradients = add_up([mean, torch.tensor(mass), *gathered])
        whole = float(total)
        if whole != records:
            torch._foreach_mul_([mean, *gradients], records / max(whole, TINY))
        return mean, gradients, whole

    def _records(self) -> int:
        """Counts the records of the present step in all processes."""
        most = self.task.train.records_per_step
        return min(most, self._feed.records - self.step % self._feed.steps_per_epoch * most)
