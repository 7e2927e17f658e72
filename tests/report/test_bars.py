import re

import numpy as np
import pytest

from trainwright.report.bars import box_chart, calibration_chart, fan_chart, outline_chart, pair_chart


def numbers(text):
    return [float(one) for one in re.findall(r"-?\d+\.?\d*", text)]


def test_an_outline_goes_up_and_down_with_its_sums():
    sums = np.array([[0.0, 2.0], [4.0, 0.0]])
    chart = outline_chart(np.array([0.0, 1.0, 2.0]), sums, x_label="y", title="t")
    (line,) = re.findall(r'class="line s1" d="([^"]*)"', chart)
    xs, ys = numbers(line)[::2], numbers(line)[1::2]
    assert xs == [50.0, 50.0, 228.0, 228.0, 406.0, 406.0]
    assert ys[1] == ys[2] < ys[0] == ys[3] == ys[5] == 214.0
    assert ys[1] == pytest.approx(214 - 192 / 1.05, abs=0.1)  # the highest sum, with 5 % above


def test_bars_are_as_long_as_their_shares():
    chart = pair_chart(["a", "b"], [0.2, 0.8], second=[0.4, 0.6], title="t")
    widths = [float(one) for one in re.findall(r'width="([\d.]+)"', chart)]
    assert np.array(widths) / widths[2] == pytest.approx([0.25, 0.5, 1.0, 0.75], abs=1e-3)
    assert "20 | 40 %" in chart and "80 | 60 %" in chart


def test_the_gap_of_a_bin_goes_from_the_diagonal_to_its_accuracy_and_empty_bins_are_not_drawn():
    bins = np.array([[1.0, 0.25, 0.5], [0.0, np.nan, np.nan], [3.0, 0.75, 0.5]])
    chart = calibration_chart(bins, title="t")
    gaps = [numbers(one) for one in re.findall(r'class="gap" d="([^"]*)"', chart)]
    assert gaps == [[139.0, 233.5, 163.0], [317.0, 92.5, 163.0]]
    small, large = (float(one) for one in re.findall(r' r="([\d.]+)"', chart))
    assert (large - 3) / (small - 3) == pytest.approx(3**0.5, rel=0.02)  # areas go by weight


def test_a_box_shows_zero_and_its_five_quantiles_in_order():
    chart = box_chart([-4.0, -1.0, 0.5, 1.0, 2.0], x_label="residual", title="t")
    (outer,) = re.findall(r'class="line s0" d="M([\d.]+) 56H([\d.]+)"', chart)
    (left, width) = re.findall(r'class="box-of s0" x="([\d.]+)" y="41" width="([\d.]+)"', chart)[0]
    (zero,) = re.findall(r'class="mark" d="M([\d.]+)', chart)
    unit = (float(outer[1]) - float(outer[0])) / 6
    assert float(width) == pytest.approx(2 * unit, abs=0.2)
    assert float(left) == pytest.approx(float(outer[0]) + 3 * unit, abs=0.2)
    assert float(zero) == pytest.approx(float(outer[0]) + 4 * unit, abs=0.2)


def test_what_lies_outside_its_interval_is_pointed_out():
    middle = np.arange(10.0)
    true = middle.copy()
    true[[2, 7]] += 5.0
    true[4] = np.nan  # is not drawn at all
    chart = fan_chart(middle, middle - 1, middle + 1, true=true, x_label="x", title="t")
    inside, outside = (
        re.findall(rf'class="{css}" d="([^"]*)"', chart)[0].count("M")
        for css in ("cloud ink", "cloud s1 full")
    )
    assert (inside, outside) == (7, 2)


@pytest.mark.parametrize(
    "chart",
    [
        outline_chart(np.array([0.0, np.nan]), np.ones((2, 1)), x_label="", title="t"),
        pair_chart(["a"], [float("nan")], second=[1.0], title="t"),
        pair_chart([], [], second=[], title="t"),
        calibration_chart(np.full((3, 3), np.nan), title="t"),
        box_chart([0.0, 1.0, float("nan"), 2.0, 3.0], x_label="", title="t"),
        fan_chart(*[np.full(3, np.nan)] * 3, true=np.zeros(3), x_label="", title="t"),
    ],
)
def test_what_is_not_finite_says_so(chart):
    assert "no finite values" in chart
