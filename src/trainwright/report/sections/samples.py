"""Records that the model found hardest and easiest, as it saw them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from trainwright.report.blocks import NUMBER, Cell, Section, heading, join, note, table
from trainwright.report.inputs import Inputs, read_inputs
from trainwright.report.picture import CLASS_COLORS
from trainwright.report.record import RunRecord
from trainwright.report.scale import short

GROUPS = {"worst": "Worst", "best": "Best"}
MOST_ANSWERS = 12  # labels or outputs of a record
DECIDED = ("classification", "multi_label")  # an answer is right or wrong


@dataclass(frozen=True, slots=True)
class Sample:
    """One record and what the model made of it.

    Args:
        number: Of the record in the test split.
        loss: As it was judged by.
        told: By `true`, `predicted` and `probability`, as far as they are known.
        right: Whether the answer is; None where it is neither.
    """

    number: int
    loss: str
    told: dict[str, str]
    right: bool | None


def samples_section(record: RunRecord) -> Section | None:
    """Shows the records with the greatest and with the least loss."""
    found = record.table("test/samples")
    logits = record.array("test/logits") if record.task == "classification" else None
    groups = {
        title: [_read_sample(row, record.task, logits) for row in found[name]]
        for name, title in GROUPS.items()
        if found.get(name)
    }
    if not groups:
        return None
    measure = "kl" if "test/kl" in record.scores else "loss"
    inputs, measure = read_inputs(record), "1 minus silhouette" if record.task == "embedding" else measure
    parts = [
        note(f"Records of the test split with the greatest and the least {measure}; numbers count from 0.")
    ]
    if inputs is None or not inputs.drawn:
        for title, samples in groups.items():
            parts += [heading(title), _draw_rows(samples, inputs, measure=measure)]
        if inputs is not None and inputs.kind == "vector" and inputs.values[0].size > len(inputs.names):
            parts.append(note(f"{len(inputs.names)} of {inputs.values[0].size} features are shown."))
        return Section("samples", "Sample predictions", join(parts))
    if inputs.kind == "image" and inputs.values.ndim == 4 and inputs.values.shape[1] == 2:
        parts.append(note("Of the two channels, the first is drawn."))
    if inputs.masks:
        parts.append(_draw_keys(record.classes))
    draw = inputs.drawer()
    for title, samples in groups.items():
        cards = _draw_cards(samples, draw, measure=measure, large=bool(inputs.masks or inputs.grids))
        parts += [heading(title), cards]
    return Section("samples", "Sample predictions", join(parts))


def _read_sample(row: dict[str, Any], task: str, logits: Any) -> Sample:
    told = {
        name: _spell(row[key])
        for name, key in (("true", "target"), ("predicted", "prediction"))
        if key in row
    }
    if "pixel_accuracy" in row:
        told["predicted"] = f"{100 * row['pixel_accuracy']:.1f} % of places right"
    if logits is not None and row["record"] < len(logits):
        values = logits[row["record"]].astype(np.float64)
        told["probability"] = f"{100 / np.exp(values - values.max()).sum():.1f} %"
    right = row["target"] == row["prediction"] if task in DECIDED else None
    return Sample(row["record"], short(row["loss"]), told, right)


def _draw_cards(
    samples: Sequence[Sample], draw: Callable[[int], Markup], *, measure: str, large: bool
) -> Markup:
    cards = (
        Markup('<div class="card">{}<p>{}</p><p class="soft">{} {}<br>record {}</p></div>').format(
            draw(one.number), Markup("<br>").join(_say(one)), measure, one.loss, one.number
        )
        for one in samples
    )
    return Markup('<div class="{}">{}</div>').format("cards large" if large else "cards", join(cards))


def _say(sample: Sample) -> list[Cell]:
    lines: list[Cell] = []
    if "true" in sample.told:
        lines.append(f"true {sample.told['true']}")
    if "predicted" in sample.told:
        # What has no truth beside it is a sentence of its own.
        text = f"predicted {sample.told['predicted']}" if "true" in sample.told else sample.told["predicted"]
        if "probability" in sample.told:
            text += f" ({sample.told['probability']})"
        css = {None: "", True: "good", False: "bad"}[sample.right]
        lines.append(Markup('<span class="{}">{}</span>').format(css, text))
    return lines


def _draw_rows(samples: Sequence[Sample], inputs: Inputs | None, *, measure: str) -> Markup:
    told = [name for name in ("true", "predicted", "probability") if any(name in one.told for one in samples)]
    heads = {"record": NUMBER, measure: NUMBER} | dict.fromkeys(told, "word")
    names = [] if inputs is None else inputs.names
    # A feature may have the name of another column of the table.
    own = [f"feature {one}" if one in heads else one for one in names]
    heads |= dict.fromkeys(own, NUMBER if inputs is not None and inputs.kind == "vector" else "break")
    rows = [
        [
            str(one.number),
            one.loss,
            *(one.told.get(name, "") for name in told),
            *([] if inputs is None else inputs.cells(one.number)),
        ]
        for one in samples
    ]
    return table(heads, rows)


def _spell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_spell(one) for one in value[:MOST_ANSWERS]) or "none"
    return short(value) if isinstance(value, float) else str(value)


def _draw_keys(classes: Sequence[str]) -> Markup:
    keys = (
        Markup('<span class="key-of"><i class="key" style="background:{}"></i>{}</span> ').format(
            CLASS_COLORS[number % len(CLASS_COLORS)], name
        )
        for number, name in enumerate(classes)
    )
    return Markup('<p class="legend">{}</p>').format(join(keys))
