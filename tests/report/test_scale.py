import itertools

import pytest

from trainwright.report.scale import Frame, log_ticks, nice_ticks, svg


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


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.5, 2000, [1, 10, 100, 1000]),
        (1e-9, 1e3, [1e-9, 1e-6, 1e-3, 1.0, 1e3]),
        (2, 9, [2, 5]),
    ],
)
def test_ticks_of_a_log_axis_are_powers_of_ten_where_there_are_enough(low, high, ticks):
    assert log_ticks(low, high) == pytest.approx(ticks)


def test_a_log_axis_puts_equal_factors_at_equal_steps():
    frame = Frame((0, 1), (0.01, 100), log=True)
    heights = [frame.y(value) for value in (0.01, 0.1, 1, 10, 100)]
    steps = [above - below for below, above in itertools.pairwise(heights)]
    assert steps == pytest.approx([steps[0]] * 4) and steps[0] < 0


def test_the_diagonal_lies_where_both_axes_have_it():
    frame = Frame((0, 10), (5, 20))
    assert f"M{frame.x(5):.1f} {frame.y(5):.1f}L{frame.x(10):.1f} {frame.y(10):.1f}" in frame.diagonal()
    assert Frame((0, 1), (2, 3)).diagonal() == ""


def test_the_title_of_a_drawing_is_escaped():
    assert "<b>" not in svg("chart", '"><b>', (0, 0, 1, 1), [])
