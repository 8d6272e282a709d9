"""What every import does with bad rows and large files, and how unknown files are looked at."""

import json
import logging

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphgen.errors import BadRowsError, ConfigError, InputError
from graphgen.importing import import_data
from graphgen.inspection import inspect_files
from graphgen.log_files import read_log
from graphgen.reading.layouts import blocks
from graphgen.reading.layouts.base import File
from graphgen.reading.layouts.published import Counts, compare_counts
from graphgen.reading.layouts.registry import recognise
from graphgen.tables import read_items

REVIEW = {"reviewerID": "A1", "asin": "0001", "overall": 5.0, "unixReviewTime": 1400000000}
RATINGS = "userId,movieId,rating,timestamp\n"


def as_lines(*objects):
    return "".join(json.dumps(one) + "\n" for one in objects)


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


# Tables in memory


@pytest.mark.parametrize("as_arrow", [False, True])
def test_tables_from_python(tmp_path, as_arrow):
    log = pd.DataFrame({"reviewerID": ["a", "b"], "asin": ["1", "1"], "when": ["x", "y"]})
    items = pd.DataFrame({"item_id": ["1"], "title": ["Dune"]})
    log, items = (pa.Table.from_pandas(t) if as_arrow else t for t in (log, items))
    report = import_data("table", {"books": log}, {"books": items}, out=tmp_path / "out")
    assert report.domains == {"books": Counts(2, 1, 2)}
    assert (
        (tmp_path / "out/log.csv").read_text().startswith("user_id,item_id,domain,when\na,1,books")
    )
    assert read_items(tmp_path / "out/items.csv").domains == ["books"]
    with pytest.raises(InputError, match="no column 'user_id' and no 'item_id'"):
        import_data("table", pd.DataFrame({"x": [1]}), out=tmp_path / "none")


# Bad rows, domains, counts


def test_bad_rows_are_named_by_line_or_set_aside(tmp_path):
    rows = '1,1,x,964982703\n1,,3,964982703\n"open,1,2\n2,1,5,soon\n2,1,4,964982705\n'
    write(tmp_path, {"ratings.csv": RATINGS + rows})
    with pytest.raises(BadRowsError) as error:
        import_data("movielens", tmp_path / "ratings.csv", out=tmp_path / "out")
    assert [(row.line, row.column) for row in error.value.rows] == [
        (2, "rating"), (3, "movieId"), (4, ""), (5, "timestamp")
    ]  # fmt: skip
    assert not (tmp_path / "out").exists()
    report = import_data(
        "movielens", tmp_path / "ratings.csv", out=tmp_path / "out", on_bad_rows="quarantine"
    )
    assert (report.rows, list(report.bad.values())) == ({"log": 1}, [4])
    assert pd.read_csv(tmp_path / "out/bad_rows.csv").line.tolist() == [2, 3, 4, 5]


def test_bad_lines_of_json_keep_their_numbers_in_later_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 300)
    good = as_lines(REVIEW)
    lines = [good] * 60
    lines[20], lines[50] = "{broken\n", as_lines({**REVIEW, "reviewerID": None})
    lines[30] = as_lines({**REVIEW, "asin": 17, "overall": "5.0"})
    path = write(tmp_path, {"reviews_Books.json": "".join(lines)}) / "reviews_Books.json"
    report = import_data("amazon", path, out=tmp_path / "out", on_bad_rows="quarantine")
    assert report.rows == {"log": 58}
    assert pd.read_csv(tmp_path / "out/bad_rows.csv").line.tolist() == [21, 51]
    assert "A1,17,books,1400000000,5.0" in (tmp_path / "out/log.csv").read_text()


@settings(deadline=None, max_examples=100)
@given(
    text=st.text(st.sampled_from('a1,"\n\ré '), max_size=60),
    size=st.sampled_from([1, 7, 1 << 20]),
    quoted=st.booleans(),
)
def test_rows_in_are_rows_read_or_reported(tmp_path_factory, text, size, quoted):
    path = tmp_path_factory.mktemp("any") / "x.csv"
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", size)
        read = blocks.delimited_blocks(File(path, "x.csv"), ",", names=["a", "b"], quoted=quoted)
        tables = list(read)
    n_rows = sum(table.n_rows for table in tables)
    n_bad = sum(len(table.bad) for table in tables)
    if '"' not in text and "\r" not in text:
        lines = [line for line in text.split("\n") if line.strip(" ")]
        assert n_rows + n_bad == len(lines)
        assert n_rows == sum(line.count(",") == 1 for line in lines)
    assert n_rows + n_bad >= (text.strip(" \r\n") != "")


def test_items_without_an_interaction_can_be_left_out(tmp_path):
    write(tmp_path, {
        "ratings.csv": RATINGS + "1,1,3,964982703\n",
        "movies.csv": "movieId,title,genres\n1,A,War\n2,B,War\n",
    })  # fmt: skip
    report = import_data("movielens", tmp_path, out=tmp_path / "out", only_in_log=True)
    assert (report.rows, report.left_out) == ({"log": 1, "items": 1}, {"items": 1})


