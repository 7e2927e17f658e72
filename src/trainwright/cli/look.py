"""Commands that look: ls, show, lineage, diff, report."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainwright.cli.common import JsonOption, StoreOption, open_registry, say, tell, write_out, write_table

if TYPE_CHECKING:
    from trainwright.store.overview import Entry

STATES = ("running", "paused", "stopped", "done", "failed", "killed")
RefArgument = Annotated[
    str, typer.Argument(help="name, name@tag, name@7, name@epoch=7, a run, or a digest prefix.")
]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(name="ls")(list_runs)
    app.command()(show)
    app.command()(lineage)
    app.command()(diff)
    app.command()(report)


def list_runs(
    model: Annotated[str | None, typer.Argument(help="Only runs of this model.")] = None,
    family: Annotated[str | None, typer.Option(help="Only of this family, such as `deep_learning`.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Only trained on these data: a name, or 8 digits of the digest.")
    ] = None,
    study: Annotated[str | None, typer.Option(help="Only of the study with this id.")] = None,
    state: Annotated[str | None, typer.Option(help=f"Only in this state: {', '.join(STATES)}.")] = None,
    sort: Annotated[
        str | None, typer.Option(help="`created`, or a metric such as `val/loss` or `test/accuracy`.")
    ] = None,
    descending: Annotated[bool, typer.Option("--descending", help="Sort the largest first.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="So many at most.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List runs, the latest first unless they are sorted."""
    from trainwright.store import overview

    if descending and sort is None:
        raise typer.BadParameter("it needs --sort: by what?", param_hint="--descending")
    if state not in (None, *STATES):
        raise typer.BadParameter(f"{state!r} is none of {', '.join(STATES)}", param_hint="--state")
    found = overview.list_runs(
        open_registry(store),
        model=model,
        state=state,
        family=family,
        dataset=dataset,
        study=study,
        sort=sort,
        descending=descending,
        limit=limit,
    )
    if as_json:
        write_out([_entry_tree(one) for one in found])
        return
    heads = ["run", "model", "state", "backend", "title", "versions", "best", "metric", "created"]
    table = []
    for one in found:
        metric = sort if sort not in (None, "created") else one.run.best_metric
        value = one.measured(metric)
        cells = _entry_tree(one) | {"metric": None if value is None else f"{metric} {value:.4g}"}
        table.append([cells[head] for head in heads])
    if any(one.missing for one in found):
        heads.append("incomplete")
        table = [
            [*row, f"no {', '.join(one.missing)}" if one.missing else ""]
            for row, one in zip(table, found, strict=True)
        ]
    write_table(heads, table)


def _entry_tree(one: "Entry") -> dict[str, Any]:
    run, best = one.run, one.best
    return {
        "run": run.id,
        "model": run.model,
        "state": run.state,
        "backend": run.backend,
        "family": one.family,
        "title": one.title,
        "dataset": one.dataset,
        "versions": one.versions,
        "best": f"@{best.number}" if best else None,
        run.best_metric: one.measured(run.best_metric),
        "scores": {name: score["value"] for name, score in one.scores.items()},
        "incomplete": list(one.missing),
        "created": run.created,
    }


