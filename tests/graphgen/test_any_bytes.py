"""Whatever the bytes and the options: rows that add up, or one sentence. Never a traceback.

``INTEREST_CASES=100000 pytest tests/graphgen/test_any_bytes.py`` tries as many inputs of each kind.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import os
import tempfile
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from eval.evaluation.inputs import read_truth
from eval.evaluation.lists import read_lists, read_recommendations
from gnn.candidates import read_ids
from gnn.requests import read_requests
from graphgen.errors import InterestError
from graphgen.log import InteractionLog
from graphgen.log_files import read_log
from graphgen.tables import read_items, read_users

CASES = int(os.environ.get("INTEREST_CASES", "100"))
many = settings(
    max_examples=CASES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

NAMES = [
    *("user_id", "item_id", "domain", "timestamp", "rating", "weight", "event", "title", "text"),
    *("category", "group", "rank", "score", "User_ID", "ITEM_ID", "reviewerID", "asin", "movieId"),
    *("overall", "description", "genres", "date", "user_id:token", "item_id:token", "rating:float"),
    *("timestamp:float", "Kunde", "Preis", "", " ", "a b", "#user_id", "1", "标题", "x:y", 'q"q'),
]
ODD = [
    *("", " ", "NA", "nan", "NULL", "-", "0", "1", "-1", "1.0", "0.5", "1e5", "1e400", "inf"),
    *("007", "12345678901234567890", "9007199254740993", "é", "e\u0301", "王", "🎬", "\ufeff"),
    *("\u200b", "\x00", "\x1f", '"', 'a"b', '""', "a,b", "a;b", "a|b", "a::b", "a\tb", "a\nb"),
    *("a\r\nb", "'", "\\", "#", "true", "{}", "[1]", "user", "interest", "x" * 300, "4,5"),
    *("1,234", "1.234,5", "null", "N/A", "None", "👩‍👩‍👧", "18446744073709551617"),
]
TIMES = [
    *("2014-03-27", "2014-03-27T10:00:00Z", "2014-03-27 10:00+02:00", "1395878400", "1.4e9"),
    *("1395878400000", "20140327", "201403", "2014", "20140327101112", "41725", "41725.5"),
    *("27.3.2014", "27.03.14", "3/27/2014", "27/3/2014 10:00", "3/4/2014", "2014/3/27", "2014-03"),
    *("2014-Q1", "Mar 27, 2014", "10:00", "99999999999999999999", "0", "-62135596801", "nan"),
    *("2014-02-30", "31/12/2014 11:59 PM", "9999-12-31", "0001-01-01"),
]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "gb18030", "cp1252", "latin-1"]
FILES = ["log.csv", "log.tsv", "log.txt", "log.dat", "log.jsonl", "log.json", "log.inter", "log",
         "log.csv.gz", "log.txt.bz2", "log.jsonl.zst", "log.parquet", "log.xlsx", "a=b.csv",
         "log.csv#x=y", "log.CSV"]  # fmt: skip
SUFFIX = {"text": "csv", "json": "jsonl", "lists": "txt", "parquet": "parquet", "excel": "xlsx"}
MARKS = [",", ";", "\t", "|", "::", " "]

cells = st.one_of(
    st.sampled_from(ODD),
    st.sampled_from(TIMES),
    st.sampled_from(["u1", "u2", "i1", "i2", "books", "films", "like", "skip", "5", "2", "3.5"]),
    st.integers(-5, 2**40).map(str),
    st.text(max_size=5),
)


@st.composite
def headers(draw):
    names = draw(often(["user_id", "item_id"], st.just([])))
    return draw(
        st.permutations(
            names + draw(st.lists(st.sampled_from(NAMES), max_size=4, unique_by=str.lower))
        )
    )


GOOD = {
    "user_id": ["u1", "u2", "007", "王"],
    "item_id": ["i1", "i2", "7", "é"],
    "domain": ["books", "films"],
    "rating": ["5", "2", "3.5", "0"],
    "weight": ["1", "0.5", "-1"],
    "event": ["like", "skip", ""],
    "timestamp": ["1395878400", "1395878999"],
    "rank": ["1", "2"],
}


@st.composite
def rows_of(draw, header):
    """Rows, whose columns mostly hold what their name says, each of one kind, as in real files."""
    columns = []
    n = draw(st.integers(0, 6))
    for name in header:
        good = GOOD.get(name.strip().lower().split(":")[0], ["x", "y"])
        one = draw(st.sampled_from([good] * 9 + [ODD, TIMES, None]))
        of = cells if one is None else st.sampled_from(one)
        columns.append(draw(st.lists(of, min_size=n, max_size=n)))
    return list(zip(*columns, strict=True)) if columns else []


def often(value, others):
    """The value in nine of ten cases, else another one."""
    # Hypothesis prefers the ends of a range.
    return st.integers(0, 19).flatmap(lambda n: others if n in (7, 8) else st.just(value))


def delimited(header, rows, mark, end, quoted):
    if not quoted or len(mark) > 1:
        return end.join(mark.join(row) for row in [header, *rows]) + end
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=mark, lineterminator=end)
    try:
        writer.writerows([header, *rows])
    except csv.Error:
        return ""
    return buffer.getvalue()


def excel(header, rows):
    import openpyxl

    book = openpyxl.Workbook()
    for row in [header, *rows]:
        clean = ["".join(c for c in str(value) if c >= " ") for value in row]
        book.active.append([int(v) if v.isdecimal() and len(v) < 15 else v for v in clean])
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


@st.composite
def contents(draw, kinds=(*["text"] * 6, "json", "json", "parquet", "lists", "excel", "noise")):
    """The name of a file and its bytes: a table in some form, whole or damaged."""
    kind = draw(st.sampled_from(kinds))
    header = draw(headers())
    rows = draw(rows_of(header))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    if kind == "noise":
        return draw(st.sampled_from(FILES)), draw(st.binary(max_size=60))
    if kind == "parquet":
        columns = {f"{name}{i}" if name in header[:i] else name: [row[i] for row in rows]
                   for i, name in enumerate(header)}  # fmt: skip
        typed = {}
        for name, values in columns.items():
            number = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce")
            as_number = number.notna().all() and draw(st.booleans())
            safe = [value.encode(errors="replace").decode() for value in values]
            typed[name] = number.to_numpy() if as_number else safe
        buffer = io.BytesIO()
        pa.parquet.write_table(pa.table(typed), buffer)
        data = buffer.getvalue()
    elif kind == "excel":
        data = excel(header, rows)
    else:
        if kind == "json":
            objects = [json.dumps(dict(zip(header, row, strict=True))) for row in rows]
            objects += draw(often([], st.lists(st.sampled_from(
                ["[]", "{", "null", '{"user_id": 1.5, "item_id": [1]}', '{"user_id": true}',
                 '{"user_id": {"a": 1}, "item_id": 2, "timestamp": 1e400}', "NaN", "[" * 5000,
                 '{"user_id": 9007199254740993.0, "item_id": "\\ud800"}'],
            ), max_size=2)))  # fmt: skip
            text = end.join(objects) + end if draw(st.booleans()) else f"[{','.join(objects)}]"
        elif kind == "lists":
            text = end.join(" ".join(row) for row in draw(rows_of("123")))
        else:
            ragged = draw(often([], st.lists(st.lists(cells, max_size=5), max_size=1)))
            again = draw(often([], st.just([header])))  # of files put together
            mark = draw(often(",", st.sampled_from(MARKS)))
            text = delimited(header, [*rows, *ragged, *again], mark, end, draw(st.booleans()))
            text = draw(often("", st.sampled_from(["sep=;\n", "# note\n", "\n\n"]))) + text
        data = text.encode(draw(often("utf-8", st.sampled_from(ENCODINGS))), errors="replace")
    pack = draw(often(None, st.sampled_from(["gzip", "bz2", "zstd"])))
    if pack == "gzip":
        data = gzip.compress(data, mtime=0)
    elif pack == "bz2":
        data = bz2.compress(data)
    elif pack == "zstd":
        data = pa.compress(data, codec="zstd", asbytes=True)
    if data and draw(often(False, st.just(True))):
        # A share: archives differ in length from call to call, for they hold the time.
        at, length = len(data) * draw(st.integers(0, 999)) // 999, draw(st.integers(0, 20))
        data = data[:at] + draw(st.binary(max_size=4)) + data[at + length :]
    return draw(often(f"log.{SUFFIX[kind]}", st.sampled_from(FILES))), data


forms = often(
    {},
    st.fixed_dictionaries(
        {},
        optional={
            "delimiter": st.sampled_from([*MARKS, "tab", "\\t", "space", "ab", '"', "\x00", "é"]),
            "encoding": st.sampled_from([*ENCODINGS, "utf-7", "idna", "rot13", "nope", "hex", ""]),
            "day_first": st.booleans(),
            "columns": st.dictionaries(
                st.sampled_from(["user_id", "item_id", "timestamp", "rating", "domain", "nope"]),
                st.sampled_from([*NAMES, "2", "99"]),
                max_size=2,
            ),
            "on_bad_rows": st.sampled_from(["quarantine", "error", "quarantine"]),
        },
    ),
)
meanings = often({}, st.fixed_dictionaries(
    {},
    optional={
        "events": st.dictionaries(st.sampled_from(["like", "skip", "5", "x"]),
                                  st.sampled_from([1, 0.3, "negative", "drop", "seen", "nan", ""]),
                                  max_size=2),
        "positive": st.sampled_from(["rating>=4", "books:rating>=3", "event=x", "x", "rating>="]),
        "negative": st.sampled_from(["rating<=2", "weight<0", "timestamp=1", "user_id=u1"]),
        "k_core": st.integers(-1, 3),
        "deduplicate": st.booleans(),
        "separate_users": st.sampled_from([True, ["books"], ["items"]]),
    },
))  # fmt: skip
prefixes = often("", st.sampled_from(["books=", "user=", " ="]))
SUFFIXES = [
    *("?user_id=Kunde", "?encoding=utf-16&delimiter=;", "?nope=1", "#event=like"),
    *("#rating!=2,5", "#=", "#domain=books"),
]
suffixes = often("", st.sampled_from(SUFFIXES))


def tried(read, name, data, options, prefix="", suffix=""):
    """Call a reader on a file; return what it read, or None where it said why not."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        path = Path(folder) / name
        path.write_bytes(data)
        if options.get("on_bad_rows") == "quarantine":
            options = {**options, "quarantine": Path(folder) / "bad"}
        try:
            found = read(f"{prefix}{path}{suffix}", **options)
        except InterestError as error:
            assert str(error).strip()
            event("refused")
            return None
    event("read")
    return found


