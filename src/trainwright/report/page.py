"""The report of one run: a self-contained HTML page."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from trainwright.report.chart import line_chart, scatter_chart
from trainwright.report.drawing import draw_lineage
from trainwright.spec.experiment import Experiment
from trainwright.spec.write import write_yaml
from trainwright.store.records import MetricRow, RunRow, VersionRow
from trainwright.store.registry import Registry

MOST_CLASSES = 40


def write_report(registry: Registry, run: str, *, path: Path | None = None) -> Path:
    """Writes the report of a run.

    Args:
        registry: Where the run is recorded.
        run: Its id.
        path: Where to; `reports/<run>.html` in the store unless given.

    Returns:
        Where it lies.
    """
    target = path or report_path(registry, run)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", dir=target.parent, suffix=".tmp", delete=False, encoding="utf-8"
    ) as draft:
        draft.write(render_run(registry, run))
    os.replace(draft.name, target)
    return target.resolve()


def report_path(registry: Registry, run: str) -> Path:
    """Says where the report of a run lies."""
    return (registry.store.home / "reports" / f"{run}.html").resolve()


def render_run(registry: Registry, run_id: str) -> str:
    """Makes the page of a run as text."""
    run = registry.run(run_id)
    spec = Experiment.model_validate(registry.spec(run))
    environment = registry.environment(run)
    versions = registry.versions(run=run_id)
    best = registry.best(run_id)
    final = registry.final(run_id) or (registry.latest(run_id) if versions else None)
    tables = {
        one.name: registry.artifact_value(one) for one in registry.artifacts(run_id) if one.kind == "table"
    }
    arrays = {one.name: one for one in registry.artifacts(run_id) if one.kind == "array"}
    scores = tables.get("test/scores", {})
    shown = best or final
    context: dict[str, Any] = {
        "model": run.model,
        "run": run,
        "created": f"{run.created[:10]} {run.created[11:16]} UTC",
        "warnings": [note.text for note in registry.notes(run_id)] + _inexact(registry, run_id),
        "numbers": _numbers(run, scores, shown, len(versions), environment),
        "curves": _curves(registry.metrics(run_id), best),
        "scores": [
            (name, *(f"{score[key]:.4f}" for key in ("value", "low", "high")))
            for name, score in scores.items()
        ],
        "no_scores": "the run is not finished"
        if run.state not in ("done", "stopped")
        else "there is no test split",
        "records": tables.get("test/about", {}).get("records"),
        "judged": tables.get("test/about", {}).get("version"),
        "looks": len(registry.looks(run_id)),
        "versions": [_version(registry, run, one) for one in versions if one.status == "kept"],
        "collected": sum(one.status != "kept" for one in versions),
        "lineage": _lineage(registry, run, shown),
        "environment": _environment(spec, environment),
        "lock": list(environment["lock"].items()),
        "repeat": f"{run.model}@{shown.number}" if shown else run.id,
        "content": spec.data.digest,
        "spec": write_yaml(spec),
        "target": spec.data.target,
        "confusion": None,
        "residuals": None,
    }
    if "test/confusion_matrix" in arrays:
        matrix = registry.artifact_value(arrays["test/confusion_matrix"])
        context |= _confusion(matrix, tables["test/about"]["classes"])
    if "test/predictions" in arrays and "test/targets" in arrays:
        predicted, true = (
            registry.artifact_value(arrays[f"test/{name}"]) for name in ("predictions", "targets")
        )
        points = (
            np.stack([predicted.reshape(-1), (predicted - true).reshape(-1)], axis=1).astype(float).tolist()
        )
        context["residuals"] = scatter_chart(
            [(x, y) for x, y in points], x_label="prediction", title="residuals", level=0.0
        )
    return _template().render(context)


def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined).get_template(
        "page.html.j2"
    )


def _inexact(registry: Registry, run: str) -> list[str]:
    return [
        f"attempt {one.number} went on inexactly: {'; '.join(one.inexact)}"
        for one in registry.attempts(run)
        if one.inexact
    ]


def _numbers(
    run: RunRow, scores: dict[str, Any], shown: VersionRow | None, count: int, environment: dict[str, Any]
) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    for name in ("test/accuracy", "test/rmse", "test/r2"):
        if name in scores:
            score = scores[name]
            found.append((name, f"{score['value']:.4f}", f"{score['low']:.4f} to {score['high']:.4f}"))
    if shown is not None and run.best_metric in shown.metrics:
        value = shown.metrics[run.best_metric]
        found.append((run.best_metric, f"{value:.4g}", f"best, version {shown.number}"))
    found.append(("versions", str(count), f"backend {run.backend}"))
    commit = environment["git"]["commit"]
    if commit:
        found.append(
            ("commit", commit[:8], "with uncommitted changes" if environment["git"]["dirty"] else "clean")
        )
    return found


def _curves(rows: Sequence[MetricRow], best: VersionRow | None) -> list[tuple[str, list[str], str]]:
    series: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        series.setdefault(row.name, []).append(
            (float(row.step), float("nan") if row.value is None else row.value)
        )
    groups: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name in sorted(series, key=lambda n: (not n.startswith("train/"), n)):
        groups.setdefault(name.rpartition("/")[2], {})[name] = series[name]
    order = sorted(groups, key=lambda name: (name != "loss", name))
    mark = (float(best.step), f"best @{best.number}") if best else None
    return [
        (title, list(groups[title]), line_chart(groups[title], x_label="step", title=title, mark=mark))
        for title in order
    ]


def _version(registry: Registry, run: RunRow, one: VersionRow) -> dict[str, Any]:
    value = one.metrics.get(run.best_metric)
    return {
        "number": one.number,
        "epoch": one.epoch,
        "step": one.step,
        "tags": ", ".join(registry.tags_of(one)),
        "metric": "" if value is None else f"{value:.5g}",
        "weights": one.weights[:16] if one.weights else "",
    }


def _lineage(registry: Registry, run: RunRow, shown: VersionRow | None) -> str:
    before = [("dataset", f"sha256:{(run.dataset or '')[:12]}")]
    if run.parent is not None:
        parent = registry.version(run.parent)
        before.append(("version", f"{parent.model}@{parent.number}"))
    origin = registry.fine_tunings().get(run.id)
    if origin is not None:
        version = registry.version(origin)
        before.append(("fine-tuned from", f"{version.model}@{version.number}"))
    after = (
        [(", ".join(registry.tags_of(shown)) or "version", f"{run.model}@{shown.number}")] if shown else []
    )
    return draw_lineage([before, [("run", run.id)], after])


def _environment(spec: Experiment, environment: dict[str, Any]) -> list[tuple[str, str]]:
    machine, commit = environment["hardware"], environment["git"]
    rows = [(name, version) for name, version in environment["packages"].items()]
    rows += [
        ("backend", f"{spec.train.backend} on {spec.train.device}"),
        ("threads", str(spec.train.threads)),
        ("processor", f"{machine['processor']}, {machine['cores']} cores"),
        ("system", f"{machine['system']} {machine['machine']}"),
        ("memory", f"{machine['memory_bytes'] / 2**30:.1f} GiB"),
        (
            "git commit",
            f"{commit['commit'] or 'none'}{' with uncommitted changes' if commit['dirty'] else ''}",
        ),
    ]
    return rows


def _confusion(matrix: Any, classes: Sequence[Any]) -> dict[str, Any]:
    if len(classes) > MOST_CLASSES:
        return {}
    totals = np.maximum(matrix.sum(1, keepdims=True), 1)
    heats = matrix / totals
    rows = [
        [(f"{count:g}", f"{0.6 * heat:.2f}") for count, heat in zip(counts, heats_of, strict=True)]
        for counts, heats_of in zip(matrix.tolist(), heats.tolist(), strict=True)
    ]
    return {"confusion": rows, "classes": [str(one) for one in classes]}
