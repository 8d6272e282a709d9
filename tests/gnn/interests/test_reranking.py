"""Re-ranked lists of a fitted model, over one domain and over several."""

import numpy as np
import pandas as pd
import pytest

import gnn.interests.reranking as reranking
from gnn import load_model, make_model
from gnn.interests.reranking import RERANKERS, Reranker, rerank
from graphgen.build import build_graph
from graphgen.errors import ConfigError, InputError

DOMAINS, KINDS, ITEMS = ("book", "film"), ("crime", "love", "space"), 18
K = 6


@pytest.fixture(scope="module")
def graph():
    """Item i of a domain is of kind i % 3, and more popular the lower i; u0 reads 3:1 crime."""
    rows = [(f"p{n}", d, i) for d in DOMAINS for i in range(ITEMS) for n in range(2 * (ITEMS - i))]
    rows += [("u0", "book", i) for i in (0, 3, 6, 1)] + [("u1", "film", i) for i in (2, 5)]
    log = pd.DataFrame(rows, columns=["user_id", "domain", "item_id"])
    items = [(d, i, KINDS[i % 3], f"{KINDS[i % 3]} {i}") for d in DOMAINS for i in range(ITEMS)]
    items = pd.DataFrame(items, columns=["domain", "item_id", "category", "text"])
    items = items.assign(title="").astype(str)
    return build_graph(log.astype(str), items, encoder="hashing", topics=0, category_items=1)


@pytest.fixture(scope="module")
def model(graph):
    return make_model("popularity").fit(graph)


def kinds_of(recs):
    return [KINDS[int(item) % 3] for item in recs.item_id]


@pytest.mark.parametrize("mix", [False, True])
@pytest.mark.parametrize("method", RERANKERS)
def test_lists_are_the_same_from_the_model_and_from_a_table(model, method, mix, monkeypatch):
    users = pd.DataFrame({"user_id": ["u0", "u1", "new"]})
    chooser = Reranker.of(model, method, 0.6, seed=4)
    due = model.recommend(users, k=K, mix=mix, rerank=chooser, titles=True)
    longer = model.recommend(users, k=40, mix=mix, titles=True)
    found = rerank(longer.sample(frac=1, random_state=0), model, k=K, method=method, strength=0.6,
                   seed=4)  # fmt: skip
    keys = ["user_id", "domain", "rank"] if not mix else ["user_id", "rank"]
    pd.testing.assert_frame_equal(
        found.sort_values(keys, ignore_index=True), due.sort_values(keys, ignore_index=True)
    )
    assert due.groupby(keys[:-1])["rank"].apply(list).map(len).eq(K).all()
    # Chunks of users decide nothing.
    monkeypatch.setattr("gnn.recommending.MIXED_USERS", 1)
    monkeypatch.setattr("gnn.base.BLOCK_SCORES", 1)
    monkeypatch.setattr(reranking, "BLOCK_BYTES", 1)
    pd.testing.assert_frame_equal(
        model.recommend(users, k=K, mix=mix, rerank=chooser, titles=True), due
    )


@pytest.mark.parametrize("method", RERANKERS)
def test_a_list_that_is_too_short_stays_whole(model, method):
    recs = model.recommend("u0", domain="film", k=3)
    again = rerank(recs, model, k=5, method=method, strength=0.5)
    assert set(again.item_id) == set(recs.item_id)
    assert again["rank"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("method", ["mmr", "dpp", "calibrated", "quota", "thompson"])
def test_strength_0_is_the_order_by_score(model, method):
    plain = model.recommend(["u0", "new"], k=K)
    again = model.recommend(["u0", "new"], k=K, rerank=Reranker.of(model, method, 0))
    pd.testing.assert_frame_equal(again, plain)


def test_unlike_items_come_first(model, graph):
    plain = model.recommend("new", domain="book", k=K)
    for method in ("mmr", "dpp"):
        chooser = Reranker.of(model, method, 0.7, graph=graph)
        recs = model.recommend("new", domain="book", k=K, rerank=chooser)
        assert recs.item_id[0] == plain.item_id[0]
        assert len(set(kinds_of(recs)[:3])) == 3


def test_calibrated_lists_have_the_mix_of_the_history_in_another_domain(model):
    chooser = Reranker.of(model, "calibrated", 0.99)
    recs = model.recommend("u0", domain="film", k=8, rerank=chooser)
    assert pd.Series(kinds_of(recs)).value_counts().to_dict() == {"crime": 6, "love": 2}


def test_a_quota_bounds_interests_and_in_a_mixed_list_domains(model):
    half = Reranker.of(model, "quota", 0.5)
    recs = model.recommend("u1", domain="film", k=K, rerank=Reranker.of(model, "quota", 0.66))
    assert pd.Series(kinds_of(recs)).value_counts().max() == 2
    # The user's best candidates are all books where films score next to nothing.
    columns = np.arange(2 * ITEMS)[None]
    scores = np.where(columns < ITEMS, 1.0, 0.1) - columns / 1000
    users = model.data.batch(model.users.encode(["u1"]))
    places = half(users, columns, scores.astype(np.float32), K)[0]
    assert (places < ITEMS).sum() == K // 2


def test_exploration_is_seeded_and_of_each_user(model):
    for method in ("epsilon", "thompson"):
        lists = [
            model.recommend(["new", "newer"], domain="book", k=K, rerank=Reranker.of(
                model, method, 0.8, seed=seed)).item_id.tolist()
            for seed in (1, 1, 2)
        ]  # fmt: skip
        assert lists[0] == lists[1] != lists[2]
        assert lists[0][:K] != lists[0][K:]


def test_thompson_draws_the_interests_of_the_user_more_often(model):
    found = []
    for seed in range(30):
        chooser = Reranker.of(model, "thompson", 1, seed=seed)
        found += kinds_of(model.recommend("u0", domain="film", k=3, rerank=chooser))
    shares = pd.Series(found).value_counts(normalize=True)
    assert shares["crime"] > 0.5 and shares.min() > 0.02


def test_a_saved_model_and_one_without_texts_have_vectors(model, tmp_path):
    model.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.data.features is None
    vectors = Reranker.of(loaded, "mmr").vectors
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    chooser = Reranker.of(loaded, "calibrated")
    pd.testing.assert_frame_equal(
        loaded.recommend("u0", k=K, rerank=chooser), model.recommend("u0", k=K, rerank=chooser)
    )


def test_what_cannot_be_reranked_is_a_clear_error(model, graph):
    with pytest.raises(ConfigError, match="did you mean 'mmr'"):
        Reranker.of(model, "mrr")
    with pytest.raises(ConfigError, match=r"`strength` must lie in \[0, 1\]; got 2"):
        Reranker.of(model, "mmr", 2)
    with pytest.raises(ConfigError, match=r"'mmr' needs vectors; `Reranker.of\(model"):
        Reranker(model.data, "mmr")
    with pytest.raises(InputError, match="no column rank, score"):
        rerank(pd.DataFrame({"user_id": ["a"], "domain": "book", "item_id": "1"}), model)
    bare = make_model("popularity").fit(
        build_graph(pd.DataFrame({"user_id": ["a"], "domain": "book", "item_id": "1"}),
                    encoder="none")
    )  # fmt: skip
    with pytest.raises(ConfigError, match="--items"):
        Reranker.of(bare, "quota")
