import math

import pytest

from trainwright.report.comparison import difference_of

Z = 1.959963984540054  # the 97.5 % quantile of the normal distribution


def normal(value, error):
    return {"value": value, "low": value - Z * error, "high": value + Z * error}


@pytest.mark.parametrize(("one", "other"), [((0.9, 0.02), (0.95, 0.01)), ((-3.0, 2.0), (5.0, 0.0))])
def test_of_normal_errors_the_interval_is_that_of_the_textbook(one, other):
    found = difference_of(normal(*one), normal(*other))
    change, error = other[0] - one[0], math.hypot(one[1], other[1])
    assert found == pytest.approx(normal(change, error))


def test_a_lopsided_interval_stays_lopsided():
    left = {"value": 0.9, "low": 0.6, "high": 0.95}
    right = {"value": 0.95, "low": 0.90, "high": 0.96}
    found = difference_of(left, right)
    # Zou & Donner 2008, equation 2, by hand
    assert found["low"] == pytest.approx(0.05 - math.sqrt(0.05**2 + 0.05**2))
    assert found["high"] == pytest.approx(0.05 + math.sqrt(0.01**2 + 0.3**2))


def test_what_cannot_be_measured_has_no_difference():
    nothing = {"value": math.nan, "low": math.nan, "high": math.nan}
    assert all(math.isnan(value) for value in difference_of(nothing, normal(1.0, 0.1)).values())
