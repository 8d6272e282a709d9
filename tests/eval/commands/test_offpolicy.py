"""Lists that explore, their log, and the two analyses that read it, by commands."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from eval.commands.main import app

RUNNER = CliRunner()


def interest(*arguments, status=0):
    done = RUNNER.invoke(app, list(map(str, arguments)), catch_exceptions=status == 0)
    assert done.exit_code == status, done.output
    return done.output


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("offpolicy")
    generator = np.random.default_rng(0)
    log = pd.DataFrame({"user_id": generator.integers(0, 80, 900), "domain": "book"})
    log["item_id"] = generator.integers(0, 40, 900) // 4 * 4 + log["user_id"] % 4
    log.drop_duplicates().to_csv(folder / "train.csv", index=False)
    interest("build", folder / "train.csv", "--encoder", "none", "--out", folder / "graph")
    interest("train", folder / "graph", "--model", "item-knn", "--out", folder / "model")
    (folder / "users.txt").write_text("\n".join(map(str, range(80))))
    return folder


def test_a_log_is_written_judged_and_learned_from(home):
    out, events = home / "shown.csv", home / "events.csv"
    asked = ["--users", home / "users.txt", "-k", 3, "--explore"]
    # The seed by which policies are judged: ties between scores are broken alike.
    seeded = ["epsilon=0.5", "--seed", 0]
    said = interest("recommend", home / "model", *asked, *seeded, "--out", out)
    assert "interest offpolicy" in said
    shown = pd.read_csv(out, dtype={"user_id": str})
    assert shown["variant"].unique().tolist() == ["epsilon=0.5"]
    again = home / "again.csv"
    interest("recommend", home / "model", *asked, "epsilon=0.5", "--out", again)
    assert pd.read_csv(again)["item_id"].tolist() != shown["item_id"].tolist()
    clicked = shown[shown["item_id"] % 2 == 0]
    after = pd.Timestamp(shown["timestamp"][0]) + pd.Timedelta(minutes=5)
    columns = clicked[["user_id", "domain", "item_id", "variant"]]
    columns.assign(event="click", timestamp=after).to_csv(events, index=False)

    judge = ["offpolicy", out, events, "--model", home / "model", "--policy"]
    said = interest(*judge, "greedy", "--policy", "epsilon=0.5", "--out", home / "judged")
    assert "effective rows" in said
    table = pd.read_csv(home / "judged/offpolicy.csv").set_index(["policy", "estimator"])["value"]
    mean = len(clicked) / len(shown)
    assert table["logged", "mean"] == pytest.approx(mean)
    assert table["epsilon=0.5", "snips"] == pytest.approx(mean)
    assert "| logged | mean | 0 |" in interest(*judge, "greedy", "--reward", "click=0")

    learned = home / "learned.csv"
    learn = ["--learn-from", out, "--learn-from", events, "--seed", 0, "--variant", "b"]
    interest("recommend", home / "model", *asked, "thompson=0", *learn, "--out", learned)
    even = (pd.read_csv(learned)["item_id"] % 2 == 0).mean()
    assert even > mean


def test_dislikes_in_a_history_lower_neighbours(home):
    train = pd.read_csv(home / "train.csv", dtype=str)
    item = train["item_id"][0]
    lists = {}
    for weight in (0, -1):
        row = f"user_id,domain,item_id,weight\n1,book,{item},{weight}\n"
        (home / "now.csv").write_text(row)
        out = home / f"lists{weight}.csv"
        asked = ["--user", "1", "-k", 40, "--history", home / "now.csv", "--out", out]
        interest("recommend", home / "model", *asked)
        lists[weight] = pd.read_csv(out, dtype={"item_id": str}).set_index("item_id")["score"]
    assert item not in lists[0].index and item not in lists[-1].index
    change = lists[-1] - lists[0]
    assert (change <= 0).all() and 0 < (change < 0).sum() <= 20


def test_options_that_do_not_go_together_are_refused(home):
    asked = ["recommend", home / "model", "--user", "1"]
    for more in (["--explore", "epsilon", "--mix"], ["--variant", "b"], ["--explore", "epsilom"]):
        assert RUNNER.invoke(app, list(map(str, [*asked, *more]))).exit_code != 0
