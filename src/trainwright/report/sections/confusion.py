"""Which classes are taken for which, and how well each is found."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from trainwright.report.bars import pair_chart
from trainwright.report.blocks import (
    NUMBER,
    Cell,
    Section,
    bar,
    figure,
    figures,
    heading,
    join,
    legend,
    note,
    table,
)
from trainwright.report.record import RunRecord
from trainwright.report.scale import Floats

MOST_CLASSES = 40
MOST_CHOICES = 20  # classes; with more, the numbers of each cell are not written three times
MOST_ROWS = 100
FEWEST_PAIRS = 3  # classes, from which the most frequent confusions are not seen at a glance
PAIRS = 10
CHOICES = {"count": "records", "row": "% of true", "column": "% of predicted"}


def confusion_section(record: RunRecord) -> Section | None:
    """Shows the confusion matrix and the most frequent confusions."""
    matrix = record.floats("test/confusion_matrix")
    if matrix is None:
        return None
    classes, parts = record.classes, []
    what = "places" if record.task == "segmentation" else "records"
    if len(classes) <= MOST_CLASSES:
        parts.append(
            note(f"Rows are true classes, columns predicted ones; {what} of the test split, by weight.")
        )
        parts.append(confusion_table(matrix, classes, classes, name="confusion"))
    else:
        parts.append(note(f"The matrix of {len(classes)} classes is not drawn; its largest cells are these."))
    pairs = _confusions(matrix, classes)
    if pairs and len(classes) > FEWEST_PAIRS:
        heads = {"true": "", "taken for": "", what: NUMBER, "% of true": NUMBER, "": "drawn"}
        parts += [heading("Most frequent confusions"), table(heads, pairs)]
    return Section("confusion", "Confusion matrix", join(parts))


def confusion_table(matrix: Floats, rows: Sequence[str], columns: Sequence[str], *, name: str) -> Markup:
    """Makes a matrix of counts in which a cell is as dark as its share is large.

    Counts are shown; up to 20 rows, the reader may choose shares of the row or of the column instead.

    Args:
        matrix: Non-negative, shape `(rows, columns)`.
        rows: Names.
        columns: Names.
        name: Of the choice; one that no other matrix of the page has.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        by_row = np.nan_to_num(matrix / matrix.sum(axis=1, keepdims=True))
        by_column = np.nan_to_num(matrix / matrix.sum(axis=0, keepdims=True))
    free = len(rows) <= MOST_CHOICES
    head = join(Markup('<th class="up"><span>{}</span></th>').format(one) for one in columns)
    lines = []
    for row, label in enumerate(rows):
        cells = (
            _cell(
                matrix[row, column],
                by_row[row, column],
                by_column[row, column],
                right=row == column,
                free=free,
            )
            for column in range(len(columns))
        )
        lines.append(Markup("<tr><th>{}</th>{}</tr>").format(label, join(cells)))
    choice = Markup("")
    if free:
        choice = join(
            Markup(
                '<input type="radio" name="{0}" id="{0}-{1}" class="by-{1}"{2}><label for="{0}-{1}">{3}</label>'
            ).format(name, by, Markup(" checked") if by == "count" else "", told)
            for by, told in CHOICES.items()
        )
    return Markup(
        '<div class="choice">{}<div class="wide"><table class="confusion"><thead><tr><th class="corner">true ↓ '
        "predicted →</th>{}</tr></thead><tbody>{}</tbody></table></div></div>"
    ).format(choice, head, join(lines))


def classes_section(record: RunRecord) -> Section | None:
    """Shows precision, recall, F1 and weight of each class, and how often it is predicted."""
    scores = record.floats("test/class_scores")
    if scores is None:
        return None
    classes = record.classes
    heads = {"class": "", "precision": "share", "recall": "share", "F1": "share"}
    extra = {"IoU": record.floats("test/class_iou")} if record.task == "segmentation" else {}
    heads |= dict.fromkeys(extra, "share") | {"support": NUMBER}
    rows: list[list[Cell]] = []
    for row in np.argsort(np.nan_to_num(scores[:, 2], nan=2.0), kind="stable").tolist()[:MOST_ROWS]:
        shares = [*scores[row, :3].tolist(), *(float(one[row]) for one in extra.values() if one is not None)]
        rows.append([classes[row], *(_share(one) for one in shares), f"{scores[row, 3]:g}"])
    left = len(classes) - len(rows)
    told = "The worst first; support is the weight of the true ones." + (
        f" {left} better ones are left out." if left else ""
    )
    parts = [note(told), table(heads, rows, kind="classes")]
    shares_of = record.floats("test/class_distribution")
    if shares_of is not None and len(classes) <= MOST_CLASSES:
        chart = pair_chart(
            classes, shares_of[0].tolist(), second=shares_of[1].tolist(), title="class distribution"
        )
        parts.append(
            figures(
                [
                    figure(
                        chart,
                        "How often each class is there and is predicted",
                        more=legend(["true", "predicted"]),
                    )
                ]
            )
        )
    return Section("classes", "Classes", join(parts))


def _share(value: float) -> Markup:
    if np.isnan(value):
        return Markup('<span class="soft" title="there is nothing to divide by">&ndash;</span>')
    return Markup("{}{:.3f}").format(bar(value), value)


def _cell(count: float, of_row: float, of_column: float, *, right: bool, free: bool) -> Markup:
    kind = "right" if right else "wrong"
    style = f"--r:{of_row:.2f};--k:{of_column:.2f}"
    if not count:
        return Markup('<td class="none">{}</td>').format("0")
    if not free:
        return Markup('<td class="{}" style="{}">{:g}</td>').format(kind, style, count)
    shares = (f"{100 * one:.0f}" for one in (of_row, of_column))
    return Markup('<td class="{}" style="{}"><b>{}</b><i>{}</i><u>{}</u></td>').format(
        kind, style, f"{count:g}", *shares
    )


def _confusions(matrix: Floats, classes: Sequence[str]) -> list[list[Cell]]:
    wrong = np.where(np.eye(len(matrix), dtype=bool), 0.0, matrix)
    largest = np.argsort(-wrong.reshape(-1), kind="stable")[:PAIRS]
    rows: list[list[Cell]] = []
    for row, column in zip(*np.unravel_index(largest, matrix.shape), strict=True):
        if wrong[row, column] > 0:
            share = float(wrong[row, column] / matrix[row].sum())
            cells: list[Cell] = [classes[row], classes[column], f"{wrong[row, column]:g}"]
            rows.append([*cells, f"{100 * share:.1f}", bar(share, color=1)])
    return rows