def show(
    ref: RefArgument,
    artifact: Annotated[
        str | None,
        typer.Option(help="Print this artifact of its run instead, such as training-artifact.yaml."),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a version: where it came from, its metrics and tags."""
    from trainwright.store.overview import missing_provenance

    registry = open_registry(store)
    version = registry.resolve(ref)
    run = registry.run(version.run)
    missing = missing_provenance(registry, run)
    origin = registry.fine_tunings().get(run.id)
    source = None if origin is None else registry.version(origin)
    artifacts = registry.artifacts(run.id)
    if artifact is not None:
        _print_artifact(registry, artifacts, artifact)
        return
    scores = {one.name: registry.artifact_value(one) for one in artifacts if one.kind == "score"}
    found: dict[str, Any] = {
        "model": version.model,
        "version": version.number,
        "tags": registry.tags_of(version),
        "run": run.id,
        "state": run.state,
        "attempt": version.attempt,
        "step": version.step,
        "epoch": version.epoch,
        "parents": version.parents,
        "fine tuned from": source and f"{source.model}@{source.number}",
        "weights": version.weights,
        "members": [f"{one.model}@{one.number}" for one in registry.members(version)],
        "metrics": dict(version.metrics),
        "scores": scores,
        "looks at test": len(registry.looks(run.id)),
        "artifacts": sorted({one.name for one in artifacts if one.kind != "score"}),
        "warnings": len(registry.notes(run.id)),
        "went on inexactly": [
            f"attempt {one.number}: {'; '.join(one.inexact)}"
            for one in registry.attempts(run.id)
            if one.inexact
        ],
        "incomplete": list(missing),
        "spec": None if "spec" in missing else registry.spec(run),
    }
    if as_json:
        write_out(found)
        return
    from trainwright.spec.experiment import Experiment
    from trainwright.spec.write import write_yaml

    spec = found.pop("spec")
    if found["members"]:
        del found["weights"]  # they are those of the members
    for name in (
        "fine tuned from",
        "members",
        "went on inexactly",
        "incomplete",
    ):  # said only of those it is true of
        if not found[name]:
            del found[name]
    for name, value in found.items():
        if isinstance(value, dict):
            value = "  ".join(f"{key} {number:.6g}" for key, number in value.items())
        elif isinstance(value, list):
            value = ", ".join(str(one) for one in value)
        tell(f"{name:15} {value if value != '' else '-'}")
    if spec is None:
        return
    tell("")
    tell(write_yaml(Experiment.model_validate(spec), defaults=False), end="")


def _print_artifact(registry: Any, artifacts: Any, name: str) -> None:
    from trainwright.base.errors import StoreError

    found = [one for one in artifacts if one.name == name]
    if not found:
        known = ", ".join(sorted({one.name for one in artifacts})) or "none"
        raise StoreError(f"the run has no artifact {name!r}; it has: {known}")
    value = registry.artifact_value(found[-1])
    if isinstance(value, str):
        # What is piped is data; what is shown must not steer the terminal.
        write = tell if sys.stdout.isatty() else print
        write(value, end="" if value.endswith("\n") else "\n")
    elif found[-1].kind == "plot":
        print(value.svg)
    else:
        write_out(value.tolist() if found[-1].kind == "array" else value)


def lineage(
    ref: RefArgument,
    every: Annotated[
        bool, typer.Option("--all", help="Every version, not only tagged ones and branches.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a version was made from and what was made from it."""
    from trainwright.store.lineage import lineage as trace
    from trainwright.store.versions import FINE_TUNED

    found = trace(open_registry(store), ref, every=every)
    if as_json:
        nodes = [{"id": node.id, "kind": node.kind, "label": node.label} for node in found.nodes]
        write_out({"nodes": nodes, "edges": found.edges, FINE_TUNED: sorted(found.fine_tuned)})
        return
    names = {node.id: f"{node.kind} {node.label}" for node in found.nodes}
    for source, target in found.edges:
        how = "  (fine-tuned)" if (source, target) in found.fine_tuned else ""
        tell(f"{names[source]}  ->  {names[target]}{how}")


def diff(
    left: Annotated[str, typer.Argument(help="A version or a run.")],
    right: Annotated[str, typer.Argument(help="Another.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what differs between two runs: spec, data, environment, metrics; exit 1 if anything does."""
    from trainwright.reproduce import compare_records

    registry = open_registry(store)
    found = compare_records(registry, registry.resolve(left), registry.resolve(right))
    if as_json:
        write_out([{"field": field, "left": one, "right": other} for field, one, other in found])
    elif found:
        write_table(["field", left, right], [list(row) for row in found])
    else:
        say("no difference")
    if found:
        raise typer.Exit(1)


def report(
    ref: RefArgument,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where to write it.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the HTML report of a run and print where it lies."""
    from trainwright.report.page import write_report

    registry = open_registry(store)
    run = registry.resolve_run(ref)
    path = write_report(registry, run.id, path=output)
    if as_json:
        write_out({"run": run.id, "report": path})
    else:
        tell(path)
