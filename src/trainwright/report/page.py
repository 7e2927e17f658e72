"""The report of one run: a self-contained HTML page."""

import os
import tempfile
from pathlib import Path

import jinja2

from trainwright.base.errors import StoreError
from trainwright.report.record import RunRecord, read_record
from trainwright.report.sections.confusion import classes_section, confusion_section
from trainwright.report.sections.curves import curves_section
from trainwright.report.sections.data import data_section
from trainwright.report.sections.embedding import embedding_section
from trainwright.report.sections.ensemble import ensemble_section
from trainwright.report.sections.probabilities import probabilities_section
from trainwright.report.sections.provenance import (
    environment_section,
    lineage_section,
    repeat_section,
    versions_section,
)
from trainwright.report.sections.results import headline_numbers, results_section
from trainwright.report.sections.samples import samples_section
from trainwright.report.sections.slices import slices_section
from trainwright.report.sections.spread import spread_section
from trainwright.report.sections.values import residuals_section, values_section
from trainwright.store.registry import Registry

# In the order of a reader's questions: how good, how it got there, where it fails, on what, and what it was.
SECTIONS = (
    results_section,
    ensemble_section,
    curves_section,
    values_section,
    residuals_section,
    spread_section,
    embedding_section,
    confusion_section,
    classes_section,
    probabilities_section,
    slices_section,
    samples_section,
    data_section,
    versions_section,
    lineage_section,
    environment_section,
    repeat_section,
)


def write_report(registry: Registry, run: str, *, path: Path | None = None) -> Path:
    """Writes the report of a run.

    Args:
        registry: Where the run is recorded.
        run: Its id.
        path: Where to; `reports/<run>.html` in the store unless given.

    Returns:
        Where it lies.

    Raises:
        StoreError: If it cannot be written there; the record is whole, and it can be made again.
    """
    target = path or report_path(registry, run)
    page = render_run(registry, run)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=target.parent, suffix=".tmp", delete=False, encoding="utf-8"
        ) as draft:
            try:
                draft.write(page)
                draft.flush()
                os.replace(draft.name, target)
            except BaseException:
                Path(draft.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise StoreError(
            f"{target}: the report cannot be written: {error.strerror or error}; the record is whole: "
            f"`trainwright report {run} -o FILE` writes it elsewhere"
        ) from error
    return target.resolve()


def report_path(registry: Registry, run: str) -> Path:
    """Says where the report of a run lies."""
    return (registry.store.home / "reports" / f"{run}.html").resolve()


def render_run(registry: Registry, run_id: str) -> str:
    """Makes the page of a run as text."""
    record = read_record(registry, run_id)
    made = (section(record) for section in SECTIONS)
    return _template().render(
        model=record.run.model,
        run=record.run,
        created=f"{record.run.created[:10]} {record.run.created[11:16]} UTC",
        commit=_commit(record),
        warnings=[one.text for one in registry.notes(run_id)] + _inexact(record),
        numbers=headline_numbers(record),
        sections=[section for section in made if section is not None],
    )


def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined).get_template(
        "page.html.j2"
    )


def _commit(record: RunRecord) -> str:
    git = record.environment["git"]
    if not git["commit"]:
        return ""
    return f"commit {git['commit'][:8]}{' with uncommitted changes' if git['dirty'] else ''}"


def _inexact(record: RunRecord) -> list[str]:
    return [
        f"attempt {one.number} went on inexactly: {'; '.join(one.inexact)}"
        for one in record.registry.attempts(record.run.id)
        if one.inexact
    ]
