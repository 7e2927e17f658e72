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
    fold,
    heading,
    join,
    legend,
    note,
    row_of,
    table,
)
from trainwright.report.matrix import draw_matrix
from trainwright.report.record import RunRecord
from trainwright.report.scale import Floats, short

MOST_CLASSES = 40
FIRST_ROWS, MOST_ROWS = 20, 200
FEWEST = 4  # classes, from which the most frequent confusions are not seen at a glance
PAIRS = 10


def confusion_section(record: RunRecord) -> Section | None:
    """Shows the confusion matrix and the most frequent confusions."""
    matrix = record.floats("test/confusion_matrix")
    if matrix is None:
        return None
    classes, parts = record.classes, list[Markup]()
    what = "places" if record.task == "segmentation" else "records"
    told = f"Rows are true classes, columns predicted ones; {what} of the test split, by weight."
    if len(classes) > MOST_CLASSES:
        told = f"The matrix of {len(classes)} classes is not drawn; its largest cells beside the diagonal are these."
    else:
        parts.append(draw_matrix(matrix, classes, name="confusion", counted=what))
    pairs = _confusions(matrix, classes)
    if pairs and len(classes) >= FEWEST:
        heads = {"true": "", "taken for": "", what: NUMBER, "% of true": NUMBER, "": "drawn"}
        parts.append(join([heading("Most frequent confusions"), table(heads, pairs)]))
    return Section("confusion", "Confusion matrix", join([note(told), row_of(parts)]))


def classes_section(record: RunRecord) -> Section | None:
    """Shows precision, recall, F1 and weight of each class, and how often it is predicted."""
    scores = record.floats("test/class_scores")
    if scores is None:
        return None
    classes, overlap = record.classes, record.floats("test/class_iou")
    heads = {"class": "", "precision": "share", "recall": "share", "F1": "share"}
    shares = scores[:, :3]
    if overlap is not None:
        heads["IoU"], shares = "share", np.column_stack([shares, overlap])
    # A class without an F1 is neither there nor predicted.
    order = np.argsort(np.nan_to_num(scores[:, 2], nan=2.0), kind="stable").tolist()
    rows = [
        [classes[one], *map(_share, shares[one].tolist()), short(scores[one, 3])] for one in order[:MOST_ROWS]
    ]
    told = "The worst first; support is the weight of the true ones."
    if len(order) > MOST_ROWS:
        told += f" {len(order) - MOST_ROWS} better classes are left out."
    heads["support"] = NUMBER
    listed = table(heads, rows[:FIRST_ROWS])
    if rows[FIRST_ROWS:]:
        listed += fold(f"{len(rows) - FIRST_ROWS} more classes", table(heads, rows[FIRST_ROWS:]))
    parts = [listed]
    known = record.floats("test/class_distribution")
    if known is not None and len(classes) <= MOST_CLASSES:
        true, predicted = known.tolist()
        chart = pair_chart(classes, true, second=predicted, title="class distribution")
        parts.append(figure(chart, "Shares of the classes", more=legend(["true", "predicted"])))
    return Section("classes", "Classes", join([note(told), row_of(parts)]))


def _share(value: float) -> Markup:
    if np.isnan(value):
        return Markup('<span class="soft" title="there is nothing to divide by">&ndash;</span>')
    return Markup("{}{:.3f}").format(bar(value), value)


def _confusions(matrix: Floats, classes: Sequence[str]) -> list[list[Cell]]:
    wrong = np.where(np.eye(len(matrix), dtype=bool), 0.0, matrix)
    largest = np.argsort(-wrong.reshape(-1), kind="stable")[:PAIRS]
    rows: list[list[Cell]] = []
    for row, column in zip(*np.unravel_index(largest, matrix.shape), strict=True):
        if wrong[row, column] > 0:
            share = float(wrong[row, column] / matrix[row].sum())
            cells: list[Cell] = [classes[row], classes[column], short(wrong[row, column])]
            rows.append([*cells, f"{100 * share:.1f}", bar(share, color=1)])
    return rows
