"""Damage and oddities that real logs have: each is read as it is meant, or named by line."""

import numpy as np
import pytest

from graphgen.errors import BadRowsError, InputError
from graphgen.log_files import read_log
from graphgen.reading import tabular

HEAD = "user_id,item_id,rating,timestamp\n"
GOOD = "u,a,5,1000000000\nv,b,4,1000000001\n"


def read(tmp_path, content, **options):
    path = tmp_path / "log.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_log(path, deduplicate=False, **options)


def ids(log):
    return list(zip(log.frame.user_id, log.frame.item_id, strict=True))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('user_id,item_id,title\nu,"a\nb","x\r\ny"\n', [("u", "a\nb")]),
        ("user_id,item_id\n007,1.0\n7,1\n1e5,9007199254740993\n",
         [("007", "1.0"), ("7", "1"), ("1e5", "9007199254740993")]),
        ("user_id,item_id\n12345678901234567890123,1\n", [("12345678901234567890123", "1")]),
        ("user_id,item_id\n🎬👩‍👩‍👧,王小明\n", [("🎬👩‍👩‍👧", "王小明")]),
        ("user_id,item_id\nNA,null\nnan,N/A\nNone,NaN\n",
         [("NA", "null"), ("nan", "N/A"), ("None", "NaN")]),
        ((HEAD + GOOD).encode("utf-16"), [("u", "a"), ("v", "b")]),
        ("".join(f"{'user_id,item_id' if not n else f'u,i{n}'}\n" for n in range(40)),
         [("u", f"i{n}") for n in range(1, 40)]),
    ],
    ids=["line breaks", "numbers", "long numbers", "emoji", "NA", "utf-16", "one user"],
)  # fmt: skip
def test_odd_ids_are_read_as_they_stand(tmp_path, content, expected):
    assert ids(read(tmp_path, content)) == expected


def test_decimal_commas(tmp_path):
    log = read(tmp_path, "user_id;item_id;rating\nu;a;4,5\nv;b;3,0\n")
    assert log.frame.rating.tolist() == [4.5, 3.0]


def test_equal_times_keep_the_order_of_the_file(tmp_path):
    log = read(tmp_path, HEAD + "".join(f"u,i{n},5,1000000000\n" for n in range(9)))
    assert np.ptp(log.order) == 0
    assert log.frame.item_id.tolist() == [f"i{n}" for n in range(9)]


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (HEAD + "u\0x,a,5,1000000000\n" + GOOD, 2, "NUL"),
        (HEAD + GOOD + HEAD + GOOD.replace("u,", "w,"), 4, "repeats the header"),
        ("user_id,item_id\nuser_id,item_id\nu,a\nv,b\n", 2, "repeats the header"),
        ('user_id,item_id\nu,a\nw,"a\nv,b\n', 3, "close the quote"),
        (HEAD + "u,a,4,5,1000000000\n" + GOOD, 2, "4 fields"),
    ],
    ids=["NUL", "header twice", "header twice at once", "open quote", "comma in comma"],
)
def test_damaged_rows_are_named_and_set_aside(tmp_path, content, line, reason):
    with pytest.raises(BadRowsError, match=f"line {line}.*{reason}"):
        read(tmp_path, content)
    log = read(tmp_path, content, on_bad_rows="quarantine", quarantine=tmp_path / "bad.csv")
    assert {("u", "a"), ("v", "b")} & {*ids(log)}
    assert log.report.rows_read == len(log) + log.report.bad
    assert reason in (tmp_path / "bad.csv").read_text()


def test_an_endless_line_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(tabular, "LONGEST_LINE", 5 << 20)
    for end, fits in ((b"", False), (b"\n", True)):
        content = HEAD.encode() + (b"x" * (3 << 20) + end) * 3 + b"\n" + GOOD.encode()
        aside = {"on_bad_rows": "quarantine", "quarantine": tmp_path / "bad.csv"}
        if fits:
            assert read(tmp_path, content, **aside).report.bad == 3
            continue
        with pytest.raises(InputError, match="a line of more than 5 MB"):
            read(tmp_path, content, **aside)


def test_ten_thousand_domains(tmp_path):
    rows = "".join(f"u{n % 7},i{n % 3},{n % 5 + 1},d{n % 10_000}\n" for n in range(20_000))
    log = read(tmp_path, "user_id,item_id,rating,domain\n" + rows)
    assert len(log.domains) == 10_000
    assert len(log) == 20_000
    assert set(log.report.taken.rules.values()) <= {
        "rating >= 4, rest seen",
        "rating >= 0.8, rest seen",
    }
