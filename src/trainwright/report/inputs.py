"""The raw features of a few records, as they can be looked at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from markupsafe import Markup

from trainwright.base.tree import Array
from trainwright.report.blocks import Cell, fold, join
from trainwright.report.picture import Span, draw_picture, flat, image_pixels, mask_pixels, span_of
from trainwright.report.record import RunRecord
from trainwright.report.scale import Floats, short
from trainwright.report.sparks import draw_channels

MOST_COLUMNS = 12
MOST_TOKENS = 40
FEWEST_ROWS = 17  # of the first axis of a record with two, from which it is an image

Kind = Literal["image", "sequence", "tokens", "vector"]
KINDS: dict[str, Kind] = {"image": "image", "sequence": "sequence", "tokens": "tokens"}


@dataclass(frozen=True, slots=True)
class Inputs:
    """The raw features of some records, and what is true and predicted at each of their places.

    Args:
        kind: What a record is.
        values: Shape `(samples, ...)`; text of a table.
        place: Row of `values`, by record.
        names: Of the columns that are shown, where records are rows.
        ragged: Whether the last channel of a sequence is a mask.
        masks: Of a segmentation, true and predicted class numbers, shape `(samples, *space)`.
        grids: Of a regression, true and predicted values, shape `(samples, channels, *space)`.
    """

    kind: Kind
    values: Array
    place: dict[int, int]
    names: list[str]
    ragged: bool
    masks: dict[str, Array]
    grids: dict[str, Floats]

    @property
    def drawn(self) -> bool:
        """Says whether records are drawn; otherwise they are rows of a table."""
        return self.kind in ("image", "sequence")

    def drawer(self) -> Callable[[int], Markup]:
        """Makes what draws a record by its number; one that was not kept is drawn as nothing."""
        span = span_of(self.values)
        common = span_of(np.concatenate([np.zeros(0), *(one.reshape(-1) for one in self.grids.values())]))

        def draw(number: int) -> Markup:
            if number not in self.place:
                return Markup("")
            row = self.place[number]
            parts = {"input": draw_record(self.values[row], span, kind=self.kind, ragged=self.ragged)}
            parts |= {
                name: draw_picture(mask_pixels(flat(one[row])), name) for name, one in self.masks.items()
            }
            for name, one in self.grids.items():
                kind: Kind = "sequence" if one.ndim == 3 else "image"
                parts[name] = draw_record(one[row], common, kind=kind, ragged=False)
            if len(parts) == 1:
                return parts["input"]
            shown = (
                Markup("<span>{}<small>{}</small></span>").format(one, name) for name, one in parts.items()
            )
            return Markup('<div class="beside">{}</div>').format(join(shown))

        return draw

    def cells(self, number: int) -> list[Cell]:
        """Gives the cells of a record in a table, in the order of `names`."""
        if number not in self.place:
            return [""] * len(self.names)
        values = self.values[self.place[number]].reshape(-1)
        if self.kind != "tokens":
            return [spell_cell(one) for one in values[: len(self.names)].tolist()]
        ids = [str(int(one)) for one in values if one != 0]
        text = " ".join(ids[:MOST_TOKENS])
        if len(ids) <= MOST_TOKENS:
            return [text]
        return [fold(f"{text} and {len(ids) - MOST_TOKENS} more", Markup("<p>{}</p>").format(" ".join(ids)))]


def read_inputs(record: RunRecord) -> Inputs | None:
    """Reads the raw features of the sample records, if they were kept."""
    numbers = record.array("test/sample_records")
    if numbers is None or not len(numbers):
        return None
    place = {int(one): row for row, one in enumerate(numbers)}
    table, values = record.table("test/sample_rows"), record.array("test/sample_inputs")
    if table:
        names = [one for one in _features(record) if one in table] or list(table)
        return Inputs(
            "vector", np.array([table[one] for one in names]).T, place, names[:MOST_COLUMNS], False, {}, {}
        )
    if values is None or len(values) != len(numbers):
        return None
    kind = KINDS.get(record.spec.model.input, "vector")
    # A dense model flattens its records, but they look like what they are.
    if kind == "vector" and values.ndim > 2:
        kind = "image" if values.ndim > 3 or values.shape[1] >= FEWEST_ROWS else "sequence"
    names = ["token ids"] if kind == "tokens" else _names(record, values[0].size)
    return Inputs(kind, values, place, names, record.spec.model.ragged is True, *_read_answers(record))


def draw_record(values: Array, span: Span, *, kind: Kind, ragged: bool) -> Markup:
    """Draws one record.

    Args:
        values: An image, shape `(height, width)` or `(channels, *space)`, or a sequence, shape `(length,)` or
            `(channels, length)`.
        span: Which values of an image are black and white.
        kind: What it is.
        ragged: Whether the last channel of a sequence is a mask.
    """
    if kind != "image":
        return draw_channels(np.atleast_2d(values), ragged=ragged)
    image = values if values.ndim == 3 else flat(values if values.ndim == 2 else values[0])[None]
    return draw_picture(image_pixels(image, span), "input")


def spell_cell(value: Any) -> str:
    """Spells a feature: a number that is not whole with four digits, text as it is.

    Example:
        >>> [spell_cell(value) for value in ("0.123456", "20240131", "Oslo", 2.0, "nan")]
        ['0.1235', '20240131', 'Oslo', '2', 'missing']
    """
    text = str(value)
    if text == "nan":
        return "missing"
    try:
        return text if text.isdigit() else short(float(text))
    except ValueError:
        return text


def _read_answers(record: RunRecord) -> tuple[dict[str, Array], dict[str, Floats]]:
    true, predicted = record.array("test/sample_targets"), record.array("test/sample_predictions")
    if true is None or predicted is None or true.shape != predicted.shape or true.ndim < 2:
        return {}, {}
    if record.task != "segmentation":
        return {}, {"true": true.astype(np.float64), "predicted": predicted.astype(np.float64)}
    classes = record.table("test/about").get("classes", [])
    return {"true": _to_numbers(true, classes), "predicted": _to_numbers(predicted, classes)}, {}


def _to_numbers(values: Array, classes: Sequence[Any]) -> Array:
    """Turns classes into their numbers, which have the colours; masks of 0 and 255 have the classes 0 and 1."""
    known = np.array(classes)
    if not known.size or known.dtype.kind not in "biuf":
        return values
    order = np.argsort(known)
    return order[np.clip(np.searchsorted(known[order], values), 0, len(known) - 1)]


def _features(record: RunRecord) -> list[str]:
    named = record.spec.data.features
    return named if isinstance(named, list) else []


def _names(record: RunRecord, width: int) -> list[str]:
    named = _features(record)
    return (named if len(named) == width else [f"x{one}" for one in range(width)])[:MOST_COLUMNS]
