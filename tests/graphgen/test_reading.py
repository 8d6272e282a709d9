from __future__ import annotations

import gzip
import io
import logging
import os
import threading
from datetime import datetime
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import settings

from graphgen.errors import BadRowsError, ConfigError, InputError
from graphgen.log import InteractionLog
from graphgen.log_files import read_log
from graphgen.tables import read_items, read_users

# The machines of CI are slow at times; that is no failure.
unhurried = settings(deadline=None, max_examples=60)

LOG = "user_id,item_id,domain,rating,timestamp\nann,1,books,5,10\nbob,007,films,2,20\n"


def write(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def frame_of(rows, columns="user_id domain item_id"):
    return pd.DataFrame(rows, columns=columns.split())


# Reading what is sound


def test_columns_and_types(tmp_path):
    text = (
        " User_ID ,ITEM_ID,domain,rating,timestamp,event,split,empty\n"
        " ann , 007,books,4.5,2014-03-27,click,train,\n"
        "NA,null,films,0,2014-03-28T12:00:00+02:00,,test,\n"
    )
    log = read_log(write(tmp_path / "log.csv", text))
    frame = log.frame
    assert list(frame) == [
        "user_id", "domain", "item_id", "timestamp", "weight", "rating", "event", "split", "empty"
    ]  # fmt: skip
    assert [str(kind) for kind in frame.dtypes] == [
        "str", "category", "str", "datetime64[ms, UTC]", "float32", "float32", "category", "str",
        "str",
    ]  # fmt: skip
    assert frame.user_id.tolist() == ["ann", "NA"]
    assert frame.item_id.tolist() == ["007", "null"]
    assert frame.timestamp[1] == pd.Timestamp("2014-03-28T10:00Z")
    assert frame.rating.tolist() == [4.5, 0]
    assert frame.event.tolist() == ["click", ""]
    assert (log.n_users, log.n_items, log.domains) == (2, 2, ["books", "films"])
    assert log.has_time
    assert log.report.to_dict()["rows_read"] == 2


def test_every_format_gives_the_same_log(tmp_path):
    expected = read_log(write(tmp_path / "a.csv", LOG))
    frame = pd.read_csv(tmp_path / "a.csv", dtype=str)
    frame.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    frame.to_csv(tmp_path / "a.txt.gz", sep=";", index=False)
    frame.to_csv(tmp_path / "a.csv.bz2", index=False)
    zipped = pa.compress(LOG.encode(), codec="zstd", asbytes=True)
    write(tmp_path / "a.csv.zst", zipped)
    frame.to_parquet(tmp_path / "a.parquet")
    typed = frame.astype({"rating": float, "timestamp": int})
    typed["timestamp"] = pd.to_datetime(typed.timestamp, unit="s")
    typed.to_parquet(tmp_path / "typed.parquet")
    names = ["a.tsv", "a.txt.gz", "a.csv.bz2", "a.csv.zst", "a.parquet", "typed.parquet"]
    for name in names:
        assert read_log(tmp_path / name) == expected, name
    assert InteractionLog(frame) == expected


def test_parquet_numbers_become_ids(tmp_path):
    frame = pd.DataFrame({"user_id": [12.0, 2.0], "item_id": [2**60 + 1, 3], "day": [1, 2]})
    frame.to_parquet(tmp_path / "a.parquet")
    log = read_log(tmp_path / "a.parquet")
    assert log.frame.user_id.tolist() == ["12", "2"]
    assert log.frame.item_id.tolist() == [str(2**60 + 1), "3"]
    assert log.frame.day.tolist() == ["1", "2"]
    pd.DataFrame({"user_id": [1.0, np.nan], "item_id": ["a", "b"]}).to_parquet(
        tmp_path / "b.parquet"
    )
    with pytest.raises(BadRowsError, match=r"b.parquet, line 2, column 'user_id': must not be em"):
        read_log(tmp_path / "b.parquet")


@pytest.mark.parametrize(
    "ids",
    [[12345678901234567.0, 5.0], [0.5, 1.0], [[1], [2]], [b"\xff", b"b"], [True, False]],
    ids=["large floats", "fractions", "lists", "bytes", "booleans"],
)
def test_ids_that_are_none_name_column_and_row(tmp_path, ids):
    frame = pd.DataFrame({"user_id": ids, "item_id": [1, 2]})
    frame.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(BadRowsError, match=r"a.parquet, line 1, column 'user_id': must be"):
        read_log(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"DataFrame, column 'user_id', row 1: must be"):
        InteractionLog(frame)


@pytest.mark.parametrize(
    ("ratings", "expected"),
    [
        (["4,5", "3,0", "5"], [4.5, 3.0, 5.0]),
        (["1,234", "0,500"], [1.234, 0.5]),
        (["1,234", "2,345"], None),  # thousands?
        (["4,5", "3.5"], None),
    ],
)
def test_decimal_commas_are_read_where_they_are_certain(tmp_path, ratings, expected):
    rows = "".join(f"u{i};a;{rating}\n" for i, rating in enumerate(ratings))
    path = write(tmp_path / "a.csv", "user_id;item_id;rating\n" + rows)
    if expected is None:
        with pytest.raises(BadRowsError, match="must be a finite number"):
            read_log(path)
    else:
        np.testing.assert_allclose(read_log(path).frame.rating, expected)


def test_one_user_one_item_and_chinese(tmp_path):
    log = read_log(write(tmp_path / "a.csv", "user_id,item_id,标题\n甲,红楼梦,书\n"))
    assert len(log) == log.n_users == log.n_items == 1
    assert log.frame["标题"].tolist() == ["书"]


def test_adjacency_list_and_its_domain(tmp_path, caplog):
    path = write(tmp_path / "train.txt.gz", gzip.compress(b"0 7 8\n1\n2 7\n"))
    with caplog.at_level(logging.INFO):
        log = read_log(path)
    assert "has no domain column; its domain is 'items'" in caplog.text
    assert log.frame[["user_id", "item_id"]].values.tolist() == [["0", "7"], ["0", "8"], ["2", "7"]]
    assert log.domains == ["items"]
    assert read_log(f"places={path}").domains == ["places"]
    bad = write(tmp_path / "bad.txt", "0 7 8\n1 x\n")
    with pytest.raises(BadRowsError, match=r"bad.txt, line 2: must be a list of integers.*'x'"):
        read_log(bad)


def test_sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.csv", "user_id,item_id,split\nann,1,train\nann,2,test\nbob,1,valid\n")
    write(tmp_path / "b.csv", "user_id,item_id\nann,1\n")
    assert read_log("books=a.csv", "films=b.csv").domains == ["books", "films"]
    assert read_log({"books": "a.csv", "films": Path("b.csv")}).domains == ["books", "films"]
    train = read_log("a.csv#split=train")
    assert train.frame.item_id.tolist() == ["1"]
    assert train.report.filtered == 2
    assert len(read_log("books=a.csv#split=train,split=valid")) == 2
    assert read_log("books=a.csv#user_id=ann,split=test").domains == ["books"]
    with pytest.raises(InputError, match=r"no row has 'trian' in column 'split'; .*'test', 'tr"):
        read_log("a.csv#split=trian")
    with pytest.raises(InputError, match=r"no column 'splt' to filter by; did you mean 'split'"):
        read_log("a.csv#splt=train")
    with pytest.raises(InputError, match="no row fulfils user_id=bob, split=train at once"):
        read_log("a.csv#user_id=bob,split=train")


def test_several_files_without_domains_are_warned_of(tmp_path, caplog):
    for name in ("a.csv", "b.csv"):
        write(tmp_path / name, "user_id,item_id\nann,1\n")
    assert len(read_log(tmp_path / "a.csv", tmp_path / "b.csv")) == 1
    assert "2 files have no domain column" in caplog.text
    assert "books=PATH" in caplog.text


def test_a_path_that_exists_wins_over_its_equals_sign(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "day=1").mkdir()
    for name in ("x=a.csv", "a.csv#split=train", "day=1/a.csv", "C:\\log=1.csv"):
        write(tmp_path / name, "user_id,item_id\nann,1\n")
        assert read_log(name).domains == ["items"], name
        assert read_log(f"books={name}").domains == ["books"], name


def test_folder(tmp_path, caplog):
    for name in ("b.csv", "a.tsv", ".hidden.csv", "notes.md", "items.csv", "README.txt"):
        write(
            tmp_path / name,
            "user_id\titem_id\nann\t1\n".replace("\t", "\t" if "tsv" in name else ","),
        )
    write(tmp_path / "items.csv", "item_id,title\n1,Dune\n")
    write(tmp_path / "README.txt", "These are logs.\n")
    log = read_log(tmp_path, deduplicate=False)
    assert [Path(name).name for name in log.report.sources] == ["a.tsv", "b.csv"]
    assert "items.csv is left out: it has no 'user_id'" in caplog.text
    assert "README.txt is left out" in caplog.text
    write(tmp_path / "c.csv", "who,what\nann,1\n")
    with pytest.raises(InputError, match=r"c.csv has no column 'user_id'"):
        read_log(tmp_path)


def test_mapped_and_ignored_columns(tmp_path):
    path = write(tmp_path / "a.csv", "reviewerID,asin,overall\nann,1,5\n")
    log = read_log(path, columns={"user_id": "reviewerID", "item_id": "asin", "rating": "OVERALL"})
    assert log.frame.rating.tolist() == [5]
    path = write(tmp_path / "b.csv", "user_id,item_id,rating\nann,1,good\n")
    assert list(read_log(path, columns={"rating": ""}).frame) == [
        "user_id",
        "domain",
        "item_id",
    ]
    with pytest.raises(ConfigError, match="did you mean 'user_id'"):
        read_log(path, columns={"userid": "x"})
    with pytest.raises(InputError, match=r"b.csv has no column 'stars'; its columns are .*"):
        read_log(path, columns={"rating": "stars"})


def test_weight_and_rating(tmp_path):
    path = write(tmp_path / "a.csv", "user_id,item_id,rating,weight\na,1,5,0.1\na,2,1,0.9\n")
    log = read_log(path)
    assert log.frame.weight.tolist() == [np.float32(0.1), np.float32(0.9)]
    assert log.frame.rating.tolist() == [5, 1]
    jester = write(tmp_path / "b.csv", "user_id,item_id,rating\na,1,-9.5\na,2,8\na,3,\n")
    assert read_log(jester).frame.weight.tolist() == [-1, 1, 1]
    with pytest.raises(InputError, match=r"no column 'rating'.*--column rating=NAME"):
        read_log(write(tmp_path / "c.csv", "user_id,item_id\na,1\n"), positive="rating>=1")


def test_files_that_do_not_go_together(tmp_path, caplog):
    a = write(tmp_path / "a.csv", "user_id,item_id,timestamp\na,1,5\n")
    b = write(tmp_path / "b.csv", "user_id,item_id,genre\na,2,x\n")
    assert not read_log(a, b).has_time
    assert "No timestamps in" in caplog.text and "b.csv" in caplog.text
    log = read_log(a, b, columns={"timestamp": ""})
    assert log.frame.genre.tolist() == ["", "x"]


# What is wrong, and where


@pytest.mark.parametrize(
    ("row", "column", "reason", "value"),
    [
        (",1,books,5,1400000000", "user_id", "must not be empty", ""),
        ("a,  ,books,5,1400000000", "item_id", "must not be empty", ""),
        ("a,1,,5,1400000000", "domain", "must not be empty", ""),
        ("a,1,books,good,1400000000", "stars", "must be a finite number", "good"),
        ("a,1,books,inf,1400000000", "stars", "must be a finite number", "inf"),
        ("a,1,books,1e300,1400000000", "stars", "must be a finite number", "1e300"),
        ("a,1,books,nan,1400000000", "stars", "must be a finite number", "nan"),
        ("a,1,books,5,yesterday", "timestamp", "must be a unix time", "yesterday"),
        ("a,1,books,5,2014-03-27", "timestamp", "must be a unix time", "2014-03-27"),
        ("a,1,books,5,1400000000000", "timestamp", "unix time in seconds", "1400000000000"),
        ("a,1,books,5,", "timestamp", "must not be empty", ""),
        ("a,1,books,5", "", "must have 5 fields, as the header has, not 4", "a,1,books,5"),
        ('"a,1,books,5,1400000000', "", "must close the quote", '"a,1,books,5,1400000000'),
        ("a\0,1,books,5,1400000000", "user_id", "must not hold NUL bytes", "a\0"),
    ],
)
def test_bad_rows_are_located_and_quarantined(tmp_path, row, column, reason, value):
    good = "ann,{},books,4,1400000000\n"
    text = (
        "user_id,item_id,domain,stars,timestamp\n\n"
        + good.format(1)
        + good.format('"quoted\nbreak"')
        + row
        + "\n"
        + good.format(2)
    )
    path = write(tmp_path / "log.csv.gz", gzip.compress(text.encode()))
    with pytest.raises(BadRowsError) as error:
        read_log(path, columns={"rating": "stars"})
    assert error.value.total == 1
    (found,) = error.value.rows
    assert (found.file, found.line, found.column) == (str(path), 6, column)
    assert found.value.strip() == value.strip()
    assert reason in found.reason
    for part in (str(path), "line 6", reason, "--on-bad-rows quarantine"):
        assert part in str(error.value)

    aside = tmp_path / "aside.csv"
    log = read_log(path, columns={"rating": "stars"}, on_bad_rows="quarantine", quarantine=aside)
    assert len(log) == 3
    assert (log.report.bad, log.report.quarantine) == (1, str(aside))
    written = pd.read_csv(aside, dtype=str, keep_default_na=False)
    assert list(written) == ["file", "line", "column", "value", "reason", "row"]
    assert written.line.tolist() == ["6"]
    if "\0" not in row:
        assert written.row[0].replace('"', "") == row.replace('"', "").replace("  ", "")


def test_many_bad_rows_in_several_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.csv", "user_id,item_id\n" + "a,\n" * 30)
    write(tmp_path / "b.csv", "user_id,item_id\na,1\n,2\n")
    with pytest.raises(BadRowsError, match=r"31 bad rows:\n  a.csv, line 2, (.|\n)*and 26 more"):
        read_log("a.csv", "b.csv")
    log = read_log("a.csv", "b.csv", on_bad_rows="quarantine")
    assert (len(log), log.report.bad) == (1, 31)
    assert log.report.quarantine == "a.csv.quarantine.csv"
    written = pd.read_csv("a.csv.quarantine.csv")
    assert written.line.tolist() == [*range(2, 32), 3]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.csv",
        "a.csv.quarantine.csv",
        "b.csv",
    ]
    with pytest.raises(InputError, match=r"No row can be used of 'a.csv'; all 30 are bad, see"):
        read_log("a.csv", on_bad_rows="quarantine")


