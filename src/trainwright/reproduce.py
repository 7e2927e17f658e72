"""The way back: trains again from the record and compares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trainwright.base.digest import digest_bytes
from trainwright.base.errors import DataError, StoreError
from trainwright.base.home import home_of
from trainwright.base.jsontext import write_json
from trainwright.base.tensors import dump_tensors
from trainwright.base.tree import Array
from trainwright.plan import Plan, make_plan
from trainwright.provenance import describe_environment, inexact_fields
from trainwright.seating import seat_together
from trainwright.spec.differences import differences
from trainwright.spec.edit import edit, parse_change
from trainwright.spec.experiment import Experiment
from trainwright.spec.read import read_experiment
from trainwright.store.lineage import CONVERTED, FILE
from trainwright.store.members import weights_path
from trainwright.store.overview import COMPANY
from trainwright.store.records import RunRow, VersionRow
from trainwright.store.registry import Registry
from trainwright.store.store import Store
from trainwright.train.callback import Callback
from trainwright.train.company import Meeting
from trainwright.train.learner import Learner
from trainwright.train.resuming import branch_state
from trainwright.train.run import NullRun

TOLERANCE = 1e-5  # of the largest weight of each array; what other package versions or processors may change

Difference = tuple[str, Any, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What training again has shown.

    Args:
        word: `identical`, `within tolerance` or `different`.
        version: The version that was trained again, as `name@number`.
        recorded: Weight digest of the record; of an ensemble, that of the list of its members.
        found: Weight digest of the repetition; None if it could not be trained.
        largest: The largest difference of a weight relative to the largest weight of its array.
        differences: `(field, recorded, now)`; the first one is the likely cause.
    """

    word: str
    version: str
    recorded: str | None
    found: str | None
    largest: float | None
    differences: Sequence[Difference]

    def tree(self) -> dict[str, Any]:
        """Gives the verdict as JSON values."""
        return {
            "verdict": self.word,
            "version": self.version,
            "recorded": self.recorded,
            "found": self.found,
            "largest_relative_difference": self.largest,
            "differences": [
                {"field": f, "recorded": one, "now": other} for f, one, other in self.differences
            ],
        }

    def text(self) -> str:
        """Says it in a few lines."""
        lines = [f"{self.word}: {self.version}"]
        if self.word == "identical":
            lines.append(f"  weights sha256:{self.recorded}")
        else:
            lines.append(f"  weights recorded sha256:{self.recorded}")
            lines.append(f"  weights now      {'sha256:' + self.found if self.found else 'none'}")
        if self.largest:
            lines.append(f"  largest relative difference of a weight: {self.largest:.3g}")
        lines += [f"  {field}: recorded {one}, now {other}" for field, one, other in self.differences[:10]]
        if len(self.differences) > 10:
            lines.append(f"  and {len(self.differences) - 10} more")
        return "\n".join(lines)


def reproduce_version(
    ref: str,
    *,
    home: Path | str | None = None,
    file: Path | None = None,
    changes: Sequence[str] = (),
    listeners: Sequence[Callback] = (),
) -> Verdict:
    """Trains again up to the step of a version and compares the weights.

    The recorded threads are set, not compared; every other decision is read from the record too. What is asked for
    otherwise (`file`, `changes`) and what differs in data or environment is named. A member of a study that was
    trained as one program is trained again together with the others, unless something else is asked for. Of an
    ensemble, each member is trained again.

    Args:
        ref: A version or a run.
        home: The store, to which nothing is written; `$TRAINWRIGHT_HOME` or `.trainwright` unless given.
        file: An experiment to train instead of the recorded one.
        changes: As of `--set`.
        listeners: Such as a progress bar.

    Raises:
        StoreError: If the version's starting point is not kept, it was imported or converted, not trained, or
            something else is asked for of an ensemble.
    """
    registry = Registry(Store.open(home_of(home), create=False))
    version = registry.resolve(ref, collected=True)
    run = registry.run(version.run)
    recorded = Experiment.model_validate(registry.spec(run))
    name = f"{version.model}@{version.number}"
    members = registry.members(version)
    if members:
        names = [f"{one.model}@{one.number}" for one in members]
        if file is not None or changes:
            raise StoreError(f"{name} is an ensemble; reproduce its members otherwise: {', '.join(names)}")
        return _together(
            registry, version, [reproduce_version(one, home=home, listeners=listeners) for one in names]
        )
    file_used = next((edge.target for edge in registry.edges(run.id) if edge.what == FILE), None)
    if file_used is not None:
        raise StoreError(
            f"{name} was imported from {file_used}, no training of it is recorded; "
            "`trainwright import` of the same file gives the same weights"
        )
    converted = next((edge.target for edge in registry.edges(run.id) if edge.what == CONVERTED), None)
    if converted is not None:
        raise StoreError(f"{name} was converted from {converted}, which is what was trained; reproduce that")
    wanted, folder = recorded, Path(run.folder)
    if file is not None:
        document = read_experiment(file, changes=changes)
        wanted, folder = document.experiment, document.folder
    elif changes:
        wanted = edit(recorded, dict(parse_change(one) for one in changes))
    now = describe_environment(folder, experiment=wanted)
    found: list[Difference] = []
    try:
        # Without callbacks: the recorded step is replayed, whatever the time says now, and no file is written.
        plan = make_plan(wanted, folder, home=registry.store.home).unheard()
    except DataError as error:
        return Verdict(
            "different",
            name,
            version.weights,
            None,
            None,
            [("data", recorded.data.digest, str(error).removeprefix("data.digest: "))],
        )
    found += differences(recorded.tree(), plan.experiment.tree())
    found += [_split(text) for text in inexact_fields(registry.environment(run), now)]

    null = NullRun(seed=plan.experiment.seed)
    parent = registry.version(run.parent) if run.parent is not None else None
    if parent is not None and parent.status != "kept":
        raise StoreError(f"{name} branched from version {parent.number}, whose content was not kept")
    end = min(version.step, plan.steps)
    begun = branch_state(registry.state(parent)) if parent is not None else None
    others = [] if file is not None or changes else _company_of(registry, run)
    if others:
        learner = _train_with(others, plan, null, listeners=listeners, end=end)
    else:
        learner = plan.prepare()
        plan.loop(learner, null, listeners=listeners, end=end).fit(resume=begun)
    weights = null.last.weights if null.last is not None else learner.weights()
    digest = digest_bytes(b"".join(dump_tensors(weights)))
    if digest == version.weights:
        return Verdict("identical", name, version.weights, digest, 0.0, found)
    metric = _first_metric(registry, run.id, null)
    found += [metric] if metric is not None else []
    if not found:
        found.append(("unknown", "the record names nothing that differs", "the weights do"))
    largest = None
    if version.status == "kept":
        largest = _largest(registry.weights(version), weights)
    word = "within tolerance" if largest is not None and largest <= TOLERANCE else "different"
    return Verdict(word, name, version.weights, digest, largest, found)


