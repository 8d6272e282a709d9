"""What a graph adds: features, categories, popularity, the catalogue and who is cold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eval import GraphContext, evaluate
from graphgen.build import build_graph
from graphgen.errors import InputError
from graphgen.log import InteractionLog
from graphgen.tables import ItemTable

TRAIN = pd.DataFrame(
    [(f"u{i}", "a", f"a{j}") for i in range(6) for j in range(8) if (i + j) % 3 == 0]
    + [(f"u{i}", "b", f"b{j}") for i in range(3) for j in range(5) if (i + j) % 2 == 0],
    columns=["user_id", "domain", "item_id"],
)
ITEMS = pd.DataFrame(
    [(f"a{j}", "a", f"title number {j}", f"kind {j % 3}") for j in range(8)]
    + [(f"b{j}", "b", "" if j == 4 else f"word {j}", "") for j in range(5)],
    columns=["item_id", "domain", "title", "category"],
)
TRUTH = pd.DataFrame(
    [("u0", "a", "a1"), ("u1", "a", "a0"), ("u0", "b", "b1"), ("u5", "b", "b2")],
    columns=["user_id", "domain", "item_id"],
)
RECS = pd.DataFrame(
    [("u0", "a", item, r + 1) for r, item in enumerate(["a1", "a2", "a4", "new"])]
    + [("u1", "a", item, r + 1) for r, item in enumerate(["a2", "a5", "a1"])]
    + [("u5", "b", item, r + 1) for r, item in enumerate(["b2", "b4"])],
    columns=["user_id", "domain", "item_id", "rank"],
)


@pytest.fixture(scope="module")
def graph():
    return build_graph(InteractionLog(TRAIN), ItemTable(ITEMS), encoder="hashing")


def test_metrics_that_need_a_graph(graph):
    result = evaluate(RECS, TRUTH, k=4, graph=graph, bootstrap=20)
    frame = result.per_user.set_index(["slice", "user_id", "domain"])
    popularity = TRAIN["item_id"].value_counts()
    users = TRAIN[TRAIN["domain"] == "a"]["user_id"].nunique()
    expected = np.mean([-np.log2(popularity[i] / users) for i in ("a1", "a2", "a4")])
    assert frame.loc[("all", "u0", "a"), "novelty@4"] == pytest.approx(expected)
    x = graph.data["a"].x.numpy()
    place = graph.vocabularies["a"].encode(["a1", "a2", "a4"])
    cosines = x[place] @ x[place].T
    assert frame.loc[("all", "u0", "a"), "ild@4"] == pytest.approx(
        1 - (cosines.sum() - 3) / 6, abs=1e-5
    )
    assert frame.loc[("all", "u0", "a"), "ild-category@4"] == pytest.approx(2 / 3)
    assert np.isnan(frame.loc[("all", "u0", "b"), "ild@4"])  # unanswered
    assert result.value("coverage@4", domain="a") == pytest.approx(4 / 8)
    assert "categories" in result.meta["not_computed"]["ild-category"]
    assert "(domains: b)" in result.meta["not_computed"]["ild-category"]


def test_who_is_cold_and_what_was_seen(graph):
    result = evaluate(RECS, TRUTH, k=4, graph=graph, bootstrap=0)
    history = result.per_user.set_index(["user_id", "domain"])["history"].to_dict()
    assert history == {
        ("u0", "a"): "warm",
        ("u0", "b"): "warm",
        ("u1", "a"): "warm",
        ("u5", "b"): "cold",
    }
    seen = set(TRAIN.itertuples(index=False, name=None))
    repeated = sum((u, d, i) in seen for u, d, i, _ in RECS.itertuples(index=False))
    assert repeated
    assert any(f"{repeated} recommended items are in" in note for note in result.meta["notes"])


def test_without_a_graph_nothing_is_invented():
    result = evaluate(RECS, TRUTH, k=4)
    missing = result.meta["not_computed"]
    assert {"auc", "ild", "ild-category", "novelty", "coverage", "gini"} <= set(missing)
    assert not {c for c in result.metrics if c.startswith(("ild", "novelty", "coverage"))}
    assert "history" not in result.per_user


def test_features_of_ones_own(graph):
    features = {"a": np.eye(8), "b": np.ones((5, 2))}
    result = evaluate(RECS, TRUTH, k=2, graph=GraphContext(graph, features), metrics=["ild"])
    assert result.value("ild@2", domain="a") == pytest.approx(1)
    assert result.value("ild@2", domain="b") == pytest.approx(0, abs=1e-6)
    with pytest.raises(InputError, match="one row per item"):
        evaluate(RECS, TRUTH, graph=GraphContext(graph, {"a": np.eye(3)}))
