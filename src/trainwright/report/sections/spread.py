"""What a regression says about its own uncertainty, and whether that is so."""

import numpy as np
from markupsafe import Markup

from trainwright.base.tree import Array
from trainwright.report.bars import FAN, fan_chart
from trainwright.report.blocks import Section, figure, figures
from trainwright.report.chart import rate_chart
from trainwright.report.record import RunRecord
from trainwright.report.scale import Floats
from trainwright.validation.families import ARRAYS, family_of

MOST_OUTPUTS = 4


def spread_section(record: RunRecord) -> Section | None:
    """Draws predictions with their interval, and how often intervals hold what was true."""
    parts = [*_fans(record), *_coverage(record)]
    return Section("spread", "Uncertainty", figures(parts)) if parts else None


def _fans(record: RunRecord) -> list[Markup]:
    predicted, true = record.floats("test/predictions"), record.floats("test/targets")
    ends = _intervals(record)
    if predicted is None or true is None or ends is None or predicted.ndim != 2:
        return []
    low, high, told = ends
    if low.shape != predicted.shape:
        return []
    drawn = []
    for one, name in list(enumerate(record.outputs(predicted.shape[1])))[:MOST_OUTPUTS]:
        chart = fan_chart(
            predicted[:, one],
            low[:, one],
            high[:, one],
            true=true[:, one],
            x_label="records, by what is predicted",
            title=f"intervals of {name}",
        )
        count = min(FAN, len(predicted))
        more = (
            f"line: predicted; area: {told}; dots: true, orange outside; {count} of {len(predicted)} records"
        )
        drawn.append(figure(chart, f"{name}: predictions with their interval", more=more, broad=True))
    return drawn


def _intervals(record: RunRecord) -> tuple[Floats, Floats, str] | None:
    said = {"y": record.floats("test/predictions")}
    said |= {name: record.floats(f"test/{name}") for name in ARRAYS}
    quantiles, levels = record.floats("test/quantiles"), record.spec.model.quantiles
    there: dict[str, Array] = {name: one for name, one in said.items() if one is not None}
    whole = "y" in there and all(len(one) == len(there["y"]) for one in there.values())
    family = family_of(there) if whole else None
    if family is not None:
        return family.quantile(0.025), family.quantile(0.975), f"95 % of {family.told}"
    if quantiles is not None and isinstance(levels, list):
        return quantiles[:, 0], quantiles[:, -1], f"from {100 * levels[0]:g} % to {100 * levels[-1]:g} %"
    return None


def _coverage(record: RunRecord) -> list[Markup]:
    reached = record.floats("test/quantile_coverage")
    if reached is not None:
        points = [(float(level), float(share)) for level, share in reached]
        what, asked, found = "Quantiles", "level of the quantile", "true values not above it"
    else:
        # `coverage_90` is the share of records inside the interval that should hold 90 %.
        names = {one: one.rpartition("_")[2] for one in record.scores if one.startswith("test/coverage_")}
        points = sorted((float(level) / 100, record.scores[name]["value"]) for name, level in names.items())
        what, asked, found = "Intervals", "probability of the interval", "true values inside"
    points = [point for point in points if np.isfinite(point).all()]
    if not points:
        return []
    chart = rate_chart(
        {found: points},
        x_label=asked,
        y_label=f"share of {found}",
        title="coverage",
        diagonal=True,
        dots=True,
    )
    told = ", ".join(f"{100 * level:g} % → {100 * share:.1f} %" for level, share in points)
    return [figure(chart, f"{what}: asked for and reached", more=told)]
