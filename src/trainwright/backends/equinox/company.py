"""Many trainings of one architecture as one compiled program."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from trainwright.backends.equinox.learner import EquinoxLearner
from trainwright.backends.equinox.network import Network, dropouts, make_network, put, spell_drops
from trainwright.backends.equinox.program import Dials, Programs, Training
from trainwright.backends.likeness import any_rates, check_alike, factors_of
from trainwright.base.tree import Array
from trainwright.models.task import ModelTask
from trainwright.train.company import LockStep
from trainwright.train.feed import Feed
from trainwright.train.groups import ParameterOptions
from trainwright.train.learner import Seat


@cache
def _same_for_all_sizes() -> dict[str, Any]:
    """Gives what keeps XLA from choosing its kernels by the number of members.

    It takes sums from the library YNN where they are large enough, which adds in another order; its products do not
    depend on how many there are, and are a fifth faster than without it. A JAX without YNN has no such option.
    """
    options = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}
    try:
        jax.jit(lambda x: x, compiler_options=options).lower(0.0).compile()
    except jax.errors.JaxRuntimeError as error:
        if "ynn" not in str(error):
            raise
        return {}
    return options


class CommonPrograms:
    """The compiled program of all companies whose members are alike.

    The steps of a stretch are a loop over one step of all members, which is the lone step under `vmap`. Every member
    gathers rows of its own, also where all orders are equal, and every number in which members may differ is traced,
    also where none does: so a member's bits are the same in any company of two or more.

    Args:
        task: Of any member.
        options: Of each parameter.
    """

    def __init__(self, task: ModelTask, options: Mapping[str, ParameterOptions]) -> None:
        self.lone = Programs(task, options, decaying=True)
        self._size = task.train.batch_size
        self.stretch = jax.jit(
            self._loop, donate_argnums=0, static_argnames="shared", compiler_options=_same_for_all_sizes()
        )

    def _loop(
        self,
        training: Training,
        dials: Dials,
        data: Any,
        order: jax.Array,
        rates: jax.Array,
        moving: jax.Array,
        bounds: jax.Array,
        *,
        shared: bool,
    ) -> tuple[Training, jax.Array]:
        """Makes the steps from `bounds[0]` to `bounds[1] - 1` of an epoch.

        Args:
            training: Of all members, along a first axis; it is used up.
            dials: Likewise.
            data: `(x, y, weight)`, of one train split or of each member's.
            order: Records of each step, shape `(steps, members, records)`.
            rates: Of each step, shape `(steps, members)`.
            moving: Which members make these steps, shape `(members,)`; the others keep every bit.
            bounds: First step, one past the last, and the number of the epoch's first step within the run.
            shared: Whether all members gather from one train split.

        Returns:
            What changed, and loss and weight of each step, shape `(steps, members, 2)`.
        """
        together = jax.vmap(self._step, in_axes=(0, 0, None if shared else 0, 0, None, 0, 0))

        def body(number: Any, carry: Any) -> Any:
            now, losses = carry
            step = bounds[2] + number
            now, loss = together(now, dials, data, order[number], step, rates[number], moving)
            return now, losses.at[number].set(loss)

        losses = jnp.zeros((*order.shape[:2], 2))
        return jax.lax.fori_loop(bounds[0], bounds[1], body, (training, losses))

    def _step(
        self, training: Training, dials: Dials, data: Any, rows: Any, step: Any, rate: Any, moves: Any
    ) -> tuple[Training, jax.Array]:
        x, y, weight = data
        parts = [
            (x[chosen], y[chosen], None if weight is None else weight[chosen])
            for i in range(0, rows.shape[0], self._size)
            for chosen in (rows[i : i + self._size],)
        ]
        after, loss = self.lone.step(training, parts, step, rate, dials)
        return jax.tree.map(lambda new, old: jnp.where(moves, new, old), after, training), loss


_PROGRAMS: dict[str, CommonPrograms] = {}


class Member(EquinoxLearner):
    """One training among those of a company, as its loop sees it.

    Args:
        seat: What is trained.
        alike: The likeness of all members.
    """

    def __init__(self, seat: Seat, alike: str) -> None:
        self.alike = alike
        self.company: EquinoxCompany | None = None
        self.place = 0
        self.began: Training | None = None
        super().__init__(seat.task, seat.feed, seed=seat.seed)

    @property
    def _training(self) -> Training:
        if self.began is not None:
            return self.began
        assert self.company is not None
        return self.company.take(self.place)

    @_training.setter
    def _training(self, training: Training) -> None:
        if self.company is None or self.began is not None:
            self.began = training
        else:
            self.company.put(self.place, training)

    def dials(self) -> Dials:
        """Gives the numbers in which it may differ from other members."""
        return Dials(self._decays, factors_of(self.task))

    def rates(self, feed: Feed, offset: int) -> Any:
        """Gives the rates of an epoch's steps, as its latest answer scales them."""
        if self._plan[0] != offset:
            per_epoch = feed.steps_per_epoch
            self._plan = (offset, self._rates(offset, offset + per_epoch, per_epoch=per_epoch))
        return self._plan[1] * self.rate_scale

    def moved(self, losses: Array, *, to: int) -> None:
        """Takes in what steps have brought that are made.

        Args:
            losses: Loss and weight of each, shape `(steps, 2)`.
            to: The step that is reached.
        """
        self._add_each(losses)
        self.step = to

    def open_epoch(self) -> None:
        """Begins the sums anew."""
        self._sum, self._weight = 0.0, 0.0

    def _advance(self, feed: Feed, due: int) -> None:
        assert self.company is not None
        self.company.move(self.place, feed, due)

    def _network(self, weights: Mapping[str, Array]) -> Network:
        blueprint = self.task.blueprint
        network = make_network(any_rates(blueprint), weights, seed=self._seed, still=self._still)
        dtype = jnp.result_type(*network.trained.values())
        drops = spell_drops(dropouts(blueprint), dtype=dtype)
        return eqx.tree_at(lambda one: one.drops, network, drops, is_leaf=lambda one: one is None)

    def _find_programs(self, options: Mapping[str, ParameterOptions]) -> Programs:
        # The program is that of whoever came first; the numbers are its own.
        self._decays = {name: one.weight_decay for name, one in options.items() if not one.frozen}
        return _PROGRAMS.setdefault(self.alike, CommonPrograms(self.task, options)).lone

    def _resident(self, feed: Feed) -> Any:
        return None  # the company has them


