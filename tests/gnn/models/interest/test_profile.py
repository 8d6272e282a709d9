"""Texts of users: new users are recommended what users with similar texts like."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gnn import load_model, make_model
from graphgen import build_graph

WORDS = ("dragons and wizards", "murder and detectives", "love and weddings")


@pytest.fixture(scope="module")
def users(log):
    """A profile for half of the users, a search for the others; three newcomers with either."""
    known = sorted(log.user_id.unique())
    frame = pd.DataFrame({"user_id": [*known, "new0", "new1", "new2"]})
    text = [WORDS[int(user.strip("unew")) % 3] for user in frame.user_id]
    even = frame.index % 2 == 0
    frame["profile"], frame["queries"] = np.where(even, text, ""), np.where(even, "", text)
    return frame


@pytest.fixture(scope="module")
def graph_of_users(log, items, users, tmp_path_factory):
    return build_graph(
        log, items, users, encoder="hashing", cache_dir=tmp_path_factory.mktemp("cache")
    )


def test_new_users_get_what_fits_their_text(graph_of_users, tmp_path):
    assert graph_of_users.provenance["user_text"]["columns"] == ["profile", "queries"]
    model = make_model("interest-gnn", steps=4, embedding_dim=8).fit(graph_of_users, seed=0)
    model.save(tmp_path / "model")
    for each in (model, load_model(tmp_path / "model")):
        lists = each.recommend(["new0", "new1", "new2", "stranger"], domain="book", k=5)
        taste = lists.item_id.str[1:].astype(int) % 3
        own = lists.user_id.str[3:].replace("anger", "9").astype(int)
        known = lists.user_id != "stranger"
        assert (taste[known] == own[known]).mean() > 0.9
        assert set(taste[~known]) > {0}


def test_the_expert_is_there_only_with_texts_of_users(graph_of_users, graph):
    settings = {"steps": 2, "embedding_dim": 8}
    with_texts = make_model("interest-gnn", **settings).fit(graph_of_users, seed=0)
    assert "profile" in with_texts.expert_weights()
    assert "profile" not in make_model("interest-gnn", **settings).fit(graph).expert_weights()
