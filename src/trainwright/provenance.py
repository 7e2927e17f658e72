"""What a run depends on and where it came from, written down for people and for other tools."""

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from trainwright.base.jsontext import write_json
from trainwright.base.machine import (
    environment_lock,
    git_commit,
    hardware,
    package_versions,
    peak_memory_bytes,
)
from trainwright.plan import Plan
from trainwright.store.lineage import prov_json
from trainwright.store.records import VersionRow
from trainwright.store.registry import Registry
from trainwright.store.run import LocalRun

ARTIFACT = "training-artifact.yaml"
PROVENANCE = "prov.json"


def describe_environment(folder: Path) -> dict[str, Any]:
    """Describes packages, machine and commit; a run keeps it with its record.

    Args:
        folder: Of the experiment; its commit is named.
    """
    return {
        "packages": package_versions(),
        "lock": environment_lock(),
        "hardware": hardware(),
        "git": dict(git_commit(folder)),
    }


def inexact_fields(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Names what may change the last bits of a run: package versions, interpreter, processor.

    Args:
        recorded: From the run's record.
        now: Of this process.

    Example:
        >>> one = {"packages": {"torch": "2.8"}, "hardware": {"processor": "A", "machine": "x86_64"}}
        >>> inexact_fields(one, one | {"packages": {"torch": "2.9"}})
        ['packages.torch: recorded 2.8, now 2.9']
    """
    found = []
    before, after = recorded["packages"], now["packages"]
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            found.append(
                f"packages.{name}: recorded {before.get(name, 'none')}, now {after.get(name, 'none')}"
            )
    for name in ("machine", "processor"):
        left, right = recorded["hardware"].get(name), now["hardware"].get(name)
        if left != right:
            found.append(f"hardware.{name}: recorded {left}, now {right}")
    return found


def write_provenance(run: LocalRun, plan: Plan, version: VersionRow, *, seconds: float) -> None:
    """Keeps `training-artifact.yaml` and `prov.json` as artifacts of a run.

    Args:
        run: Being finished.
        plan: What it did.
        version: The version it ends with.
        seconds: Length of this attempt.
    """
    registry = Registry(run.store)
    environment = registry.environment(registry.run(run.id))
    spec, backend = plan.experiment, plan.experiment.train.backend
    package = {"torch": "torch", "equinox": "jax"}[backend]
    record = {
        "training_pipeline": spec.name,
        "dataset_hash": f"sha256:{plan.dataset.content_digest}",
        "training_run_id": run.id,
        "trained_model_uri": f"{run.store.home.resolve().as_uri()}#{spec.name}@{version.number}",
        "trained_model_hash": f"sha256:{version.weights}",
        "backend": backend,
        "backend_version": environment["packages"].get(package),
        "hardware": environment["hardware"],
        "duration_seconds": round(seconds, 3),
        "seeds": {"experiment": spec.seed, "split": spec.data.split.seed},
        "spec_hash": f"sha256:{spec.digest()}",
        "git": environment["git"],
        "threads": plan.run_on.threads,
        "device": plan.run_on.device,
        "peak_memory_bytes": peak_memory_bytes(),
        "environment": environment["lock"],
    }
    text = StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 4096  # a digest stays on the line of its key
    yaml.dump(record, text)
    run.artifact(ARTIFACT, text.getvalue())
    run.flush()
    run.artifact(PROVENANCE, write_json(prov_json(registry, run.id)))
