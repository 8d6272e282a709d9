from __future__ import annotations

import bz2
import csv
import gzip
import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphgen.errors import ConfigError, InputError
from graphgen.reading.records import read_records
from graphgen.reading.tabular import TableFile

# The machines of CI are slow at times; that is no failure.
unhurried = settings(deadline=None, max_examples=60)

TEXT = "user_id,item_id\nann,7\nbob,007\n"


def columns_of(path, **options):
    table = TableFile(path, **options).read()
    return {name: column.to_pylist() for name, column in table.columns.items()}


def write(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("log.csv", bytes),
        ("log.csv.gz", gzip.compress),
        ("log.csv.bz2", bz2.compress),
        ("log.csv.zst", lambda b: pa.compress(b, codec="zstd", asbytes=True)),
        ("plain_inside.csv.gz", bytes),  # browsers unpack and keep the name
        ("packed_inside.csv", gzip.compress),
        ("two_members.csv.gz", lambda b: gzip.compress(b[:9]) + gzip.compress(b[9:])),
    ],
)
def test_compressions(tmp_path, name, pack):
    file = TableFile(write(tmp_path / name, pack(TEXT.encode())))
    assert file.read().columns["item_id"].to_pylist() == ["7", "007"]
    assert file.lines().tolist() == [2, 3]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("name", "mark"),
    [("a.csv", ","), ("a.csv", ";"), ("a.csv", "|"), ("a.csv", "\t"), ("a.tsv", "\t"),
     ("a.txt", ","), ("a.txt", "\t"), ("a.txt", " ")],
)  # fmt: skip
def test_delimiters_and_line_ends(tmp_path, name, mark, end):
    path = write(tmp_path / name, TEXT.replace(",", mark).replace("\n", end))
    expected = {"user_id": ["ann", "bob"], "item_id": ["7", "007"]}
    assert columns_of(path, known=["user_id"]) == expected
    assert TableFile(path, known=["user_id"]).lines().tolist() == [2, 3]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_byte_order_marks(tmp_path, encoding):
    mark = "\ufeff" if encoding.endswith("e") else ""
    path = write(tmp_path / "a.csv", (mark + "user_id,title\n1,红楼梦\n").encode(encoding))
    assert columns_of(path) == {"user_id": ["1"], "title": ["红楼梦"]}
    assert TableFile(path).header == ["user_id", "title"]


@pytest.mark.parametrize("encoding", ["gb18030", "cp1252", "utf-16", "utf-16-be", "utf-8"])
def test_given_encoding(tmp_path, encoding):
    title = "café" if encoding == "cp1252" else "红楼梦"
    path = write(tmp_path / "a.csv", f"user_id,title\n1,{title}\n".encode(encoding))
    assert columns_of(path, encoding=encoding)["title"] == [title]


@pytest.mark.parametrize(
    ("encoding", "title"),
    [("gb18030", "红楼梦"), ("cp1252", "Amélie – café"), ("latin-1", "Amélie, naïve")],
)
def test_undecodable_text_names_line_and_encoding(tmp_path, encoding, title):
    rows = "".join(f"{i},plain\n" for i in range(5000))
    path = write(tmp_path / "a.csv", f'user_id,title\n{rows}7,"{title}"\n8,x\n'.encode(encoding))
    suggested = "cp1252" if encoding == "latin-1" else encoding
    with pytest.raises(InputError) as error:
        TableFile(path).read()
    assert f"{path}, line 5002: the bytes" in str(error.value)
    assert f"add --encoding {suggested}" in str(error.value)
    assert title.split()[0] in str(error.value)