def test_missing_columns_name_file_columns_and_option(tmp_path):
    path = write(tmp_path / "a.csv", "userid_,Kode,x\na,b,c\n")
    with pytest.raises(InputError) as error:
        read_log(path)
    assert str(error.value) == (
        f"{path} has no column 'item_id'; its columns are 'userid_', 'Kode', 'x'. Name the right "
        'one with --column item_id=NAME (columns={"item_id": "NAME"} in Python), or '
        "for this file alone 'PATH?item_id=NAME'."
    )
    write(path, "Kunde;Artikel\na;b\n")
    with pytest.raises(
        InputError, match=r"'user_id' and no 'item_id'.*\?user_id=NAME&item_id=NAME"
    ):
        read_log(path)
    write(path, "user_id,asin,isbn\na,b,c\n")
    with pytest.raises(InputError, match=r"It may be 'asin', 'isbn'.*--column item_id=asin"):
        read_log(path)
    write(path, "196,242,3\n186,302,3\n")
    with pytest.raises(InputError, match=r"looks like data.*--column user_id=1"):
        read_log(path)
    by_number = read_log(path, columns={"user_id": "1", "item_id": "2", "rating": "3"})
    assert by_number.frame.user_id.tolist() == ["196", "186"]
    write(path, "user_id,item_id,User_ID\na,b,c\n")
    assert list(read_log(path).frame.user_id) == ["a"]
    write(path, "user_id,item_id,user_id\na,b,c\n")
    with pytest.raises(InputError, match=r"2 columns are named 'user_id'.*rename"):
        read_log(path)


