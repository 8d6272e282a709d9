"""Dates other than unix times and ISO 8601: calendar numbers, spreadsheet days, written forms."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

__all__ = ["AMBIGUOUS", "NumberForm", "number_form", "written_dates"]

DAY = 86_400_000
SPREADSHEET_ZERO = np.datetime64("1899-12-30", "ms").astype(np.int64)
# A column is of a form when this share of its values look like it; the others are then wrong.
MOST = 0.9
# Unix times in seconds have as many digits; they are no days and hours but for a few.
UNIX_DIGITS = 10
DATE = r"(?P<year>\d{4})(?P<mark>[./])(?P<month>\d{1,2})[./](?P<day>\d{1,2})"
REVERSED = r"(?P<first>\d{1,2})(?P<mark>[./-])(?P<second>\d{1,2})[./-](?P<year>\d{4})"
CLOCK = (
    r"(?:[ T,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<sec>\d{2})(?:[.,]\d+)?)?"
    r"\s*(?P<half>[AaPp][Mm])?)?"
)
AMBIGUOUS = "may have its day or its month first: give --day-first or --month-first"


class NumberForm(NamedTuple):
    """A way to write a time as a number.

    Attributes
    ----------
    name
        For messages.
    low, high
        Smallest and largest number of it.
    digits
        Of a calendar form, such as 8 of ``20140327``; 0 for days of a spreadsheet.
    """

    name: str
    low: int
    high: int
    digits: int

    def milliseconds(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return milliseconds since 1970, and which of the values are such a time."""
        inside = (values >= self.low) & (values <= self.high)
        if not self.digits:
            days = np.where(inside, values, 0).astype(np.float64)
            return np.rint(days * DAY).astype(np.int64) + SPREADSHEET_ZERO, inside
        inside &= values == np.floor(values)
        whole = np.where(inside, values, self.low).astype(np.int64)
        parts: list[np.ndarray] = []
        for _ in range((self.digits - 4) // 2):
            whole, part = np.divmod(whole, 100)
            parts.insert(0, part)
        times, exists = _times(whole, *parts)
        return times, exists & inside


FORMS = (
    NumberForm("years", 1900, 2100, 4),
    NumberForm("months, YYYYMM", 1900_01, 2100_12, 6),
    NumberForm("days, YYYYMMDD", 1900_01_01, 2100_12_31, 8),
    NumberForm("hours, YYYYMMDDhh", 1990_01_01_00, 2100_12_31_23, 10),  # as seconds, from 2033 on
    NumberForm("minutes, YYYYMMDDhhmm", 1900_01_01_00_00, 2100_12_31_23_59, 12),
    NumberForm("seconds, YYYYMMDDhhmmss", 1900_01_01_00_00_00, 2100_12_31_23_59_59, 14),
    NumberForm("days of a spreadsheet, from 1899-12-30", 20_000, 80_000, 0),  # 1954 to 2119
)


def number_form(values: np.ndarray) -> NumberForm | None:
    """Return the form in which nearly all numbers are written; None for unix times.

    Examples
    --------
    >>> number_form(np.array([201403, 201404])).name, number_form(np.array([1395878400]))
    ('months, YYYYMM', None)
    """
    for form in FORMS:
        inside = (values >= form.low) & (values <= form.high)
        if len(values) and inside.mean() >= MOST:
            if form.digits == UNIX_DIGITS and form.milliseconds(values)[1].mean() < MOST:
                continue
            return form
    return None


def written_dates(
    texts: pd.Series, day_first: bool | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read ``18.10.2025 00:49``, ``10/18/2025 12:49 AM`` and ``2025/10/18``.

    With dots the day is first; else as `day_first` says, or as a number above 12 shows.

    Returns
    -------
    milliseconds : numpy.ndarray
        int64, since 1970 in UTC.
    read, ambiguous : numpy.ndarray
        Boolean: which rows are such dates, and which could be two.

    Examples
    --------
    >>> times, read, ambiguous = written_dates(pd.Series(["27.3.2014", "3/4/2014", "x"]), None)
    >>> int(times[0]), read.tolist(), ambiguous.tolist()
    (1395878400000, [True, False, False], [False, True, False])
    """
    texts = texts.astype(object)
    result = np.zeros(len(texts), np.int64)
    read = np.zeros(len(texts), bool)
    ambiguous = np.zeros(len(texts), bool)
    for pattern in (DATE, REVERSED):
        found = texts.str.extract(f"^{pattern}{CLOCK}$", expand=True)
        rows = np.flatnonzero(found["year"].notna())
        if not rows.size:
            continue
        found = found.iloc[rows]

        def number(name: str, found: pd.DataFrame = found) -> np.ndarray:
            return found[name].fillna(0).astype(np.int64).to_numpy()

        known = np.ones(len(rows), bool)
        if pattern is DATE:
            month, day = number("month"), number("day")
        else:
            first, second = number("first"), number("second")
            dotted = (found["mark"] == ".").to_numpy()
            order = _order(first[~dotted], second[~dotted]) if day_first is None else day_first
            known = dotted | (order is not None)
            day = np.where(dotted | bool(order), first, second)
            month = np.where(dotted | bool(order), second, first)
        half = found["half"].str.lower()
        hour = number("hour")
        hour = np.where((half == "pm") & (hour < 12), hour + 12, hour)
        hour = np.where((half == "am") & (hour == 12), 0, hour)
        times, exists = _times(number("year"), month, day, hour, number("minute"), number("sec"))
        result[rows], read[rows], ambiguous[rows] = times, exists & known, ~known
    return np.where(read, result, 0), read, ambiguous


def _order(first: np.ndarray, second: np.ndarray) -> bool | None:
    """Return whether the day is first, where a number above 12 shows it."""
    if (first > 12).any() == (second > 12).any():
        return None
    return bool((first > 12).any())


def _times(
    year: np.ndarray,
    month: np.ndarray | int = 1,
    day: np.ndarray | int = 1,
    hour: np.ndarray | int = 0,
    minute: np.ndarray | int = 0,
    second: np.ndarray | int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return milliseconds since 1970, and which of the times exist."""
    fields = np.broadcast_arrays(year, month, day, hour, minute, second)
    year, month, day, hour, minute, second = (np.asarray(f, np.int64) for f in fields)
    exists = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (year >= 1)
    exists &= (hour < 24) & (minute < 60) & (second < 61)
    months = (np.where(exists, (year - 1970) * 12 + month - 1, 0)).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + np.where(exists, day - 1, 0)
    exists &= days.astype("datetime64[M]") == months  # no 31st of a month of 30 days
    clock = ((hour * 60 + minute) * 60 + second) * 1000
    return days.astype("datetime64[ms]").astype(np.int64) + clock, exists
