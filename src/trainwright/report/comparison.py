"""Two versions side by side: scores with intervals, spec, parameters, data, time."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trainwright.models.assemble import build_blueprint
from trainwright.spec.differences import Difference, differences
from trainwright.spec.experiment import Experiment
from trainwright.store.overview import Score, recorded_scores
from trainwright.store.records import AttemptRow
from trainwright.store.registry import Registry


@dataclass(frozen=True, slots=True)
class Side:
    """One of two versions.

    Args:
        name: As `model@number`.
        run: That made it.
        parameters: How many numbers its training changed.
        dataset: Content digest of its data; None where none was recorded.
        seconds: Length of its run, over all attempts whose end was recorded; None if there is none.
        judged: The number of the version whose test scores were recorded with the run.
        scores: By name; empty if another version was judged.
    """

    name: str
    run: str
    parameters: int
    dataset: str | None
    seconds: float | None
    judged: int | None
    scores: Mapping[str, Score]

    def tree(self) -> dict[str, Any]:
        """Gives it as JSON values."""
        names = ("name", "run", "parameters", "dataset", "seconds", "judged")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two versions have in common and what not.

    Args:
        left: One.
        right: The other.
        changes: By score that both have, right minus left with a 95 % interval.
        differences: Fields of the specs that differ.
    """

    left: Side
    right: Side
    changes: Mapping[str, Score]
    differences: list[Difference]

    def tree(self) -> dict[str, Any]:
        """Gives it as JSON values."""
        scores = {
            name: {
                "left": self.left.scores.get(name),
                "right": self.right.scores.get(name),
                "difference": self.changes.get(name),
            }
            for name in {**self.left.scores, **self.right.scores}
        }
        fields = [{"field": field, "left": one, "right": other} for field, one, other in self.differences]
        sides = {"left": self.left.tree(), "right": self.right.tree()}
        same = self.left.dataset is not None and self.left.dataset == self.right.dataset
        return {**sides, "same_data": same, "scores": scores, "differences": fields}


def compare_versions(registry: Registry, left: str, right: str) -> Comparison:
    """Compares two versions by what was recorded; nothing is measured anew.

    Args:
        registry: Where they are.
        left: Such as `name@best`, or a run.
        right: Another.

    Raises:
        StoreError: If there is no such version, or its record is damaged.
    """
    specs, sides = [], []
    for ref in (left, right):
        version = registry.resolve(ref, collected=True)
        run = registry.run(version.run)
        spec = Experiment.model_validate(registry.spec(run))
        scores, judged = recorded_scores(registry, run.id)
        specs.append(spec)
        sides.append(
            Side(
                name=f"{version.model}@{version.number}",
                run=run.id,
                parameters=build_blueprint(spec.model).count_parameters()
                * max(1, len(registry.members(version))),
                dataset=spec.data.digest,
                seconds=_seconds(registry.attempts(run.id)),
                judged=judged,
                scores=scores if judged == version.number else {},
            )
        )
    one, other = sides
    shared = [name for name in one.scores if name in other.scores]
    changes = {name: difference_of(one.scores[name], other.scores[name]) for name in shared}
    return Comparison(one, other, changes, differences(specs[0].tree(), specs[1].tree()))


def difference_of(left: Score, right: Score) -> Score:
    r"""Gives right minus left with a 95 % interval from the two 95 % intervals.

    .. math::
        L = d - \sqrt{(r - l_r)^2 + (u_l - l)^2}, \quad U = d + \sqrt{(u_r - r)^2 + (l - l_l)^2}

    The two errors are taken as independent. Scores on the same records mostly err alike, and then the interval is
    wider than it need be.

    Source:
        Zou & Donner, Construction of confidence limits about effect measures: a general approach, 2008, equation 2.

    Example:
        >>> one, other = {"value": 1.0, "low": 0.7, "high": 1.3}, {"value": 3.0, "low": 2.6, "high": 3.4}
        >>> difference_of(one, other)
        {'value': 2.0, 'low': 1.5, 'high': 2.5}
    """
    change = right["value"] - left["value"]
    below = math.hypot(right["value"] - right["low"], left["high"] - left["value"])
    above = math.hypot(right["high"] - right["value"], left["value"] - left["low"])
    return {"value": change, "low": change - below, "high": change + above}


def _seconds(attempts: list[AttemptRow]) -> float | None:
    spans = [
        (datetime.fromisoformat(one.finished) - datetime.fromisoformat(one.started)).total_seconds()
        for one in attempts
        if one.finished is not None
    ]
    return sum(spans) if spans else None
