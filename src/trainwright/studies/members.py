"""A study: experiments that differ in one field, run one after another and recorded as belonging together."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from trainwright.base.digest import digest_json
from trainwright.base.home import home_of
from trainwright.data.dataset import Dataset
from trainwright.evaluation.version import evaluate_finished
from trainwright.experiment import Trained, recorded_run, resume_run, run_experiment
from trainwright.plan import Plan, make_plan
from trainwright.provenance import describe_environment, inexact_fields
from trainwright.registering import find_recorded
from trainwright.report.page import write_report
from trainwright.spec.edit import edit
from trainwright.spec.experiment import Experiment
from trainwright.store.overview import STUDY
from trainwright.store.records import RunRow, VersionRow
from trainwright.store.registry import Registry
from trainwright.store.store import Store
from trainwright.train.callback import Callback
from trainwright.train.moment import Moment

ID_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Member:
    """One experiment of a study.

    Args:
        name: Within the study, such as `fold 0`.
        experiment: What is run.
    """

    name: str
    experiment: Experiment


@dataclass(frozen=True, slots=True)
class Finished:
    """A member that was run.

    Args:
        member: Which.
        trained: What its run left behind.
        version: The best version of the run, or the final one where none has the metric.
        recorded: Whether an earlier call trained it.
        metrics: Of that version: those of the val split and, where the study looks at it, scores of the test split.
    """

    member: Member
    trained: Trained
    version: VersionRow
    recorded: bool
    metrics: Mapping[str, float]

    @property
    def reference(self) -> str:
        """Names the version for good, such as `soil@24`."""
        return f"{self.version.model}@{self.version.number}"


Tell = Callable[[Finished], None]


@dataclass(frozen=True, slots=True)
class Engine:
    """What trains the members of a study.

    Args:
        name: `sequential`: one after another, each as `trainwright run` would. `vectorised`: together, as one program.
        why: Why this one.
    """

    name: Literal["sequential", "vectorised"]
    why: str


@dataclass(frozen=True, slots=True)
class Spread:
    """A metric over the members of a study.

    Args:
        mean: Over the members.
        std: With one degree of freedom less than there are members; NaN for a single one.
        stderr: Of the mean, for independent members. Folds share most of their training records, so theirs is too
            small.

    Source:
        Bengio and Grandvalet, No Unbiased Estimator of the Variance of K-Fold Cross-Validation, JMLR 5, 2004.
    """

    mean: float
    std: float
    stderr: float


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """What a study found.

    Args:
        id: By which its runs are found, such as `trainwright ls --study 3f9c0a1b2c3d`.
        members: In order.
        engine: What trained them, and why that.
        ensemble: The run whose version is the best versions of all members as one model, where there is one.
    """

    id: str
    members: tuple[Finished, ...]
    engine: Engine
    ensemble: Trained | None = field(default=None, kw_only=True)

    def summary(self) -> dict[str, Spread]:
        """Gives each metric over the members; NaN where a member lacks it."""
        names = dict.fromkeys(name for one in self.members for name in one.metrics)
        return {name: spread_of([one.metrics.get(name, math.nan) for one in self.members]) for name in names}

    def tree(self) -> dict[str, Any]:
        """Gives plain values."""
        made = self.ensemble
        return {
            "study": self.id,
            "engine": {"name": self.engine.name, "why": self.engine.why},
            "members": [
                {
                    "name": one.member.name,
                    "run": one.trained.run,
                    "version": one.version.number,
                    "recorded": one.recorded,
                    "metrics": dict(one.metrics),
                }
                for one in self.members
            ],
            "summary": {
                name: {"mean": one.mean, "std": one.std, "stderr": one.stderr}
                for name, one in self.summary().items()
            },
            "ensemble": None
            if made is None
            else {
                "run": made.run,
                "version": made.final.number,
                "metrics": dict(made.final.metrics),
                "scores": made.scores,
                "baseline": made.baseline,
                "report": made.report,
            },
        }


class LinkTo(Callback):
    """Records to what a run belongs as soon as it begins, so that one that is cut is found, too.

    Args:
        registry: Where the run is recorded.
        what: `study` or `company`.
        target: Its id.
    """

    def __init__(self, registry: Registry, what: str, target: str) -> None:
        self.registry = registry
        self.what = what
        self.target = target

    def on_start(self, moment: Moment) -> None:
        """Links the run; once is enough."""
        self.registry.link(moment.run, "used", self.what, target=self.target)


def study_id(experiment: Experiment, *, varied: str | Sequence[str], content: str) -> str:
    """Names a study by its experiment, without the fields that vary, and the content of its data.

    Args:
        experiment: Of any member.
        varied: Path of the field that tells members apart, such as `seed`, or of several.
        content: Digest of the data.

    Example:
        >>> from trainwright.spec.data import DataSpec
        >>> from trainwright.spec.model import ModelSpec
        >>> one, other = (
        ...     Experiment(name="a", seed=n, data=DataSpec(path="a.csv"), model=ModelSpec(architecture="mlp"))
        ...     for n in (0, 1)
        ... )
        >>> study_id(one, varied="seed", content="0" * 64) == study_id(other, varied="seed", content="0" * 64)
        True
    """
    tree = edit(experiment, {"data.digest": content}).tree()
    for one in [varied] if isinstance(varied, str) else varied:
        *path, field = one.split(".")
        part: Any = tree
        for name in path:
            part = part[int(name) if isinstance(part, list) else name]
        del part[field]
    return digest_json(tree)[:ID_DIGITS]


def spread_of(values: Sequence[float]) -> Spread:
    """Gives mean, standard deviation and standard error of the mean; NaN and infinities make them NaN or infinite.

    Example:
        >>> spread_of([1.0, 1.0, 1.0, 5.0])
        Spread(mean=2.0, std=2.0, stderr=1.0)
    """
    numbers = np.asarray(values, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        mean = float(numbers.mean())
        std = float(numbers.std(ddof=1)) if len(numbers) > 1 else math.nan
    return Spread(mean, std, std / math.sqrt(len(numbers)))


def run_members(
    members: Sequence[Member],
    *,
    study: str,
    folder: Path | str = ".",
    home: Path | str | None = None,
    listeners: Sequence[Callback] = (),
    again: bool = False,
    test: bool = False,
    tell: Tell | None = None,
) -> Iterator[tuple[Finished, Dataset]]:
    """Runs experiments one after another in this process, as ordinary recorded runs.

    One that is recorded already, by the same resolved spec and the same own code, is not trained again, and one that
    was cut goes on from its checkpoint if it can go on exactly; so an interrupted study goes on when called again.

    Args:
        members: What is run.
        study: Id to which every run is linked.
        folder: Where relative paths of the experiments begin.
        home: The store, made if there is none; `$TRAINWRIGHT_HOME` or `.trainwright` unless given.
        listeners: Such as a progress bar; they hear every run.
        again: Train everything anew, whatever is recorded.
        test: Score each best version on the test split; every look that has not been taken is counted.
        tell: Called after each member.

    Yields:
        Each member with its dataset when it is finished.

    Raises:
        TrainwrightError: As `run_experiment`.
        KeyboardInterrupt: If a run was interrupted; it has saved a checkpoint.
    """
    where = Path(folder)
    for member in members:
        plan = make_plan(member.experiment, where, home=home_of(home))
        registry = Registry(Store.open(home_of(home)))
        found = None if again else find_recorded(registry, plan.experiment, study=study, folder=plan.folder)
        if found is None:
            link = LinkTo(registry, STUDY, study)
            trained = train_member(plan, registry, [link, *listeners], test=test, again=again)
            check_finished(member, trained)
        else:
            trained = take_recorded(registry, found, study=study)
        done = finish_member(
            member, registry, trained, recorded=found is not None, dataset=plan.dataset, test=test
        )
        if tell is not None:
            tell(done)
        yield done, plan.dataset


def train_member(
    plan: Plan, registry: Registry, listeners: Sequence[Callback], *, test: bool, again: bool
) -> Trained:
    """Trains a member, or goes on with a run of it that was cut, unless everything is trained anew."""
    cut = None if again else find_cut(registry, plan)
    home = registry.store.home
    if cut is not None:
        return resume_run(cut.id, home=home, listeners=listeners, test=test, plan=plan)
    return run_experiment(
        plan.experiment, folder=plan.folder, home=home, listeners=listeners, plan=plan, test=test
    )


def take_recorded(registry: Registry, found: RunRow, *, study: str) -> Trained:
    """Gives what a finished run left behind, and makes it part of a study."""
    registry.link(found.id, "used", STUDY, target=study)
    return recorded_run(registry, found)


def check_finished(member: Member, trained: Trained) -> None:
    """Checks that a member was trained to its end.

    Raises:
        KeyboardInterrupt: If it was not.
    """
    if not trained.outcome.finished:
        raise KeyboardInterrupt(
            f"{member.name} is {trained.outcome.reason} at step {trained.final.step} of run "
            f"{trained.run}; the same study, without `again`, goes on from there"
        )


def finish_member(
    member: Member, registry: Registry, trained: Trained, *, recorded: bool, dataset: Dataset, test: bool
) -> Finished:
    """Gathers the metrics of a member's best version, and judges it on the test split if that is asked for."""
    version = trained.best or trained.final
    metrics = {name: value for name, value in version.metrics.items() if name.startswith("val/")}
    if test:
        trained = _look_at_test(registry, trained, version, dataset)
        metrics |= {name: score["value"] for name, score in trained.scores.items()}
    return Finished(member, trained, version, recorded, metrics)


def find_cut(registry: Registry, plan: Plan) -> RunRow | None:
    """Finds a run of the same resolved spec that was cut and can go on exactly."""
    wanted, folder = digest_json(plan.experiment.tree()), str(plan.folder.resolve())
    for run in reversed(registry.runs(model=plan.experiment.name)):
        same = run.spec == wanted and run.folder == folder and run.parent is None
        if not same or run.state not in ("paused", "killed") or registry.resume_point(run.id) is None:
            continue
        recorded: Any = registry.environment(run)
        if not inexact_fields(recorded, describe_environment(plan.folder, experiment=plan.experiment)):
            return run
    return None


def _look_at_test(registry: Registry, trained: Trained, version: VersionRow, dataset: Dataset) -> Trained:
    """Adds the test scores to a run that ended without them."""
    if trained.scores:
        return trained
    scores = evaluate_finished(
        registry, version, dataset.part("test"), train=dataset.part("train"), by="study"
    )
    return replace(trained, scores=scores, report=write_report(registry, trained.run))