@many
@given(contents(), forms, meanings, prefixes, suffixes)
def test_rows_of_a_log_add_up(file, form, meaning, prefix, suffix):
    log = tried(read_log, *file, {**form, **meaning}, prefix, suffix)
    if log is None:
        return
    report = log.report
    gone = (report.filtered, report.bad, report.duplicates, report.dropped, report.k_core_dropped)
    assert report.rows_read == len(log) + sum(gone)
    assert min(gone) >= 0
    frame = log.frame
    assert len(log) or sum(gone)
    for column in ("user_id", "item_id"):
        assert (frame[column].str.strip() != "").all()
        assert frame[column].str.normalize("NFC").equals(frame[column])
    if "weight" in frame:
        assert np.isfinite(frame.weight).all()


@many
@given(
    contents(),
    forms,
    prefixes,
    suffixes,
    st.sampled_from(["items", "users", "lists", "truth", "ids", "requests"]),
)
def test_other_tables_are_read_or_refused(file, form, prefix, suffix, table):
    readers = {
        "items": read_items,
        "users": read_users,
        "ids": read_ids,
        "lists": lambda source, **options: read_recommendations(read_lists(source, **options)),
        "truth": lambda source, **options: read_truth(read_log(source, **options)),
        "requests": lambda source, **options: read_requests(source, [], **options),
    }
    found = tried(readers[table], *file, form, prefix, suffix)
    if table in ("items", "users") and found is not None:
        report = found.report
        assert report.rows_read == (len(found) + report.filtered + report.bad + report.duplicates)


