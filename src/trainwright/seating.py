"""Plans whose steps one program makes together."""

from collections.abc import Sequence
from dataclasses import replace

from trainwright.backends.likeness import likeness, why_alone, why_slower
from trainwright.plan import Plan
from trainwright.spec.resolve import LACKING
from trainwright.train.company import Company
from trainwright.train.learner import Seat


def why_not_together(plan: Plan) -> str | None:
    """Says why the steps of a plan cannot be made together with those of others; None if they can.

    The plan may have been made for a run of its own.
    """
    backend = plan.experiment.train.backend
    if "train.vectorised" in LACKING[backend]:
        return f"the backend {backend} trains one run at a time"
    return why_alone(plan.task, plan.feed)


def group_plans(plans: Sequence[Plan]) -> list[list[int]]:
    """Gives the places of the plans that one program can train, for each program."""
    groups: dict[str, list[int]] = {}
    for place, plan in enumerate(plans):
        groups.setdefault(likeness(plan.task, plan.feed), []).append(place)
    return list(groups.values())


def why_slower_together(groups: Sequence[Sequence[Plan]]) -> str | None:
    """Says why plans would not be faster, each group as one program; None where any of the groups should be."""
    found = [why_slower(group[0].task, len(group)) for group in groups]
    return found[0] if all(found) else None


def seat_together(plans: Sequence[Plan]) -> tuple[Company, list[Plan]]:
    """Makes the learners of plans that one program trains; a single plan gets a twin that no loop trains.

    Returns:
        The company, and the plans with their learners.

    Raises:
        BackendError: If one program cannot train them.
    """
    seats = [Seat(one.task, one.feed, one.experiment.seed) for one in plans]
    backend = plans[0].backend()
    company: Company = backend.company(seats * 2 if len(seats) == 1 else seats, run_on=plans[0].run_on)
    seated = zip(plans, company.learners, strict=False)
    return company, [replace(plan, seated=plan.begin(learner)) for plan, learner in seated]
