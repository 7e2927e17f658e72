"""How the metrics went in training."""

import math
from collections.abc import Mapping

from markupsafe import Markup

from trainwright.report.blocks import NUMBER, Section, figure, figures, fold, join, legend, note, table
from trainwright.report.chart import line_chart
from trainwright.report.record import RunRecord
from trainwright.report.scale import Points, short

MOST_CHARTS = 12
MOST_NAMED = 3  # lines of a chart that have room for their names
DECADES = 100.0
COLORS = {"train": 0, "val": 1, "test": 2}  # a split looks the same in every chart

Series = dict[str, list[tuple[float, float]]]


def curves_section(record: RunRecord) -> Section | None:
    """Draws each metric over the steps, those of all splits in one chart; an ensemble makes no steps."""
    if record.spec.ensemble is not None:
        return None
    series: Series = {}
    for row in record.registry.metrics(record.run.id):
        value = math.nan if row.value is None else row.value
        series.setdefault(row.name, []).append((float(row.step), value))
    if not series:
        return Section("curves", "Curves", note("No metrics were recorded."))
    groups: dict[str, Series] = {}
    for name in sorted(series, key=lambda one: (not one.startswith("train/"), one)):
        groups.setdefault(name.rpartition("/")[2], {})[name] = series[name]
    chosen = record.run.best_metric.rpartition("/")[2]
    order = sorted(groups, key=lambda name: (name != "loss", name != chosen, name))
    best = record.best
    mark = (float(best.step), f"best @{best.number}") if best else None
    drawn = figures(_draw(title, groups[title], mark=mark) for title in order[:MOST_CHARTS])
    rest = [
        (name, short(points[-1][1]))
        for title in order[MOST_CHARTS:]
        for name, points in groups[title].items()
    ]
    if not rest:
        return Section("curves", "Curves", drawn)
    more = fold(f"The last values of {len(rest)} more metrics", table({"metric": "", "last": NUMBER}, rest))
    return Section("curves", "Curves", join([drawn, more]))


def _draw(title: str, series: Mapping[str, Points], *, mark: tuple[float, str] | None) -> Markup:
    values = [y for points in series.values() for _, y in points if math.isfinite(y)]
    log = bool(values) and min(values) > 0 and max(values) > DECADES * min(values)
    ends = {name: name.rpartition("/")[0] or name for name in series} if len(series) <= MOST_NAMED else None
    splits = {name: name.partition("/")[0] for name in series}
    known = ends is not None and len(set(splits.values()) & set(COLORS)) == len(series)
    colors = {name: COLORS[split] for name, split in splits.items()} if known else None
    chart = line_chart(series, x_label="step", title=title, mark=mark, ends=ends, colors=colors, log=log)
    lasts = ", ".join(f"{name.rpartition('/')[0]} {short(points[-1][1])}" for name, points in series.items())
    more = f"last: {lasts}{'; log scale' if log else ''}" if ends else legend(list(series))
    return figure(chart, title, more=more)
