"""Registers a training with the analysis it was made for, and finds a recorded one again."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainwright.base.digest import digest_json
from trainwright.base.errors import StoreError
from trainwright.base.names import check_name
from trainwright.models.assemble import build_blueprint
from trainwright.spec.build import own_code
from trainwright.spec.experiment import Experiment
from trainwright.spec.losses import spell_out
from trainwright.store.datasets import name_of, rows
from trainwright.store.lineage import FILE
from trainwright.store.overview import STUDY
from trainwright.store.records import RunRow, VersionRow
from trainwright.store.registry import Registry

FAMILY = "deep_learning"
REGISTRATION = "registration"
FINISHED = ("done", "stopped")


def register_training(
    registry: Registry,
    run_id: str,
    *,
    analysis_id: str,
    hypothesis_id: str | None = None,
    title: str | None = None,
    evaluation: Mapping[str, float],
) -> str:
    """Records for which analysis a model was trained, with what a reader of the registry wants to see of it.

    Args:
        registry: Where the run is.
        run_id: Of the training; it is finished.
        analysis_id: The analysis that produced the model.
        hypothesis_id: The hypothesis that the model tests.
        title: For the reader; `DL-{architecture}-{dataset}` unless given.
        evaluation: Scores.

    Returns:
        A reference to the best version that never moves, such as `DL-mlp-heart@31`.

    Raises:
        StoreError: If the run is not finished.
    """
    run = registry.run(run_id)
    if run.state not in FINISHED:
        raise StoreError(f"run {run_id} is {run.state}; only a finished training is registered")
    check_name(analysis_id, what="analysis")
    if hypothesis_id is not None:
        check_name(hypothesis_id, what="hypothesis")
    version = _judged(registry, run)
    registry.link(run_id, "used", "produced_by", target=analysis_id)
    if hypothesis_id is not None:
        registry.link(run_id, "used", "tests_hypothesis", target=hypothesis_id)
    registry.keep(run_id, REGISTRATION, _metadata(registry, run, version, title, evaluation))
    return f"{version.model}@{version.number}"


def links_of(registry: Registry, run: RunRow) -> dict[str, str]:
    """Gives what a run is linked to: `trained_on`, `produced_by`, `tests_hypothesis`, `fine_tuned_from`."""
    found = {edge.what: edge.target for edge in registry.edges(run.id) if edge.kind == "used"}
    if run.dataset is not None:
        content = {row.digest: row.content_digest for row in rows(registry.store)}[run.dataset]
        found = {"trained_on": name_of(registry.store, content) or run.dataset[:12], **found}
    return found


def find_recorded(
    registry: Registry, resolved: Experiment, *, study: str | None = None, folder: Path = Path()
) -> RunRow | None:
    """Gives the latest finished run of the same resolved spec, which names the content of its data.

    A spec with code of the user's own names that code, but does not hold it: only a run of the same study, which
    goes on when it is called again, is taken for the same, and only if the files of that code are as it recorded them.

    Args:
        registry: Where to look.
        resolved: What would be trained.
        study: Id of the study that asks, if one does.
        folder: Where a study finds code of the user's own, as `own_code_from`.
    """
    wanted = digest_json(resolved.tree())
    runs = [run for run in registry.runs(model=resolved.name) if run.state in FINISHED]
    if _names_own_code(resolved.tree()):
        runs = [] if study is None else _with_same_code(registry, runs, resolved, study, folder)
    imported = {edge.run for edge in registry.links(FILE)}
    # A run that went on from a version, or took its weights from a file, has another history than one from the start.
    same = [run for run in runs if run.spec == wanted and run.parent is None and run.id not in imported]
    return same[-1] if same else None


def _with_same_code(
    registry: Registry, runs: Sequence[RunRow], resolved: Experiment, study: str, folder: Path
) -> list[RunRow]:
    mine = {edge.run for edge in registry.links(STUDY) if edge.target == study}
    code = own_code(resolved.tree(), folder)

    def recorded(run: RunRow) -> Any:
        environment: Any = registry.environment(run)
        return environment.get("code")  # None in the record of an early version, which is no proof

    return [run for run in runs if run.id in mine and recorded(run) == code]


def _names_own_code(tree: Any) -> bool:
    if isinstance(tree, dict):
        use = tree.get("use")
        return (isinstance(use, str) and ":" in use) or any(map(_names_own_code, tree.values()))
    return isinstance(tree, list) and any(map(_names_own_code, tree))


def _count(spec: Experiment) -> int:
    assert spec.train.loss != "auto"
    return build_blueprint(spec.model, loss=spell_out(spec.train.loss).name).count_parameters()


def _judged(registry: Registry, run: RunRow) -> VersionRow:
    version = registry.best(run.id) or registry.final(run.id)
    if version is None:
        raise StoreError(f"run {run.id} has no version to register")
    return version


def _metadata(
    registry: Registry, run: RunRow, version: VersionRow, title: str | None, evaluation: Mapping[str, float]
) -> dict[str, Any]:
    spec = Experiment.model_validate(registry.spec(run))
    links = links_of(registry, run)
    return {
        "model_family": FAMILY,
        "title": title or f"DL-{spec.model.architecture}-{links.get('trained_on', 'unknown')}",
        "architecture": spec.model.architecture,
        "parameter_count": _count(spec),
        "training_config": spec.train.tree(),
        "training_metrics": dict(version.metrics),
        "evaluation_metrics": dict(evaluation),
        "framework": run.backend,
        "checkpoint_path": str(registry.store.blobs.path(version.weights).resolve())
        if version.weights
        else None,
        "version": version.number,
        "weights": version.weights,
    }
