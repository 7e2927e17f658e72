"""Checks that a version does what its record says, by doing it again: read, rebuilt, predicted, judged."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from trainwright.base.digest import digest_bytes
from trainwright.base.errors import StoreError, TrainwrightError
from trainwright.base.tensors import Chunks, dump_tensors, dump_tree
from trainwright.data.dataset import Dataset, open_dataset
from trainwright.ensemble_op import EnsembleOp
from trainwright.evaluation.version import judge
from trainwright.model_op import ModelOp, load_version
from trainwright.store import datasets
from trainwright.store.records import RunRow, VersionRow
from trainwright.store.registry import Registry
from trainwright.verification import Check, recorded_experiment, verify_version

TOLERANCE = 1e-4  # relative; on the machine that trained, scores come out with the same bits
SMALL = 1e-6
Found = Iterator[tuple[str, Callable[[], str]]]
T = TypeVar("T")


def recompute_version(registry: Registry, ref: str) -> list[Check]:
    """Checks everything that a version rests on, and recomputes what can be recomputed.

    All of `verify_version`; besides, every object and every row of its run; weights, state and operator are decoded and
    spelled again; the splits are drawn again; the recorded samples are predicted again, and the version is judged on
    `val` again. The test split is not looked at.

    Args:
        registry: Where the version is.
        ref: Such as `name@best`.

    Returns:
        One check for each; scores and predictions of numbers may differ by `TOLERANCE` of their size.

    Raises:
        StoreError: If there is no such version.
    """
    version = registry.resolve(ref)
    run = registry.run(version.run)
    checks = verify_version(registry, ref)
    for what, find in [
        *_of_the_record(registry, run),
        *_of_the_version(registry, version),
        *_of_the_model(registry, version, run),
    ]:
        try:
            checks.append(Check(what, True, find()))
        except TrainwrightError as error:
            checks.append(Check(what, False, str(error)))
    return checks


def _of_the_record(registry: Registry, run: RunRow) -> Found:
    blobs = registry.store.blobs

    def rows() -> str:
        kinds = ("attempts", "metrics", "notes", "looks", "edges")
        return ", ".join(f"{len(getattr(registry, kind)(run.id))} {kind}" for kind in kinds)

    def environments() -> str:
        digests = {run.environment, *(row.environment for row in registry.attempts(run.id))}
        digests |= {row.spec for row in registry.attempts(run.id)}
        return f"{sum(len(blobs.get(digest)) for digest in digests):,} bytes"

    def artifacts() -> str:
        return f"{len([registry.artifact_value(row) for row in registry.artifacts(run.id)])} read"

    yield "rows", rows
    yield "environments", environments
    yield "artifacts", artifacts


def _of_the_version(registry: Registry, version: VersionRow) -> Found:
    def weights() -> str:
        found = registry.weights(version)
        _same_bytes(dump_tensors(found), version.weights)
        return f"{len(found)} tensors, {sum(one.size for one in found.values()):,} numbers, spelled again"

    def state() -> str:
        _same_bytes(dump_tree(registry.state(version)), version.state)
        return "spelled again"

    def operator() -> str:
        _same_bytes(dump_tree(registry.operator(version)), version.operator)
        return "spelled again"

    if version.weights is not None:
        yield "weights decoded", weights
    if version.state is not None:
        yield "state decoded", state
    yield "operator decoded", operator


def _of_the_model(registry: Registry, version: VersionRow, run: RunRow) -> Found:
    opened: list[Dataset] = []
    loaded: list[ModelOp | EnsembleOp] = []

    def splits() -> str:
        spec = recorded_experiment(registry, run)
        data = open_dataset(spec.data, folder=Path(run.folder), task_type=spec.model.task_type)
        row = next((one for one in datasets.rows(registry.store) if one.digest == run.dataset), None)
        if row is None:
            raise StoreError(f"the dataset {run.dataset} of run {run.id} is not recorded")
        if row.content_digest != data.content_digest:
            raise StoreError(f"the content is {data.content_digest}, recorded is {row.content_digest}")
        kept = datasets.splits(registry.store, row)
        other = [
            name for name in {*kept, *data.splits} if not _same_records(kept.get(name), data.splits.get(name))
        ]
        if other:
            raise StoreError(f"split {min(other)} has other records now than the run recorded")
        opened.append(data)
        return ", ".join(f"{len(index):,} {name}" for name, index in sorted(kept.items()))

    def model() -> str:
        loaded.append(load_version(registry, version))
        return f"rebuilt on {run.backend}"

    def samples() -> str:
        return _predict_samples(registry, version, _first(loaded, "model"))

    def scores() -> str:
        if not any(name.startswith("val/") for name in version.metrics):
            return "none recorded at this step"
        records = _first(opened, "splits").part("val")
        if not len(records):
            return "there are no records for validation"
        found = judge(_first(loaded, "model"), records).scores
        return _compare_scores(version, {f"val/{name}": one["value"] for name, one in found.items()})

    if run.dataset is not None:
        yield "splits", splits
    if (version.weights is not None or registry.members(version)) and run.dataset is not None:
        yield "model", model
        yield "samples", samples
        yield "val scores", scores


def _predict_samples(registry: Registry, version: VersionRow, model: ModelOp | EnsembleOp) -> str:
    kept = {row.name: row for row in registry.artifacts(version.run)}
    about: Any = registry.artifact_value(kept["test/about"]) if "test/about" in kept else {}
    if about.get("version") != version.number or "test/sample_inputs" not in kept:
        return "none recorded as arrays of this version"
    parts: Any = registry.artifact_value(kept["test/samples"])
    recorded = [one.get("prediction") for name in ("best", "worst") for one in parts[name]]
    if "test/sample_predictions" in kept:
        recorded = registry.artifact_value(kept["test/sample_predictions"])
    elif None in recorded:
        return "their predictions are not recorded"
    now = model(registry.artifact_value(kept["test/sample_inputs"]))
    then = np.asarray(recorded).reshape(now.shape)
    numbers = now.dtype.kind == "f"
    same = (
        np.allclose(now, then, rtol=TOLERANCE, atol=SMALL, equal_nan=True) if numbers else (now == then).all()
    )
    if not same:
        raise StoreError("the recorded samples are predicted otherwise than when they were recorded")
    return f"{len(now)} records predicted again, {'within 1e-4' if numbers else 'the same'}"


def _compare_scores(version: VersionRow, now: dict[str, float]) -> str:
    recorded = {name: value for name, value in version.metrics.items() if name.startswith("val/")}
    both = sorted(recorded.keys() & now.keys())
    if not both:
        return "none recorded at this step"
    for name in both:
        if not _close(now[name], recorded[name]):
            raise StoreError(f"{name} is {now[name]!r} now, recorded is {recorded[name]!r}")
    more = sorted(recorded.keys() - now.keys())
    left = f"; not recomputed: {', '.join(more)}" if more else ""
    exact = sum(now[name] == recorded[name] for name in both)
    return f"{', '.join(both)}: {exact} of {len(both)} with the same bits, all within 1e-4{left}"


def _close(now: float, then: float) -> bool:
    return (math.isnan(now) and math.isnan(then)) or math.isclose(now, then, rel_tol=TOLERANCE, abs_tol=SMALL)


def _same_bytes(chunks: Chunks, digest: str | None) -> None:
    found = digest_bytes(b"".join(chunks))
    if found != digest:
        raise StoreError(f"spelled again they are sha256:{found}, recorded is sha256:{digest}")


def _same_records(one: Any, other: Any) -> bool:
    return one is not None and other is not None and np.array_equal(one, other)


def _first(found: Sequence[T], what: str) -> T:
    if not found:
        raise StoreError(f"not recomputed, because {what} could not be")
    return found[0]
