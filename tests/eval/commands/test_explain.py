"""Reasons by commands, in this process."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from eval.commands.main import app
from gnn import make_model

RUNNER = CliRunner()


def interest(*arguments, status=0):
    done = RUNNER.invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == status, done.output
    return done.output


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    interest("synth", "--users", 200, "--out", folder / "data")
    log, items = folder / "data/train.csv", folder / "data/items.csv"
    interest("build", log, "--items", items, "--encoder", "hashing", "--out", folder / "graph")
    interest("train", folder / "graph", "--model", "item-knn", "--out", folder / "model")
    return folder


@pytest.fixture(scope="module")
def user(home):
    return pd.read_csv(home / "data/train.csv", dtype=str).user_id[0]


def test_lists_get_a_sentence_for_each_item(home, user):
    out = home / "lists.csv"
    asked = ["--user", user, "--user", "nobody", "-k", 3, "--reasons"]
    interest("recommend", home / "model", *asked, "--out", out)
    lists = pd.read_csv(out)
    assert lists["because"].notna().all() and len(lists) == 24
    assert lists["because"][lists.user_id == "nobody"].str.contains("unknown user").all()
    shown = interest("recommend", home / "model", *asked)
    first = lists.iloc[0]
    assert f"For {user}" in shown and first["because"] in " ".join(shown.split())


def test_a_reason_is_shown_and_written(home, user):
    item = pd.read_csv(home / "lists.csv").iloc[0]
    asked = ["--user", user, "--item", f"{item.domain}={item.item_id}"]
    shown = interest("explain", home / "model", *asked)
    assert item["because"] in shown and "rank 1" in shown
    for title in ("Interactions", "Experts", "Interests in common", "Paths"):
        assert title in shown
    out = home / "why.json"
    interest("explain", home / "model", *asked, "--domain", item.domain, "--out", out)
    told = json.loads(out.read_text())
    assert told["sentence"] == item["because"] and told["interactions"][0]["share"] > 0
    assert told["paths"][0]["nodes"][0]["id"] == user


def test_a_graph_that_is_gone_costs_the_paths_only(home, user, tmp_path):
    (home / "graph").rename(tmp_path / "moved")
    asked = ["--user", user, "--item", pd.read_csv(home / "lists.csv").item_id[0]]
    shown = interest("explain", home / "model", *asked)
    assert "Without paths" in shown and "Interactions" in shown
    assert "Paths" in interest("explain", home / "model", *asked, "--graph", tmp_path / "moved")
    (tmp_path / "moved").rename(home / "graph")


def test_models_that_cannot_are_told(home, user):
    from graphgen import load_graph

    model = make_model("bpr-mf", epochs=1, embedding_dim=4)
    model.fit(load_graph(home / "graph"), valid=None).save(home / "bpr")
    item = pd.read_csv(home / "lists.csv").iloc[0]
    asked = ["--user", user, "--item", f"{item.domain}={item.item_id}"]
    done = RUNNER.invoke(app, ["explain", str(home / "bpr"), *asked])
    assert done.exit_code == 2
    assert "No sentences" in interest(
        "recommend", home / "bpr", "--user", user, "--reasons", "--out", home / "bpr.csv"
    )
