"""Every command and line of Python in README and docs runs, in order, on small data."""

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eval.commands.main import main
from eval.comparison.comparison import Comparison
from eval.evaluation.result import EvaluationResult

ROOT = Path(__file__).parents[1]
SCRIPT = Path(sys.executable).with_name("interest")
write_company = runpy.run_path(str(ROOT / "tests" / "company.py"))["write_company"]
# Less work, the same commands.
SMALLER = [
    ("n_users=800", "n_users=120"),
    ("--users 800", "--users 120"),
    ("build_graph(log, items)", 'build_graph(log, items, encoder="hashing")'),
    ("--items data/items.csv", "--items data/items.csv --encoder hashing"),
    ("interest train shop/", "interest train shop/ --set steps=8"),
    (",interest-gnn", ",interest-gnn --set interest-gnn.steps=8"),
]


def blocks(page, language=""):
    """Return the code blocks of a page, made smaller."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for old, new in SMALLER:
        text = text.replace(old, new)
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    return [block for name, block in found if name == language]


def commands(name):
    """Return the arguments of each `interest ...` line."""
    lines = "\n".join(blocks(name)).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("interest ")]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def desk(tmp_path, cache, monkeypatch):
    """A folder with what the pages take for granted, which is the current one."""
    write_company(tmp_path, customers=150, share=0.25)
    (tmp_path / "settings.toml").write_text("steps = 8\n")
    (tmp_path / "columns.toml").write_text(blocks("docs/quick-start.md", "toml")[0])
    monkeypatch.setenv("INTEREST_CACHE_DIR", cache)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command in this process; return what it printed."""

    # A server runs until it is interrupted.
    for server in ("gnn.serving.server.serve", "gnn.serving.supervising.supervise"):
        monkeypatch.setattr(server, lambda *_, ready, **given: ready("http://x/"))
    monkeypatch.setattr("webbrowser.open", lambda url: None)

    def run(arguments):
        monkeypatch.setattr(sys, "argv", ["interest", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        out, error = capsys.readouterr()
        assert not end.value.code, f"{shlex.join(arguments)}\n{error}"
        return out + error

    return run


@pytest.mark.slow
def test_readme_in_python_and_by_commands_gives_the_same(desk, run):
    (lines,) = blocks("README.md", "python")
    made = {}
    exec(lines, made)  # noqa: S102
    shutil.copy("data/valid.csv", "data/new.csv")
    for arguments in commands("README.md"):
        assert run(arguments)
    run(shlex.split("recommend model --user u0035 --domain film -k 3 --out three.csv"))
    due = made["model"].recommend("u0035", domain="film", k=3)
    pd.testing.assert_frame_equal(pd.read_csv("three.csv"), due, check_dtype=False)
    by_commands = EvaluationResult.load("report")  # of lists, not of the model
    for name in ("recall@20", "ndcg@20"):
        assert by_commands.value(name) == pytest.approx(made["result"].value(name))


@pytest.mark.slow
def test_the_quick_start_and_the_four_files_of_a_company(desk, run, caplog):
    said = {}
    for arguments in [*commands("docs/quick-start.md"), *commands("docs/models.md")]:
        if "data/new.csv" in arguments:
            shutil.copy("data/valid.csv", "data/new.csv")
        said[" ".join(arguments[:2])] = run(arguments)

    built = said["build books=books.csv"]
    assert "books.csv: user_id (Kunde), item_id (ISBN), timestamp (Datum)" in built
    assert "films.csv: taking 'customer_id' for user_id, 'stars' for rating." in caplog.text
    assert "artikel.csv: item_id (Artikel), title (Titel), text (Beschreibung)" in built
    assert "music: event play=0.3, skip=negative" in built
    assert re.search(r"courses\W+event refund\W+0\W+0\W+[1-9]", said["describe shop/"])
    items = pd.read_csv("artikel.csv", sep=";", decimal=",").set_index("Artikel")
    lists = pd.read_csv("lists.csv")
    assert set(lists.domain) == {"books"}
    shown = items.loc[lists.item_id]
    assert (shown.Preis < 20).all()
    assert (shown.lieferbar == "ja").all()
    assert (shown.Titel.to_numpy() == lists.title).all()
    assert set(lists.reason) <= {"interest-gnn", "popularity: unknown user"}
    refund = pd.read_csv("courses.csv").query("event == 'refund'").iloc[-1]
    rest = run(["recommend", "shop-model", "--user", refund.member_id, "--domain", "courses"])
    assert refund.course not in rest
    for name in ("users", "items", "interests"):
        table = pd.read_parquet(f"vectors/{name}.parquet").filter(regex=r"^v\d")
        assert len(table) and (table.to_numpy() == np.load(f"vectors/{name}.npy")).all()
    assert {"edges.parquet", "graph.gexf", "items.npy"} <= set(os.listdir("exported"))
    found = Comparison.load("shop-report").results
    assert found["interest-gnn"].value("recall@20") > found["popularity"].value("recall@20")


def test_the_console_script_reads_a_companys_file(desk):
    line = "build books=books.csv?user_id=Kunde&rating=Bewertung --encoder none --out books"
    done = subprocess.run([SCRIPT, *line.split()], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Likes: rating >= 4, rest seen." in done.stdout
