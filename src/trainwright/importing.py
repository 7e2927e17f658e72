"""A foreign checkpoint becomes a version: the file gives the weights, the experiment gives everything else."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainwright.base.home import home_of
from trainwright.base.tree import Array
from trainwright.evaluation.version import evaluate_version
from trainwright.experiment import begin_run, describe_data
from trainwright.foreign.jail import Checkpoint, open_checkpoint
from trainwright.foreign.matching import Assignment, lost_biases, match_weights, read_map, weights_of
from trainwright.plan import Plan, make_plan
from trainwright.provenance import write_provenance
from trainwright.report.page import write_report
from trainwright.spec.edit import edit
from trainwright.spec.experiment import Experiment
from trainwright.store.lineage import FILE
from trainwright.store.records import Snapshot, VersionRow
from trainwright.store.registry import Registry
from trainwright.store.run import LocalRun
from trainwright.store.store import Store

ARRAYS, VALUES = "import/arrays", "import/values"  # tables that the run keeps


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import left behind.

    Args:
        run: Its id.
        version: The version that has the weights.
        file: Name and SHA-256 of the checkpoint.
        arrays: The tensor that each array of the model came from.
        aside: Tensors of the file that are not weights of a model, such as those of an optimizer.
        preprocessing: How inputs and targets are prepared, fitted on the train split of the experiment.
        scores: Of the test split, each with its interval; empty without one.
        report: Where the report lies.
        warnings: What was noticed; the report has them too.
    """

    run: str
    version: VersionRow
    file: str
    arrays: Mapping[str, str]
    aside: Sequence[str]
    preprocessing: str
    scores: Mapping[str, Any]
    report: Path
    warnings: Sequence[str] = ()


def import_model(
    file: Path | str,
    experiment: Experiment,
    *,
    folder: Path | str = ".",
    home: Path | str | None = None,
    map_file: Path | str | None = None,
    name: str | None = None,
    test: bool = True,
) -> Imported:
    """Makes a run and a version from the weights in a foreign checkpoint.

    The file is read in a jailed process, tensors and plain values only. The experiment describes the model and the
    data: the preprocessing is fitted on its train split, and the version is measured on its validation and test
    splits, as one that was trained here.

    Args:
        file: A .pt, .pth, .ckpt, .safetensors, .npz, .keras, .h5 or .hdf5 file.
        experiment: What the weights are for.
        folder: Where relative paths of the experiment begin.
        home: The store, made if there is none; `$TRAINWRIGHT_HOME` or `.trainwright` unless given.
        map_file: Which tensor each array comes from, where the names differ; see `read_map`.
        name: Of the model; that of the experiment unless given.
        test: Whether the version is scored on the test split, if there is one.

    Raises:
        TrainwrightError: If the file, the map, the spec or the data is at fault, or the tensors do not fit the model;
            nothing is written then.
    """
    said = Assignment() if map_file is None else read_map(Path(map_file))
    experiment = experiment if name is None else edit(experiment, {"name": name})
    plan = make_plan(experiment, Path(folder), home=home_of(home))
    checkpoint = open_checkpoint(Path(file))
    found, trunk = weights_of(checkpoint.tensors)
    wanted = {name: one.shape for name, one in plan.task.blueprint.parameters.items()}
    weights = match_weights(wanted, found, said, what=f"{checkpoint.name}{trunk and f', {trunk}'}")
    prefix = f"{trunk}/" if trunk else ""
    arrays = {one: prefix + str(said.sources.get(one, one)) for one in wanted}
    aside = [one for one in checkpoint.tensors if one.removeprefix(prefix) not in found]
    run = begin_run(plan, Store.open(home_of(home)))
    for one, hint in lost_biases(wanted, found, said).items():
        run.warn(f"{one} was left out, and it is not zero{hint}")
    version, scores = _record(run, replace(plan, taken=weights), checkpoint, arrays, test=test)
    registry = Registry(run.store)
    return Imported(
        run.id,
        version,
        _name(checkpoint),
        arrays,
        aside,
        describe_preprocessing(plan),
        scores,
        write_report(registry, run.id),
        [one.text for one in registry.notes(run.id)],
    )


def describe_preprocessing(plan: Plan) -> str:
    """Names the operators of inputs and targets in a line."""
    data = plan.experiment.data
    uses = [*_names(data.operators), *(name for one in data.columns for name in _names(one.operators))]
    parts = {"inputs": uses, "targets": _names(data.target_operators)}
    told = ", ".join(f"{what} {' | '.join(dict.fromkeys(names))}" for what, names in parts.items() if names)
    records = len(plan.dataset.splits["train"])
    return f"{told}; fitted on the {records} records of train" if told else "none"


def _names(operators: Any) -> list[str]:
    return [] if operators == "auto" else [str(one.use) for one in operators]


def _name(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.name} sha256:{checkpoint.digest}"


def _record(
    run: LocalRun, plan: Plan, checkpoint: Checkpoint, arrays: Mapping[str, str], *, test: bool
) -> tuple[VersionRow, dict[str, Any]]:
    registry, began = Registry(run.store), time.monotonic()
    try:
        run.edge("used", FILE, target=_name(checkpoint))
        describe_data(plan, run)
        run.artifact(ARRAYS, dict(arrays))
        run.artifact(VALUES, dict(checkpoint.values))
        metrics, weights = _measure(plan, run)
        snapshot = Snapshot(0, 0, weights, None, metrics, reason=f"imported from {checkpoint.name}")
        version = run.save(snapshot).wait()
        scores: dict[str, Any] = {}
        if test and len(plan.dataset.splits.get("test", ())):
            part = plan.dataset.part
            scores = evaluate_version(registry, version, part("test"), run=run, train=part("train"))
        write_provenance(run, plan, version, seconds=time.monotonic() - began)
        run.finish("done", f"imported from {checkpoint.name}", final=version)
    except BaseException as error:
        run.finish("failed", f"{type(error).__name__}: {error}")
        raise
    return version, scores


def _measure(plan: Plan, run: LocalRun) -> tuple[dict[str, float], dict[str, Array]]:
    """Gives what the routines measure of the imported weights, and the weights."""
    learner = plan.prepare()
    view = plan.loop(learner, run).make_view(learner)
    metrics: dict[str, float] = {}
    for routine in plan.routines:
        results = routine(view)
        run.report(0, results.scores, group=routine.split)
        metrics |= results.scores
        for name, array in results.arrays.items():
            run.artifact(name, array, step=0)
    return metrics, dict(plan.taken)
