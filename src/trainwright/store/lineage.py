"""Who was made from what: a graph for people, and W3C PROV for other tools."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from trainwright.base.jsontext import Json
from trainwright.base.machine import package_versions
from trainwright.store.datasets import rows as dataset_rows
from trainwright.store.records import RunRow, VersionRow
from trainwright.store.registry import Registry
from trainwright.store.versions import FINE_TUNED

NAMESPACE = "urn:trainwright:"
AGENT = "tw:trainwright"
FILE = "file"  # what an edge is called that leads to the file a run took its weights from
CONVERTED = (
    "converted_from"  # what an edge is called that leads to the version whose weights a run only took over
)
LINKS: dict[str, Literal["analysis", "hypothesis", "file"]] = {
    "produced_by": "analysis",
    "tests_hypothesis": "hypothesis",
    FILE: "file",
}


@dataclass(frozen=True, slots=True)
class Node:
    """A dataset, a run, a version, the analysis or hypothesis that a run was made for, or a file it was imported from.

    Args:
        id: Such as `version:3`.
        kind: What it is.
        label: For the reader.
    """

    id: str
    kind: Literal["dataset", "run", "version", "analysis", "hypothesis", "file"]
    label: str


@dataclass(frozen=True, slots=True)
class Lineage:
    """A graph without circles.

    Args:
        nodes: In the order they were found.
        edges: Pairs of ids, from what was there before to what was made from it.
        fine_tuned: Those edges along which a run took the weights of a version, not its whole state.
    """

    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]
    fine_tuned: frozenset[tuple[str, str]] = frozenset()


def lineage(registry: Registry, ref: str, *, every: bool = True) -> Lineage:
    """Follows a version to all it was made from and to all that was made from it.

    Args:
        registry: Where to look.
        ref: Of the version.
        every: Whether versions are shown that have no tag, are no branching point and were not asked for.

    Raises:
        StoreError: If there is no such version.
    """
    runs = {row.id: row for row in registry.runs()}
    versions = {row.id: row for row in registry.versions()}
    datasets = dataset_rows(registry.store)
    called = {row.content_digest: row.name for row in datasets if row.name is not None}
    names = {row.digest: called.get(row.content_digest) or row.digest[:12] for row in datasets}
    origins = registry.fine_tunings()
    tuned = {(f"version:{version}", f"run:{run}") for run, version in origins.items()}
    made_for = {(f"{LINKS[edge.what]}:{edge.target}", f"run:{edge.run}") for edge in registry.links(*LINKS)}
    edges = sorted({*_edges(runs, versions), *tuned, *made_for})
    start = f"version:{registry.resolve(ref).id}"
    if not every:
        parents = {run.parent for run in runs.values()} | set(origins.values())
        shown = {row.version for row in registry.tags()} | parents
        plain = {f"version:{number}" for number in versions if number not in shown} - {start}
        edges = _without(edges, plain)
    reached = _closure(start, edges) | _closure(start, [(b, a) for a, b in edges])
    return Lineage(
        nodes=tuple(_node(item, runs, versions=versions, names=names) for item in sorted(reached)),
        edges=tuple(edge for edge in edges if edge[0] in reached and edge[1] in reached),
        fine_tuned=frozenset(edge for edge in tuned if edge[0] in reached and edge[1] in reached),
    )


def prov_json(registry: Registry, run_id: str) -> Json:
    """Describes a run as PROV-JSON.

    Entities are the dataset, the spec and the versions; activities are the run and each of its attempts; the
    agent is this software.

    Args:
        registry: Where to look.
        run_id: The run; it may be running.

    Raises:
        StoreError: If there is no such run.

    Source:
        W3C, The PROV-JSON Serialization, 2013. https://www.w3.org/submissions/prov-json/
    """
    run = registry.run(run_id)
    versions = registry.versions(run=run_id)
    numbers = {row.id: row for row in registry.versions()}
    activity, spec = f"tw:run-{run.id}", f"tw:spec-{run.spec}"
    document: dict[str, Any] = {
        "prefix": {"tw": NAMESPACE},
        "agent": {AGENT: _agent()},
        "entity": {spec: {"prov:type": "spec", "tw:sha256": run.spec}},
        "activity": {
            activity: _span(run.created, run.finished) | {"tw:seed": run.seed, "tw:backend": run.backend}
        },
    }
    used = [(activity, spec)]
    if run.dataset is not None:
        used.append((activity, f"tw:dataset-{run.dataset}"))
        document["entity"][used[-1][1]] = {"prov:type": "dataset", "tw:digest": run.dataset}
    origin = registry.fine_tunings().get(run_id)
    begun = [numbers[one] for one in (run.parent, origin) if one is not None]
    used += [(activity, _version_name(row)) for row in begun]
    others = [edge for edge in registry.edges(run_id) if edge.what != FINE_TUNED]
    used += [(activity, f"tw:{edge.what}-{n}") for n, edge in enumerate(others) if edge.kind == "used"]
    made, derived, informed, associated = [], [], [], [(activity, AGENT)]
    for attempt in registry.attempts(run_id):
        name = f"{activity}-{attempt.number}"
        document["activity"][name] = _span(attempt.started, attempt.finished) | {"tw:host": attempt.host}
        if attempt.inexact:
            document["activity"][name]["tw:inexact"] = "; ".join(attempt.inexact)
        informed.append((name, activity))
        associated.append((name, AGENT))
    for row in versions:
        made.append((_version_name(row), f"{activity}-{row.attempt}"))
        sources = [_version_name(numbers[parent]) for parent in row.parents]
        if not sources and run.dataset is not None:
            sources = [f"tw:dataset-{run.dataset}"]
        if not row.parents and origin is not None:
            sources.append(_version_name(numbers[origin]))
        derived += [(_version_name(row), source) for source in sources]
    for row in [*versions, *begun, *(numbers[parent] for one in versions for parent in one.parents)]:
        document["entity"][_version_name(row)] = _version_entity(row)
    for n, edge in enumerate(others):
        document["entity"][f"tw:{edge.what}-{n}"] = {"prov:type": edge.what, "tw:target": edge.target}
        if edge.kind == "made":
            made.append((f"tw:{edge.what}-{n}", activity))
    document["used"] = _relations("u", used, "prov:activity", "prov:entity")
    document["wasGeneratedBy"] = _relations("g", made, "prov:entity", "prov:activity")
    document["wasDerivedFrom"] = _relations("d", derived, "prov:generatedEntity", "prov:usedEntity")
    if origin is not None:
        for relation in document["wasDerivedFrom"].values():
            if relation["prov:usedEntity"] == _version_name(numbers[origin]):
                relation["prov:type"] = FINE_TUNED
    document["wasInformedBy"] = _relations("i", informed, "prov:informed", "prov:informant")
    document["wasAssociatedWith"] = _relations("a", associated, "prov:activity", "prov:agent")
    return {kind: content for kind, content in document.items() if content}


def _edges(runs: dict[str, RunRow], versions: dict[int, VersionRow]) -> Iterator[tuple[str, str]]:
    for run in runs.values():
        if run.dataset is not None:
            yield f"dataset:{run.dataset}", f"run:{run.id}"
        if run.parent is not None:
            yield f"version:{run.parent}", f"run:{run.id}"
    for version in versions.values():
        yield f"run:{version.run}", f"version:{version.id}"
        for parent in version.parents:
            yield f"version:{parent}", f"version:{version.id}"


def _without(edges: list[tuple[str, str]], dropped: set[str]) -> list[tuple[str, str]]:
    """Leaves out nodes and joins what lay before each to what lay after it, unless they are joined anyway."""
    before: dict[str, list[str]] = {}
    for source, target in edges:
        before.setdefault(target, []).append(source)

    def sources(node: str) -> set[str]:
        found, waiting = set[str](), list(before.get(node, ()))
        while waiting:
            one = waiting.pop()
            if one in dropped:
                waiting += before.get(one, ())
            else:
                found.add(one)
        return found

    kept = {node for edge in edges for node in edge} - dropped
    return sorted((source, node) for node in kept for source in sources(node))


def _closure(start: str, edges: list[tuple[str, str]]) -> set[str]:
    after: dict[str, list[str]] = {}
    for source, target in edges:
        after.setdefault(source, []).append(target)
    reached, waiting = {start}, [start]
    while waiting:
        fresh = set(after.get(waiting.pop(), ())) - reached
        reached |= fresh
        waiting += fresh
    return reached


def _node(
    item: str, runs: dict[str, RunRow], *, versions: dict[int, VersionRow], names: dict[str, str]
) -> Node:
    kind, _, key = item.partition(":")
    if kind == "dataset":
        return Node(item, "dataset", names.get(key, key[:12]))
    if kind == "analysis":
        return Node(item, "analysis", key)
    if kind == "hypothesis":
        return Node(item, "hypothesis", key)
    if kind == "file":
        return Node(item, "file", key)
    if kind == "run":
        return Node(item, "run", f"{key} ({runs[key].state})")
    row = versions[int(key)]
    return Node(item, "version", f"{row.model}@{row.number}")


def _agent() -> dict[str, Any]:
    software = {"$": "prov:SoftwareAgent", "type": "prov:QUALIFIED_NAME"}
    return {"prov:type": software, "tw:version": package_versions().get("trainwright", "unknown")}


def _span(started: str, finished: str | None) -> dict[str, Any]:
    return {"prov:startTime": started} | ({} if finished is None else {"prov:endTime": finished})


def _version_name(row: VersionRow) -> str:
    # The model's name is text of a user: it goes into the label, not into an identifier.
    return f"tw:version-{row.id}"


def _version_entity(row: VersionRow) -> dict[str, Any]:
    entity = {"prov:type": "version", "prov:label": f"{row.model}@{row.number}", "tw:step": row.step}
    return entity | ({} if row.weights is None else {"tw:sha256": row.weights})


def _relations(
    letter: str, pairs: list[tuple[str, str]], subject: str, target: str
) -> dict[str, dict[str, str]]:
    return {f"_:{letter}{n}": {subject: one, target: other} for n, (one, other) in enumerate(pairs)}
