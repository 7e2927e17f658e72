"""What a classifier's probabilities are worth: whether they rank, and whether they are what they say."""

import numpy as np
from markupsafe import Markup

from trainwright.report.bars import calibration_chart
from trainwright.report.blocks import Section, figure, figures, join, legend, note
from trainwright.report.chart import COLORS, rate_chart
from trainwright.report.record import RunRecord
from trainwright.report.scale import Floats, Points

EVEN = 0.01  # of a probability
WORST = 6  # classes that are drawn in colour where there are too many for all


def probabilities_section(record: RunRecord) -> Section | None:
    """Draws the ROC and the precision-recall curve of each class, and accuracy over confidence."""
    told, drawn = _draw_curves(record)
    drawn += _draw_calibration(record)
    return Section("probabilities", "Probabilities", join([*told, figures(drawn)])) if drawn else None


def _draw_curves(record: RunRecord) -> tuple[list[Markup], list[Markup]]:
    roc, precision = (record.floats(f"test/{name}_curves") for name in ("roc", "precision_recall"))
    if roc is None or precision is None:
        return [], []
    there = [one for one in range(len(roc)) if np.isfinite([roc[one], precision[one]]).all()]
    areas = {one: float(np.trapezoid(roc[one, :, 1], roc[one, :, 0])) for one in there}
    many = len(there) > COLORS
    named = sorted(there, key=lambda one: areas[one])[:WORST] if many else there
    names = {one: f"{record.classes[one]} ({areas[one]:.3f})" for one in named}
    told = "Each class against all others; in brackets, the area under the ROC curve as it is drawn, 0.5 is chance."
    if many:
        told += f" The {WORST} smallest areas are coloured, the other {len(there) - WORST} classes are grey."
    lacking = [record.classes[one] for one in range(len(roc)) if one not in there]
    if lacking:
        told += f" There is no curve for {', '.join(lacking)}: all or none of the records are of the class."
    if not there:
        return [note(told)], []
    drawn = []
    for title, curves, axes in (
        ("ROC", roc, ("false positive rate", "true positive rate")),
        ("Precision over recall", precision, ("recall", "precision")),
    ):
        chart = rate_chart(
            {names[one]: _points(curves[one]) for one in named},
            x_label=axes[0],
            y_label=axes[1],
            title=title,
            quiet=[_points(curves[one]) for one in there if one not in named],
            diagonal=curves is roc,
        )
        drawn.append(figure(chart, title))
    return [note(told), legend(list(names.values()))], drawn


def _draw_calibration(record: RunRecord) -> list[Markup]:
    bins = record.floats("test/reliability")
    if bins is None or not np.isfinite(bins[:, 0]).all() or not bins[:, 0].sum() > 0:
        return []
    there = bins[bins[:, 0] > 0]
    gaps = (there[:, 1] - there[:, 2]) * there[:, 0] / there[:, 0].sum()
    error, lean = float(np.abs(gaps).sum()), float(gaps.sum())
    told = "on the whole neither too sure nor too unsure"
    if abs(lean) > EVEN:
        told = f"on the whole too {'sure' if lean > 0 else 'unsure'} by {100 * abs(lean):.1f} points"
    chart = calibration_chart(bins, title="reliability diagram")
    more = f"ECE {error:.4f}, {told}; a dot is as large as its bin is heavy"
    return [figure(chart, "Reliability", more=more)]


def _points(curve: Floats) -> Points:
    found: Points = [(x, y) for x, y in curve.tolist()]
    return found
