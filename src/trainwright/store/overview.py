"""What a team asks about its runs: which there are, which are best, and whose record is not whole."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from trainwright.base.errors import StoreError
from trainwright.base.jsontext import Json, read_json
from trainwright.base.tensors import load_tree
from trainwright.store import datasets
from trainwright.store.records import RunRow, VersionRow
from trainwright.store.registry import Registry

MIN_DIGEST = 8
STUDY = "study"  # what an edge is called that leads from a run to the study it belongs to
COMPANY = "company"  # and to the runs whose steps were made together with its own
Score = dict[Literal["value", "low", "high"], float]


@dataclass(frozen=True, slots=True)
class Entry:
    """One run in a list.

    Args:
        run: Its row.
        family: Of its model, such as `deep_learning`; None where it was not recorded.
        title: Such as `DL-mlp-digits`.
        dataset: The name of its data.
        versions: How many it made.
        best: Its best version, if any has the metric.
        scores: Test scores by name.
        missing: What its record lacks: of `dataset`, `environment`, `spec`, `operator`.
    """

    run: RunRow
    family: str | None
    title: str | None
    dataset: str | None
    versions: int
    best: VersionRow | None
    scores: dict[str, Score]
    missing: tuple[str, ...]

    def measured(self, metric: str) -> float | None:
        """Gives a test score, or a metric of the best version."""
        if metric in self.scores:
            return self.scores[metric]["value"]
        return None if self.best is None else self.best.metrics.get(metric)


def list_runs(
    registry: Registry,
    *,
    model: str | None = None,
    state: str | None = None,
    family: str | None = None,
    dataset: str | None = None,
    study: str | None = None,
    sort: str | None = None,
    descending: bool = False,
    limit: int | None = None,
) -> list[Entry]:
    """Lists runs, the latest first unless they are sorted.

    Args:
        registry: Where they are.
        model: Only of this model.
        state: Only in this state.
        family: Only of this family.
        dataset: Only trained on these data: their name, or at least 8 digits of their digest.
        study: Only of the study with this id.
        sort: `created`, a test score such as `test/accuracy`, or a metric of the best version, such as `val/loss`;
            the smallest first. Runs without it, or with NaN, come last.
        descending: The largest first.
        limit: So many at most.

    Raises:
        StoreError: If no run has the metric to sort by.
    """
    found = []
    for run in reversed(registry.runs(model=model, state=state)):
        if study is not None and study not in studies_of(registry, run.id):
            continue
        about = _description(registry, run)
        if family not in (None, about.get("family")):
            continue
        if dataset is not None and not _is_of(registry, run, about.get("dataset"), wanted=dataset):
            continue
        found.append(_entry(registry, run, about))
    if sort == "created":
        found = found if descending else found[::-1]
    elif sort is not None:
        found = _by_metric(found, sort, descending=descending)
    return found[:limit]


def studies_of(registry: Registry, run: str) -> list[str]:
    """Gives the ids of the studies that a run belongs to."""
    return [edge.target for edge in registry.edges(run) if (edge.kind, edge.what) == ("used", STUDY)]


def missing_provenance(registry: Registry, run: RunRow) -> tuple[str, ...]:
    """Names what the record of a run lacks; empty if its results can be trusted and repeated.

    Damaged and quarantined objects count as missing.
    """
    readable = {
        "dataset": run.dataset is not None,
        "environment": bool(_json(registry, run.environment)),
        "spec": bool(_json(registry, run.spec)),
        "operator": bool(_description(registry, run)),
    }
    return tuple(what for what, there in readable.items() if not there)


def recorded_scores(registry: Registry, run: str) -> tuple[dict[str, Score], int | None]:
    """Gives the recorded test scores of a run with their 95 % intervals, and the number of the version judged."""
    tables = {one.name: one for one in registry.artifacts(run) if one.kind == "table"}
    if "test/scores" not in tables:
        return {}, None
    about: Any = registry.artifact_value(tables["test/about"]) if "test/about" in tables else {}
    return registry.artifact_value(tables["test/scores"]), about.get("version")


def _entry(registry: Registry, run: RunRow, about: dict[str, Any]) -> Entry:
    scores, _ = recorded_scores(registry, run.id)
    return Entry(
        run=run,
        family=about.get("family"),
        title=about.get("title"),
        dataset=about.get("dataset"),
        versions=len(registry.versions(run=run.id)),
        best=registry.best(run.id),
        scores=scores,
        missing=missing_provenance(registry, run),
    )


def _is_of(registry: Registry, run: RunRow, name: str | None, *, wanted: str) -> bool:
    if wanted == name:
        return True
    row = next((one for one in datasets.rows(registry.store) if one.digest == run.dataset), None)
    if row is None:
        return False
    beginning = len(wanted) >= MIN_DIGEST and any(
        one.startswith(wanted) for one in (row.digest, row.content_digest)
    )
    return beginning or wanted == datasets.name_of(registry.store, row.content_digest)


def _by_metric(entries: Sequence[Entry], metric: str, *, descending: bool) -> list[Entry]:
    values = [entry.measured(metric) for entry in entries]
    if entries and all(value is None for value in values):
        known = {name for one in entries for name in (*one.scores, *(one.best.metrics if one.best else ()))}
        raise StoreError(
            f"no run has the metric {metric!r}; they have: {', '.join(sorted({'created', *known}))}"
        )

    def place(number: int) -> tuple[bool, float]:
        value = values[number]
        if value is None or math.isnan(value):
            return True, 0.0
        return False, -value if descending else value

    return [entries[number] for number in sorted(range(len(entries)), key=place)]


def _description(registry: Registry, run: RunRow) -> dict[str, Any]:
    """Gives the description of a run's model; empty where it cannot be read, which `missing_provenance` tells."""
    try:
        found = load_tree(registry.store.blobs.get(run.operator), what=f"operator of run {run.id}")
    except StoreError:
        return {}
    return found if isinstance(found, dict) else {}


def _json(registry: Registry, digest: str) -> Json:
    try:
        return read_json(registry.store.blobs.get(digest))
    except StoreError:
        return None