class EquinoxCompany(LockStep[Member]):
    """Trainings that differ in numbers alone, advanced by one program.

    Args:
        seats: What is trained, at least two.

    Raises:
        BackendError: If they are not alike, or one cannot be trained with others.
    """

    def __init__(self, seats: Sequence[Seat]) -> None:
        alike = check_alike(seats)
        super().__init__([Member(seat, alike=alike) for seat in seats], [seat.feed for seat in seats])
        self._programs = _PROGRAMS[alike]
        self._shared, self._data = _gather_data(self._feeds)
        self._training: Training | None = None
        self._dials: Any = None
        self._order: tuple[int, frozenset[int], Any, Any] = (-1, frozenset(), None, None)
        self._taken: dict[int, Training] = {}
        for place, one in enumerate(self.learners):
            one.company, one.place = self, place

    def take(self, place: int) -> Training:
        """Gives what a member has become."""
        if place not in self._taken:
            self._taken[place] = _take(self._stacked(), place)
        return self._taken[place]

    def put(self, place: int, training: Training) -> None:
        """Sets what a member is."""
        self._training = _put(self._stacked(), place, training)
        self._taken.pop(place, None)

    def _stacked(self) -> Training:
        """Puts the members side by side, once the first of them moves."""
        if self._training is None:
            every = [one.began for one in self.learners]
            self._training = jax.tree.map(lambda *leaves: jnp.stack(leaves), *every)
            dtype = jnp.result_type(*self._training.network.trained.values())
            dials = [one.dials() for one in self.learners]
            self._dials = jax.tree.map(lambda *values: jnp.asarray(values, dtype=dtype), *dials)
            for one in self.learners:
                one.began = None
        return self._training

    def _run(self, places: Sequence[int], until: int) -> None:
        members = [self.learners[place] for place in places]
        per_epoch = self._feeds[places[0]].steps_per_epoch
        moving = np.zeros(len(self.learners), dtype=bool)
        moving[list(places)] = True
        while (step := members[0].step) < until:
            inside = step % per_epoch
            offset = step - inside
            if inside == 0:
                for one in members:
                    one.open_epoch()
            order, ragged = self._order_of(places, offset)
            full = len(order)
            ends = min(until - offset, full if inside < full else per_epoch)
            if inside >= full:
                # The last step of an epoch has fewer records: a matrix of one step, and so another program.
                order, bounds = ragged, (0, 1, offset + full)
            else:
                bounds = (inside, ends, offset)
            rates = np.zeros((len(order), len(self.learners)), dtype=np.float32)
            for place, one in zip(places, members, strict=True):
                scaled = one.rates(self._feeds[place], offset)
                rates[:, place] = scaled[:full] if inside < full else scaled[full:]
            self._training, found = self._programs.stretch(
                self._stacked(),
                self._dials,
                self._data,
                order,
                put(rates),
                moving,
                np.array(bounds, dtype=np.int32),
                shared=self._shared,
            )
            self._taken.clear()
            losses = np.asarray(found)[bounds[0] : bounds[1]]
            for place, one in zip(places, members, strict=True):
                one.moved(losses[:, place], to=offset + ends)

    def _order_of(self, places: Sequence[int], offset: int) -> tuple[Any, Any]:
        """Gives the records of an epoch's full steps, shape `(steps, members, records)`, and of its last if smaller."""
        kept_offset, kept, order, ragged = self._order
        if kept_offset == offset and kept >= set(places):
            return order, ragged
        feed = self._feeds[places[0]]
        per_epoch, size = feed.steps_per_epoch, len(feed.indices(offset))
        rest = len(feed.indices(offset + per_epoch - 1))
        full = per_epoch if rest == size else per_epoch - 1
        every = kept | set(places) if kept_offset == offset else frozenset(places)
        rows = np.zeros((full, len(self.learners), size), dtype=np.int32)
        last = np.zeros((per_epoch - full, len(self.learners), rest), dtype=np.int32)
        by_seed: dict[int, Array] = {}
        for place in every:
            mine = self._feeds[place]
            if mine.seed not in by_seed:
                by_seed[mine.seed] = mine.span(offset, offset + per_epoch)
            span = by_seed[mine.seed]
            rows[:, place] = span[: full * size].reshape(full, size)
            last[:, place] = span[full * size :].reshape(per_epoch - full, rest)
        self._order = (offset, frozenset(every), put(rows), put(last))
        return self._order[2:]


_take = jax.jit(lambda training, place: jax.tree.map(lambda leaf: leaf[place], training))
_put = jax.jit(
    lambda training, place, one: jax.tree.map(lambda leaf, new: leaf.at[place].set(new), training, one),
    donate_argnums=0,
)


def _gather_data(feeds: Sequence[Feed]) -> tuple[bool, Any]:
    """Gives whether all train on the same records, and `(x, y, weight)` of these, or of each along a first axis."""
    arrays: list[Any] = [feed.arrays for feed in feeds]
    first = arrays[0]
    shared = all(
        one[name] is first[name] or np.array_equal(one[name], first[name])
        for one in arrays[1:]
        for name in first
    )

    def column(name: str) -> Any:
        if name not in first:
            return None
        return put(first[name] if shared else np.stack([one[name] for one in arrays]))

    return shared, (column("x"), column("y"), column("weight"))
