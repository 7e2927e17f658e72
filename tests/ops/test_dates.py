import datetime
import math

import numpy as np
import pandas as pd
import pytest

from trainwright.base.errors import DataError
from trainwright.ops.dates import DateParts

DATES = np.array(
    [
        "1970-01-01T00:00:00",
        "2024-02-29T12:34:56",
        "1969-12-31T23:59:59",
        "2023-12-31T06:00:00",
        "1900-03-01T00:01:00",
        "2000-12-31T23:00:00",
    ],
    dtype="datetime64[s]",
)
PARTS = ("year", "month", "day", "weekday", "dayofyear", "hour", "minute")


PANDAS = {"weekday": "day_of_week", "dayofyear": "day_of_year"}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("unit", ["s", "ms", "ns"])
def test_each_part_agrees_with_pandas(part, unit):
    found = DateParts(parts=(part,))(DATES.astype(f"datetime64[{unit}]"))
    assert found[:, 0].tolist() == list(getattr(pd.DatetimeIndex(DATES), PANDAS.get(part, part)))


def test_integers_are_seconds():
    assert np.array_equal(DateParts(parts=PARTS)(DATES.astype(np.int64)), DateParts(parts=PARTS)(DATES))


def test_elapsed_days_begin_with_the_first_date_of_train():
    op = DateParts(parts=("elapsed",)).fit(DATES)
    expected = (pd.DatetimeIndex(DATES) - pd.Timestamp(DATES.min())) / pd.Timedelta(days=1)
    np.testing.assert_allclose(op(DATES)[:, 0], expected, rtol=1e-12)
    assert op(np.array(["1900-02-28T00:01"], dtype="datetime64[m]")).tolist() == [[-1.0]]


@pytest.mark.parametrize(
    ("part", "phase"),
    [
        ("month", lambda d: (d.month - 1) / 12),
        ("day", lambda d: (d.day - 1) / pd.Timestamp(d).days_in_month),
        ("weekday", lambda d: d.weekday() / 7),
        ("dayofyear", lambda d: (d.timetuple().tm_yday - 1) / (366 if pd.Timestamp(d).is_leap_year else 365)),
        ("hour", lambda d: d.hour / 24),
        ("minute", lambda d: d.minute / 60),
    ],
)
def test_a_part_that_comes_again_is_a_point_on_a_circle(part, phase):
    angles = [2 * math.pi * phase(one) for one in DATES.astype(datetime.datetime)]
    expected = [[math.sin(one), math.cos(one)] for one in angles]
    np.testing.assert_allclose(DateParts(parts=(part,), cyclic=True)(DATES), expected, atol=1e-12)


def test_what_never_comes_again_is_one_number_all_the_same():
    op = DateParts(parts=("year", "month", "elapsed"), cyclic=True).fit(DATES)
    assert op.output_names("on") == ["on.year", "on.month.sin", "on.month.cos", "on.elapsed"]
    assert op(DATES).shape == (6, 4) and op(DATES)[1, 0] == 2024


def test_what_is_no_time_becomes_nan_in_its_own_column_only():
    two = np.array([["2024-05-06", "NaT"], ["NaT", "2023-01-02"]], dtype="datetime64[D]")
    op = DateParts(parts=("month", "elapsed")).fit(two)
    np.testing.assert_array_equal(op(two), [[5, 0, np.nan, np.nan], [np.nan, np.nan, 1, 0]])
    assert op.output_names("a", "b") == ["a.month", "a.elapsed", "b.month", "b.elapsed"]


def test_fitting_part_by_part_gives_the_same():
    op = DateParts(parts=("elapsed",))
    assert op.fit_blocks(lambda: iter((DATES[:2], DATES[:0], DATES[2:]))) == op.fit(DATES)


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.array([0.5]), "takes columns of datetime64"),
        (np.array(["2024-01-01"]), "takes columns of datetime64"),
        (np.zeros((1, 1, 1), dtype=int), "takes columns of datetime64"),
        (np.array([0, 1_700_000_000_000]), "record 1 holds 1700000000000 seconds .* divide milliseconds"),
        (np.array([-(10**12)]), "years 1 to 9999"),
    ],
)
def test_what_is_no_date_is_refused(x, says):
    with pytest.raises(DataError, match=says):
        DateParts().fit(x)
    with pytest.raises(DataError, match=says):
        DateParts()(x)


def test_elapsed_days_need_a_date_and_a_fit():
    op = DateParts(parts=("elapsed",))
    for none in (DATES[:0], np.array(["NaT"], dtype="datetime64[s]")):
        with pytest.raises(DataError, match="no date in any record"):
            op.fit(none)
    with pytest.raises(DataError, match="before it was fitted"):
        op(DATES)
    with pytest.raises(DataError, match="fitted on 1 columns, these are 2"):
        op.fit(DATES)(DATES.reshape(3, 2))


@pytest.mark.parametrize("parts", [(), "year", ("century",), ("year", "year")])
def test_parts_that_there_are_not_are_refused(parts):
    with pytest.raises(ValueError):
        DateParts(parts=parts)


def test_an_empty_batch_stays_empty():
    assert DateParts()(DATES[:0]).shape == (0, 4)
