"""`interest inspect` and `interest import`, and that the commands that they propose run."""

import shlex
import sys

import pandas as pd
import pytest

from eval.commands.main import main


@pytest.fixture
def interest(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(line, status=0):
        monkeypatch.setattr(sys, "argv", ["interest", *shlex.split(line)])
        with pytest.raises(SystemExit) as end:
            main()
        out = capsys.readouterr()
        assert (end.value.code or 0) == status, out.err
        return out.out + out.err

    return run


def proposed(said):
    return said.split("Next: interest ")[1].split("\n")[0]


def test_a_public_set_is_recognised_imported_and_built(interest, tmp_path, caplog):
    rows = [
        f"{user}\t{item}\t{1 + user % 5}\t{881250949 + user}"
        for user in range(9)
        for item in range(9)
    ]
    (tmp_path / "u.data").write_text("\n".join([*rows, "1\t2\tx\t881250949"]))
    line = proposed(interest("inspect u.data"))
    assert line == "import movielens u.data --out data/"
    assert "u.data, line 82, column 'rating'" in interest(line, status=2)
    said = interest(f"{line} --on-bad-rows quarantine")
    assert "The log has 9 users and 9 items." in said
    assert "MovieLens 100K is published with 943 users" in caplog.text
    assert pd.read_csv("data/bad_rows.csv").line.tolist() == [82]
    assert "9 users" in interest(f"{proposed(said)} --encoder none")


def test_unknown_files_are_built_by_the_proposed_command(interest, tmp_path):
    rows = [
        f"{user};i{(user * step) % 17};2024-01-{step:02}"
        for user in range(30)
        for step in range(1, 9)
    ]
    (tmp_path / "x.csv").write_text("Kunde;Artikel;Tag\n" + "\n".join(rows))
    things = "\n".join(f"i{n};a thing with number {n}" for n in range(17))
    (tmp_path / "y.csv").write_text("k;about\n" + things)
    said = interest("inspect x.csv y.csv")
    line = proposed(said)
    assert line == (
        "build 'x.csv?user_id=Kunde&item_id=Artikel&timestamp=Tag' --items "
        "'y.csv?item_id=k&title=about' --out graph/"
    )
    assert "30 users" in interest(f"{line} --encoder hashing")
    assert "No file is a log" in interest("inspect y.csv")
