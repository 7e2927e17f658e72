"""What the record says of one run, as sections of the page read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainwright.base.tree import Array
from trainwright.report.scale import Floats
from trainwright.spec.experiment import Experiment
from trainwright.store.records import ArtifactRow, RunRow, VersionRow
from trainwright.store.registry import Registry


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as it was recorded.

    Args:
        registry: Where it is.
        run: Its row.
        spec: Resolved.
        environment: What it depended on outside the spec.
        versions: All it made, by number.
        best: The best of them, if any has the metric.
        final: The one it ended with, or its newest.
        artifacts: The latest of each name.
    """

    registry: Registry
    run: RunRow
    spec: Experiment
    environment: dict[str, Any]
    versions: list[VersionRow]
    best: VersionRow | None
    final: VersionRow | None
    artifacts: Mapping[str, ArtifactRow]

    @property
    def shown(self) -> VersionRow | None:
        """Gives the version that others will use."""
        return self.best or self.final

    @property
    def task(self) -> str:
        """Gives the task type of the model."""
        return self.spec.model.task_type

    @property
    def finished(self) -> bool:
        """Says whether the run came to its end."""
        return self.run.state in ("done", "stopped")

    @property
    def classes(self) -> list[str]:
        """Names the classes of the test scores."""
        return [str(one) for one in self.table("test/about").get("classes", [])]

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        """Gives the test scores with their intervals."""
        return self.table("test/scores")

    @property
    def targets(self) -> list[str]:
        """Names the target, or the targets; none where the records have none."""
        target = self.spec.data.target
        return [] if target is None else [target] if isinstance(target, str) else list(target)

    def outputs(self, count: int) -> list[str]:
        """Names the outputs of a regression."""
        if len(self.targets) == count:
            return self.targets
        return [f"{' '.join(self.targets)} {one}" for one in range(count)]

    def table(self, name: str) -> dict[str, Any]:
        """Gives a table, empty if there is none."""
        found = self._value(name, "table")
        return {} if found is None else found

    def array(self, name: str) -> Array | None:
        """Gives an array as it was kept, or None."""
        found: Array | None = self._value(name, "array")
        return found

    def floats(self, name: str) -> Floats | None:
        """Gives an array as float64, or None."""
        found = self.array(name)
        return None if found is None else found.astype(np.float64)

    def _value(self, name: str, kind: str) -> Any:
        row = self.artifacts.get(name)
        return None if row is None or row.kind != kind else self.registry.artifact_value(row)


def read_record(registry: Registry, run_id: str) -> RunRecord:
    """Reads what was recorded of a run.

    Args:
        registry: Where it is.
        run_id: Its id.

    Raises:
        StoreError: If there is no such run, or its record is damaged.
    """
    run = registry.run(run_id)
    versions = registry.versions(run=run_id)
    return RunRecord(
        registry=registry,
        run=run,
        spec=Experiment.model_validate(registry.spec(run)),
        environment=registry.environment(run),
        versions=versions,
        best=registry.best(run_id),
        final=registry.final(run_id) or (registry.latest(run_id) if versions else None),
        artifacts={one.name: one for one in registry.artifacts(run_id)},
    )
