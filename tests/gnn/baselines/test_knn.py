"""Neighbours of items, of users and of texts, against slow and obvious oracles."""

import numpy as np
import pandas as pd
import pytest

from gnn import load_model, make_model
from gnn.baselines import neighbors
from graphgen.build import build_graph
from graphgen.log import InteractionLog

USERS = [f"u{i:03d}" for i in range(6)]


def test_item_knn_equals_a_slow_oracle(graph):
    """Compared per user as sorted values, since ties may keep either of two equal neighbours."""
    a, b, c = 0.3, 0.4, 0.2
    model = make_model(
        "item-knn", neighbors=4, user_exponent=a, item_exponent=b, target_exponent=c
    ).fit(graph)
    dense = model.data.matrix.toarray().astype(np.float64)
    du, di = dense.sum(1), np.maximum(dense.sum(0), 1)
    n = dense.shape[1]
    weights = np.zeros((n, n))
    for target in range(n):
        column = np.zeros(n)
        for source in range(n):
            if source != target:
                shared = (dense[:, source] * dense[:, target] / du**a).sum()
                column[source] = shared / (di[source] ** b * di[target] ** c)
        for source in np.argsort(column)[::-1][:4]:
            weights[source, target] = column[source]
    want = dense[:6] @ weights[:, model.data.span("film")]
    np.testing.assert_allclose(
        np.sort(model.score(USERS, domain="film"), axis=1),
        np.sort(want, axis=1),
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize("block", [2, 512])
def test_user_knn_equals_a_slow_oracle(graph, monkeypatch, block):
    monkeypatch.setattr(neighbors, "USER_ROWS", block)
    a, b, k = 0.4, 0.3, 7
    model = make_model("user-knn", neighbors=k, user_exponent=a, item_exponent=b).fit(graph)
    dense = model.data.matrix.toarray().astype(np.float64)
    du, di = dense.sum(1), np.maximum(dense.sum(0), 1)
    span = model.data.span("film")
    ours = model.score(USERS, domain="film")
    for user in range(6):
        alike = np.array(
            [
                0.0
                if v == user
                else (dense[user] * dense[v] / di**b).sum() / (du[user] * du[v]) ** a
                for v in range(len(dense))
            ]
        )
        nearest = np.argsort(-alike.astype(np.float32), kind="stable")[:k]
        want = alike[nearest] @ dense[nearest][:, span]
        np.testing.assert_allclose(np.sort(ours[user]), np.sort(want), rtol=1e-4)


def test_a_user_votes_for_others_but_not_for_herself(graph):
    """The same history under a new name has the old name among its neighbours."""
    model = make_model("user-knn", neighbors=1).fit(graph)
    row = model.data.matrix[0].indices
    own = [model.data.items["book"].ids[i] for i in row if i < model.data.span("book").stop]
    history = InteractionLog(pd.DataFrame({"user_id": "twin", "domain": "book", "item_id": own}))
    assert model.score(["twin"], domain="film", history=history).any()


def test_text_profile_is_the_mean_of_the_history(graph):
    model = make_model("text-knn", center=False).fit(graph)
    features = model.data.features.astype(np.float64)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    ours = model.score(USERS, domain="film")
    for user in range(6):
        profile = unit[model.data.matrix[user].indices].mean(axis=0)
        want = unit[model.data.span("film")] @ profile / np.linalg.norm(profile)
        np.testing.assert_allclose(ours[user], want, rtol=1e-4, atol=1e-6)


def test_profiles_by_interest_equal_a_slow_oracle(graph):
    model = make_model("text-knn", profiles="interests", neighbors=0).fit(graph)
    data, vectors = model.data, model.vectors_
    about = data.about.toarray()
    about = np.column_stack([about, about.sum(axis=1) == 0])
    ours = model.score(USERS, domain="film")
    for user in range(6):
        history = data.matrix[user].indices
        amount = about[history].sum(axis=0)
        want = np.zeros(len(data.items["film"]))
        for interest in np.flatnonzero(amount):
            profile = about[history, interest] @ vectors[history]
            cosine = vectors[data.span("film")] @ profile / np.linalg.norm(profile)
            want += amount[interest] / amount.sum() * np.exp(neighbors.SHARPNESS * cosine)
        np.testing.assert_allclose(ours[user], want, rtol=1e-4)


def test_users_with_like_texts_elsewhere_vote_in_a_new_domain(graph):
    model = make_model("text-knn", neighbors=5).fit(graph)
    data, vectors = model.data, model.vectors_.astype(np.float64)
    book, film = data.span("book"), data.span("film")
    # All users of the planted log are active in both domains.
    profiles = data.matrix[:, book] @ vectors[book]
    profiles /= np.linalg.norm(profiles, axis=1, keepdims=True)
    mean = profiles.mean(axis=0)
    read = data.items["book"].ids[[0, 3, 6, 7]]
    history = InteractionLog(pd.DataFrame({"user_id": "new", "domain": "book", "item_id": read}))
    own = vectors[book][[0, 3, 6, 7]].sum(axis=0)
    own = own / np.linalg.norm(own) - mean
    others = profiles - mean
    alike = others @ own / np.linalg.norm(others, axis=1) / np.linalg.norm(own)
    nearest = np.argsort(-alike)[:5]
    want = alike[nearest] @ data.matrix[nearest][:, film].toarray() / alike[nearest].sum()
    ours = model.score(["new"], domain="film", history=history)[0]
    np.testing.assert_allclose(ours, want, rtol=1e-3, atol=2 * neighbors.TIE)
    unseen = want == 0  # The text orders items that nobody votes for, such as new ones.
    assert len(np.unique(ours[unseen])) > 1


def test_text_reaches_items_that_nobody_met(graph):
    recs = make_model("text-knn").fit(graph).recommend(["u000"], domain="book", k=24)
    cold = recs[recs.item_id.isin({"b24", "b25", "b26"})].set_index("item_id")["rank"]
    assert cold["b24"] < cold["b25"]
    assert cold["b24"] < cold["b26"]


def test_items_and_histories_without_text(tmp_path):
    """Items without text stand last; a history without text gets the popularity answer."""
    log = pd.DataFrame({"user_id": list("aabbcc"), "item_id": list("xyyzzw"), "domain": "book"})
    items = pd.DataFrame(
        {"item_id": list("xyzw"), "domain": "book", "text": ["red fox", "red cat", "blue", ""]}
    )
    graph = build_graph(log, items, encoder="hashing", cache_dir=tmp_path / "cache")
    model = make_model("text-knn").fit(graph)
    assert model.recommend(["a"], k=4).item_id.tolist()[-1] == "w"
    history = InteractionLog(pd.DataFrame({"user_id": ["d"], "item_id": ["w"], "domain": "book"}))
    popular = make_model("popularity").fit(graph)
    np.testing.assert_array_equal(
        model.score(["d"], domain="book", history=history), popular.score(["d"], domain="book")
    )
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(
        load_model(tmp_path / "model").score(["a"], domain="book"),
        model.score(["a"], domain="book"),
    )