def test_advice_fits_the_kind_of_table(tmp_path):
    frame = pd.DataFrame({"user_id": ["a"], "sku": ["b"], "isbn": ["c"]})
    with pytest.raises(InputError, match=r'frame.rename\(columns=\{"sku": "item_id"\}\)') as error:
        InteractionLog(frame)
    assert "--column" not in str(error.value)
    with pytest.raises(InputError, match="its columns are 'data'") as error:
        read_log(write(tmp_path / "a.json", '{"data": [{"user_id": 1}]}'))
    assert "--delimiter" not in str(error.value)


def test_missing_files_and_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "train.csv", LOG)
    with pytest.raises(InputError, match=r"There is no file trian.csv. Did you mean train.csv\?"):
        read_log("trian.csv")
    with pytest.raises(InputError, match=r"There is no file books.csv. Tables there: 'train.csv'"):
        read_log("films=books.csv")
    with pytest.raises(InputError, match=r"There is no file no/where.csv. The last folder"):
        read_log("no/where.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"The folder empty holds no table \(.csv, .tsv"):
        read_log("empty")
    write(tmp_path / "log.json", "{}")
    with pytest.raises(InputError, match=r"log.json has no column 'user_id'"):
        read_log("log.json")
    with pytest.raises(InputError, match="No file to read"):
        read_log()
    with pytest.raises(InputError, match=r"A source is a path, .*; got 7"):
        read_log(7)
    with pytest.raises(InputError, match="lacks its domain or its path"):
        read_log("books=")


@pytest.mark.parametrize("name", ["user", "interest"])
def test_reserved_domains(tmp_path, name):
    path = write(tmp_path / "a.csv", f"user_id,item_id,domain\na,b, {name}\n")
    with pytest.raises(InputError, match=rf"a.csv: the domain '{name}' .* {name}s="):
        read_log(path)
    with pytest.raises(InputError, match=f"the domain '{name}'"):
        read_log(f"{name}={path}")
    assert read_log(f"other={path}").domains == ["other"]


def test_wrong_options(tmp_path):
    path = write(tmp_path / "a.csv", LOG)
    with pytest.raises(ConfigError, match='must be "error" or "quarantine"; got \'skip\''):
        read_log(path, on_bad_rows="skip")
    with pytest.raises(ConfigError, match="needs on_bad_rows"):
        read_log(path, quarantine="x.csv")
    with pytest.raises(ConfigError, match="is one of the sources"):
        read_log(path, on_bad_rows="quarantine", quarantine=path)
    with pytest.raises(ConfigError, match="at least 0; got -1"):
        read_log(path, k_core=-1)
    with pytest.raises(InputError, match=r"The 9-core is empty.*smaller --k-core"):
        read_log(path, k_core=9)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"user_id": "ann", "item_id": 7, "rating": 4.5}\n'),
        ("a.json", '[{"user_id": "ann", "item_id": 7, "rating": 4.5}]'),
        ("a.dat", "user_id::item_id::rating\nann::7::4.5\n"),
        ("a.inter", "user_id:token\titem_id:token\trating:float\nann\t7\t4.5\n"),
        ("a.xlsx", [["User_ID", "asin", "rating"], ["ann", 7, 4.5]]),
        ("a.csv", "sep=;\nuser_id;item_id;rating\nann;7;4,5\n"),
        ("a.csv", "# exported\nuser_id,item_id,rating\nann,7,4.5\n"),
        ("a.csv", "user_id item_id rating\nann 7 4.5\n"),
        ("a.export", "reviewerID|asin|overall\nann|7|4.5\n"),
    ],
)
def test_every_form_gives_the_same_row(tmp_path, name, content):
    path = tmp_path / name
    if isinstance(content, list):
        workbook(path, content)
    else:
        write(path, content)
    row = read_log(path).frame.drop(columns="timestamp", errors="ignore").to_dict("records")
    ids = {"user_id": "ann", "domain": "items", "item_id": "7"}
    assert row == [{**ids, "weight": 1.0, "rating": 4.5}]


