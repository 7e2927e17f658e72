"""The whole way of one run on one screen."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from trainwright.backends.torch.driver import cuda_is_there
from trainwright.base.blame import spell_error
from trainwright.base.errors import CannotWrite, SpecError, StoreError
from trainwright.base.home import home_of
from trainwright.data.compare import summarize_targets
from trainwright.evaluation.version import evaluate_version
from trainwright.plan import Plan, make_plan
from trainwright.provenance import describe_environment, inexact_fields, write_provenance
from trainwright.report.page import report_path, write_report
from trainwright.spec.edit import edit
from trainwright.spec.experiment import Experiment
from trainwright.store.datasets import name_of, register
from trainwright.store.records import Mode, RunRow, VersionRow
from trainwright.store.registry import Registry
from trainwright.store.run import LocalRun
from trainwright.store.store import Store
from trainwright.store.versions import FINE_TUNED
from trainwright.train.callback import Callback
from trainwright.train.moment import Outcome
from trainwright.train.profiling import Profile
from trainwright.train.resuming import branch_state
from trainwright.train.signals import heard_signals

STATES: dict[str, Literal["done", "stopped", "paused", "failed"]] = {
    "done": "done",
    "stopped": "stopped",
    "paused": "paused",
    "interrupted": "paused",
    "failed": "failed",
}


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run left behind.

    Args:
        run: Its id.
        outcome: How training ended.
        final: The version tagged `final`; the last one of a run that was paused.
        best: The version tagged `best`, if any has the metric.
        scores: Test scores of the best version, or of the final one; empty without a test split.
        report: Where the report lies.
        warnings: How many warnings were recorded; the report lists them.
        baseline: What the answer that ignores the features scores: the shares of the classes in train, or the mean.
    """

    run: str
    outcome: Outcome
    final: VersionRow
    best: VersionRow | None
    scores: dict[str, Any]
    report: Path
    warnings: int
    baseline: dict[str, float] = field(default_factory=dict)


def run_experiment(
    experiment: Experiment,
    *,
    folder: Path | str = ".",
    home: Path | str | None = None,
    listeners: Sequence[Callback] = (),
    plan: Plan | None = None,
    test: bool = True,
    profile: Profile | None = None,
) -> Trained:
    """Trains a model and records everything.

    Args:
        experiment: What to do.
        folder: Where relative paths of the experiment begin.
        home: The store, made if there is none; `$TRAINWRIGHT_HOME` or `.trainwright` unless given.
        listeners: Such as a progress bar.
        plan: The experiment's plan, if it was made already.
        test: Whether the version is scored on the test split, if there is one; False leaves it unseen.
        profile: Finds where the time goes; its table and its trace are kept with the run.

    Raises:
        TrainwrightError: If the spec, the data, the backend or the store is at fault; nothing is written before the
            spec and the data are known to be right.
    """
    plan = make_plan(experiment, Path(folder), home=home_of(home)) if plan is None else plan.anew()
    store = Store.open(home_of(home))
    run = begin_run(plan, store)
    with _way_on(run):
        return _train(plan, run, resume=None, listeners=listeners, test=test, profile=profile)


