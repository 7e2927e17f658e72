"""What trains the members of a study: one after another, or together as one program."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from trainwright.base.digest import digest_json
from trainwright.base.errors import SpecError
from trainwright.base.home import home_of
from trainwright.data.dataset import Dataset
from trainwright.experiment import Trained
from trainwright.plan import Plan, make_plan
from trainwright.registering import find_recorded
from trainwright.seating import group_plans, seat_together, why_not_together, why_slower_together
from trainwright.spec.edit import edit
from trainwright.store.overview import COMPANY, STUDY
from trainwright.store.registry import Registry
from trainwright.store.store import Store
from trainwright.studies.members import (
    ID_DIGITS,
    Engine,
    Finished,
    LinkTo,
    Member,
    Tell,
    check_finished,
    find_cut,
    finish_member,
    run_members,
    take_recorded,
    train_member,
)
from trainwright.train.callback import Callback
from trainwright.train.company import Meeting
from trainwright.train.signals import heard_signals

Wanted = Literal["auto", "sequential", "vectorised"]
VECTORISED = "train.vectorised"
NO_TWO = "no two members can be one program"


def run_study(
    members: Sequence[Member],
    *,
    engine: Wanted,
    study: str,
    folder: Path | str = ".",
    home: Path | str | None = None,
    listeners: Sequence[Callback] = (),
    again: bool = False,
    test: bool = False,
    tell: Tell | None = None,
) -> tuple[Engine, Iterator[tuple[Finished, Dataset]]]:
    """Chooses what trains the members of a study; they are trained while they are taken from what is returned.

    Args:
        members: What is run.
        engine: `sequential`, `vectorised`, or `auto`: vectorised where one program can train them, a rule says that
            this is faster (or some were trained so before), and none of them was trained by itself before.
        study: As `run_members`.
        folder: As `run_members`.
        home: As `run_members`.
        listeners: As `run_members`; vectorised, they hear all runs at a time.
        again: As `run_members`.
        test: As `run_members`.
        tell: As `run_members`; vectorised, it is called when all are trained.

    Returns:
        The engine and why it is used, and what `run_members` yields.

    Raises:
        SpecError: If vectorised is asked for, and a member cannot be trained so.
        TrainwrightError: As `run_experiment`.
    """
    where, store = Path(folder), home_of(home)
    options: Any = {"study": study, "again": again, "test": test, "tell": tell, "listeners": listeners}
    chosen, plans = Engine("sequential", "asked for"), list[Plan]()
    if engine != "sequential":
        chosen, plans = _try_together(members, where, home=store, study=study, again=again)
        if engine == "vectorised":
            why_not = chosen.why if len(plans) < len(members) else None
            if len(plans) == len(members) == len(group_plans(plans)):
                why_not = NO_TWO
            if why_not is not None:
                raise SpecError(f"engine: {why_not}; write sequential, or auto")
            chosen = Engine("vectorised", "asked for")
    if chosen.name == "sequential":
        return chosen, run_members(members, folder=where, home=store, **options)
    return chosen, _run_together(members, [_vectorised(one) for one in plans], home=store, **options)


def _try_together(
    members: Sequence[Member], folder: Path, *, home: Path, study: str, again: bool
) -> tuple[Engine, list[Plan]]:
    """Gives the engine that fits, and the plans of all members unless one of them cannot be trained with others."""
    plans: list[Plan] = []
    for member in members:
        plan = make_plan(member.experiment, folder, home=home)
        if why_not := why_not_together(plan):
            return Engine("sequential", f"{member.name}: {why_not}"), []
        plans.append(plan)
    registry = None if again or not (home / "catalogue.db").exists() else Registry(Store.open(home))

    def began(plan: Plan) -> bool:
        if registry is None:
            return False
        return bool(
            find_recorded(registry, plan.experiment, study=study, folder=plan.folder)
            or find_cut(registry, plan)
        )

    for member, plan in zip(members, plans, strict=True):
        if not plan.experiment.train.vectorised and began(plan):
            return Engine("sequential", f"{member.name} was trained by itself before"), plans
    groups = group_plans(plans)
    if len(groups) == len(plans):
        return Engine("sequential", NO_TWO), plans
    slower = why_slower_together([[plans[place] for place in group] for group in groups])
    if slower and not any(began(_vectorised(plan)) for plan in plans):
        return Engine("sequential", slower), plans
    return Engine("vectorised", f"{len(plans)} members are {_count(len(groups), 'program')}"), plans


def _count(number: int, what: str) -> str:
    return f"one {what}" if number == 1 else f"{number} {what}s"


def _vectorised(plan: Plan) -> Plan:
    """Gives the plan of a member that is trained with others."""
    experiment = edit(plan.experiment, {VECTORISED: True})
    return replace(plan, experiment=experiment, task=replace(plan.task, train=experiment.train))


def _run_together(
    members: Sequence[Member],
    plans: Sequence[Plan],
    *,
    study: str,
    home: Path,
    listeners: Sequence[Callback],
    again: bool,
    test: bool,
    tell: Tell | None,
) -> Iterator[tuple[Finished, Dataset]]:
    """Trains the members that are not recorded yet, each an ordinary run, as few programs."""
    registry = Registry(Store.open(home))
    found = {
        place: row
        for place, plan in enumerate(plans)
        if not again and (row := find_recorded(registry, plan.experiment, study=study, folder=plan.folder))
    }
    todo = [place for place in range(len(plans)) if place not in found]
    trained: dict[int, Trained] = {}
    for group in group_plans([plans[place] for place in todo]):
        places = [todo[one] for one in group]
        ended = _train_company(
            [plans[place] for place in places],
            registry,
            [LinkTo(registry, STUDY, study), *listeners],
            test=test,
            again=again,
        )
        trained |= dict(zip(places, ended, strict=True))
        for place in places:
            check_finished(members[place], trained[place])
    for place, (member, plan) in enumerate(zip(members, plans, strict=True)):
        recorded = place in found
        one = take_recorded(registry, found[place], study=study) if recorded else trained[place]
        done = finish_member(member, registry, one, recorded=recorded, dataset=plan.dataset, test=test)
        if tell is not None:
            tell(done)
        yield done, plan.dataset


def _train_company(
    plans: Sequence[Plan], registry: Registry, listeners: Sequence[Callback], *, test: bool, again: bool
) -> list[Trained]:
    """Trains plans as one program; a member that fails ends alone, and its error is raised when the others are done."""
    company, seated = seat_together(plans)
    members = digest_json([digest_json(plan.experiment.tree()) for plan in plans])[:ID_DIGITS]
    heard = [LinkTo(registry, COMPANY, members), *listeners]
    bodies = [partial(train_member, plan, registry, heard, test=test, again=again) for plan in seated]
    with heard_signals(lambda word: None):
        ends = Meeting(company, bodies).run()
    for end in ends:
        if end.error is not None:
            raise end.error
    return [end.value for end in ends if end.value is not None]
