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
    gpus,
    hardware,
    package_versions,
    peak_memory_bytes,
    settings,
)
from trainwright.plan import Plan
from trainwright.spec.build import own_code
from trainwright.spec.experiment import Experiment
from trainwright.store.lineage import prov_json
from trainwright.store.records import VersionRow
from trainwright.store.registry import Registry
from trainwright.store.run import LocalRun

HARDWARE = ("machine", "processor", "instructions", "gpus")
# Packages that nobody else asks for anything, by the backends that do.
ASKED_BY = {
    "lightning": "lightning",
    "keras": "keras",
    "tensorflow": "keras-tensorflow",
    "tensorflow-cpu": "keras-tensorflow",
}
ARTIFACT = "training-artifact.yaml"
PROVENANCE = "prov.json"


def describe_environment(folder: Path, *, experiment: Experiment) -> dict[str, Any]:
    """Describes packages, machine, own code and commit; a run keeps it with its record.

    Args:
        folder: Of the experiment; its commit is named.
        experiment: Whose own code is named by digest, and the GPUs, if it trains on one.
    """
    packages = package_versions()
    for name, backend in ASKED_BY.items():
        if not experiment.train.backend.startswith(backend):
            packages.pop(name, None)
    return {
        "packages": packages,
        "lock": environment_lock(),
        "hardware": hardware() | {"gpus": ", ".join(gpus()) if experiment.train.device == "cuda" else ""},
        "settings": settings(),
        "code": own_code(experiment.tree(), folder),
        "git": dict(git_commit(folder)),
    }


def inexact_fields(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Names what may change the last bits of a run.

    That is: versions of packages, of the interpreter and of the C library; the processor and its instructions; the
    GPUs of a run that trains on one, and their libraries; variables by which libraries choose kernels; own code.
    Device, threads and precision are decisions of the spec: a resume sets them.

    Args:
        recorded: From the run's record.
        now: Of this process.

    Example:
        >>> one = {"packages": {"torch": "2.8"}, "hardware": {"processor": "A", "machine": "x86_64"}}
        >>> inexact_fields(one, one | {"packages": {"torch": "2.9"}})
        ['packages.torch: recorded 2.8, now 2.9']
    """
    left, right = _what_bits_depend_on(recorded), _what_bits_depend_on(now)
    return [
        f"{field}: recorded {left.get(field) or 'none'}, now {right.get(field) or 'none'}"
        for field in dict.fromkeys((*left, *right))
        if (left.get(field) or "none") != (right.get(field) or "none")
    ]


def _what_bits_depend_on(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Gives the value of each field; those that a record of an earlier version lacks are missing."""
    found = {f"packages.{name}": value for name, value in sorted(environment["packages"].items())}
    if environment["hardware"].get("gpus"):
        lock = environment["lock"]
        found |= {f"packages.{name}": lock[name] for name in sorted(lock) if name.startswith("nvidia-")}
    found |= {f"hardware.{name}": environment["hardware"].get(name) for name in HARDWARE}
    for part in ("settings", "code"):
        found |= {f"{part}.{name}": value for name, value in sorted(environment.get(part, {}).items())}
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
    package = "jax" if backend == "equinox" else backend.partition("-")[0]
    record = {
        "training_pipeline": spec.name,
        "dataset_hash": f"sha256:{plan.dataset.content_digest}",
        "training_run_id": run.id,
        "trained_model_uri": f"{run.store.home.resolve().as_uri()}#{spec.name}@{version.number}",
        "trained_model_hash": f"sha256:{version.weights or version.files}",
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
    inexact = {f"attempt {one.number}": one.inexact for one in registry.attempts(run.id) if one.inexact}
    if inexact:
        record["went_on_inexactly"] = inexact
    text = StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 4096  # a digest stays on the line of its key
    yaml.dump(record, text)
    run.artifact(ARTIFACT, text.getvalue())
    run.flush()
    run.artifact(PROVENANCE, write_json(prov_json(registry, run.id)))
