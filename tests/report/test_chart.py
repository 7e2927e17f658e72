import re

import pytest

from trainwright.report.chart import line_chart, nice_ticks, scatter_chart


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (0.001, 0.0041, [0.001, 0.002, 0.003, 0.004]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round_numbers_within(low, high, ticks):
    assert nice_ticks(low, high) == pytest.approx(ticks)


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
