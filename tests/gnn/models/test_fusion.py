from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gnn import load_model, make_model
from gnn.augmentation import (
    _drawn_by_weight,
    draw_interactions,
    drop_interactions,
    generated_interactions,
    mix_histories,
    only_interactions,
    semantic_interactions,
)
from gnn.data import TrainingData
from gnn.fitting import FitOptions
from gnn.holdout import hold_out
from gnn.models.augmented import _qualities
from graphgen.build import build_graph
from graphgen.errors import ConfigError

PARTS = ("item-knn", "popularity")


def z(scores):
    return (scores - scores.mean(axis=1, keepdims=True)) / scores.std(axis=1, keepdims=True)


@pytest.mark.parametrize("method", ["z-score", "rrf"])
def test_a_fusion_is_the_sum_of_its_parts(graph, method):
    users = ["u000", "u001"]
    parts = [make_model(name).fit(graph).score(users, domain="book") for name in PARTS]
    model = make_model("fusion", models=PARTS, method=method).fit(graph)
    if method == "z-score":
        wanted = sum(map(z, parts))
    else:
        wanted = 0
        for part in parts:
            rank = np.empty(part.shape, dtype=int)
            order = part.argsort(axis=1)[:, ::-1]
            np.put_along_axis(rank, order, np.arange(1, part.shape[1] + 1)[None], axis=1)
            wanted = wanted + 1 / (60 + rank)
    np.testing.assert_allclose(model.score(users, domain="book"), wanted, rtol=1e-4, atol=1e-5)


def test_parts_have_their_settings_after_loading(graph, tmp_path):
    settings = {"ials": {"embedding_dim": 3, "epochs": 2}}
    model = make_model("fusion", models=("ials", "bpr-mf"), settings=settings).fit(graph, seed=1)
    assert model._parts[0].item_vectors_.shape[1] == 3
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    users = ["u000", "nobody"]
    np.testing.assert_array_equal(
        again.score(users, domain="film"), model.score(users, domain="film")
    )


@pytest.mark.parametrize("name", ["fusion", "bagging", "augmented"])
def test_parts_that_choose_are_loaded_with_their_choice(graph, name, tmp_path):
    settings = {"steps": 2, "embedding_dim": 8, "experts": ["filter", "popularity"]}
    if name == "augmented":
        given = {"model": "interest-gnn", "settings": settings}
    else:
        given = {"models": ["interest-gnn"], "settings": {"interest-gnn": settings}}
    model = make_model(name, **given, **({"copies": 2} if name == "bagging" else {}))
    model.fit(graph, seed=1).save(tmp_path / "model")
    np.testing.assert_array_equal(
        load_model(tmp_path / "model").score(["u000"], domain="film"),
        model.score(["u000"], domain="film"),
    )


def test_a_stack_is_no_worse_than_its_best_part_on_validation_rows(graph):
    smaller, rows = hold_out(graph, seed=3)
    parts = ("popularity", "item-knn", "ials")
    settings = {"ials": {"embedding_dim": 4}}
    stack = make_model("stacking", models=parts, settings=settings).fit(smaller, valid=rows)
    best = {}
    for name in parts:
        fitted = make_model(name, **settings.get(name, {})).fit(smaller, valid=rows)
        for kind, value in fitted.validation_.by_kind.items():
            best[kind] = max(best.get(kind, 0), value)
    for kind, value in stack.validation_.by_kind.items():
        assert value >= best[kind] - 1e-6
    assert np.allclose(stack.weights_.sum(axis=1), 1)


def test_weights_that_are_chosen_are_those_of_the_refit(graph):
    model = make_model("stacking", models=PARTS).fit(graph, seed=1)
    assert model.chosen_["weights"] == tuple(map(tuple, model.weights_.tolist()))
    again = make_model("stacking", models=PARTS, **model.chosen_).fit(graph, seed=1, valid=None)
    np.testing.assert_array_equal(
        again.score(["u003"], domain="film"), model.score(["u003"], domain="film")
    )


