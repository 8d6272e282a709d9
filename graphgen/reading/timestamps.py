"""Times of any usual kind to UTC milliseconds, vectorised, with a reason for each that fails."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from graphgen.reading.dates import AMBIGUOUS, number_form, written_dates

__all__ = ["to_milliseconds", "with_points"]

logger = logging.getLogger(__name__)

# Smallest magnitude read as the unit, and how many of the unit make a second. Seconds end at 1e11
# (the year 5138), which as milliseconds is 1973; each further unit starts 1000 times higher.
UNITS = (
    ("seconds", 0.0, 1),
    ("milliseconds", 1e11, 10**3),
    ("microseconds", 1e14, 10**6),
    ("nanoseconds", 1e17, 10**9),
)
# In a file of milliseconds or finer, a value of at least this number that still lies before 1973 is
# a time after 1973 in a coarser unit: it is in the wrong one.
SUSPICIOUS_SECONDS = 10**8
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799  # years 1 and 9999
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
DECIMAL_COMMA = r"^[+-]?\d+,\d+$"
NOT_THOUSANDS = r"^[+-]?(0\d*|\d{4,}),|,(\d{1,2}|\d{4,})$"  # "1,234" may be either

REQUIRED = (
    "must be a unix time (s, ms, us or ns) or a date such as 2025-10-18, 18.10.2025 or, with "
    "--day-first or --month-first, 10/18/2025"
)
ZERO = "must not be 0, which is no time, because other rows have one"
MISSING = "must not be empty, because other rows have a time"

Faults = list[tuple[np.ndarray, str]]


def to_milliseconds(
    column: pa.ChunkedArray, *, day_first: bool | None = None
) -> tuple[np.ndarray, Faults]:
    """Convert a column of times to milliseconds since 1970 in UTC.

    Unix times may be integers or floats; their unit is found once for the column, from the median
    magnitude of the values that are not zero. A column of years, ``201403``, ``20140327``, such
    numbers with hours and minutes, or days of a spreadsheet is read as such. ISO 8601 texts may
    lack the time or the zone (then UTC); ``27.3.2014`` and ``27/3/2014`` are read too.

    Parameters
    ----------
    column
        Arrow column of text, numbers, dates or times.
    day_first
        Whether the day is first in ``3/4/2014``; None to find out from a day above 12.

    Returns
    -------
    milliseconds : numpy.ndarray
        int64, one for each row; 0 where the row failed.
    faults : list of (mask, reason)
        Boolean mask of the rows that failed, for each reason.

    Examples
    --------
    >>> times, faults = to_milliseconds(pa.chunked_array([["2014-03-27", "1970-01-01T00:00:01Z"]]))
    >>> times, faults
    (array([1395878400000,          1000]), [])
    >>> to_milliseconds(pa.chunked_array([[1395878400, 7, -5]]))[0]
    array([1395878400000,          7000,         -5000])
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = pc.cast(column, kind.value_type)
        kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _native(column)
    if isinstance(kind, pa.BaseExtensionType) and "period" in kind.extension_name:
        return _native(pa.chunked_array([pa.array(column.to_pandas().dt.to_timestamp())]))
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_duration(kind):
        return np.zeros(len(column), np.int64), [(np.ones(len(column), bool), REQUIRED)]
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _numeric(column)
    return _textual(column.cast(pa.large_string()), day_first)


def _mask_of(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.to_numpy(), dtype=bool)


def _native(column: pa.ChunkedArray) -> tuple[np.ndarray, Faults]:
    missing = _mask_of(column.is_null())
    zone = getattr(column.type, "tz", None)
    times = column.cast(pa.timestamp("ms", tz=zone), safe=False)
    milliseconds = times.cast(pa.int64()).fill_null(0).to_numpy()
    return milliseconds, [(missing, MISSING)] if missing.any() else []


def _textual(column: pa.ChunkedArray, day_first: bool | None) -> tuple[np.ndarray, Faults]:
    column = pc.utf8_trim_whitespace(column)
    missing = _mask_of(pc.equal(column, "").fill_null(True))
    if missing.any():
        column = pc.if_else(pa.array(missing), pa.scalar(None, column.type), column)
    for target in (pa.int64(), pa.float64(), pa.timestamp("ms"), pa.timestamp("ms", tz="UTC")):
        try:
            times = column.cast(target)
        except pa.ArrowInvalid:
            continue
        return _native(times) if pa.types.is_timestamp(target) else _numeric(times)
    try:
        return _numeric(with_points(column).cast(pa.float64()))  # days of a spreadsheet: 41725,5
    except pa.ArrowInvalid:
        return _mixed(column, missing, day_first)


