"""Experts over co-consumption, attributes and friends."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import graphgen
from gnn import load_model, make_model
from gnn.data import TrainingData
from gnn.models.interest.related import AttributeExpert, SocialExpert, related_matrices

USERS, ITEMS, TASTES = 160, 40, 4


@pytest.fixture(scope="module")
def log():
    """Each user likes some items of one taste."""
    rng = np.random.default_rng(0)
    user, item = np.nonzero(rng.random((USERS, ITEMS)) < 0.35)
    kept = user % TASTES == item % TASTES
    return pd.DataFrame(
        {"user_id": user[kept].astype(str), "item_id": item[kept].astype(str), "domain": "film"}
    )


@pytest.fixture(scope="module")
def graph(log):
    items = pd.DataFrame({"item_id": [str(i) for i in range(ITEMS + TASTES)]})
    items["author"] = [f"author {i % TASTES}" for i in range(ITEMS + TASTES)]
    friends = pd.DataFrame({"user_id": range(USERS - TASTES), "friend_id": range(TASTES, USERS)})
    return graphgen.build_graph(
        log, items, friends=friends, encoder="none", co_consumed_k=10, relations=("author",)
    )


@pytest.fixture(scope="module")
def data(graph):
    return TrainingData.from_graph(graph)


def test_attributes_reach_items_without_interactions(data):
    users, span = data.batch(np.arange(20)), data.span("film")
    matrix = related_matrices(["attributes"], data)["attributes"]
    scores = AttributeExpert(data, matrix).score(users, "film").numpy()
    links = data.links["author"].toarray()
    scaled = links / np.sqrt(links.sum(0))
    want = users.history.toarray() @ scaled @ scaled.T
    np.testing.assert_allclose(scores, want[:, span], rtol=1e-5)
    new = np.flatnonzero(data.popularity == 0)
    taste = data.users.ids[:20].astype(int) % TASTES
    item = data.items["film"].ids[new[scores[:, new].argmax(1)]].astype(int)
    assert (item % TASTES == taste).all()


def test_friends_are_those_of_the_graph_and_strangers_have_none(data):
    matrix = related_matrices(["social"], data)["social"]
    users = data.batch(np.arange(30))
    scores = SocialExpert(data, matrix).score(users, "film").toarray()
    friends = data.links["friend"].toarray()[:30]
    want = (friends / friends.sum(1, keepdims=True)) @ data.matrix.toarray()
    np.testing.assert_allclose(scores, want, rtol=1e-5)
    users.index[:] = -1
    assert SocialExpert(data, matrix).score(users, "film").nnz == 0


def test_the_model_mixes_and_saves_those_that_are_worth_it(graph, tmp_path):
    wanted = ("popularity", "co_consumed", "attributes", "social")
    model = make_model("interest-gnn", experts=wanted).fit(graph)
    # What popularity lacks is the taste, which both of these tell; friends are kept for new users.
    kept = set(model.mixture_.experts)
    assert kept & {"co_consumed", "attributes"}
    assert set(model.related_) == kept - {"popularity"} | {"social"}
    asked = model.users.ids[:8].tolist()
    scores = model.score(asked, domain="film")
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    np.testing.assert_array_equal(again.score(asked, domain="film"), scores)
    plain = graphgen.build_graph(
        pd.DataFrame({"user_id": list("aab"), "item_id": list("xyx")}), encoder="none"
    )
    with pytest.raises(graphgen.errors.ConfigError, match=r"no friends .*--social"):
        make_model("interest-gnn", experts=("social",)).fit(plain, valid=None)


def test_users_without_interactions_get_the_items_of_their_friends(log):
    friends = pd.DataFrame({"user_id": ["new", "new"], "friend_id": ["1", "5"]})
    users = pd.DataFrame({"user_id": ["new", "alone", "0"]})
    graph = graphgen.build_graph(log, users=users, friends=friends, encoder="none")
    model = make_model("interest-gnn", experts=("popularity", "filter", "social")).fit(graph)
    asked = model.recommend(["new", "alone"], k=5)
    lists = asked.groupby("user_id").item_id.agg(list)
    # Friends 1 and 5 are of one taste; popularity knows none.
    assert {int(item) % TASTES for item in lists["new"]} == {1}
    popular = log.item_id.value_counts()
    assert popular[lists["alone"]].tolist() == sorted(popular, reverse=True)[:5]


@pytest.mark.parametrize("convolution", ["rgcn", "hgt"])
def test_hetero_gnn_reads_all_edges_and_knows_friends_after_loading(graph, tmp_path, convolution):
    settings = {"embedding_dim": 8, "epochs": 2, "num_negatives": 20, "convolution": convolution}
    model = make_model("hetero-gnn", **settings).fit(graph, valid=None)
    asked = model.users.ids[:8].tolist()
    scores = model.score(asked, domain="film")
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    np.testing.assert_array_equal(again.score(asked, domain="film"), scores)
    again.save(tmp_path / "again")
    copy = load_model(tmp_path / "again")
    np.testing.assert_array_equal(copy.score(asked, domain="film"), scores)
    # A stranger with the same history has no friends, which is all the difference.
    history = pd.DataFrame({"user_id": "new", "domain": "film", "item_id": ["0", "4"]})
    old = history.assign(user_id="0")
    known = set(graph.vocabularies["user"].ids)
    assert "new" not in known
    first = copy.score(["new"], domain="film", history=history)
    assert first.std() > 0
    assert not np.allclose(first, copy.score(["0"], domain="film", history=old))