def test_an_unknown_part_is_a_clear_error(graph):
    with pytest.raises(ConfigError, match="item-knn"):
        make_model("fusion", models=("item-kn",)).fit(graph)


@pytest.fixture(scope="module")
def data(graph):
    return TrainingData.from_graph(graph)


def test_dropping_leaves_every_user_something(data):
    fewer = drop_interactions(data, 0.5, np.random.default_rng(0))
    assert 0.4 < fewer.matrix.nnz / data.matrix.nnz < 0.6
    assert (fewer.matrix.multiply(data.matrix) != fewer.matrix).nnz == 0
    almost_none = drop_interactions(data, 0.9999, np.random.default_rng(0))
    assert (np.diff(almost_none.matrix.indptr) == 1).all()


def test_virtual_interactions_are_new_and_of_similar_items_or_users_alike(data):
    for method, near in (
        (semantic_interactions, data.similar),
        (mix_histories, data.matrix.T @ data.matrix),
    ):
        more = method(data, 0.5, np.random.default_rng(0))
        added = (more.matrix - data.matrix).tocoo()
        assert added.nnz > 100
        assert set(more.matrix.data) == {1.0}
        reached = (data.matrix @ near).toarray() > 0
        assert reached[added.row, added.col].all()
    # Of one taste all: users alike like nothing else.
    ids = np.concatenate([items.ids for items in data.items.values()])
    taste = np.array([int(name[1:]) % 3 for name in ids])
    assert (taste[added.col] == added.row % 3).all()


def test_heavy_interactions_are_drawn_more_often(data):
    weight = np.where(np.arange(data.matrix.nnz) % 2, 3.0, 1.0)
    kept = draw_interactions(data, 0.5, np.random.default_rng(0), weight)
    assert kept.mean() == pytest.approx(0.5, abs=0.02)
    assert kept[1::2].mean() > 0.6 > 0.4 > kept[::2].mean()
    assert (np.add.reduceat(kept, data.matrix.indptr[:-1]) > 0).all()


def test_generated_interactions_are_the_best_new_items_of_users_with_few(data):
    scores = {domain: np.arange(len(items)) for domain, items in data.items.items()}

    def generate(users, domain):
        return np.tile(scores[domain].astype(np.float32), (len(users), 1))

    more = generated_interactions(data, 0.1, np.random.default_rng(0), generate)
    added = (more.matrix - data.matrix).tocoo()
    assert added.nnz == int(0.1 * data.matrix.nnz)
    assert set(more.matrix.data) == {1.0}
    for user, item in zip(added.row, added.col, strict=True):
        span = data.span(data.domains[data.item_domain[item]])
        new = np.flatnonzero(data.warm[span] & (data.matrix[user, span].toarray()[0] == 0))
        assert item - span.start == new.max()


def test_a_gan_adds_interactions_of_the_taste(graph, monkeypatch):
    gan = {"embedding_dim": 8, "factor_epochs": 8, "hidden_dim": 32, "epochs": 16}
    gan |= {"batch_size": 32, "learning_rate": 0.003}
    made = []

    def watched(*given):
        made.append(generated_interactions(*given))
        return made[0]

    monkeypatch.setattr("gnn.models.augmented.generated_interactions", watched)
    make_model("augmented", model="item-knn", generated=0.1, gan=gan).fit(graph, valid=None)
    added = (made[0].matrix - TrainingData.from_graph(graph).matrix).tocoo()
    ids = np.concatenate([items.ids for items in made[0].items.values()])
    taste = np.array([int(name[1:]) % 3 for name in ids])
    assert added.nnz > 50
    assert (taste[added.col] == added.row % 3).mean() > 0.9


def test_similar_items_are_drawn_by_similarity(data):
    item = int(np.diff(data.similar.indptr).argmax())
    near = data.similar[item].toarray().ravel()
    rows = np.full(20_000, item)
    drawn = np.bincount(
        _drawn_by_weight(data.similar, rows, np.random.default_rng(0)), minlength=len(near)
    )
    np.testing.assert_allclose(drawn / len(rows), near / near.sum(), atol=0.01)


