"""Many trainings of one architecture whose steps are made together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap

from trainwright.backends.likeness import check_alike, factors_of
from trainwright.backends.torch import loss as losses
from trainwright.backends.torch.device import working
from trainwright.backends.torch.learner import BLOCK_BYTES, Part, TorchLearner
from trainwright.backends.torch.network import Network, tensor_of
from trainwright.backends.torch.side_by_side import WHOLE, SideBySide, by_member
from trainwright.base.tree import Array
from trainwright.models.blueprint import Blueprint
from trainwright.models.objective import TINY, Objective, Terms
from trainwright.models.task import ModelTask
from trainwright.spec.fitting import names_of
from trainwright.train.clock import Clock
from trainwright.train.company import LockStep
from trainwright.train.feed import Feed
from trainwright.train.groups import ParameterOptions, frozen_layers
from trainwright.train.learner import Answer, Learner, Resolved, Seat
from trainwright.train.stepping import Stepping

COMPARING = {"supervised_contrastive", "triplet", "nt_xent"}  # losses of a batch as a whole
T = TypeVar("T")
Measure = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


class Member(TorchLearner):
    """One training among those of a company, as its loop sees it.

    Its weights are a row of what the company has; moments, rates and sums are its own, and so is the rule by which it
    descends: the fused one of a lone run, which is faster than an update side by side with a rate for each.

    Args:
        seat: What is trained.
        company: Which.
        place: Of its row.
    """

    def __init__(self, seat: Seat, company: "TorchCompany", place: int, *, run_on: Resolved) -> None:
        self.company = company
        self.place = place
        self.seed = seat.seed
        self.still: frozenset[str] = frozenset()
        super().__init__(seat.task, seat.feed, seed=seat.seed, run_on=run_on)
        self.block_bytes = BLOCK_BYTES // company.size

    def train(self, feed: Feed, clock: Clock, tell: Callable[[Learner], Answer]) -> None:
        """Trains until `clock.end`, tells exactly at each `clock.next`, returns right after a stop."""
        # The company owns the threads while it makes steps, not each member while it waits.
        Stepping.train(self, feed, clock, tell)

    def _advance(self, feed: Feed, due: int) -> None:
        self.company.move(self.place, feed, due)

    def _make_network(self, seed: int, options: Mapping[str, ParameterOptions]) -> Network:
        blueprint = self.task.blueprint
        rows = {name: stack[self.place] for name, stack in self.company.stacks.items()}
        for name, row in rows.items():
            row.requires_grad_(blueprint.parameters[name].trained and not options[name].frozen)
        self.still = frozen_layers(options)
        return Network.over(blueprint, rows, seed=seed, still=self.still)

    def _gather(self, arrays: Mapping[str, Array], rows: Array) -> Part:
        return self.company.gather(self.place, rows, lambda: super(Member, self)._gather(arrays, rows))


class Gradients:
    """Finds losses and gradients of some members by one call of their networks.

    Args:
        members: Those that move; one alone has a twin, because the product of one matrix is other code.
        stacks: The weights of the whole company, by name.
    """

    def __init__(self, members: Sequence[Member], stacks: Mapping[str, Tensor]) -> None:
        self.members = list(members)
        self._stacks = stacks
        every = _twinned(members)
        first, self._size = every[0], len(every)
        # Where all move, their weights are those of the company; otherwise they are copied before each step.
        places = [one.place for one in every]
        whole = places == list(range(len(next(iter(stacks.values())))))
        self._rows = None if whole else torch.tensor(places)
        self._tensors = {
            name: stack.detach() if self._rows is None else stack[self._rows]
            for name, stack in stacks.items()
        }
        for name, tensor in self._tensors.items():
            tensor.requires_grad_(first.network.tensors[name].requires_grad)
        blueprint = first.task.blueprint
        self._network = SideBySide(
            blueprint,
            self._tensors,
            seeds=[one.seed for one in every],
            rates=[dropouts(one.task.blueprint) for one in every],
            still=first.still,
        )
        self._found = [torch.empty_like(tensor) for tensor in self._network.trained]
        self._shares = list(zip(*(one.unbind() for one in self._found), strict=True))
        self._running = [name for name, one in blueprint.parameters.items() if not one.trained]
        self._objective = Objective(first.task, losses, library="torch")
        self._measure = mean_losses([one.task for one in every])

    def find(
        self, batches: Sequence[Sequence[Part]], *, step: int
    ) -> tuple[Sequence[Tensor], Sequence[Sequence[Tensor]], Sequence[float]]:
        """Gives the mean loss of each member over the records of a step, its gradients, and what the records weigh.

        Args:
            batches: Of the step, in order: one of each member.
            step: Its number.

        Returns:
            For each member: its loss; its gradients along the trained tensors, which the next call changes; what its
            records weigh together.
        """
        self._fetch()
        network, objective = self._network, self._objective
        every = [_twinned(batch) for batch in batches]
        masses = [[float(objective.mass(*part)) for part in batch] for batch in every]
        totals = [sum(one) for one in zip(*masses, strict=True)]
        losses: Tensor | float = 0.0
        gradients: Sequence[Tensor] = ()
        first = 0
        for batch, mass in zip(every, masses, strict=True):
            x, y = torch.cat([part[0] for part in batch]), torch.cat([part[1] for part in batch])
            weights = [part[2] for part in batch if part[2] is not None]
            weight = torch.cat(weights) if weights else None
            network.position = (step, first)
            each = self._measure(network(objective.enter(x), training=True), x, y, weight)
            shares = [part / max(total, TINY) for part, total in zip(mass, totals, strict=True)]
            share = torch.tensor(shares, dtype=each.dtype) if len(every) > 1 else torch.ones_like(each)
            found = torch.autograd.grad(each, network.trained, share)
            losses = losses + each.detach() * share
            gradients = torch._foreach_add(gradients, found) if gradients else found
            first += len(batch[0][0]) * objective.views
        self._keep_running()
        assert isinstance(losses, Tensor)
        # In the order of the tensors in memory, by which the fused rules go without a look at that of the gradients.
        torch._foreach_copy_(self._found, gradients)
        return losses.unbind(), self._shares, totals

    def _fetch(self) -> None:
        if self._rows is not None:
            for name, tensor in self._tensors.items():
                torch.index_select(self._stacks[name], 0, self._rows, out=tensor.detach())

    def _keep_running(self) -> None:
        if self._rows is not None:
            for name in self._running:
                self._stacks[name].index_copy_(0, self._rows, self._tensors[name])


class TorchCompany(LockStep[Member]):
    """Trainings that differ in numbers alone, whose steps are made together.

    Args:
        seats: What is trained, at least two.
        run_on: Where, alike for all.

    Raises:
        BackendError: If they are not alike, or one cannot be trained with others.

    Attributes:
        stacks: The weights by name, with the members as a first axis.
        size: How many members there are.
    """

    def __init__(self, seats: Sequence[Seat], *, run_on: Resolved) -> None:
        check_alike(seats)
        initial = [seat.task.blueprint.initial(seat.seed) for seat in seats]
        self.stacks = {name: torch.stack([tensor_of(one[name]) for one in initial]) for name in initial[0]}
        self.size = len(seats)
        self._run_on = run_on
        members = [Member(seat, self, place, run_on=run_on) for place, seat in enumerate(seats)]
        super().__init__(members, [seat.feed for seat in seats])
        self._origins = _find_origins(self._feeds)
        self._gathered: dict[tuple[int, int], tuple[Array, Part]] = {}
        self._gradients: Gradients | None = None

    def gather(self, place: int, rows: Array, gather: Callable[[], Part]) -> Part:
        """Gives records of a member; those that train on the same ones in the same order share them."""
        key = (self._origins[place], self._feeds[place].seed)
        kept = self._gathered.get(key)
        if kept is None or not np.array_equal(kept[0], rows):
            kept = self._gathered[key] = (rows, gather())
        return kept[1]

    def _run(self, places: Sequence[int], until: int) -> None:
        members = [self.learners[place] for place in places]
        if self._gradients is None or self._gradients.members != members:
            self._gradients = Gradients(members, self.stacks)
        gradients = self._gradients
        with working(self._run_on):
            while members[0].step < until:
                streams = [one.stretch(self._feeds[one.place], until) for one in members]
                for steps in zip(*streams, strict=True):
                    _step(members, gradients, steps)
                for one in members:
                    one.close()


def _step(members: Sequence[Member], gradients: Gradients, steps: Sequence[tuple[list[Part], float]]) -> None:
    """Makes a step of some members, each with its batches and its rate."""
    batches = list(zip(*(parts for parts, _ in steps), strict=True))
    # One alone has a twin, whose gradients nobody takes.
    found = zip(*gradients.find(batches, step=members[0].step), strict=True)
    with torch.no_grad():
        for one, (_, lr), (loss, mine, total) in zip(members, steps, found, strict=False):
            one.take(loss, mine, total, lr=lr)


def dropouts(blueprint: Blueprint) -> dict[str, float]:
    """Gives the rate of each dropout, by name."""
    layers = blueprint.layers + blueprint.training_layers
    return {one.name: one.options["rate"] for one in layers if one.kind == "dropout"}


def _twinned(each: Sequence[T]) -> list[T]:
    return [*each] * (2 if len(each) == 1 else 1)


def _find_origins(feeds: Sequence[Feed]) -> list[int]:
    """Gives for each member the first one that trains on equal records."""
    arrays: list[Any] = [feed.arrays for feed in feeds]
    found: list[int] = []
    for mine in arrays:
        same = (
            place
            for place in dict.fromkeys(found)
            if all(
                mine[name] is arrays[place][name] or np.array_equal(mine[name], arrays[place][name])
                for name in mine
            )
        )
        found.append(next(same, len(found)))
    return found


def mean_losses(tasks: Sequence[ModelTask]) -> Measure:
    """Makes the function of the mean losses of members, each over its own records.

    Like the functions of each element within networks, those within a loss are kept to whole vectors: by members of
    nobody behind the others.
    """
    factors = [factors_of(one) for one in tasks]
    make: Any = Objective if factors[0] is None else Terms
    objective = make(tasks[0], losses, library="torch")
    compares = bool(COMPARING & set(names_of(tasks[0].loss)))
    # By term and member.
    amounts = None if factors[0] is None else torch.tensor(factors, dtype=torch.float64).T

    def measure(outputs: Tensor, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        members, records = len(tasks), len(y) // len(tasks)
        nobody = -(-WHOLE // records) if len(y) % WHOLE else 0
        weight = outputs.new_ones(len(y)) if weight is None else weight
        if nobody:
            outputs, x, y, weight = (
                torch.cat((one, one.new_zeros(len(one) // members * nobody, *one.shape[1:])))
                for one in (outputs, x, y, weight)
            )
        weight, more = by_member(weight, members + nobody), list[Tensor]()
        if amounts is not None:
            more = [torch.nn.functional.pad(amounts.to(outputs.dtype), (0, nobody))]
        if not compares:
            return objective(outputs, x, y, weight, *more)[:members]
        parts = (by_member(one, members + nobody) for one in (outputs, x, y))
        return vmap(objective, in_dims=(0, 0, 0, 0, *(1 for _ in more)))(*parts, weight, *more)[:members]

    return measure