def with_points(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Replace decimal commas, unless the column has points too or all may be thousands."""
    comma = pc.match_substring_regex(column, DECIMAL_COMMA)
    certain = pc.match_substring_regex(column, NOT_THOUSANDS)
    point = pc.match_substring(column, ".")
    if pc.any(point).as_py() or not pc.any(pc.and_(comma, certain)).as_py():
        return column
    return pc.if_else(comma, pc.replace_substring(column, ",", "."), column)


def _mixed(
    column: pa.ChunkedArray, missing: np.ndarray, day_first: bool | None
) -> tuple[np.ndarray, Faults]:
    """Convert value by value; the kind (number or date) of the minority is a fault."""
    numeric = _mask_of(pc.match_substring_regex(column, NUMBER).fill_null(False))
    faults: Faults = [(missing, MISSING)] if missing.any() else []
    texts = pc.replace_substring_regex(column, r"\s*(UTC|GMT)$", "Z")
    dates = pd.to_datetime(
        pd.Series(texts.to_pandas()).mask(numeric | missing),
        format="ISO8601",
        utc=True,
        errors="coerce",
    )
    is_iso = dates.notna().to_numpy()
    written, is_written, ambiguous = written_dates(texts.to_pandas(), day_first)
    if ambiguous.any():
        faults.append((ambiguous, AMBIGUOUS))
    is_date = is_iso | is_written
    if numeric.sum() > is_date.sum():
        keep = pa.array(numeric)
        numbers = pc.if_else(keep, column, pa.scalar(None, column.type))
        milliseconds, more = _numeric(numbers.cast(pa.float64()))
        faults += [(mask & numeric, reason) for mask, reason in more if (mask & numeric).any()]
        if is_date.any():
            faults.append((is_date, "must be a unix time, as most rows of this file have"))
    else:
        milliseconds = dates.dt.as_unit("ms").astype("int64").to_numpy(copy=True)
        milliseconds[~is_iso] = written[~is_iso]
        if numeric.any():
            faults.append((numeric, "must be an ISO 8601 date, as most rows of this file have"))
    neither = ~(numeric | is_date | missing | ambiguous)
    if neither.any():
        faults.append((neither, REQUIRED))
    return milliseconds, faults


def _numeric(column: pa.ChunkedArray) -> tuple[np.ndarray, Faults]:
    faults: Faults = []
    missing = _mask_of(column.is_null())
    whole = pa.types.is_integer(column.type)
    target = pa.int64() if whole else pa.float64()
    values = column.cast(target, safe=False).fill_null(0).to_numpy()
    if not whole:
        infinite = ~np.isfinite(values)
        nan = np.isnan(values)
        missing |= nan
        if (infinite & ~nan).any():
            faults.append((infinite & ~nan, REQUIRED))
        values = np.where(infinite, 0, values)
    if missing.any():
        faults.append((missing, MISSING))
    present = ~missing
    if (form := number_form(values[present & (values != 0)])) is not None:
        times, sound = form.milliseconds(values)
        wrong = present & ~sound
        if wrong.any():
            faults.append((wrong, f"must be one of {form.name}, as most rows of this file have"))
        else:
            logger.warning("Times such as %s are read as %s.", values[present][0], form.name)
        return np.where(sound & present, times, 0), faults
    magnitude = np.abs(values.astype(np.float64))
    nonzero = magnitude[present & (magnitude > 0)]
    typical = float(np.median(nonzero)) if nonzero.size else 0.0
    unit, _, per_second = next(u for u in reversed(UNITS) if typical >= u[1])
    beyond = (values < FIRST_SECOND * per_second) | (
        magnitude > float(LAST_SECOND) * per_second  # in float: the year 9999 overflows int64 ns
    )
    coarser = np.zeros(len(values), bool)
    if per_second > 1:
        coarser = (magnitude >= SUSPICIOUS_SECONDS) & (magnitude < SUSPICIOUS_SECONDS * per_second)
    wrong = beyond | coarser
    if typical >= SUSPICIOUS_SECONDS and (zero := present & (magnitude == 0)).any():
        faults.append((zero, ZERO))
    elif nonzero.size and nonzero.max() < SUSPICIOUS_SECONDS:
        logger.warning(
            "Times such as %s are read as seconds since 1970: as an order they are right, as dates "
            "they may not be.",
            values[present][0],
        )
    if wrong.any():
        faults.append((wrong, f"must be a unix time in {unit}, as most rows of this file have"))
        values = np.where(wrong, 0, values)
    if per_second <= 1000:
        scaled = values * (1000 // per_second)
        return (scaled if whole else np.rint(scaled)).astype(np.int64), faults
    return np.floor_divide(values, per_second // 1000).astype(np.int64), faults
