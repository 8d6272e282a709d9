"""From a log to evaluated expansions by commands, in this process."""

import pandas as pd
import pytest
from typer.testing import CliRunner

from eval.commands.main import app

RUNNER = CliRunner()


def interest(*arguments, status=0):
    done = RUNNER.invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == status, done.output
    return done.output


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("expand")
    interest("synth", "--users", 300, "--out", folder / "data")
    log, items = folder / "data/train.csv", folder / "data/items.csv"
    graph = folder / "graph"
    interest("build", log, "--items", items, "--encoder", "hashing", "--out", graph)
    split = ["--protocol", "new-interest", "--graph", graph, "--set", "by=random"]
    assert "test_interests.csv" in interest("split", log, *split, "--out", folder / "split")
    options = ["--encoder", "hashing", "--items", items]
    interest("build", folder / "split/train.csv", *options, "--out", folder / "trained")
    interest("train", folder / "trained", "--model", "item-knn", "--out", folder / "model")
    return folder


def test_expansions_are_written_and_evaluated(home):
    truth = pd.read_csv(home / "split/test_interests.csv", dtype=str)
    (home / "users.txt").write_text("\n".join(truth.user_id.unique()))
    out = home / "expansions.csv"
    asked = ["--users", home / "users.txt", "--graph", home / "graph", "--out", out]
    interest("expand", home / "model", *asked, "-k", 5)
    found = pd.read_csv(out, dtype={"user_id": str})
    columns = "user_id interest domain score distance rank item_ids because"
    assert found.columns.tolist() == columns.split()
    given = ["--truth", home / "split/test_interests.csv", "-k", 5, "--out", home / "report"]
    interest("evaluate", out, *given)
    # By hand: the share of each user's held-out interests among the five.
    listed = found.groupby("user_id").interest.agg(set)
    wanted = truth.groupby("user_id").interest.agg(set)
    by_hand = [len(listed[user] & one) / len(one) for user, one in wanted.items()]
    table = pd.read_csv(home / "report/metrics.csv")
    recall = table[(table.metric == "recall@5") & (table.domain == "interests")].value.iloc[0]
    assert recall == pytest.approx(sum(by_hand) / len(by_hand), abs=1e-6)
    # The same from two tables of another form.
    foreign = truth.rename(columns={"user_id": "who", "interest": "theme"})
    parts = home / "first.csv", home / "second.csv"
    for part, path in zip((foreign[::2], foreign[1::2]), parts, strict=True):
        part.to_csv(path, index=False, sep=";", encoding="utf-16")
    form = ["--column", "user_id=who", "--column", "interest=theme", "--encoding", "utf-16"]
    given = ["--truth", parts[0], "--truth", parts[1], "-k", 5, "--out", home / "again", *form]
    found.to_csv(out, index=False, encoding="utf-16")
    interest("evaluate", out, *given)
    pd.testing.assert_frame_equal(table, pd.read_csv(home / "again/metrics.csv"))


def test_a_user_is_shown_new_interests_and_an_unknown_one_the_common(home):
    user = pd.read_csv(home / "split/train.csv", dtype=str).user_id[0]
    shown = interest("expand", home / "model", "--user", user, "--user", "nobody", "-k", 2)
    assert f"New interests for {user}" in shown and "New interests for nobody" in shown
    assert "users have it" in shown


def test_expanders_are_compared(home):
    split = home / "split"
    truth = pd.read_csv(split / "test_interests.csv", dtype=str)
    parts = home / "one.csv", home / "two.csv"
    for part, path in zip((truth[::2], truth[1::2]), parts, strict=True):
        part.rename(columns={"interest": "theme"}).to_csv(path, index=False)
    said = interest(
        "compare", "--task", "expansion", "--train", split / "train.csv",
        "--test", parts[0], "--test", parts[1], "--column", "interest=theme",
        "--items", home / "data/items.csv",
        "--encoder", "hashing", "--graph", home / "graph", "--models", "item-knn",
        "--metrics", "recall", "--out", home / "compared",
    )  # fmt: skip
    assert "Recall@5" in said and "AUC" not in said
    assert "blend" in said and "user-knn" in said
    users = pd.read_csv(home / "compared/metrics.csv").n_users.max()
    assert users == truth.user_id.nunique()
    assert (home / "compared/report.html").exists()


def test_options_that_held_out_interests_do_not_have_are_refused(home):
    truth = home / "split/test_interests.csv"
    asked = ["--truth", truth, "--graph", home / "graph", "--out", home / "no"]
    assert "without --graph" in interest("evaluate", home / "model", *asked, status=2)
    asked = ["--task", "next-domain", "--train", truth, "--test", truth, "--by", "activity"]
    assert "are for --task items" in interest("compare", *asked, "--out", home / "no", status=2)
