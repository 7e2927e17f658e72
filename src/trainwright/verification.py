"""Checks that a version is what its record says."""

from dataclasses import dataclass
from pathlib import Path

from trainwright.base.errors import TrainwrightError
from trainwright.data.dataset import open_dataset
from trainwright.spec.experiment import Experiment
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


def verify_version(registry: Registry, ref: str) -> list[Check]:
    """Reads every object of a version, its spec and its data, each against its digest.

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
    try:
        spec = Experiment.model_validate(registry.spec(run))
        data = open_dataset(spec.data, folder=Path(run.folder), task_type=spec.model.task_type)
        checks.append(
            Check("data", True, f"sha256:{data.content_digest[:16]}, {len(data.records.ids):,} records")
        )
    except TrainwrightError as error:
        checks.append(Check("data", False, str(error)))
    return checks
