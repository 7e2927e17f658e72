import datetime
import time
import zoneinfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainwright.base.errors import DataError
from trainwright.data.datetimes import FORMATS, looks_like_dates, parse_datetimes

WRITTEN = {
    "ISO 8601": "%Y-%m-%d %H:%M:%S",
    "DD.MM.YYYY": "%d.%m.%Y %H:%M:%S",
    "DD/MM/YYYY": "%d/%m/%Y %H:%M:%S",
    "MM/DD/YYYY": "%m/%d/%Y %H:%M:%S",
    "YYYY/MM/DD": "%Y/%m/%d %H:%M:%S",
    "DD Mon YYYY": "%d %b %Y %H:%M:%S",
}
MOMENTS = st.datetimes(datetime.datetime(1000, 1, 1), datetime.datetime(9999, 12, 31))


@pytest.mark.parametrize("form", FORMATS)
@given(moments=st.lists(MOMENTS, min_size=1, max_size=10))
def test_what_python_writes_is_read_back(form, moments):
    texts = [one.strftime(WRITTEN[form]) for one in moments]
    found = parse_datetimes(texts, format=form)
    assert found.dtype == "datetime64[s]"
    assert found.tolist() == [one.replace(microsecond=0) for one in moments]


@given(moment=MOMENTS.filter(lambda one: 1001 < one.year < 9998), minutes=st.integers(-23 * 60, 23 * 60))
def test_a_time_with_an_offset_is_turned_into_utc_as_python_does(moment, minutes):
    aware = moment.replace(microsecond=0, tzinfo=datetime.timezone(datetime.timedelta(minutes=minutes)))
    utc = aware.astimezone(datetime.UTC).replace(tzinfo=None)
    assert parse_datetimes([aware.isoformat()]).tolist() == [utc]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-02-29", "2024-02-29T00:00:00"),
        ("2024-02-29T12:30", "2024-02-29T12:30:00"),
        ("2024-02-29 12:30:05.999", "2024-02-29T12:30:05"),  # fractions are dropped
        ("1969-12-31T23:59:59.5", "1969-12-31T23:59:59"),  # towards the past before 1970 too
        ("2024-02-29T12:30Z", "2024-02-29T12:30:00"),
        ("2024-02-29 12:30:00 +0130", "2024-02-29T11:00:00"),
        ("2024-02-29T12:30:00-01:30", "2024-02-29T14:00:00"),
        ("9.2.2024 7:05", "2024-02-09T07:05:00"),
        ("31/12/2024 23:59:59", "2024-12-31T23:59:59"),
        ("12/31/2024", "2024-12-31T00:00:00"),
        ("2024/1/31", "2024-01-31T00:00:00"),
        ("3 FEB 2024 01:02", "2024-02-03T01:02:00"),
        (" 2024-02-29 ", "2024-02-29T00:00:00"),
    ],
)
def test_each_way_to_write_a_date_is_found_and_read(text, moment):
    assert parse_datetimes([None, text, ""]).astype(str).tolist() == ["NaT", moment, "NaT"]


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-29",  # no leap year
        "1900-02-29",
        "31.04.2024",
        "32.01.2024",
        "00.01.2024",
        "2024-13-01",
        "2024-00-10",
        "0000-01-01",
        "13/13/2024",
        "3 Foo 2024",
        "2024-01-01 24:00",
        "2024-01-01 12:60",
        "2024-01-01 12:00:60",
        "2024-01-01T12:00+24:00",
        "2024-1-1",
        "24-01-01",
        "2024-01-01 noon",
        "20240101",
        "yesterday",
        "1.5",
    ],
)
def test_what_is_no_date_is_refused_and_not_bent_into_one(text):
    assert looks_like_dates([text]) is None
    with pytest.raises(DataError, match=r"record 1 holds .* no date in any of the formats"):
        parse_datetimes([None, text])


def test_the_one_text_that_differs_from_the_others_is_named():
    with pytest.raises(
        DataError, match=r"record 2 holds 'soon', which is no date in the format DD\.MM\.YYYY"
    ):
        parse_datetimes(["01.02.2024", "", "soon", "03.02.2024"])


def test_a_named_format_is_obeyed_where_several_fit():
    day_first = parse_datetimes(["03/04/2024"], format="DD/MM/YYYY")
    month_first = parse_datetimes(["03/04/2024"], format="MM/DD/YYYY")
    assert (day_first[0], month_first[0]) == (np.datetime64("2024-04-03"), np.datetime64("2024-03-04"))


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["03/04/2024", "13/04/2024"], "DD/MM/YYYY"),
        (["03/04/2024", "04/13/2024"], "MM/DD/YYYY"),
        (["13/04/2024", "04/13/2024"], None),  # neither holds for both
        (["2024-01-01", "01.01.2024"], None),
        (["2024-01-01", None, "NA"], "ISO 8601"),
        (["", None], None),
        ([], None),
    ],
)
def test_a_format_is_found_only_where_every_text_fits(texts, found):
    assert looks_like_dates(texts) == found


@pytest.mark.parametrize("ask", [looks_like_dates, parse_datetimes])
def test_days_that_may_be_months_are_said_to_be_ambiguous(ask):
    with pytest.raises(DataError, match=r"'03/04/2024' may be DD/MM/YYYY or MM/DD/YYYY.*no other value"):
        ask(["03/04/2024", "12/12/2024"])


def test_offsets_for_some_times_only_are_refused():
    with pytest.raises(DataError, match="record 2 holds '2024-01-01 12:00' without an offset"):
        parse_datetimes(["2024-01-01T12:00Z", None, "2024-01-01 12:00"])


def test_nothing_at_all_is_not_a_time():
    assert np.isnat(parse_datetimes(["", None, "NA"])).tolist() == [True] * 3


def test_an_unknown_format_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="format"):
        parse_datetimes(["2024-01-01"], format="%Y")


def test_times_of_arrow_and_numpy_are_taken_as_they_are_and_zones_become_utc():
    moment = datetime.datetime(2024, 7, 1, 12, 0, 0, 750_000)
    aware = pa.array([moment.replace(tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")), None])
    expected = ["2024-07-01T10:00:00", "NaT"]  # summer time is two hours ahead
    assert parse_datetimes(aware).astype(str).tolist() == expected
    assert parse_datetimes(pa.chunked_array([aware])).astype(str).tolist() == expected
    assert parse_datetimes(pa.array([datetime.date(2024, 2, 29)]))[0] == np.datetime64("2024-02-29")
    before = np.array(["1969-12-31T23:59:59.25"], dtype="datetime64[ns]")
    assert parse_datetimes(before)[0] == np.datetime64("1969-12-31T23:59:59")


def test_a_million_texts_take_about_a_second():
    moments = np.datetime64("1950-01-01T00:00:00") + np.arange(1_000_000) * 2017
    texts = pa.array(np.char.replace(np.datetime_as_string(moments), "T", " "))
    start = time.process_time()
    found = parse_datetimes(texts)
    spent = time.process_time() - start
    assert np.array_equal(found, moments)
    assert spent < 4