def workbook(path, rows):
    book = openpyxl.Workbook()
    book.create_sheet("empty", 0)
    for row in rows:
        book.worksheets[1].append(row)
    book.save(path)


def test_cells_of_a_workbook_keep_their_kind(tmp_path):
    header = ["Kunde", "ISBN", "Datum", "Titel"]
    cells = [["007", 9783161484100, datetime(2025, 10, 18, 0, 49), 1984], [7, "x", None, None]]
    workbook(tmp_path / "a.xlsx", [header, *cells])
    mapping = {"user_id": "Kunde", "item_id": "ISBN", "timestamp": "Datum"}
    with pytest.raises(BadRowsError, match=r"a.xlsx, line 3, column 'Datum': must not be empty"):
        read_log(tmp_path / "a.xlsx", columns=mapping)
    workbook(tmp_path / "a.xlsx", [header, cells[0]])
    frame = read_log(tmp_path / "a.xlsx", columns=mapping).frame
    assert frame[["user_id", "item_id", "Titel"]].values.tolist() == [
        ["007", "9783161484100", "1984"]
    ]
    assert frame.timestamp[0] == pd.Timestamp("2025-10-18 00:49", tz="UTC")
    assert (
        read_items(tmp_path / "a.xlsx", columns={"item_id": "ISBN", "title": "Titel"}).frame.title[
            0
        ]
        == "1984"
    )