def spreadsheet(moment, whole):
    days = (moment - datetime(1899, 12, 30, tzinfo=UTC)) / timedelta(days=1)
    return str(int(days)) if whole else f"{days:.6f}"


def unix(factor):
    return lambda moment: str(int(moment.timestamp()) * factor)


WRITTEN = {
    "seconds": (unix(1), "s"),
    "float seconds": (lambda m: f"{m.timestamp():.1f}", "s"),
    "exponents": (lambda m: f"{m.timestamp():.9e}", "s"),
    "milliseconds": (unix(10**3), "s"),
    "microseconds": (unix(10**6), "s"),
    "nanoseconds": (unix(10**9), "s"),
    "spreadsheet days": (lambda m: spreadsheet(m, True), "D"),
    "spreadsheet": (lambda m: spreadsheet(m, False), "s"),
    "spreadsheet, decimal comma": (lambda m: spreadsheet(m, False).replace(".", ","), "s"),
    "year": ("%Y", "Y"),
    "month": ("%Y%m", "M"),
    "dashed month": ("%Y-%m", "M"),
    "day": ("%Y%m%d", "D"),
    "minute": ("%Y%m%d%H%M", "m"),
    "second": ("%Y%m%d%H%M%S", "s"),
    "iso day": ("%Y-%m-%d", "D"),
    "iso": ("%Y-%m-%dT%H:%M:%S", "s"),
    "iso zone": ("%Y-%m-%d %H:%M:%S+00:00", "s"),
    "iso minute": ("%Y-%m-%d %H:%M", "m"),
    "utc": ("%Y-%m-%d %H:%M:%S UTC", "s"),
    "slashes": ("%Y/%m/%d", "D"),
    "german": ("%d.%m.%Y %H:%M", "m"),
    "british": ("%d/%m/%Y %H:%M:%S", "s"),
    "american": ("%m/%d/%Y %I:%M %p", "m"),
    "dashes": ("%d-%m-%Y", "D"),
    "two digits": ("%d.%m.%y", "D"),
    "words": ("%b %d, %Y", "D"),
    "day and words": ("%d %B %Y", "D"),
    "compact iso": ("%Y%m%dT%H%M%SZ", "s"),
    "week": ("%G-W%V", "D"),
    "clock only": ("%H:%M:%S", "s"),
}
moments = st.datetimes(datetime(1990, 1, 1), datetime(2035, 12, 31)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)


