import re

import numpy as np

from trainwright.report.sparks import draw_channels


def lines(drawn):
    found = re.findall(r'class="line s\d" d="([^"]*)"', drawn)
    return [[tuple(map(float, one.split())) for one in re.findall(r"[\d.]+ [\d.]+", path)] for path in found]


def test_channels_lie_one_below_the_other_each_in_its_own_range():
    first, second = lines(draw_channels(np.array([[0.0, 1.0, 0.0], [500.0, 0.0, 500.0]]), ragged=False))
    assert [x for x, _ in first] == [0, 100, 200]
    assert first[1][1] < first[0][1] == first[2][1] <= 34
    assert second[0][1] < second[1][1] and second[0][1] >= 38


def test_nothing_is_drawn_in_the_padding():
    padded = np.array([[1.0, 2.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
    (line,) = lines(draw_channels(padded, ragged=True))
    assert [x for x, _ in line] == [0, 200]
    assert len(lines(draw_channels(padded, ragged=False))) == 2


def test_a_gap_breaks_the_line_and_channels_beyond_four_are_counted():
    values = np.ones((6, 5))
    values[0, 2] = np.nan
    drawn = draw_channels(values, ragged=False)
    assert "and 2 more channels" in drawn and len(lines(drawn)) == 4
    assert re.findall(r'class="line s0" d="([^"]*)"', drawn)[0].count("M") == 2


def test_a_channel_without_a_value_is_left_out():
    assert lines(draw_channels(np.full((1, 3), np.nan), ragged=False)) == []
