from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import settings

from graphgen.reading.timestamps import to_milliseconds

# The machines of CI are slow at times; that is no failure.
unhurried = settings(deadline=None, max_examples=60)

LOG = "user_id,item_id,domain,rating,timestamp\nann,1,books,5,10\nbob,007,films,2,20\n"


# Times

MOMENT = datetime(2014, 3, 27, 12, 30, 15, tzinfo=UTC)
SECONDS = int(MOMENT.timestamp())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (str(SECONDS), SECONDS * 1000),
        (f"{SECONDS}.25", SECONDS * 1000 + 250),
        ("1.38e9", 1_380_000_000_000),
        (str(SECONDS * 1000 + 7), SECONDS * 1000 + 7),
        (str(SECONDS * 10**6 + 7999), SECONDS * 1000 + 7),
        (str(SECONDS * 10**9 + 7_999_999), SECONDS * 1000 + 7),
        ("2014-03-27T12:30:15Z", SECONDS * 1000),
        ("2014-03-27 12:30:15", SECONDS * 1000),
        ("2014-03-27 12:30:15.25 UTC", SECONDS * 1000 + 250),
        ("2014-03-27T20:30:15+08:00", SECONDS * 1000),
        ("2014-03-27", SECONDS * 1000 - (12 * 3600 + 30 * 60 + 15) * 1000),
        ("20140327", SECONDS * 1000 - (12 * 3600 + 30 * 60 + 15) * 1000),
        ("-5", -5000),
        ("0", 0),
    ],
)
def test_times(value, expected):
    times, faults = to_milliseconds(pa.chunked_array([[f" {value} "]]))
    assert (times.tolist(), faults) == ([expected], [])


def test_native_times():
    for column in ([MOMENT], [MOMENT.replace(tzinfo=None)], [np.float64(SECONDS)], [SECONDS]):
        times, faults = to_milliseconds(pa.chunked_array([pa.array(column)]))
        assert (times.tolist(), faults) == ([SECONDS * 1000], [])
    assert to_milliseconds(pa.chunked_array([pa.array([date(1970, 1, 2)])]))[0] == [86_400_000]


def test_units_are_found_for_the_column_and_strays_are_faults():
    many = [SECONDS * 1000] * 5
    for stray in (SECONDS, SECONDS * 10**6, SECONDS * 10**9):
        times, faults = to_milliseconds(pa.chunked_array([[*many, stray, 7]]))
        ((mask, reason),) = faults
        assert mask.tolist() == [False] * 5 + [True, False]
        assert "milliseconds" in reason
        assert times.tolist() == [*many, 0, 7]
    ((mask, reason),) = to_milliseconds(pa.chunked_array([[*many, 0]]))[1]
    assert mask.tolist() == [False] * 5 + [True]
    assert "must not be 0" in reason
    times, faults = to_milliseconds(pa.chunked_array([["2014-03-27", "12", "x", "", "2014-02-30"]]))
    assert times[0] == 1395878400000
    assert [mask.nonzero()[0].tolist() for mask, _ in faults] == [[3], [1], [2, 4]]


def test_a_day_of_the_calendar_is_no_unix_time():
    times, _ = to_milliseconds(pa.chunked_array([["20140327", "20140331"]]))
    assert np.diff(times) == [4 * 86_400_000]
    times, faults = to_milliseconds(pa.chunked_array([["20140327", "20140231"]]))  # no such day
    assert [mask.tolist() for mask, _ in faults] == [[False, True]]


def moment(text):
    return int(np.datetime64(text, "ms").astype(np.int64))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2014, 2015], ["2014", "2015"]),
        (["201403", "201412"], ["2014-03", "2014-12"]),
        ([20140327123015], ["2014-03-27T12:30:15"]),
        (["201403271230"], ["2014-03-27T12:30"]),
        ([2034032712, 2014032713], ["2034-03-27T12:00", "2014-03-27T13:00"]),
        ([2034062799, 2014032713], ["2034-06-16T09:26:39", "2033-10-27T13:31:53"]),
        (["41640.5", "41990"], ["2014-01-01T12:00", "2014-12-17"]),
        (["41640,5", "41990"], ["2014-01-01T12:00", "2014-12-17"]),
        (["18.10.2025 00:49", "1.2.2025"], ["2025-10-18T00:49", "2025-02-01"]),
        (["18/10/2025", "03/04/2025"], ["2025-10-18", "2025-04-03"]),
        (["10/18/2025 1:05 PM", "03/04/2025"], ["2025-10-18T13:05", "2025-03-04"]),
        (["2014/3/27 12:30"], ["2014-03-27T12:30"]),
    ],
)
def test_other_forms_are_read_where_they_are_certain(values, expected):
    times, faults = to_milliseconds(pa.chunked_array([pa.array(values)]))
    assert (times.tolist(), faults) == ([moment(text) for text in expected], [])


@pytest.mark.parametrize(
    "values", [["03/04/2025"], ["18/10/2025", "10/18/2025"], [201403, 201413], ["31.2.2025"]]
)
def test_dates_that_are_uncertain_or_do_not_exist_are_faults(values):
    _, faults = to_milliseconds(pa.chunked_array([pa.array(values)]))
    assert faults


def test_the_order_of_day_and_month_can_be_given():
    column = pa.chunked_array([["03/04/2025"]])
    assert to_milliseconds(column, day_first=True)[0].tolist() == [moment("2025-04-03")]
    assert to_milliseconds(column, day_first=False)[0].tolist() == [moment("2025-03-04")]


def test_small_numbers_are_an_order_and_it_is_said(caplog):
    assert to_milliseconds(pa.chunked_array([[1, 2, 3]]))[0].tolist() == [1000, 2000, 3000]
    assert "as an order they are right, as dates they may not be" in caplog.text
