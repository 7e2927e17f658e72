import math
import re

import numpy as np
import pytest

from trainwright.report.chart import group_chart, line_chart, rate_chart, scatter_chart, thin


def test_a_gap_is_drawn_where_a_value_is_nan():
    nan = float("nan")
    chart = line_chart({"loss": [(0, 1.0), (1, nan), (2, 3.0), (3, 2.0)]}, x_label="step", title="loss")
    (path,) = re.findall(r'class="line s0" d="([^"]*)"', chart)
    assert path.count("M") == 2 and path.count("L") == 1
    assert chart.count("<circle") == 3


def test_nothing_finite_says_so():
    assert "no finite values" in line_chart({"a": [(0, float("inf"))]}, x_label="step", title="a")
    assert "no finite values" in scatter_chart([], x_label="x", title="r")


def test_points_lie_where_they_belong():
    chart = line_chart({"a": [(0, 0.0), (10, 1.0)]}, x_label="step", title="a")
    (left, low), (right, high) = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', chart)
    assert float(left) < float(right) and float(low) > float(high)  # y grows downwards


def test_names_cannot_become_markup():
    chart = line_chart({"<script>": [(0, 1.0), (1, 2.0)]}, x_label="<b>", title='"><script>')
    assert "<script>" not in chart and "<b>" not in chart


def points_of(chart, css):
    (path,) = re.findall(rf'class="{css}" d="([^"]*)"', chart)
    return [tuple(map(float, one.split())) for one in re.findall(r"[\d.]+ [\d.]+", path)]


def test_a_thinned_line_keeps_its_peaks_its_gaps_and_its_end():
    values = np.sin(np.arange(5000) / 40)
    values[1234], values[3210] = 9.0, math.nan
    points = list(enumerate(values.tolist()))
    kept = thin(points)
    assert len(kept) <= 170 and kept[-1] == points[-1]
    assert (1234, 9.0) in kept and min(y for _, y in kept) == np.nanmin(values)
    assert [x for x, y in kept if math.isnan(y)] == [3210]
    assert [x for x, _ in kept] == sorted(x for x, _ in kept)


def test_names_at_the_ends_of_lines_do_not_overlap_and_stay_inside():
    series = {f"{name}/loss": [(0, 1.0), (1, 0.0)] for name in ("train", "val", "test")}
    ends = {name: name.partition("/")[0] for name in series}
    chart = line_chart(series, x_label="step", title="loss", ends=ends)
    places = [float(y) for y in re.findall(r'class="end s\d" x="[\d.]+" y="([\d.]+)"', chart)]
    gaps = np.diff(sorted(places))
    assert len(places) == 3 and (gaps >= 12.9).all() and max(places) < 250


def test_the_scatter_with_a_diagonal_has_one_range_for_both_axes():
    points = [(0.0, 50.0), (10.0, 60.0)]
    chart = scatter_chart(points, x_label="true", title="t", diagonal=True)
    (line,) = re.findall(r'class="mark" d="([^"]*)"', chart)
    assert line.startswith("M50.0 304.0L406.0 22.0")  # from one corner of the frame to the other
    assert "mark" not in scatter_chart(points, x_label="true", title="t")


def test_far_points_count_for_the_range_even_if_few_points_are_drawn():
    points = [(float(x), 0.0) for x in range(3000)]
    points[1501] = (1501.0, 1e6)
    chart = scatter_chart(points, x_label="x", title="t")
    assert "1M" in chart and len(points_of(chart, "cloud s0")) == 1000


def test_rates_lie_in_the_unit_square_and_quiet_ones_behind():
    curve = [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]
    chart = rate_chart({"a": curve}, x_label="x", y_label="y", title="t", quiet=[curve], dots=True)
    assert points_of(chart, "line s0") == [(50.0, 304.0), (50.0, 22.0), (406.0, 22.0)]
    assert chart.index("line quiet") < chart.index("line s0") and chart.count("<circle") == 3


def test_a_group_has_its_name_in_its_middle_and_one_without_a_name_lies_behind():
    groups = {"": [(5.0, 5.0)], "a": [(0.0, 0.0), (1.0, 0.0), (2.0, 9.0)], "<b>": [(9.0, 9.0)]}
    chart = group_chart(groups, x_label="x", y_label="y", title="t")
    assert chart.index("cloud rest") < chart.index("cloud s0") < chart.index("cloud s1")
    (at,) = re.findall(r'class="name s0" x="([\d.]+) *" y="([\d.]+)"', chart)
    assert [float(one) for one in at] == pytest.approx(points_of(chart, "cloud s0")[1], abs=0.1)
    assert "<b>" not in chart
