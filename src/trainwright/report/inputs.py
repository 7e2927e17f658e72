"""The raw features of a few records, as they can be looked at."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from markupsafe import Markup

from trainwright.base.tree import Array
from trainwright.report.blocks import Cell, fold, join
from trainwright.report.picture import Span, draw_picture, flat, image_pixels, mask_pixels, span_of
from trainwright.report.record import RunRecord
from trainwright.report.scale import short
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
        values: Shape `(samples, ...)`.
        place: Row of `values`, by record.
        names: Of the columns of a table.
        ragged: Whether the last channel of a sequence is a mask.
        answers: By `true` and `predicted`, shape `(samples, ...)`: class numbers if they are integers, otherwise
            values. Empty where a record has one answer.
    """

    kind: Kind
    values: Array
    place: dict[int, int]
    names: list[str]
    ragged: bool
    answers: dict[str, Array]

    @property
    def drawn(self) -> bool:
        """Says whether records are drawn; otherwise they are rows of a table."""
        return self.kind in ("image", "sequence")

    @property
    def masks(self) -> bool:
        """Says whether the answers are classes of places."""
        return bool(self.answers) and all(one.dtype.kind in "iu" for one in self.answers.values())

    def drawer(self) -> Callable[[int], Markup]:
        """Makes what draws a record by its number; one that was not kept is drawn as nothing."""
        span = span_of(self.values)
        common = span_of(np.concatenate([np.zeros(0), *(one.reshape(-1) for one in self.answers.values())]))

        def draw(number: int) -> Markup:
            if number not in self.place:
                return Markup("")
            row = self.place[number]
            own = draw_record(self.values[row], span, kind=self.kind, ragged=self.ragged)
            if not self.answers:
                return own
            parts = {"input": own}
            parts |= {name: _draw_answer(one[row], common, what=name) for name, one in self.answers.items()}
            shown = (
                Markup("<span>{}<small>{}</small></span>").format(drawn, name)
                for name, drawn in parts.items()
            )
            return Markup('<div class="beside">{}</div>').format(join(shown))

        return draw

    def cells(self, number: int) -> list[Cell]:
        """Gives the cells of a record in a table, in the order of `names`."""
        if number not in self.place:
            return [""] * len(self.names)
        values = self.values[self.place[number]].reshape(-1)
        if self.kind != "tokens":
            return [short(float(one)) for one in values[: len(self.names)]]
        ids = [str(int(one)) for one in values if one != 0]
        text = " ".join(ids[:MOST_TOKENS])
        if len(ids) <= MOST_TOKENS:
            return [text]
        return [fold(f"{text} and {len(ids) - MOST_TOKENS} more", Markup("<p>{}</p>").format(" ".join(ids)))]


def read_inputs(record: RunRecord) -> Inputs | None:
    """Reads the raw features of the sample records, if they were kept."""
    values, numbers = record.array("test/sample_inputs"), record.array("test/sample_records")
    if values is None or numbers is None or not len(values) or len(values) != len(numbers):
        return None
    kind = KINDS.get(record.spec.model.input, "vector")
    # A dense model flattens its records, but they look like what they are.
    if kind == "vector" and values.ndim > 2:
        kind = "image" if values.ndim > 3 or values.shape[1] >= FEWEST_ROWS else "sequence"
    place = {int(one): row for row, one in enumerate(numbers)}
    found = {
        "true": record.array("test/sample_targets"),
        "predicted": record.array("test/sample_predictions"),
    }
    answers = {name: one for name, one in found.items() if one is not None and one.ndim > 1}
    names = ["token ids"] if kind == "tokens" else _names(record, values[0].size)
    return Inputs(
        kind, values, place, names, record.spec.model.ragged is True, answers if len(answers) == 2 else {}
    )


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


def _draw_answer(values: Array, span: Span, *, what: str) -> Markup:
    if values.dtype.kind in "iu":
        return draw_picture(mask_pixels(flat(values)), what)
    kind: Kind = "sequence" if values.ndim == 2 else "image"
    return draw_record(values, span, kind=kind, ragged=False)


def _names(record: RunRecord, width: int) -> list[str]:
    named = record.spec.data.features
    return (
        named if isinstance(named, list) and len(named) == width else [f"x{one}" for one in range(width)]
    )[:MOST_COLUMNS]
