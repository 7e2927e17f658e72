"""Records that the model found easiest and hardest, as it saw them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from markupsafe import Markup

from trainwright.base.tree import Array
from trainwright.report.blocks import NUMBER, Cell, Section, fold, heading, join, note, table
from trainwright.report.picture import CLASS_COLORS, draw_picture, flat, image_pixels, mask_pixels, span_of
from trainwright.report.record import RunRecord
from trainwright.report.scale import short
from trainwright.report.sparks import draw_channels

MOST_COLUMNS = 12
MOST_TOKENS = 40

Kind = Literal["image", "sequence", "tokens", "vector"]


@dataclass(frozen=True, slots=True)
class Inputs:
    """The raw features of the sample records.

    Args:
        kind: What a record is.
        values: Shape `(samples, ...)`.
        place: Row of `values`, by record.
    """

    kind: Kind
    values: Array
    place: dict[int, int]


def samples_section(record: RunRecord) -> Section | None:
    """Shows the records with the greatest and with the least loss."""
    samples = record.table("test/samples")
    groups = {"Worst": samples.get("worst", []), "Best": samples.get("best", [])}
    if not any(groups.values()):
        return None
    inputs = _read_inputs(record)
    measure = "1 minus silhouette" if record.task == "embedding" else "loss"
    parts = [
        note(
            f"Records of the test split with the greatest and with the least {measure}; numbers count from 0."
        )
    ]
    if inputs is None or inputs.kind in ("vector", "tokens"):
        parts += [_show_rows(record, rows, inputs, title=title) for title, rows in groups.items() if rows]
    else:
        draw = _drawer(record, inputs)
        if inputs.kind == "image" and inputs.values.ndim == 4 and inputs.values.shape[1] == 2:
            parts.append(note("The first of two channels is drawn."))
        if _masks(record) is not None and record.task == "segmentation":
            parts.append(_class_legend(record.classes))
        for title, rows in groups.items():
            if rows:
                parts += [heading(title), _cards(record, rows, draw)]
    return Section("samples", "Sample predictions", join(parts))


def _read_inputs(record: RunRecord) -> Inputs | None:
    values, numbers = record.array("test/sample_inputs"), record.array("test/sample_records")
    if values is None or numbers is None or len(values) != len(numbers):
        return None
    kinds: dict[str, Kind] = {"image": "image", "sequence": "sequence", "tokens": "tokens"}
    kind = kinds.get(record.spec.model.input, "vector")
    # A dense model flattens its records, but they look like what they are.
    if kind == "vector" and values.ndim > 2:
        kind = "image" if values.ndim >= 4 or values.shape[1] > 16 else "sequence"
    return Inputs(kind, values, {int(one): row for row, one in enumerate(numbers)})


def _masks(record: RunRecord) -> tuple[Array, Array] | None:
    true, predicted = record.array("test/sample_targets"), record.array("test/sample_predictions")
    return None if true is None or predicted is None or true.ndim < 2 else (true, predicted)


def _drawer(record: RunRecord, inputs: Inputs) -> Callable[[int], Markup]:
    """Makes what draws the sample at a row: its features and, where there are, what is true and predicted there."""
    values, masks = inputs.values, _masks(record)
    span = span_of(values)
    spans = None if masks is None else span_of(np.concatenate([one.reshape(-1) for one in masks]))

    def draw_input(row: int) -> Markup:
        if inputs.kind == "image":
            image = values[row] if values[row].ndim > 2 else values[row][None]
            if image.ndim > 3:
                image = flat(image[0])[None]
            return draw_picture(image_pixels(image, span), "input")
        return draw_channels(np.atleast_2d(values[row]), ragged=record.spec.model.ragged is True)

    def draw_answer(values: Array, what: str) -> Markup:
        if record.task == "segmentation":
            return draw_picture(mask_pixels(flat(values)), what)
        if values.ndim == 2:
            return draw_channels(values, ragged=False)
        assert spans is not None
        return draw_picture(image_pixels(values if values.ndim == 3 else flat(values)[None], spans), what)

    def draw(row: int) -> Markup:
        parts = [("input", draw_input(row))]
        if masks is not None:
            parts += [
                (name, draw_answer(one[row], name))
                for name, one in zip(("true", "predicted"), masks, strict=True)
            ]
        if len(parts) == 1:
            return parts[0][1]
        shown = (Markup("<span>{}<small>{}</small></span>").format(drawn, name) for name, drawn in parts)
        return Markup('<div class="beside">{}</div>').format(join(shown))

    return lambda number: draw(inputs.place[number]) if number in inputs.place else Markup("")


def _cards(record: RunRecord, rows: list[dict[str, Any]], draw: Callable[[int], Markup]) -> Markup:
    cards = []
    for row in rows:
        told = [Markup('<span class="{}">{}</span>').format(css, text) for css, text in _say(record, row)]
        cards.append(
            Markup('<div class="card">{}<p>{}</p><p class="soft">loss {} · record {}</p></div>').format(
                draw(row["record"]), Markup("<br>").join(told), short(row["loss"]), row["record"]
            )
        )
    kind = "cards large" if _masks(record) is not None else "cards"
    return Markup('<div class="{}">{}</div>').format(kind, join(cards))


def _show_rows(record: RunRecord, rows: list[dict[str, Any]], inputs: Inputs | None, *, title: str) -> Markup:
    heads = {"record": NUMBER, "loss": NUMBER}
    told = [_said(record, row) for row in rows]
    heads |= {name: "" for name in ("true", "predicted", "probability") if any(name in one for one in told)}
    columns: list[str] = []
    if inputs is not None:
        columns = _column_names(record, inputs)
        heads |= dict.fromkeys(columns, NUMBER if inputs.kind == "vector" else "")
    lines = []
    for row, said in zip(rows, told, strict=True):
        cells: list[Cell] = [str(row["record"]), short(row["loss"])]
        cells += [said.get(name, "") for name in heads if name in ("true", "predicted", "probability")]
        if inputs is not None:
            cells += _features(inputs, row["record"], len(columns))
        lines.append(cells)
    parts = [heading(title), table(heads, lines)]
    if inputs is not None and inputs.kind == "vector" and inputs.values[0].size > MOST_COLUMNS:
        parts.append(note(f"{MOST_COLUMNS} of {inputs.values[0].size} features are shown."))
    return join(parts)


def _column_names(record: RunRecord, inputs: Inputs) -> list[str]:
    if inputs.kind == "tokens":
        return ["token ids"]
    width, named = inputs.values[0].size, record.spec.data.features
    names = named if isinstance(named, list) and len(named) == width else [f"x{one}" for one in range(width)]
    # Two cells may not share a head, nor take the name of another column of the table.
    taken = ("record", "loss", "true", "predicted", "probability")
    return [f"feature {one}" if one in taken else one for one in names[:MOST_COLUMNS]]


def _features(inputs: Inputs, number: int, width: int) -> list[Cell]:
    if number not in inputs.place:
        return [""] * width
    values = inputs.values[inputs.place[number]].reshape(-1)
    if inputs.kind == "tokens":
        ids = [str(int(one)) for one in values if one != 0]
        text = " ".join(ids[:MOST_TOKENS])
        return [
            text if len(ids) <= MOST_TOKENS else fold(f"{text} …", Markup("<p>{}</p>").format(" ".join(ids)))
        ]
    return [short(float(one)) for one in values[:width]]


def _said(record: RunRecord, row: dict[str, Any]) -> dict[str, str]:
    """Spells what was true and what was predicted of a sample."""
    said = {
        name: _spell(row[key])
        for name, key in (("true", "target"), ("predicted", "prediction"))
        if key in row
    }
    if record.task == "segmentation" and "pixel_accuracy" in row:
        said["predicted"] = f"{100 * row['pixel_accuracy']:.1f} % of places right"
    logits = record.array("test/logits") if record.task == "classification" else None
    if logits is not None and row["record"] < len(logits):
        values = logits[row["record"]].astype(np.float64)
        said["probability"] = f"{100 / np.exp(values - values.max()).sum():.1f} %"
    return said


def _say(record: RunRecord, row: dict[str, Any]) -> list[tuple[str, str]]:
    said = _said(record, row)
    lines = [("", f"true {said['true']}")] if "true" in said else []
    if "predicted" in said:
        judged = record.task in ("classification", "multi_label")
        css = ("good" if said["true"] == said["predicted"] else "bad") if judged else ""
        chance = f" ({said['probability']})" if "probability" in said else ""
        text = (
            said["predicted"] if record.task == "segmentation" else f"predicted {said['predicted']}{chance}"
        )
        lines.append((css, text))
    return lines


def _spell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_spell(one) for one in value[:MOST_COLUMNS]) or "none"
    return short(value) if isinstance(value, float) else str(value)


def _class_legend(classes: list[str]) -> Markup:
    keys = (
        Markup('<span class="key-of"><i class="key" style="background:{}"></i>{}</span> ').format(
            CLASS_COLORS[number % len(CLASS_COLORS)], name
        )
        for number, name in enumerate(classes)
    )
    return Markup('<p class="legend">{}</p>').format(join(keys))
