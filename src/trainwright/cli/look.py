"""Commands that look: ls, show, lineage, diff, report."""

from pathlib import Path
from typing import Annotated, Any

import typer

from trainwright.cli.common import JsonOption, StoreOption, open_registry, say, write_out, write_table

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
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List runs, the latest first."""
    registry = open_registry(store)
    rows = []
    for run in reversed(registry.runs(model=model)):
        best = registry.best(run.id)
        metrics = best.metrics if best else {}
        rows.append(
            {
                "run": run.id,
                "model": run.model,
                "state": run.state,
                "backend": run.backend,
                "versions": len(registry.versions(run=run.id)),
                "best": f"@{best.number}" if best else None,
                run.best_metric: metrics.get(run.best_metric),
                "created": run.created,
            }
        )
    if as_json:
        write_out(rows)
        return
    heads = ["run", "model", "state", "backend", "versions", "best", "metric", "created"]
    table = []
    for row in rows:
        metric = next(
            (f"{name} {value:.4g}" for name, value in row.items() if "/" in name and value is not None), None
        )
        table.append([row.get(head) if head != "metric" else metric for head in heads])
    write_table(heads, table)


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
    registry = open_registry(store)
    version = registry.resolve(ref)
    run = registry.run(version.run)
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
        "weights": version.weights,
        "metrics": dict(version.metrics),
        "scores": scores,
        "looks at test": len(registry.looks(run.id)),
        "artifacts": sorted({one.name for one in artifacts if one.kind != "score"}),
        "warnings": len(registry.notes(run.id)),
        "spec": registry.spec(run),
    }
    if as_json:
        write_out(found)
        return
    from trainwright.spec.experiment import Experiment
    from trainwright.spec.write import write_yaml

    spec = found.pop("spec")
    for name, value in found.items():
        if isinstance(value, dict):
            value = "  ".join(f"{key} {number:.6g}" for key, number in value.items())
        elif isinstance(value, list):
            value = ", ".join(str(one) for one in value)
        print(f"{name:14}{value if value != '' else '-'}")
    print()
    print(write_yaml(Experiment.model_validate(spec), defaults=False), end="")


def _print_artifact(registry: Any, artifacts: Any, name: str) -> None:
    from trainwright.base.errors import StoreError

    found = [one for one in artifacts if one.name == name]
    if not found:
        known = ", ".join(sorted({one.name for one in artifacts})) or "none"
        raise StoreError(f"the run has no artifact {name!r}; it has: {known}")
    value = registry.artifact_value(found[-1])
    if isinstance(value, str):
        print(value, end="" if value.endswith("\n") else "\n")
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

    found = trace(open_registry(store), ref, every=every)
    if as_json:
        nodes = [{"id": node.id, "kind": node.kind, "label": node.label} for node in found.nodes]
        write_out({"nodes": nodes, "edges": found.edges})
        return
    names = {node.id: f"{node.kind} {node.label}" for node in found.nodes}
    for source, target in found.edges:
        print(f"{names[source]}  ->  {names[target]}")


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
        print(path)