@many
@given(
    st.lists(moments, min_size=1, max_size=8),
    st.sampled_from(sorted(WRITTEN)),
    st.sampled_from(["csv", "parquet", "frame"]),
    st.booleans(),
)
def test_a_time_is_the_right_one_or_refused(times, form, kind, numbers):
    write, unit = WRITTEN[form]
    texts = [t.strftime(write) if isinstance(write, str) else write(t) for t in times]
    frame = pd.DataFrame({"user_id": range(len(times)), "item_id": "a", "timestamp": texts})
    as_numbers = pd.to_numeric(frame.timestamp, errors="coerce")
    if numbers and as_numbers.notna().all():
        frame["timestamp"] = as_numbers
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        path = Path(folder) / f"log.{kind}"
        try:
            if kind == "parquet":
                frame.to_parquet(path)
            elif kind == "csv":
                frame.to_csv(path, index=False, sep=";")
            log = read_log(path) if kind != "frame" else InteractionLog(frame)
        except InterestError:
            event(f"refused: {form}")
            return
    if "timestamp" not in log.frame:
        return
    event(f"read: {form}")
    expected = np.array([t.replace(tzinfo=None) for t in times], dtype="datetime64[s]")
    unit = unit if unit in ("s", "m", "D", "M", "Y") else "s"
    found = log.frame.timestamp.dt.tz_localize(None).to_numpy().astype("datetime64[s]")
    slack = 1 if "spreadsheet" in form else 0
    difference = found - expected.astype(f"datetime64[{unit}]").astype("datetime64[s]")
    assert np.abs(difference.astype(int)).max() <= slack, (texts, found)
