"""`interest rules` from a log to a model that follows the file."""

import pandas as pd
import pytest
from typer.testing import CliRunner

from eval.commands.main import app

RUNNER = CliRunner()


def interest(*arguments, status=0):
    """Run a command and return its output as one line."""
    done = RUNNER.invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == status, done.output
    return " ".join(done.output.split())


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rules")
    interest("synth", "--users", 400, "--out", folder / "data")
    log, items = folder / "data/train.csv", folder / "data/items.csv"
    interest("build", log, "--items", items, "--encoder", "hashing", "--out", folder / "graph")
    return folder


def test_mined_rules_are_checked_and_followed(home):
    rules = home / "rules.toml"
    said = interest("rules", "mine", home / "graph", "--within", "--out", rules)
    assert f"interest rules check {rules} --graph" in said
    number = rules.read_text().count("[[rules]]")
    assert number and f"{number} rules in" in said
    checked = interest("rules", "check", rules, "--graph", home / "graph")
    assert f"is right: {number} rules." in checked
    options = ["--model", "rules", "--set", f"file={rules}", "--out", home / "model"]
    interest("train", home / "graph", *options)
    user = pd.read_csv(home / "data/train.csv", dtype=str).user_id[0]
    assert "rank" in interest("recommend", home / "model", "--user", user, "-k", 2)


def test_all_figures_are_in_a_table(home):
    options = ["--levels", "item,interest", "--fdr", 0.5, "--within", "--per-pair", 7]
    out = home / "all.csv"
    interest("rules", "mine", home / "graph", *options, "--out", out)
    table = pd.read_csv(out)
    assert table.groupby(["level", "source_domain", "target_domain"]).size().max() == 7
    assert (table.q <= 0.5).all()
    assert (table.lift > 1).all()
    assert (table.together / table.n_source).sub(table.confidence).abs().max() < 1e-9


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["mine", "--levels", "intrest", "--out", "x.toml"], "did you mean 'interest'?"),
        (["mine", "--fdr", "0", "--out", "x.toml"], "--fdr is above 0"),
        (["mine", "--min-users", "100000", "--out", "x.toml"], "No rule is significant"),
    ],
)
def test_wrong_options_are_clear_errors(home, arguments, problem, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command, *others = arguments
    assert problem in interest("rules", command, home / "graph", *others, status=2)


def test_a_wrong_file_is_named_with_its_line(home, tmp_path):
    rules = tmp_path / "mine.toml"
    rules.write_text('[[rules]]\nif = {domain = "boook"}\nthen = {domain = "book"}\n')
    said = interest("rules", "check", rules, "--graph", home / "graph", status=2)
    assert "mine.toml, line 2: unknown domain 'boook'; did you mean 'book'?" in said
