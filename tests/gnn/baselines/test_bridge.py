import numpy as np
import pandas as pd
import pytest
import torch

from gnn import make_model
from gnn.baselines.factor_bridge import RIDGE_GRID, ridge_map
from graphgen.build import build_graph


@pytest.fixture
def pairs():
    rng = np.random.default_rng(0)
    source = rng.standard_normal((25, 6))
    target = source @ rng.standard_normal((6, 4)) + 2.0 * rng.standard_normal((25, 4))
    return source, target


def solve(source, target, multiple):
    unit = (np.linalg.svd(source)[1] ** 2).mean()
    return np.linalg.solve(
        source.T @ source + multiple * unit * np.eye(source.shape[1]), source.T @ target
    )


def test_map_equals_the_normal_equations(pairs):
    source, target = pairs
    ours = ridge_map(torch.tensor(source), torch.tensor(target), 0.3)
    np.testing.assert_allclose(ours, solve(source, target, 0.3), rtol=1e-5, atol=1e-6)


def test_strength_is_the_best_when_each_person_is_left_out_in_turn(pairs):
    source, target = pairs
    errors = []
    for multiple in RIDGE_GRID:
        unit = (np.linalg.svd(source)[1] ** 2).mean()
        error = 0.0
        for row in range(25):
            rest = np.arange(25) != row
            w = np.linalg.solve(
                source[rest].T @ source[rest] + multiple * unit * np.eye(6),
                source[rest].T @ target[rest],
            )
            error += ((source[row] @ w - target[row]) ** 2).sum()
        errors.append(error)
    best = RIDGE_GRID[int(np.argmin(errors))]
    assert RIDGE_GRID[0] < best < RIDGE_GRID[-1]
    ours = ridge_map(torch.tensor(source), torch.tensor(target), None)
    np.testing.assert_allclose(ours, solve(source, target, best), rtol=1e-5, atol=1e-6)


def test_known_people_keep_their_factors_and_new_ones_cross_the_bridge(log):
    """Several sources are averaged by the interactions in each."""
    music = log[log.domain == "book"].assign(
        domain="music", item_id=lambda f: f.item_id.str.replace("b", "m")
    )
    train = pd.concat([log, music])
    train = train[~((train.user_id == "u000") & (train.domain == "film"))]
    graph = build_graph(train, encoder="none")
    model = make_model("bridge-ridge", embedding_dim=8, epochs=4).fit(graph)
    data, config = model.data, model.config

    def factors(user, domain):
        x = data.matrix[user, data.span(domain)].toarray()[0].astype(np.float64)
        v = model.bridge_.items[domain].double().numpy()
        a = config.unobserved_weight
        ridge = config.regularization * (x.sum() + a * len(v)) ** config.regularization_exponent
        return np.linalg.solve(v.T @ np.diag(x) @ v + a * v.T @ v + ridge * np.eye(8), v.T @ x)

    films = model.bridge_.items["film"].double().numpy()
    known = model.score(["u001"], domain="film")[0]
    np.testing.assert_allclose(known, films @ factors(1, "film"), rtol=1e-3, atol=1e-4)

    total, count = np.zeros(8), 0
    for source in ("book", "music"):
        n = data.matrix[0, data.span(source)].nnz
        total += n * (factors(0, source) @ model.bridge_.maps[source, "film"].double().numpy())
        count += n
    new = model.score(["u000"], domain="film")[0]
    np.testing.assert_allclose(new, films @ total / count, rtol=1e-3, atol=1e-4)


def test_without_overlap_users_popularity_answers():
    log = pd.DataFrame(
        {
            "user_id": list("aabbcc"),
            "item_id": list("xyxzuv"),
            "domain": ["book"] * 4 + ["film"] * 2,
        }
    )
    graph = build_graph(log, encoder="none")
    model = make_model("bridge-ridge", embedding_dim=2).fit(graph)
    np.testing.assert_array_equal(
        model.score(["a"], domain="film"),
        make_model("popularity").fit(graph).score(["a"], domain="film"),
    )


def test_one_overlap_user_makes_the_most_cautious_map():
    source, target = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -1.0]])
    chosen = ridge_map(source, target, None)
    torch.testing.assert_close(chosen, ridge_map(source, target, RIDGE_GRID[-1]))
