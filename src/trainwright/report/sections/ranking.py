"""What a classifier's probabilities are worth: whether they rank, and whether they are what they say."""

import numpy as np

from trainwright.report.bars import calibration_chart
from trainwright.report.blocks import Section, figure, figures, join, legend, note
from trainwright.report.chart import COLORS, rate_chart
from trainwright.report.record import RunRecord
from trainwright.report.scale import Floats, Points

WORST = 6  # classes that are drawn in colour where there are too many for all


def ranking_section(record: RunRecord) -> Section | None:
    """Draws the ROC and the precision-recall curve of each class."""
    roc, precision = (record.floats(f"test/{name}_curves") for name in ("roc", "precision_recall"))
    if roc is None or precision is None:
        return None
    there = [
        one for one in range(len(roc)) if np.isfinite(roc[one]).all() and np.isfinite(precision[one]).all()
    ]
    if not there:
        return None
    areas = {one: float(np.trapezoid(roc[one, :, 1], roc[one, :, 0])) for one in there}
    many = len(there) > COLORS
    named = sorted(there, key=lambda one: areas[one])[:WORST] if many else there
    quiet = [one for one in there if one not in named]
    names = {one: f"{record.classes[one]} ({areas[one]:.3f})" for one in named}
    drawn = []
    for title, curves, axes, diagonal in (
        ("ROC", roc, ("false positive rate", "true positive rate"), True),
        ("Precision over recall", precision, ("recall", "precision"), False),
    ):
        chart = rate_chart(
            {names[one]: _points(curves[one]) for one in named},
            x_label=axes[0],
            y_label=axes[1],
            title=title,
            quiet=[_points(curves[one]) for one in quiet],
            diagonal=diagonal,
        )
        drawn.append(figure(chart, title, more="each class against all others"))
    told = "In brackets, the area under the ROC curve as it is drawn; 0.5 is chance."
    if many:
        told += f" The {WORST} classes with the smallest areas are coloured, the other {len(quiet)} are grey."
    lacking = [record.classes[one] for one in range(len(roc)) if one not in there]
    if lacking:
        told += f" There is no curve for {', '.join(lacking)}: all or none of the records are of the class."
    return Section("ranking", "Ranking", join([note(told), legend(list(names.values())), figures(drawn)]))


def calibration_section(record: RunRecord) -> Section | None:
    """Draws accuracy over confidence."""
    bins = record.floats("test/reliability")
    if bins is None or not np.isfinite(bins[:, 0]).all() or not bins[:, 0].sum() > 0:
        return None
    there = bins[bins[:, 0] > 0]
    gaps = (there[:, 1] - there[:, 2]) * there[:, 0] / there[:, 0].sum()
    error, lean = float(np.abs(gaps).sum()), float(gaps.sum())
    told = "on the whole neither too sure nor too unsure"
    if abs(lean) > 0.01:
        told = f"on the whole {'too sure' if lean > 0 else 'too unsure'} by {100 * abs(lean):.1f} points"
    caption = f"Expected calibration error (ECE) {error:.4f}"
    more = f"{told}; dots are as large as their bin is heavy, on the line confidence is what it says"
    chart = calibration_chart(bins, title="reliability diagram")
    return Section("calibration", "Calibration", figures([figure(chart, caption, more=more)]))


def _points(curve: Floats) -> Points:
    found: Points = [(x, y) for x, y in curve.tolist()]
    return found
