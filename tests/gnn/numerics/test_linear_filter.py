"""The linear filter: its formula, its flattened spectrum, and the choice among forms of it."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import graphgen
from eval.experiments.holdout import hold_out
from eval.experiments.monitoring import ValidationMonitor
from gnn import load_model, make_model
from gnn.data import TrainingData
from gnn.models.interest.filter_choice import candidates, choose_filter
from gnn.models.interest.paths import FilterPath
from gnn.models.interest.validation import ValidationRows
from gnn.numerics import linear_filter
from gnn.numerics.linear_filter import FilterConfig, LinearFilter, cold_bridge, leading_directions


@pytest.fixture
def x():
    matrix = sp.random(40, 15, density=0.25, random_state=3, format="csr", dtype=np.float32)
    matrix.data[:] = 1.0
    return matrix


def test_filter_equals_its_formula(x):
    dense = x.toarray().astype(np.float64)
    du, di = np.maximum(dense.sum(1), 1), np.maximum(dense.sum(0), 1)
    left = np.diag(di**-0.3) @ dense.T @ np.diag(du**-0.6)
    want = dense[:5] @ left @ dense @ np.diag(di ** (0.2 - 0.3))
    ours = LinearFilter(x, FilterConfig(target_exponent=0.2)).score(x[:5], slice(3, 11)).toarray()
    np.testing.assert_allclose(ours, want[:, 3:11], rtol=1e-5)


def test_filter_without_its_product_is_the_same(x, monkeypatch):
    kept = LinearFilter(x).score(x[:7], slice(0, 15)).toarray()
    monkeypatch.setattr(linear_filter, "MAX_ENTRIES", 0)
    np.testing.assert_allclose(
        LinearFilter(x).score(x[:7], slice(0, 15)).toarray(), kept, rtol=1e-5
    )


def test_cold_bridge_hands_scores_on_by_squared_cosine():
    similar = sp.csr_matrix(
        np.array([[0, 0.9, 0.5, 0.4], [0.9, 0, 0, 0], [0.5, 0, 0, 0], [0.8, 0.6, 0, 0]])
    )
    warm = np.array([True, True, True, False])
    bridge = cold_bridge(similar, warm, slice(0, 4), 10)
    scores = np.array([[1.0, 2.0, 3.0, 0.0]])
    handed = (scores @ bridge.toarray())[0]
    np.testing.assert_allclose(handed, [0, 0, 0, (0.64 * 1 + 0.36 * 2) / 1.0], rtol=1e-6)


@pytest.fixture(scope="module")
def crowded():
    """A domain of 60 groups of items, some far more popular than others; people like six each."""
    generator = np.random.default_rng(0)
    people, groups, size = 800, 60, 8
    liked = 1 / np.arange(1, groups + 1)
    chance = np.zeros((people, groups * size))
    for person in range(people):
        for group in generator.choice(groups, 6, replace=False, p=liked / liked.sum()):
            chance[person, size * group : size * (group + 1)] = 0.6
    user, item = np.nonzero(generator.random(chance.shape) < chance)
    order = generator.permutation(len(user))
    user, item = user[order], item[order]
    log = pd.DataFrame({"user_id": user.astype(str), "item_id": item.astype(str), "domain": "film"})
    return graphgen.build_graph(log, encoder="none")


def test_a_flattened_filter_equals_its_formula(x):
    config = FilterConfig(
        user_exponent=0.7, item_exponent=0.4, source_exponent=0.2, target_exponent=0.1, flattened=4
    )
    dense = x.toarray().astype(np.float64)
    du, di = np.maximum(dense.sum(1), 1), np.maximum(dense.sum(0), 1)
    half = np.diag(du**-0.35) @ dense @ np.diag(di**-0.4)
    values, vectors = np.linalg.eigh(half.T @ half)
    values[-4:] = values[-4]
    flat = (vectors * values) @ vectors.T
    want = dense @ np.diag(di**-0.2) @ flat @ np.diag(di**0.1)
    link = LinearFilter(x, config)
    left, right = link.excess(leading_directions(x, config, np.random.default_rng(0)))
    span = slice(2, 9)
    ours = link.score(x, span).toarray() - (x @ left) @ right[span].T
    np.testing.assert_allclose(ours, want[:, span], rtol=2e-4, atol=2e-5)


def test_a_flattened_path_hands_its_scores_on_to_new_items(crowded):
    data = TrainingData.from_graph(crowded)
    others = np.arange(data.n_items) != 7  # An item becomes new.
    matrix = (data.matrix @ sp.diags(others.astype(np.float32))).tocsr()
    matrix.eliminate_zeros()
    data = TrainingData(users=data.users, items=data.items, matrix=matrix)
    similar = sp.csr_matrix(([0.5, 1.0], ([7, 7], [3, 90])), shape=(data.n_items, data.n_items))
    config = FilterConfig(flattened=6)
    leading = leading_directions(data.matrix, config, np.random.default_rng(0))
    path = FilterPath(data, config, leading, similar, 5)
    scores = path.score(data.batch(np.arange(30)), "film").numpy()
    assert (scores >= 0).all()
    positive = (scores[:, 3] > 0) & (scores[:, 90] > 0)
    assert positive.any()
    want = 0.2 * scores[:, 3] + 0.8 * scores[:, 90]
    np.testing.assert_allclose(scores[positive, 7], want[positive], rtol=1e-3)


def test_a_flat_spectrum_is_chosen_where_the_popular_drowns_the_rest(crowded):
    graph, held = hold_out(crowded, seed=0)
    data = TrainingData.from_graph(graph)
    rows = ValidationRows.of(held, data)
    chosen, leading = choose_filter(data, rows, np.random.default_rng(0))
    assert chosen.flattened == len(leading.values) > 0
    assert candidates(1)[0] == candidates(4)[0] == FilterConfig()


def test_nothing_is_flattened_across_domains():
    assert not any(config.flattened for config in candidates(2))


def test_a_model_with_a_flattened_filter_is_loaded_as_it_was_saved(crowded, tmp_path):
    graph, held = hold_out(crowded, seed=0)
    model = make_model("interest-gnn", paths=("filter", "popularity"))
    model.fit(graph, seed=0, monitor=ValidationMonitor(held, seed=0))
    assert model.chosen_["filter"]["flattened"] > 0
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    people = [str(number) for number in range(20)]
    np.testing.assert_allclose(
        again.score(people, domain="film"), model.score(people, domain="film"), rtol=1e-5
    )