def test_undecodable_header_and_wrong_encoding(tmp_path):
    path = write(tmp_path / "a.csv", "user_id,größe\n1,2\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"line 1: .*--encoding cp1252"):
        TableFile(path)
    path = write(tmp_path / "b.csv", "user_id,title\n1,café\n".encode("cp1252"))
    with pytest.raises(InputError, match=r"b.csv, line 2: .* not valid gb18030.*--encoding cp1252"):
        TableFile(path, encoding="gb18030").read()
    with pytest.raises(ConfigError, match=r"Unknown encoding 'utf-7x'"):
        TableFile(path, encoding="utf-7x")
    path = write(tmp_path / "c.csv", "user_id,item_id\n1,2\n".encode("utf-16-le"))
    with pytest.raises(InputError, match=r"line 1.*--encoding utf-16-le"):
        TableFile(path)


values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


@unhurried
@given(st.lists(st.tuples(values, values), min_size=1, max_size=20), st.sampled_from(",;\t|"))
def test_round_trip_of_any_text(rows, mark):
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=mark, quoting=csv.QUOTE_ALL).writerows([("user_id", "x"), *rows])
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "a.csv", buffer.getvalue())
        table = TableFile(path, delimiter=mark).read()
        read = zip(*(column.to_pylist() for column in table.columns.values()), strict=True)
        assert list(read) == rows


@unhurried
@given(st.text(alphabet='a",\n\r ', max_size=40))
def test_arrow_and_csv_agree_on_any_text(body):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        file = TableFile(write(Path(folder) / "a.csv", "x,y\n" + body))
        exact = file._read_exact()
        if not exact.n_rows and not exact.bad:
            with pytest.raises(InputError, match="no rows"):
                file.read()
            return
        table = file.read()
        assert {k: c.to_pylist() for k, c in table.columns.items()} == {
            k: c.to_pylist() for k, c in exact.columns.items()
        }
        assert table.bad == exact.bad
        lines = file.lines() if table.lines is None else table.lines
        assert lines.tolist() == exact.lines.tolist()


@unhurried
@given(st.text(alphabet='ab",\n\r', max_size=60))
def test_records_lose_no_line(text):
    lines = text.splitlines(keepends=True)
    records = list(read_records(lines, ","))
    spanned = sorted(n for r in records for n in range(r.line, r.line + r.n_lines))
    assert spanned == [i for i, line in enumerate(lines, 1) if line.strip("\r\n ")] or any(
        r.n_lines > 1 for r in records
    )
    assert len(set(spanned)) == len(spanned)


def test_lines_with_blank_lines_and_quoted_breaks(tmp_path):
    text = '\n\n"user_id","item\nid"\n\na,1\n\n"b\nb",2\n   \nc,3\n'
    table = TableFile(write(tmp_path / "a.csv", text)).read()
    assert list(table.columns) == ["user_id", "item\nid"]
    assert table.columns["user_id"].to_pylist() == ["a", "b\nb", "c"]
    assert table.lines.tolist() == [6, 8, 11]


def test_rows_that_cannot_be_split(tmp_path):
    text = 'u,i\na,1\nb\nc,3,x\nd,"4\ne,5\nf,6\0\ng,"7"x\nh,8\ni,"9'
    table = TableFile(write(tmp_path / "a.csv", text)).read()
    assert table.columns["u"].to_pylist() == ["a", "e", "g", "h"]
    assert table.columns["i"].to_pylist() == ["1", "5", "7x", "8"]
    assert table.lines.tolist() == [2, 6, 8, 9]
    assert [(bad.line, bad.column, bad.text) for bad in table.bad] == [
        (3, "", "b"),
        (4, "", "c,3,x"),
        (5, "", 'd,"4'),
        (7, "i", "f,6\0"),
        (10, "", 'i,"9'),
    ]
    assert table.bad[1].reason == "must have 2 fields, as the header has, not 3"
    assert "quote" in table.bad[2].reason
    assert "NUL" in table.bad[3].reason


def test_quote_that_swallows_a_line_by_accident(tmp_path):
    text = 'u,i,t\na,1,"good\nb,2,"bad"\nc,3,x\n'
    table = TableFile(write(tmp_path / "a.csv", text)).read()
    assert [bad.line for bad in table.bad] == [2]
    assert table.columns["u"].to_pylist() == ["b", "c"]


def test_long_rows_do_not_stop_it(tmp_path):
    text = "u,i\na," + "x" * (9 << 20) + "\nb,2\n"
    assert [len(v) for v in columns_of(write(tmp_path / "a.csv", text))["i"]] == [9 << 20, 1]


