"""The closed-form experts, which of them the data allows, and the choice of the filter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch

import graphgen
from gnn import load_model, make_model
from gnn.baselines.linear import ease_weights
from gnn.data import TrainingData
from gnn.holdout import hold_out
from gnn.models.interest import experts as module
from gnn.models.interest.experts import (
    EXPERTS,
    ORDERED,
    FilterExpert,
    PopularityExpert,
    RidgeExpert,
    SemanticExpert,
    available_experts,
    choose_filter,
    filter_candidates,
    missing_for,
    symmetric_neighbors,
)
from gnn.models.interest.related import RELATED
from gnn.numerics.linear_filter import FilterConfig, leading_directions
from gnn.validation import ValidationRows
from graphgen.errors import ConfigError


@pytest.fixture(scope="module")
def data(graph):
    return TrainingData.from_graph(graph)


@pytest.fixture(scope="module")
def crowded():
    """60 groups of items, some far more popular than others; every user likes six of them."""
    generator = np.random.default_rng(0)
    users, groups, size = 800, 60, 8
    liked = 1 / np.arange(1, groups + 1)
    chance = np.zeros((users, groups * size))
    for user in range(users):
        for group in generator.choice(groups, 6, replace=False, p=liked / liked.sum()):
            chance[user, size * group : size * (group + 1)] = 0.6
    user, item = np.nonzero(generator.random(chance.shape) < chance)
    order = generator.permutation(len(user))
    user, item = user[order], item[order]
    log = pd.DataFrame({"user_id": user.astype(str), "item_id": item.astype(str), "domain": "film"})
    return graphgen.build_graph(log, encoder="none")


def test_the_data_decides_which_experts_there_are(data):
    others = {*RELATED, "profile"}
    of_texts = tuple(e for e in EXPERTS if e not in others)
    assert available_experts(EXPERTS, data) == tuple(e for e in of_texts if e not in ORDERED)
    assert missing_for("sequence", data) == "the log has no timestamps and no positions"
    assert available_experts(EXPERTS, replace(data, order=data.matrix)) == of_texts
    texts = np.ones((data.n_users, 2), np.float32)
    assert "profile" in available_experts(EXPERTS, replace(data, user_features=texts))
    bare = replace(data, similar=None, matrix=data.matrix[:, :0], items={})
    assert not {"semantic", "ridge"} & set(available_experts(EXPERTS, bare))
    with pytest.raises(ConfigError, match="no expert 'filters'"):
        available_experts(("filters",), data)
    with pytest.raises(ConfigError, match="'sequence': the log has no timestamps"):
        available_experts(("sequence",), data)


def test_a_required_ridge_expert_may_meet_twice_as_many_items(data, monkeypatch):
    """What was chosen on a part of the log is kept on all of it, within reason."""
    monkeypatch.setattr(module, "MAX_RIDGE_ITEMS", 30)
    assert available_experts(("filter", "ridge"), data) == ("filter",)
    assert available_experts(("ridge",), data, required=True) == ("ridge",)
    monkeypatch.setattr(module, "MAX_RIDGE_ITEMS", 20)
    with pytest.raises(ConfigError, match=r"'ridge': it is for 2 to 40 items .*there are 48"):
        available_experts(("filter", "ridge"), data, required=True)


def test_popularity_is_the_same_for_all_and_may_be_changed(data):
    expert = PopularityExpert(data)
    users = data.batch(np.arange(3))
    expert.score(users, "film").zero_()
    assert expert.score(users, "film")[0].tolist() == data.popularity[data.span("film")].tolist()


def test_semantic_scores_add_up_squared_similarities(data):
    similar = symmetric_neighbors(data)
    scores = SemanticExpert(data, similar).score(data.batch(np.arange(5)), "film").toarray()
    want = data.matrix[:5].toarray() @ np.square(similar.toarray())
    np.testing.assert_allclose(scores, want[:, data.span("film")], rtol=1e-5, atol=1e-6)
    assert (similar != similar.T).nnz == 0
    assert similar.nnz > 0
    assert similar.data.min() > 0


def test_the_ridge_expert_is_ease_without_negative_scores(graph, data):
    weights = ease_weights(data.matrix[:, np.flatnonzero(data.warm)], 5.0)
    ours = RidgeExpert(data, weights).score(data.batch(np.arange(4)), "film").numpy()
    ease = make_model("ease", regularization=5.0).fit(graph)
    want = ease.score(graph.vocabularies["user"].ids[:4].tolist(), domain="film")
    np.testing.assert_allclose(ours, np.maximum(want, 0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kept", [True, False])
def test_a_flattened_filter_hands_its_scores_on_to_new_items(crowded, kept, monkeypatch):
    if not kept:
        monkeypatch.setattr("gnn.numerics.linear_filter.MAX_ENTRIES", 0)
    data = TrainingData.from_graph(crowded)
    others = np.arange(data.n_items) != 7  # An item becomes new.
    matrix = (data.matrix @ sp.diags(others.astype(np.float32))).tocsr()
    matrix.eliminate_zeros()
    data = TrainingData(users=data.users, items=data.items, matrix=matrix)
    similar = sp.csr_matrix(([0.5, 1.0], ([7, 7], [3, 90])), shape=(data.n_items, data.n_items))
    config = FilterConfig(flattened=6)
    leading = leading_directions(data.matrix, config, np.random.default_rng(0))
    expert = FilterExpert(data, config, leading, similar, 5)
    scores = expert.score(data.batch(np.arange(30)), "film").numpy()
    assert (scores >= 0).all()
    positive = (scores[:, 3] > 0) & (scores[:, 90] > 0)
    assert positive.any()
    want = 0.2 * scores[:, 3] + 0.8 * scores[:, 90]
    np.testing.assert_allclose(scores[positive, 7], want[positive], rtol=1e-3)


def test_a_flat_spectrum_is_chosen_where_popular_items_drown_the_rest(crowded):
    smaller, held = hold_out(crowded, seed=0)
    data = TrainingData.from_graph(smaller)
    chosen, leading = choose_filter(data, ValidationRows.of(held, data), seed=0)
    assert chosen.flattened == len(leading.values) > 0


def test_the_default_filter_is_the_first_candidate_and_nothing_is_flattened_across_domains():
    assert filter_candidates(1)[0] == filter_candidates(4)[0] == FilterConfig()
    assert not any(config.flattened for config in filter_candidates(2))
    for candidates in map(filter_candidates, (1, 2)):
        assert len({str(config) for config in candidates}) == len(candidates)


def test_a_model_with_a_flattened_filter_is_loaded_as_it_was_saved(crowded, tmp_path):
    model = make_model("interest-gnn", experts=("filter", "popularity")).fit(crowded)
    assert model.chosen_["filter"]["flattened"] > 0
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    users = [str(number) for number in range(20)]
    np.testing.assert_allclose(
        again.score(users, domain="film"), model.score(users, domain="film"), rtol=1e-5
    )


def test_the_scores_of_an_expert_may_be_changed(data):
    """Asked again, it answers the same."""
    similar = symmetric_neighbors(data)
    users = data.batch(np.arange(6))
    expert = FilterExpert(data, FilterConfig(), None, similar, 5)
    first = expert.score(users, "film")
    before = first.clone()
    first.zero_()
    torch.testing.assert_close(expert.score(users, "film"), before)