def test_domains_are_counted_apart(tmp_path):
    write(tmp_path, {
        "reviews_Books_5.json": as_lines(REVIEW),
        "reviews_Toys_5.json": as_lines(REVIEW, {**REVIEW, "reviewerID": "A2"}),
    })  # fmt: skip
    report = import_data("amazon", tmp_path, out=tmp_path / "out")
    assert report.domains == {"books": Counts(1, 1, 1), "toys": Counts(2, 1, 2)}
    assert (report.users, report.items) == (2, 2)


def test_counts_that_differ_from_the_published_are_a_warning(tmp_path, caplog):
    write(tmp_path, {"ml-1m/ratings.dat": "1::2::5::978300760\n"})
    with caplog.at_level(logging.WARNING):
        import_data("movielens", tmp_path, out=tmp_path / "out")
    assert "MovieLens 1M is published with 6,040 users" in caplog.text
    assert "1,000,208 rows less" in caplog.text


def test_published_counts():
    assert compare_counts("lightgcn", ["g/train.txt"], Counts(29858, 40981, 1027370))[0]
    assert not compare_counts("lightgcn", ["g/train.txt"], Counts(29858, 40981, 1027369))[0]
    assert compare_counts("lightgcn", ["g/train.txt"], Counts(5, 5, 5)) is None


def test_errors_say_what_to_do(tmp_path):
    write(tmp_path, {"x.csv": "a,b\n1,2\n"})
    with pytest.raises(ConfigError, match="did you mean 'movielens'"):
        import_data("movielense", tmp_path, out=tmp_path / "out")
    with pytest.raises(InputError, match=r"None of 1 files is a log .*ratings\.csv"):
        import_data("movielens", tmp_path, out=tmp_path / "out")
    with pytest.raises(InputError, match="no file or folder"):
        import_data("movielens", tmp_path / "none", out=tmp_path / "out")
    assert recognise([File(tmp_path / "x.csv", "x.csv")]) is None


# Looking at unknown files


def guesses(folder, name, frame, **options):
    frame.to_csv(folder / name, index=False, **options)
    return {g.role: g.column for g in inspect_files(folder / name).looks[0].guesses}


def visits(n=400, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({
        "u": np.sort(rng.integers(0, 40, n)),
        "v": rng.integers(0, 90, n),
        "w": rng.integers(1, 6, n) / 2,
        "t": 1_400_000_000 + rng.integers(0, 10**7, n),
    })  # fmt: skip


ROLES = {"user_id": "u", "item_id": "v", "rating": "w", "timestamp": "t"}


def test_columns_are_found_by_their_values(tmp_path):
    frame = visits()
    assert guesses(tmp_path, "a.csv", frame) == ROLES
    assert guesses(tmp_path, "b.csv", frame[["t", "w", "v", "u"]], sep=";") == ROLES
    dated = frame.assign(t=pd.to_datetime(frame.t, unit="s").dt.strftime("%Y-%m-%d %H:%M:%S"))
    assert guesses(tmp_path, "c.csv", dated) == ROLES
    noted = frame.assign(row=range(len(frame)), said="a very fine thing", did="click")
    assert guesses(tmp_path, "d.csv", noted) == {**ROLES, "event": "did"}


def test_names_win_over_values(tmp_path):
    renamed = visits().rename(columns={"u": "product_code", "v": "member_no", "w": "grade"})
    assert guesses(tmp_path, "a.csv", renamed) == {
        "user_id": "member_no", "item_id": "product_code", "rating": "grade", "timestamp": "t"
    }  # fmt: skip


def test_a_table_of_items_tells_the_item(tmp_path):
    frame = visits()[["u", "v"]].sample(frac=1, random_state=0).add_prefix("c")
    frame.to_json(tmp_path / "log.jsonl", orient="records", lines=True)
    items = pd.DataFrame({"k": range(90), "about": "a long text of words", "n": "short one here"})
    items.assign(k=items.k).to_csv(tmp_path / "things.csv", index=False)
    frame["cu"] += 1000
    frame.to_json(tmp_path / "log.jsonl", orient="records", lines=True)
    found = inspect_files(tmp_path)
    roles = {g.role: (g.column, g.why) for look in found.looks for g in look.guesses}
    assert roles["user_id"][0] == "cu"
    assert "ids of the table of items" in next(
        g.why for look in found.looks if look.table == "log" for g in look.guesses
        if g.role == "item_id"
    )  # fmt: skip
    assert found.command == (
        f"interest build '{tmp_path}/log.jsonl?user_id=cu&item_id=cv' --items "
        f"'{tmp_path}/things.csv?item_id=k&title=n&text=about' --out graph/"
    )
    assert read_log(f"{tmp_path}/log.jsonl?user_id=cu&item_id=cv").n_users == 40


def test_a_file_without_a_header_has_numbers_for_names(tmp_path):
    frame = visits()[["t", "u", "v"]]
    assert guesses(tmp_path, "a.csv", frame, header=False) == {
        "user_id": "2", "item_id": "3", "timestamp": "1"
    }  # fmt: skip


def test_what_is_no_log_is_said(tmp_path):
    write(tmp_path, {"x.csv": "a,b\n1,2\n3,4\n", "y.csv": "", "z.csv": b"\xff\xfea\n"})
    found = inspect_files(tmp_path)
    assert found.command == ""
    assert all(look.note for look in found.looks)