def resume_run(
    ref: str,
    *,
    home: Path | str | None = None,
    epochs: int | None = None,
    allow_inexact: bool = False,
    take_over: bool = False,
    listeners: Sequence[Callback] = (),
    test: bool = True,
    plan: Plan | None = None,
) -> Trained:
    """Goes on with a run exactly where its last checkpoint was taken, or branches to another length.

    Args:
        ref: A run, or with `epochs` any version.
        home: The store; `$TRAINWRIGHT_HOME` or `.trainwright` unless given.
        epochs: Length of a new run that begins at the version; its schedule has the new horizon.
        allow_inexact: Go on although packages, processor, device or own code differ; the record says so.
        take_over: Go on although a process holds the run, if it gave no sign of life for a minute; it can write
            nothing from then on.
        listeners: Such as a progress bar.
        test: As `run_experiment`.
        plan: Of the recorded experiment, if it was made already; not with `epochs`.

    Raises:
        StoreError: If the run is finished, is running, has no checkpoint, or cannot go on exactly.
    """
    store = Store.open(home_of(home), create=False)
    registry = Registry(store)
    row = registry.run(registry.resolve(ref).run) if epochs is not None else registry.resolve_run(ref)
    recorded = Experiment.model_validate(registry.spec(row))
    if recorded.ensemble is not None:  # before the state: nothing branches from one
        raise StoreError(
            f"run {row.id} is an ensemble: run its experiment again; members that are recorded are not trained again"
        )
    if epochs is None and row.state in ("done", "stopped"):
        raise StoreError(f"run {row.id} is {row.state}: nothing is left to do; `--epochs N` branches from it")
    environment = describe_environment(Path(row.folder), experiment=recorded)
    inexact = inexact_fields(registry.environment(row), environment)
    wanted = recorded
    if recorded.train.device == "cuda" and not cuda_is_there():
        inexact.append("train.device: recorded cuda, now cpu, for there is no GPU")
        wanted = edit(recorded, {"train.device": "cpu"})
    if inexact and not allow_inexact:
        raise StoreError(
            f"run {row.id} cannot go on exactly: {'; '.join(inexact)}; restore them, or pass --allow-inexact"
        )
    if epochs is not None:
        wanted = edit(wanted, {"train.epochs": epochs})
    plan = make_plan(wanted, Path(row.folder), home=store.home) if plan is None else plan.anew()
    if epochs is not None:
        point = registry.resolve(ref)
        if point.state is None:
            raise StoreError(
                f"{ref} has weights and no state to go on from; begin from it by train.init_from"
            )
        if plan.steps <= point.step:
            raise SpecError(f"--epochs: {ref} has done {point.epoch} epochs already, {epochs} are not more")
        run = begin_run(plan, store, parent=point, inexact=inexact)
    else:
        found = registry.resume_point(row.id)
        if found is None:
            raise StoreError(f"run {row.id} has no checkpoint to go on from; run its experiment again")
        point = found
        run = LocalRun.reopen(
            store,
            row.id,
            resolved=plan.experiment,
            environment=environment,
            from_step=point.step,
            inexact=inexact or None,
            take_over=take_over,
        )
    with _way_on(run):
        return _train(plan, run, resume=point, listeners=listeners, test=test)


def recorded_run(registry: Registry, row: RunRow) -> Trained:
    """Gives what a finished run left behind, from the record."""
    final = registry.final(row.id) or registry.latest(row.id)
    kept = _table(registry, row.id, "test/scores")
    order = dict.fromkeys(one.name for one in registry.artifacts(row.id) if one.kind == "score")
    scores = {name: kept[name] for name in order if name in kept}
    outcome = Outcome("stopped" if row.state == "stopped" else "done", row.reason)
    report = report_path(registry, row.id)
    warnings = len(registry.notes(row.id))
    baseline = _table(registry, row.id, "test/baseline")
    return Trained(row.id, outcome, final, registry.best(row.id), scores, report, warnings, baseline)


def _table(registry: Registry, run: str, name: str) -> dict[str, Any]:
    kept = (one for one in reversed(registry.artifacts(run)) if one.name == name)
    return next((registry.artifact_value(one) for one in kept), {})


