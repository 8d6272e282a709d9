"""The options about tables: every table of every command is read in the same way."""

from __future__ import annotations

import inspect
import sys

import pandas as pd
import pytest

from eval.commands.bench import app as bench
from eval.commands.main import COMMANDS, main

MAPPING = """
[books]
user_id = "Kunde"
item_id = "ISBN"
domain = ""
title = "Titel"
["recs.csv"]
user_id = "Kunde"
item_id = "Artikel"
rank = "Platz"
["negatives.csv"]
user_id = "Kunde"
item_id = "Artikel"
["brands.csv"]
item_id = "Artikel"
provider = "Verlag"
["groups.csv"]
user_id = "Kunde"
group = "Land"
["only.csv"]
item_id = "Artikel"
"""
HISTORY = [(f"u{n % 6}", f"i{n % 5}") for n in range(30)]


def table(path, columns, rows):
    pd.DataFrame(rows, columns=columns.split()).to_csv(path, sep=";", index=False)


def interest(line, monkeypatch):
    """Run the entry of the console script in this process; return its status."""
    monkeypatch.setattr(sys, "argv", ["interest", *line.split()])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code or 0


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files with semicolons and foreign column names, one mapping, and a model; the folder."""
    tmp_path = tmp_path_factory.mktemp("shop")
    table(tmp_path / "log.csv", "Kunde ISBN", [row for row in HISTORY if row[1] != "i4"])
    table(tmp_path / "test.csv", "Kunde ISBN", [("u0", "i4"), ("u1", "i4"), ("u2", "i4")])
    table(tmp_path / "items.csv", "ISBN Titel", [(f"i{n}", f"Titel-{n}") for n in range(6)])
    recs = [(f"u{n}", f"i{3 + m}", m + 1) for n in range(3) for m in range(2)]
    table(tmp_path / "recs.csv", "Kunde Artikel Platz", recs)
    table(tmp_path / "negatives.csv", "Kunde Artikel", [(f"u{n}", "i5") for n in range(3)])
    table(tmp_path / "brands.csv", "Artikel Verlag", [("i3", "A"), ("i4", "B")])
    table(tmp_path / "groups.csv", "Kunde Land", [("u0", "at"), ("u1", "de"), ("u2", "de")])
    table(tmp_path / "only.csv", "Artikel Preis", [("i4", 3), ("i5", 9)])
    (tmp_path / "map.toml").write_text(MAPPING)
    (tmp_path / "book.toml").write_text("[book]\nuser_id = 'Kunde'\n")
    (tmp_path / "users.csv").write_text("user_id\nu0\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        build = "build books=log.csv --items books=items.csv --encoder none --column map.toml"
        assert interest(f"{build} --out graph", patch) == 0
        assert interest("train graph --model popularity --out model", patch) == 0
    return tmp_path


@pytest.fixture
def shop(files, monkeypatch):
    monkeypatch.chdir(files)
    return files


def test_one_mapping_serves_every_table_of_evaluate(shop, monkeypatch, capsys):
    run = (
        "evaluate books=recs.csv --truth books=test.csv -k 2 --graph graph --column map.toml "
        "--users groups.csv --providers books=brands.csv --metrics recall --out "
    )
    assert interest(run + "report", monkeypatch) == 0
    out = capsys.readouterr().out
    assert "| recall" in out.lower()
    assert "de" in out
    assert "Verlag" not in out
    model = "evaluate model --truth books=test.csv -k 2 --metrics sampled-mrr --out sampled "
    model += "--negatives books=negatives.csv --column map.toml"
    assert interest(model, monkeypatch) == 0


def test_lists_and_filters_take_the_same_options(shop, monkeypatch, capsys):
    compare = (
        "compare --train books=log.csv --test books=test.csv --items books=items.csv "
        "--encoder none --models popularity -k 2 --column map.toml --out compared --recs "
        "theirs=books=recs.csv?user_id=Kunde&item_id=Artikel&rank=Platz"
    )
    assert interest(compare, monkeypatch) == 0
    assert "theirs" in capsys.readouterr().out
    recommend = (
        "recommend model --user u0 -k 6 --only books=only.csv?item_id=Artikel#Preis=3 --out a.csv"
    )
    assert interest(recommend, monkeypatch) == 0
    assert pd.read_csv("a.csv").item_id.tolist() == ["i4"]
    assert interest(recommend.replace("--only", "--without"), monkeypatch) == 0
    assert pd.read_csv("a.csv").item_id.tolist() == ["i5"]
    (shop / "only.txt").write_bytes("i4\n".encode("utf-16"))
    assert interest("recommend model --user u0 --only only.txt --out a.csv", monkeypatch) == 0
    assert pd.read_csv("a.csv").item_id.tolist() == ["i4"]


@pytest.mark.parametrize(
    "command",
    [
        "build books=log.csv --encoder none --out again",
        "split books=log.csv --protocol random --out split",
        "train graph --model popularity --valid books=test.csv --out again",
        "recommend model --users books=users.csv --out recs.csv",
        "evaluate model --truth books=test.csv --out other",
        "compare --train books=log.csv --test books=test.csv --encoder none --out other",
    ],
)
@pytest.mark.parametrize(
    ("extra", "wanted"),
    [
        ("--column rating=Note", "No table has a column 'Note' to use as 'rating'"),
        ("--column book.toml", "The mapping of 'book' is not used; did you mean 'books'?"),
    ],
)
def test_a_mapping_that_no_table_uses_is_refused(shop, monkeypatch, capsys, command, extra, wanted):
    known = "" if "recommend" in command else "--column user_id=Kunde --column item_id=ISBN "
    assert interest(f"{command} {known}{extra}", monkeypatch) == 2
    assert wanted in capsys.readouterr().err


def test_every_command_with_these_options_checks_them():
    commands = [*COMMANDS, *(one.callback for one in bench.registered_commands)]
    sources = [inspect.getsource(inspect.unwrap(command)) for command in commands]
    with_tables = [source for source in sources if "tables: options.TableOptions" in source]
    assert len(with_tables) >= 7
    assert [source for source in with_tables if "tables.check()" not in source] == []


def test_users_of_separate_domains_are_found_again(tmp_path, monkeypatch, capsys, caplog):
    monkeypatch.chdir(tmp_path)
    for domain, shift in (("books", 0), ("films", 1)):
        rows = [(f"{n % 6}", f"{(n + shift * (n % 6)) % 5}", n) for n in range(24)]
        pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).to_csv(
            f"{domain}.csv", index=False
        )
        groups = [(n, f"{domain}-{n % 2}") for n in range(6)]
        pd.DataFrame(groups, columns=["user_id", "group"]).to_csv(
            f"{domain}-users.csv", index=False
        )
    logs = "books=books.csv films=films.csv"
    assert interest(
        f"build --separate-users {logs} --encoder none --users books=books-users.csv "
        "--users films=films-users.csv --out graph",
        monkeypatch,
    ) == 0  # fmt: skip
    assert "12 users" in capsys.readouterr().out
    assert interest(f"build {logs} --encoder none --out shared", monkeypatch) == 0
    assert "\n6 users" in capsys.readouterr().out
    assert interest("train graph --model item-knn --out model", monkeypatch) == 0
    for user in ("7 --domain books", "books:7"):  # new, with a history
        (tmp_path / "new.csv").write_text("user_id,item_id\n7,0\n7,1\n")
        line = f"recommend model --user {user} --history books=new.csv --reasons --out recs.csv"
        assert interest(line, monkeypatch) == 0
        recs = pd.read_csv("recs.csv")
        assert recs.user_id.unique().tolist() == ["books:7"]
        assert set(recs[recs.domain == "books"].reason) == {"item-knn"}
    (tmp_path / "who.csv").write_text("user_id,domain\n3,films\nbooks:3,films\n")
    assert interest("recommend model --users who.csv --out recs.csv", monkeypatch) == 0
    assert set(pd.read_csv("recs.csv").user_id) == {"films:3", "books:3"}
    capsys.readouterr()
    assert interest("recommend model --user 3 --out recs.csv", monkeypatch) == 2
    assert "users of books, films are written books:ID" in caplog.text
    assert "the model or the history has 'books:0'" in capsys.readouterr().err
    # Truth and lists in the numbers of each shop.
    (tmp_path / "truth.csv").write_text("user_id,domain,item_id\n3,films,2\n3,books,4\n")
    (tmp_path / "lists.csv").write_text("user_id,domain,item_id,rank\n3,films,2,1\n3,books,4,1\n")
    for system in ("model", "lists.csv"):
        line = f"evaluate {system} --truth truth.csv --graph graph -k 1 --metrics recall"
        line += f" --users films=films-users.csv --out report-{system}"
        assert interest(line, monkeypatch) == 0
        assert "films-1" in capsys.readouterr().out
    # A split writes the ids with their domain, which are not written twice.
    split = f"split {logs} --separate-users books,films --protocol leave-last-out --out split"
    assert interest(split, monkeypatch) == 0
    assert pd.read_csv("split/test.csv").user_id.str.match(r"(books|films):\d$").all()
    again = "build split/train.csv --separate-users --encoder none --out again"
    assert interest(again, monkeypatch) == 0
    assert "\n12 users" in capsys.readouterr().out
    assert interest(f"build {logs} --separate-users book --out no", monkeypatch) == 2
    assert "did you mean 'books'" in capsys.readouterr().err
