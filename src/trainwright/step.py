"""Model building as one step of an analysis: a configuration and a dataset in, a registered model out."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from trainwright.base.errors import DataError, SpecError
from trainwright.base.home import home_of
from trainwright.base.jsontext import write_json
from trainwright.base.names import check_name
from trainwright.experiment import Trained
from trainwright.pipeline import TrainingPipeline
from trainwright.registering import find_recorded, register_training
from trainwright.report.page import report_path
from trainwright.spec.experiment import Experiment
from trainwright.spec.losses import spell_out
from trainwright.store.records import RunRow, VersionRow
from trainwright.store.registry import Registry
from trainwright.store.store import Store

CONFIG = ("families", "hyperparameters", "evaluation_metrics", "max_seconds", "seed", "again")
INPUTS = ("dataset", "target", "analysis_id", "hypothesis_id", "home")
PARTS = ("model", "train", "data")


class Candidate(TypedDict):
    """One model family that was tried.

    Keys:
        family: Its name.
        run_id: The recorded run.
        metric: Name of the validation metric that versions are chosen by.
        value: What its best version has.
        status: `trained` now, or `recorded` before.
    """

    family: str
    run_id: str
    metric: str
    value: float
    status: str


class Outputs(TypedDict):
    """What the step gives back.

    Keys:
        model_id: A reference to the best version that never moves; `load_model` takes it.
        version: Its number.
        run_id: The run it comes from.
        family: The model family that was best on the validation split.
        status: `trained` now, or `recorded` before from the same recipe and data.
        metrics: Test scores by name, such as `test/accuracy`; empty without a test split.
        report_path: The HTML report of the run.
        checkpoint_path: The file of the version's weights.
        candidates: All families that were tried.
        seconds: Wall-clock time of the step.
    """

    model_id: str
    version: int
    run_id: str
    family: str
    status: str
    metrics: dict[str, float]
    report_path: str
    checkpoint_path: str
    candidates: list[Candidate]
    seconds: float


def run_model_building_step(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> Outputs:
    """Trains each model family, chooses by the validation split, and registers the best with the analysis.

    The same configuration and data a second time give the recorded result.

    Args:
        config: All keys may be left out. `families`: names of architectures, or a mapping from a name to its own
            hyperparameters; `["mlp"]` unless given. `hyperparameters`: mappings `model`, `train` and `data` as in an
            experiment file, for all families. `evaluation_metrics`: the scores wanted, such as `["accuracy"]`; all
            unless given. `max_seconds`: wall-clock time of all training together; each family has an equal share.
            `seed`. `again`: train although there is a recorded result.
        inputs: `dataset`: the name of a registered dataset, a path, or data in memory (`TrainingPipeline.load_data`).
            `target`: the column to predict, of a table. `analysis_id`; `hypothesis_id`, if there is one. `home`: the
            store.

    Raises:
        SpecError: If a key is unknown or a value is wrong.
        DataError: If the data cannot be trained on.
    """
    began = time.monotonic()
    _check(config, CONFIG, "config")
    _check(inputs, INPUTS, "inputs")
    for key in ("dataset", "analysis_id"):
        if key not in inputs:
            raise SpecError(f"inputs.{key}: it is missing")
    check_name(inputs["analysis_id"], what="inputs.analysis_id:")  # before hours of training, not after
    families = config.get("families", ["mlp"])
    if isinstance(families, str) or not isinstance(families, Mapping | Sequence):
        raise SpecError(
            f"config.families: {families!r} is no list of names; write such as [mlp, transformer]"
        )
    named = families if isinstance(families, Mapping) else {name: {} for name in families}
    if not named:
        raise SpecError("config.families: it names none")
    share = config["max_seconds"] / len(named) if "max_seconds" in config else None
    found: list[Found] = []
    for name, own in named.items():
        found.append(_try(name, own, config, inputs, seconds=share, rivals=found))
    sign = 1.0 if found[0][1].best_mode == "min" else -1.0
    registry = Registry(Store.open(home_of(inputs.get("home")), create=False))
    candidate, run, version, scores = min(found, key=lambda one: _rank(one[0]["value"], sign))
    metrics = _chosen(scores, config.get("evaluation_metrics"))
    model_id = register_training(
        registry,
        run.id,
        analysis_id=inputs["analysis_id"],
        hypothesis_id=inputs.get("hypothesis_id"),
        evaluation=metrics,
    )
    assert version.weights is not None
    return Outputs(
        model_id=model_id,
        version=version.number,
        run_id=run.id,
        family=candidate["family"],
        status=candidate["status"],
        metrics=metrics,
        report_path=str(report_path(registry, run.id)),
        checkpoint_path=str(registry.store.blobs.path(version.weights).resolve()),
        candidates=[one[0] for one in found],
        seconds=time.monotonic() - began,
    )


Found = tuple[Candidate, RunRow, VersionRow, dict[str, float]]


def _try(
    family: str,
    own: Mapping[str, Any],
    config: Mapping[str, Any],
    inputs: Mapping[str, Any],
    *,
    seconds: float | None,
    rivals: Sequence["Found"],
) -> Found:
    common = config.get("hyperparameters", {})
    for where, given in (("config.hyperparameters", common), (f"config.families.{family}", own)):
        _check(given, PARTS, where)
    parts = {part: {**common.get(part, {}), **own.get(part, {})} for part in PARTS}
    if seconds is not None:
        limit = {"use": "TimeLimit", "args": {"seconds": seconds}}
        parts["train"]["callbacks"] = [*parts["train"].get("callbacks", []), limit]
    pipeline = TrainingPipeline(
        {"architecture": family, **parts["model"]},
        parts["train"],
        seed=config.get("seed", 0),
        home=inputs.get("home"),
    )
    pipeline.load_data(inputs["dataset"], target=inputs.get("target", "auto"), **parts["data"])
    registry = Registry(Store.open(pipeline.home))
    if rivals:
        _check_comparable(family, pipeline.resolved, rivals[0], registry)
    recorded = None if config.get("again") else find_recorded(registry, pipeline.resolved)
    status = "recorded"
    if recorded is None:
        trained: Trained = pipeline.train()
        recorded, status = registry.run(trained.run), "trained"
        if not trained.outcome.finished:
            raise DataError(f"the training of {family} ended early: {trained.outcome.reason}")
    version = registry.best(recorded.id) or registry.final(recorded.id)
    assert version is not None
    scores = {
        row.name: float(registry.artifact_value(row))
        for row in registry.artifacts(recorded.id)
        if row.kind == "score" and row.name.startswith("test/")
    }
    value = version.metrics.get(recorded.best_metric, float("nan"))
    candidate = Candidate(
        family=family, run_id=recorded.id, metric=recorded.best_metric, value=value, status=status
    )
    return candidate, recorded, version, scores


def _rank(value: float, sign: float) -> float:
    """Gives what is smallest for the best: a family without a value, or with nan, is last."""
    return float("inf") if math.isnan(value) else sign * value


def _check_comparable(family: str, spec: Experiment, rival: Found, registry: Registry) -> None:
    """Refuses families that are measured differently, before the second of them is trained."""
    mine, its = spec.train, Experiment.model_validate(registry.spec(rival[1])).train
    assert mine.loss != "auto" and its.loss != "auto"
    said = {"best.metric": (mine.best.metric, its.best.metric), "best.mode": (mine.best.mode, its.best.mode)}
    if mine.best.metric == "val/loss":
        said["loss"] = (write_json(spell_out(mine.loss).tree()), write_json(spell_out(its.loss).tree()))
    for field, (left, right) in said.items():
        if left != right:
            raise SpecError(
                f"config.families.{family}: train.{field} is {left}, that of {rival[0]['family']} {right}; their "
                "values cannot be compared: name one metric for all, such as best: {metric: val/mae}"
            )


def _chosen(scores: Mapping[str, float], wanted: Any) -> dict[str, float]:
    if wanted is None:
        return dict(scores)
    if isinstance(wanted, str):
        raise SpecError(f"config.evaluation_metrics: {wanted!r} is one name; write a list of them")
    named = {name: name if name.startswith("test/") else f"test/{name}" for name in wanted}
    for name, key in named.items():
        if key not in scores:
            raise SpecError(
                f"config.evaluation_metrics: nobody measures {name!r}, there are: {', '.join(sorted(scores))}"
            )
    return {key: scores[key] for key in named.values()}


def _check(given: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in given:
        if key not in known:
            raise SpecError(f"{where}: unknown key {key!r}, known: {', '.join(known)}")
