"""The confusion matrix as a table in which the reader chooses what a cell says."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from trainwright.report.blocks import join
from trainwright.report.scale import Floats, short

MOST_CHOICES = 20  # rows; with more, the numbers of each cell are not written three times
LONG = 6  # letters, from which the names of columns are turned
CHOICES = {"count": "records", "row": "% of true", "column": "% of predicted"}


class _Cell(NamedTuple):
    size: float
    of_row: float
    of_column: float
    right: bool


def draw_matrix(matrix: Floats, labels: Sequence[str], *, name: str, counted: str = "records") -> Markup:
    """Makes a matrix of counts in which a cell is as dark as its share is large: blue if right, orange if wrong.

    Counts are shown, and shares of the row are the shade; up to 20 rows, the reader may choose to see shares of the
    row or of the column instead.

    Args:
        matrix: True rows and predicted columns, not negative, shape `(labels, labels)`.
        labels: Names.
        name: Of the choice; one that no other matrix of the page has.
        counted: What is counted.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        by_row = np.nan_to_num(matrix / matrix.sum(axis=1, keepdims=True))
        by_column = np.nan_to_num(matrix / matrix.sum(axis=0, keepdims=True))
    free = len(labels) <= MOST_CHOICES
    lines = []
    for row, label in enumerate(labels):
        shares = zip(matrix[row].tolist(), by_row[row].tolist(), by_column[row].tolist(), strict=True)
        cells = [_Cell(*three, row == column) for column, three in enumerate(shares)]
        lines.append(
            Markup('<tr><th title="{0}">{0}</th>{1}</tr>').format(
                label, join(_draw(one, free=free) for one in cells)
            )
        )
    kind = "confusion tall" if max(map(len, labels)) > LONG else "confusion"
    head = join(Markup('<th class="up"><span>{}</span></th>').format(one) for one in labels)
    return Markup(
        '<div class="choice">{}<div class="wide"><table class="{}"><thead><tr><th class="corner">true ↓<br>predicted →'
        "</th>{}</tr></thead><tbody>{}</tbody></table></div></div>"
    ).format(_draw_choices(name, counted) if free else "", kind, head, join(lines))


def _draw(cell: _Cell, *, free: bool) -> Markup:
    if not cell.size:
        return Markup('<td class="none">0</td>')
    css = Markup(' class="right"') if cell.right else ""
    if not free:
        return Markup('<td{} style="--r:{}">{}</td>').format(css, f"{cell.of_row:.2f}", short(cell.size))
    shares = (f"{100 * one:.0f}" for one in (cell.of_row, cell.of_column))
    return Markup('<td{} style="--r:{};--k:{}"><b>{}</b><i>{}</i><u>{}</u></td>').format(
        css, f"{cell.of_row:.2f}", f"{cell.of_column:.2f}", short(cell.size), *shares
    )


def _draw_choices(name: str, counted: str) -> Markup:
    button = Markup(
        '<input type="radio" name="{0}" id="{0}-{1}" class="by-{1}"{2}><label for="{0}-{1}">{3}</label>'
    )
    chosen = Markup(" checked")
    return join(
        button.format(name, by, chosen if by == "count" else "", counted if by == "count" else told)
        for by, told in CHOICES.items()
    )