def begin_run(
    plan: Plan,
    store: Store,
    *,
    parent: VersionRow | None = None,
    inexact: Sequence[str] = (),
    best: tuple[str, Mode] | None = None,
) -> LocalRun:
    """Registers the data of a plan and begins its run.

    Args:
        plan: What will be done.
        store: Where to.
        parent: The version it goes on from.
        inexact: What differs from how that was made.
        best: The metric by which its best version is chosen, and whether `min` or `max` is good; that of the spec
            unless given.

    Raises:
        StoreError: If the store cannot be written.
    """
    data, spec = plan.dataset, plan.experiment
    row = register(
        store,
        name=None,
        recipe=data.recipe,
        recipe_digest=data.recipe_digest,
        content_digest=data.content_digest,
        splits=data.splits,
    )
    run = LocalRun.begin(
        store,
        name=spec.name,
        resolved=spec,
        folder=str(plan.folder.resolve()),  # a resume may be asked for from anywhere
        seed=spec.seed,
        backend=spec.train.backend,
        dataset=row.digest,
        operator=plan.operator() | plan.title(name_of(store, data.content_digest)),
        environment=describe_environment(plan.folder, experiment=spec),
        best=best or (spec.train.best.metric, spec.train.best.mode),
        parent=parent,
        inexact=inexact or None,
    )
    if plan.parent is not None and parent is None:  # a branch goes on from its own parent
        run.edge("used", FINE_TUNED, target=plan.parent.name)
    return run


def describe_data(plan: Plan, run: LocalRun) -> None:
    """Keeps how the splits differ and what the columns of a table are, for the report."""
    data = plan.dataset
    y = data.records.y
    targets = {} if y is None else {name: y[places] for name, places in data.splits.items()}
    run.artifact(
        "data/splits", {"seen": dict(plan.seen), "targets": summarize_targets(targets, data.task_type)}
    )
    schema, features = plan.dataset.schema, plan.dataset.features
    if schema is None or features is None:
        return
    columns = [
        {
            "name": one.name,
            "kind": one.kind,
            "used": one.name in features,
            "missing": one.missing,
            "distinct": one.distinct,
            "why": one.why,
        }
        for one in schema
    ]
    run.artifact("data/columns", {"columns": columns, "left_out": plan.dataset.left_out})


@contextmanager
def _way_on(run: LocalRun) -> Iterator[None]:
    """Adds to an error of writing how the training goes on when its cause is mended."""
    try:
        yield
    except CannotWrite as error:
        how = f"then `trainwright resume {run.id}`"
        try:
            if run.resume_point() is None:
                how = "then run it again: no checkpoint was saved"
        except StoreError:  # a store that has vanished does not say
            how = f"{how}, or run it again if it has no checkpoint"
        raise CannotWrite(f"{error}, {how}") from error


def _train(
    plan: Plan,
    run: LocalRun,
    *,
    resume: VersionRow | None,
    listeners: Sequence[Callback],
    test: bool,
    profile: Profile | None = None,
) -> Trained:
    registry, began = Registry(run.store), time.monotonic()
    last, best = plan.retention()
    run.keep(last=last, best=best)
    if resume is None or resume.run != run.id:
        describe_data(plan, run)
    try:
        with heard_signals(run.ask):
            learner = plan.prepare()
            if profile is not None:
                learner = profile.watch(learner, plan.backend().tracer(learner))
                listeners = [*listeners, profile]
            loop = plan.loop(learner, run, listeners=listeners)
            state = None if resume is None else registry.state(resume)
            if resume is not None and resume.run != run.id:
                state = branch_state(state)
            outcome = loop.fit(resume=state)
        if profile is not None:
            profile.keep(run)
        run.flush()
        final = registry.latest(run.id)
        chosen = registry.best(run.id)
        if outcome.finished and plan.experiment.train.restore_best and chosen is not None:
            final = chosen
        scores: dict[str, Any] = {}
        if test and outcome.finished and len(plan.dataset.splits.get("test", ())):
            part = plan.dataset.part
            judged = chosen or final
            scores = evaluate_version(registry, judged, part("test"), run=run, train=part("train"))
        write_provenance(run, plan, final, seconds=time.monotonic() - began)
        run.finish(STATES[outcome.kind], outcome.reason, final=final if outcome.finished else None)
    except BaseException as error:
        try:
            run.finish("failed", spell_error(error))
        except StoreError as again:
            raise error from again  # the first error says what to mend; the run is shown as killed
        raise
    report = write_report(registry, run.id)
    baseline = _table(registry, run.id, "test/baseline")
    return Trained(run.id, outcome, final, chosen, scores, report, len(registry.notes(run.id)), baseline)