def test_typed_headers_of_items_and_users(tmp_path):
    items = write(
        tmp_path / "a.item", "item_id:token\tmovie_title:token_seq\tclass:token_seq\n7\tUp\tx\n"
    )
    frame = read_items(items, columns={"title": "movie_title", "category": "class"}).frame
    assert frame[["item_id", "title", "category"]].values.tolist() == [["7", "Up", "x"]]
    users = write(tmp_path / "a.user", "user_id:token\tage:float\n3\t24\n")
    assert read_users(users).frame[["user_id", "age"]].values.tolist() == [["3", "24"]]


def test_a_movielens_file_has_no_header(tmp_path):
    path = write(tmp_path / "ratings.dat", "1::7::4.5::1395878400\n2::7::3::1395878400\n")
    frame = read_log(path).frame
    assert frame[["user_id", "item_id", "rating"]].values.tolist() == [
        ["1", "7", 4.5],
        ["2", "7", 3],
    ]


def test_standard_input_and_pipes(tmp_path, monkeypatch):
    text = "user_id,item_id,event\nann,1,like\nbob,2,skip\n"
    for source in ("-", "books=-", "-#event=like", "books=-?item_id=item_id"):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        log = read_log(source)
        assert log.frame.user_id.tolist() == (["ann"] if "#" in source else ["ann", "bob"])
        assert log.domains == (["books"] if "books" in source else ["items"])
    pipe = tmp_path / "log.csv.gz"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(gzip.compress(text.encode())))
    writer.start()
    assert len(read_log(f"films={pipe}")) == 2
    writer.join()


def test_a_source_can_name_its_columns_and_leave_rows_out(tmp_path):
    path = write(tmp_path / "a.csv", "Kunde,ISBN,event\nann,1,like\nbob,2,skip\ncy,3,play\n")
    mapped = f"books={path}?user_id=Kunde&item_id=ISBN"
    assert read_log(f"{mapped}#event!=skip").frame.user_id.tolist() == ["ann", "cy"]
    assert read_log(f"{mapped}#event=like,skip").frame.user_id.tolist() == ["ann", "bob"]
    with pytest.raises(InputError, match="no row has 'buy'"):
        read_log(f"{mapped}#event!=buy")