def _together(registry: Registry, version: VersionRow, found: Sequence[Verdict]) -> Verdict:
    """Gives the verdict about an ensemble: that of the member that differs most."""
    words = ("identical", "within tolerance", "different")
    listed = registry.files(version) | {
        weights_path(number): str(one.found) for number, one in enumerate(found)
    }
    return Verdict(
        max((one.word for one in found), key=words.index),
        f"{version.model}@{version.number}",
        version.files,
        digest_bytes(write_json(listed).encode()) if all(one.found for one in found) else None,
        max((one.largest for one in found if one.largest is not None), default=None),
        [(f"{one.version}: {field}", was, now) for one in found for field, was, now in one.differences],
    )


def _company_of(registry: Registry, run: RunRow) -> list[Plan]:
    """Plans the other members of the company in which a run was trained; none if it was trained alone."""
    mine = [edge.target for edge in registry.edges(run.id) if edge.what == COMPANY]
    if not mine:
        return []
    rows = [registry.run(edge.run) for edge in registry.links(COMPANY) if edge.target == mine[-1]]
    others = {row.spec: row for row in rows if row.spec != run.spec}
    return [
        replace(
            make_plan(
                Experiment.model_validate(registry.spec(row)), Path(row.folder), home=registry.store.home
            ),
            callbacks=(),
        )
        for row in others.values()
    ]


def _train_with(
    others: Sequence[Plan], plan: Plan, null: NullRun, *, listeners: Sequence[Callback], end: int
) -> Learner:
    """Trains a member up to a step together with the others, which nobody records."""
    company, seated = seat_together([plan, *others])
    loops = [seated[0].loop(seated[0].prepare(), null, listeners=listeners, end=end)]
    for one in seated[1:]:
        beside = NullRun(seed=one.experiment.seed)
        loops.append(one.loop(one.prepare(), beside, end=min(end, one.steps)))
    for ended in Meeting(company, [loop.fit for loop in loops]).run():
        if ended.error is not None:
            raise ended.error
    return loops[0].learner


def compare_records(registry: Registry, left: VersionRow, right: VersionRow) -> list[Difference]:
    """Names what differs between two versions: spec, environment, weights, metrics."""
    runs = registry.run(left.run), registry.run(right.run)
    specs = [registry.spec(run) for run in runs]
    found = differences(specs[0], specs[1])
    environments = [registry.environment(run) for run in runs]
    found += [_split(text) for text in inexact_fields(environments[0], environments[1])]
    for field in ("commit", "dirty"):
        one, other = (environment["git"][field] for environment in environments)
        found += [(f"git.{field}", one, other)] if one != other else []
    found += [("step", left.step, right.step)] if left.step != right.step else []
    one, other = (row.weights or row.files for row in (left, right))
    if one != other:
        found.append(("weights", f"sha256:{one}", f"sha256:{other}"))
    for name in sorted({*left.metrics, *right.metrics}):
        one, other = left.metrics.get(name), right.metrics.get(name)
        found += [(name, one, other)] if not (one == other or (one != one and other != other)) else []
    return found


def _split(text: str) -> Difference:
    field, _, values = text.partition(": recorded ")
    recorded, _, now = values.partition(", now ")
    return field, recorded, now


def _first_metric(registry: Registry, run: str, null: NullRun) -> Difference | None:
    repeated = {(step, name): value for step, name, value in null.metrics}
    for row in registry.metrics(run):
        now = repeated.get((row.step, row.name))
        if now is not None and now != row.value and not (np.isnan(now) and np.isnan(row.value)):
            return (f"{row.name} at step {row.step}", row.value, now)
    return None


def _largest(recorded: Mapping[str, Array], now: Mapping[str, Array]) -> float | None:
    if {n: a.shape for n, a in recorded.items()} != {n: a.shape for n, a in now.items()}:
        return None
    largest = 0.0
    for name, array in recorded.items():
        before, after = array.astype(np.float64), now[name].astype(np.float64)
        scale = max(float(np.abs(before).max(initial=0.0)), 1e-30)
        largest = max(largest, float(np.abs(after - before).max(initial=0.0)) / scale)
    return largest