def test_adjacency_list(tmp_path):
    path = write(tmp_path / "train.txt.gz", gzip.compress(b"0 7 8 \r\n1\r\n\r\n2 7\r\n"))
    file = TableFile(path, adjacency=True, known=["user_id"])
    assert file.is_adjacency
    table = file.read()
    assert table.columns["user_id"].to_pylist() == ["0", "0", "2"]
    assert table.columns["item_id"].to_pylist() == ["7", "8", "7"]
    assert table.lines.tolist() == [1, 1, 4]
    with pytest.raises(InputError, match=r"line 1: expected a header with 'user_id'"):
        TableFile(path, known=["user_id"])
    prose = write(tmp_path / "README.txt", "This is a dataset\n")
    with pytest.raises(InputError, match=r'README.txt, line 1.*"user item item ..."'):
        TableFile(prose, adjacency=True, known=["user_id"])


def test_parquet_keeps_types_and_rows(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"u": [1, 2], "x": [1.5, np.nan]}).to_parquet(path)
    table = TableFile(path).read()
    assert table.lines.tolist() == [1, 2]
    assert table.columns["u"].to_pylist() == [1, 2]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"a.parquet is not a whole Parquet file.*Fetch it again"):
        TableFile(path)
    with pytest.raises(InputError, match="Parquet"):
        TableFile(write(tmp_path / "b.parquet", TEXT))


def test_files_that_are_no_tables(tmp_path):
    for content in ("", "\n\n", "\ufeff"):
        with pytest.raises(InputError, match=r"a.csv is empty"):
            TableFile(write(tmp_path / "a.csv", content))
    with pytest.raises(InputError, match=r"a.csv has a header, but no rows under it"):
        TableFile(write(tmp_path / "a.csv", "user_id,item_id\n\n")).read()
    with pytest.raises(InputError, match=r"is a ZIP archive .* Extract or export it as CSV"):
        TableFile(write(tmp_path / "a.csv", b"PK\x03\x04abc"))
    with pytest.raises(InputError, match=r"is a Parquet file.*Name it .parquet"):
        TableFile(write(tmp_path / "a.csv", b"PAR1abc"))
    with pytest.raises(InputError, match=r"line 1: the header must close the quote"):
        TableFile(write(tmp_path / "a.csv", '"user_id,item_id\n1,2\n'))
    with pytest.raises(ConfigError, match=r"`delimiter` must be .*; got '\\n'"):
        TableFile(write(tmp_path / "a.csv", TEXT), delimiter="\n")


@pytest.mark.parametrize("codec", ["gz", "bz2", "zst"])
def test_cut_off_archives(tmp_path, codec):
    rng = np.random.default_rng(0)
    text = "u,i\n" + "".join(f"{a},{b}\n" for a, b in rng.integers(0, 10**9, (20_000, 2)))
    pack = {
        "gz": gzip.compress,
        "bz2": bz2.compress,
        "zst": lambda b: pa.compress(b, codec="zstd", asbytes=True),
    }[codec]
    path = write(tmp_path / f"a.csv.{codec}", pack(text.encode())[:-2000])
    with pytest.raises(InputError, match=rf"a.csv.{codec}: the compressed data end early"):
        TableFile(path).read()


def test_blank_and_repeated_headers(tmp_path):
    file = TableFile(write(tmp_path / "a.csv", ",user_id,x,x\n0,a,1,2\n"))
    assert file.header == ["", "user_id", "x", "x"]
    assert [key.strip() for key in file.keys] == ["", "user_id", "x", "x (2)"]


def test_a_wrong_delimiter_is_suspected(tmp_path, monkeypatch):
    monkeypatch.setattr("graphgen.reading.tabular.MAX_BAD_ROWS", 10)
    path = write(tmp_path / "a.csv", "u,i\n" + "1;2\n" * 20)
    with pytest.raises(InputError, match=r"over 10 rows .* line 2 .*really ','.*--delimiter"):
        TableFile(path).read()
