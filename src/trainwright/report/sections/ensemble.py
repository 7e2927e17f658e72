"""What the members of an ensemble reach together, beside what they reach alone."""

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from trainwright.report.blocks import NUMBER, Section, heading, join, note, table
from trainwright.report.record import RunRecord
from trainwright.report.sections.results import bare, score_text

SPLITS = ("test", "val")
TOLD = {
    "test": "Members on the test split",
    "val": "Members on val",
}


def ensemble_section(record: RunRecord) -> Section | None:
    """Shows each score of an ensemble beside those of its members; None of a single model."""
    shown = record.shown
    members = [] if shown is None else record.registry.members(shown)
    if shown is None or not members:
        return None
    names = ", ".join(f"{one.model}@{one.number}" for one in members)
    how = "one of each fold" if record.spec.ensemble == "folds" else "which differ in their seed"
    parts = [note(f"The predictions of {len(members)} models, {how}, are averaged: {names}.")]
    together = {
        "test": {bare(name): score["value"] for name, score in record.scores.items()},
        "val": {bare(name): value for name, value in shown.metrics.items() if name.startswith("val/")},
    }
    for split in SPLITS:
        alone = record.table(f"{split}/members").get("scores", {})
        if alone:
            parts += [heading(TOLD[split]), _table(together[split], alone)]
    pooled = record.table("out_of_fold/scores")
    if pooled:
        told = "Each record by the model that has not seen it, so these are scores of single models."
        rows = [
            (
                bare(name),
                score_text(name, one["value"]),
                " to ".join(score_text(name, one[end]) for end in ("low", "high")),
            )
            for name, one in sorted(pooled.items())
        ]
        heads = {"metric": "", "value": NUMBER, "95 % interval": NUMBER}
        parts += [heading("Out of fold"), note(told), table(heads, rows)]
    return Section("ensemble", "Ensemble", join(parts))


def _table(together: Mapping[str, float], alone: Mapping[str, Sequence[float]]) -> Markup:
    rows = []
    for name in sorted(alone.keys() & together.keys()):
        values = np.array(alone[name], dtype=np.float64)
        numbers = (together[name], values.mean(), values.min(), values.max())
        rows.append((name, *(score_text(name, float(one)) for one in numbers)))
    heads = {"metric": "", "ensemble": NUMBER, "mean of members": NUMBER, "least": NUMBER, "most": NUMBER}
    return table(heads, rows)
