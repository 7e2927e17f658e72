"""Checks that a version is what its record says."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trainwright.base.errors import SpecError, TrainwrightError
from trainwright.data.dataset import open_dataset
from trainwright.model_op import code_of
from trainwright.spec.experiment import Experiment
from trainwright.store.members import count_members, describe_members
from trainwright.store.records import RunRow, VersionRow
from trainwright.store.registry import Registry


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked.

    Args:
        what: In a word or two.
        ok: Whether it is as it should be.
        detail: What was found.
    """

    what: str
    ok: bool
    detail: str


def recorded_experiment(registry: Registry, run: RunRow) -> Experiment:
    """Reads the spec of a run.

    Raises:
        SpecError: If this version of the package does not know it.
        StoreError: If its object is damaged.
    """
    try:
        return Experiment.model_validate(registry.spec(run))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise SpecError(
            f"the spec of run {run.id}: {where}: {first['msg']}; another version of trainwright wrote it"
        ) from error


def verify_version(registry: Registry, ref: str) -> list[Check]:
    """Reads every object of a version, its spec, its data and own code it is made of, each against its digest.

    Raises:
        StoreError: If there is no such version.
    """
    version = registry.resolve(ref)
    run = registry.run(version.run)
    blobs = registry.store.blobs
    checks = []
    objects = {
        "weights": version.weights,
        "state": version.state,
        "operator": version.operator,
        "spec": run.spec,
    }
    for what, digest in objects.items():
        if digest is None:
            continue
        try:
            size = len(blobs.get(digest))
            checks.append(Check(what, True, f"sha256:{digest[:16]}, {size:,} bytes"))
        except TrainwrightError as error:
            checks.append(Check(what, False, str(error)))
    if version.files is not None:
        try:
            listed = registry.files(version)
            size = sum(len(blobs.get(digest)) for digest in listed.values())
            count = count_members(listed)
            told = f"of {count} models" if count else f"{len(listed)} files"
            checks.append(Check("members" if count else "files", True, f"{told}, {size:,} bytes"))
        except TrainwrightError as error:
            checks.append(Check("files", False, str(error)))
    try:
        checks += _check_code(registry, version)
    except TrainwrightError as error:
        # Which code there is could not be read, and it may be right: what a row above says is not said of it, too.
        if str(error) not in [one.detail for one in checks]:
            checks.append(Check("code", False, f"it cannot be told: {error}"))
    try:
        spec = recorded_experiment(registry, run)
        data = open_dataset(spec.data, folder=Path(run.folder), task_type=spec.model.task_type)
        checks.append(
            Check("data", True, f"sha256:{data.content_digest[:16]}, {len(data.records.ids):,} records")
        )
    except TrainwrightError as error:
        checks.append(Check("data", False, str(error)))
    return checks


def _check_code(registry: Registry, version: VersionRow) -> list[Check]:
    """Compares own code that a version is made of with its record; no check where there is none."""
    rows = registry.members(version)
    described: list[Any] = (
        list(describe_members(registry.store.blobs, registry.files(version))) if rows else []
    )
    if not rows and version.operator is not None:
        rows, described = [version], [registry.operator(version)]
    checks = {}
    for row, description in zip(rows, described, strict=True):
        for name, (recorded, now) in code_of(registry, row, description).items():
            told = f"recorded {recorded[:16]}, now {now[:16]}" if recorded != now else f"sha256:{now[:16]}"
            checks[f"{name}: {told}"] = recorded == now
    return [Check("code", ok, told) for told, ok in checks.items()]
