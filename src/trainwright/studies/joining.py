"""Makes one recorded version of the models of a study: an ensemble."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from trainwright.ensemble_op import EnsembleOp
from trainwright.evaluation.ensembles import score_members
from trainwright.evaluation.judgement import Interval
from trainwright.evaluation.version import evaluate_finished, evaluate_version, judge
from trainwright.experiment import Trained, begin_run, describe_data, recorded_run
from trainwright.model_op import ModelOp
from trainwright.plan import Plan, make_plan
from trainwright.provenance import write_provenance
from trainwright.registering import FINISHED
from trainwright.report.page import write_report
from trainwright.spec.edit import edit
from trainwright.spec.experiment import Experiment
from trainwright.store.overview import STUDY
from trainwright.store.records import Mode, RunRow, VersionRow
from trainwright.store.registry import Registry
from trainwright.store.run import LocalRun
from trainwright.store.store import Store
from trainwright.studies.members import Finished

OUT_OF_FOLD = "out_of_fold"
CHOSEN = (
    "loss",
    "nll",
    "pinball",
    "rmse",
)  # by which an ensemble is listed where it lacks the metric of its spec


def record_ensemble(
    members: Sequence[Finished],
    *,
    ensemble: int | Literal["folds"],
    study: str,
    folder: Path,
    home: Path,
    test: bool,
    pooled: Mapping[str, Interval] | None = None,
) -> Trained:
    """Makes a run whose one version is the best versions of a study's members; a recorded one is taken.

    Args:
        members: Of the study, finished.
        ensemble: As the spec says.
        study: Its id.
        folder: Where relative paths of the experiment begin.
        home: The store.
        test: Whether the ensemble and its members are scored on the test split, in one look.
        pooled: Scores of folds, each by the model that has not seen the record; without them, the ensemble is scored on
            val, which no member has seen.

    Raises:
        DataError: If the members do not go together.
        StoreError: If the store cannot be written.
    """
    registry = Registry(Store.open(home))
    plan = make_plan(members[0].member.experiment, folder, home=home)
    rows = [one.version for one in members]
    found = _find_recorded(registry, rows)
    if found is not None:
        registry.link(found.id, "used", STUDY, target=study)
        return _take(registry, found, plan, test=test)
    model = EnsembleOp([ModelOp.load(registry, f"{row.model}@{row.number}") for row in rows])
    kept: dict[str, Any] = {}
    if pooled is None:
        val = plan.dataset.part("val")
        pooled, group = judge(model, val).scores, "val"
        kept["val/members"] = score_members(model, val)
    else:
        group = OUT_OF_FOLD
    scores = {f"{group}/{name}": score for name, score in pooled.items()}
    kept[f"{group}/scores"] = {name: dict(score) for name, score in scores.items()}
    metrics = {name: score["value"] for name, score in scores.items()}
    plan = replace(plan, experiment=edit(plan.experiment, {"ensemble": ensemble}))
    run = begin_run(plan, registry.store, best=_best(plan.experiment, metrics, group))
    run.edge("used", STUDY, target=study)
    return _record(registry, run, plan, rows, metrics=metrics, group=group, kept=kept, test=test)


def _find_recorded(registry: Registry, rows: Sequence[VersionRow]) -> RunRow | None:
    """Gives the latest finished run whose version has these members."""
    wanted = [row.id for row in rows]
    for version in reversed(registry.versions(model=rows[0].model)):
        if version.parents == wanted and registry.members(version):
            run = registry.run(version.run)
            if run.state in FINISHED:
                return run
    return None


def _take(registry: Registry, found: RunRow, plan: Plan, *, test: bool) -> Trained:
    trained = recorded_run(registry, found)
    part = plan.dataset.part
    if trained.scores or not test or not len(plan.dataset.splits.get("test", ())):
        return trained
    evaluate_finished(registry, trained.final, part("test"), train=part("train"), by="study")
    write_report(registry, found.id)
    return recorded_run(registry, found)


def _best(experiment: Experiment, metrics: Mapping[str, float], group: str) -> tuple[str, Mode]:
    """Says which metric is shown of the ensemble, which has not all that routines measure of its members."""
    best = experiment.train.best
    if best.metric in metrics:
        return best.metric, best.mode
    return next(f"{group}/{name}" for name in CHOSEN if f"{group}/{name}" in metrics), "min"


def _record(
    registry: Registry,
    run: LocalRun,
    plan: Plan,
    rows: Sequence[VersionRow],
    *,
    metrics: Mapping[str, float],
    group: str,
    kept: Mapping[str, Any],
    test: bool,
) -> Trained:
    began = time.monotonic()
    try:
        describe_data(plan, run)
        for name, value in kept.items():
            run.artifact(name, value)
        run.report(0, metrics, group=group)
        version = run.save_members(rows, metrics=metrics)
        if test and len(plan.dataset.splits.get("test", ())):
            part = plan.dataset.part
            evaluate_version(registry, version, part("test"), run=run, train=part("train"))
        write_provenance(run, plan, version, seconds=time.monotonic() - began)
        run.finish("done", final=version)
    except BaseException as error:
        run.finish("failed", f"{type(error).__name__}: {error}")
        raise
    write_report(registry, run.id)
    return recorded_run(registry, registry.run(run.id))