def test_virtual_interactions_are_as_late_and_as_strong_as_theirs(data):
    row = np.repeat(np.arange(data.n_users), np.diff(data.matrix.indptr))
    order = data.matrix.copy().astype(np.int64)
    order.data = 1 + row
    marked = replace(data, order=order, weights=data.matrix * 2)
    more = mix_histories(marked, 0.5, np.random.default_rng(0))
    assert (
        more.order.data == 1 + np.repeat(np.arange(data.n_users), np.diff(more.order.indptr))
    ).all()
    assert (more.weights.data == 2).all()
    assert (more.order.indices == more.matrix.indices).all()


def test_virtual_interactions_need_semantic_edges(plain_graph):
    with pytest.raises(ConfigError, match="this graph has none"):
        make_model("augmented", semantic=0.1).fit(plain_graph)


def test_augmented_without_augmentation_is_the_model(graph):
    settings = {"embedding_dim": 4}
    plain = make_model("ials", **settings).fit(graph, seed=1)
    same = make_model("augmented", model="ials", settings=settings).fit(graph, seed=1, valid=None)
    other = make_model("augmented", model="ials", settings=settings, mix=0.5)
    other.fit(graph, seed=1, valid=None)
    scores = [m.score(["u003"], domain="film") for m in (plain, same, other)]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.allclose(scores[0], scores[2])


def test_what_a_part_chooses_is_refitted(graph):
    settings = {"epochs": 4, "validate_every": 2, "embedding_dim": 8}
    model = make_model("augmented", model="bpr-mf", settings=settings, drop=0.1).fit(graph, seed=1)
    assert model.chosen_["settings"]["epochs"] in (2, 4)
    assert model.chosen_["settings"]["embedding_dim"] == 8


def test_copies_of_a_bag_differ(graph):
    model = make_model(
        "bagging", models=("ials",), settings={"ials": {"embedding_dim": 4}}, copies=3
    )
    model.fit(graph, seed=1)
    scores = [part.score(["u003"], domain="film") for part in model._parts]
    assert not np.allclose(scores[0], scores[1])
    wanted = sum(map(z, scores))
    np.testing.assert_allclose(model.score(["u003"], domain="film"), wanted, rtol=1e-4, atol=1e-4)


def test_a_boosted_copy_is_fitted_to_what_those_before_rank_badly(monkeypatch):
    """By popularity, the interactions with unpopular items."""
    user, item = np.nonzero(np.arange(300)[:, None] * np.arange(1, 13) < 300)
    rows = pd.DataFrame({"user_id": user.astype(str), "item_id": item.astype(str), "domain": "d"})
    parts = []

    def watched(*given):
        parts.append(only_interactions(*given))
        return parts[-1]

    monkeypatch.setattr("gnn.models.augmented.only_interactions", watched)
    model = make_model("boosting", models=("popularity",), copies=3, share=0.5)
    model.fit(build_graph(rows, encoder="none"), seed=1)
    mean = [model.data.popularity[part.matrix.indices].mean() for part in parts]
    assert max(mean[1:]) < mean[0]
    assert (model.weights_ > 0).all() and len(set(model.weights_[0])) > 1


def test_the_quality_of_a_copy_is_that_of_a_loop(data):
    left = np.arange(0, data.matrix.nnz, 7)
    part = make_model("item-knn").fit_data(data, None, seed=0, options=FitOptions())
    row = np.repeat(np.arange(data.n_users), np.diff(data.matrix.indptr))[left]
    for got, user, item in zip(
        _qualities(part, data, left), row, data.matrix.indices[left], strict=True
    ):
        domain = data.domains[data.item_domain[item]]
        scores = part.score_batch(data.batch(np.array([user])), domain)[0]
        own = scores[item - data.span(domain).start]
        assert got == pytest.approx((np.sign(own - scores)).mean(), abs=1e-6)
