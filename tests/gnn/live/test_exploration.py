"""Exploration: the probabilities that are logged are those of the lists."""

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest

from gnn.live.bandit import BanditConfig, LinearBandit
from gnn.live.exploration import EXPLORERS, Explorer, place_chances
from gnn.registry import make_model
from graphgen.errors import ConfigError, InputError

K = 4


@pytest.fixture(scope="module")
def model(plain_graph):
    return make_model("item-knn").fit(plain_graph)


def candidates(model, times, m=10):
    """Three users with candidates for some lists, one list, and less than one; each many times."""
    row = np.tile(np.arange(3), times)
    users = replace(model.data.batch(row), keys=np.arange(len(row)))
    generator = np.random.default_rng(0)
    scores = -np.sort(-generator.random((3, m), dtype=np.float32), axis=1)
    columns = np.argsort(generator.random((3, model.data.n_items)), axis=1)[:, :m]
    columns[1, K + 2 :], scores[1, K + 2 :] = -1, -np.inf
    columns[2, K - 1 :], scores[2, K - 1 :] = -1, -np.inf
    return users, columns[row], scores[row]


@pytest.mark.parametrize("method", EXPLORERS)
def test_items_are_shown_as_often_as_their_propensities_say(model, method):
    times = 3000
    asked = candidates(model, times)
    explorer = Explorer(model, method, epsilon=0.4)
    places, chance = explorer.chosen(*asked, K)
    likely = explorer.propensities(*candidates(model, 1), K)
    row, place = np.nonzero(places >= 0)
    assert chance[row, place] == pytest.approx(likely[row % 3, places[row, place], place])
    counts = np.zeros_like(likely)
    np.add.at(counts, (row % 3, places[row, place], place), 1)
    error = np.sqrt(likely * (1 - likely) / times) + 1e-9
    assert (np.abs(counts / times - likely) < 4.5 * error).all()
    assert likely[:2].sum(axis=1) == pytest.approx(1)
    assert likely[2].sum(axis=0).tolist() == pytest.approx([1] * (K - 1) + [0])
    assert likely[asked[1][:3] < 0].max() == 0
    assert likely[0].min() >= 0.4 / 10 - 1e-12  # any candidate at any place
    assert (likely.sum(axis=2) <= 1 + 1e-9).all()


def test_without_chance_it_is_the_order_by_score(model):
    plain = model.recommend(["u000", "u001"], domain="book", k=5)
    greedy = model.recommend(
        ["u000", "u001"], domain="book", k=5, rerank=Explorer.of(model, "greedy")
    )
    assert greedy["item_id"].tolist() == plain["item_id"].tolist()
    assert (greedy["propensity"] == 1).all()


def test_the_log_has_a_propensity_of_each_shown_item(model):
    explorer = Explorer(model, "thompson", epsilon=0.2, seed=3)
    lists = model.recommend([f"u{n:03d}" for n in range(100)], k=K, rerank=explorer)
    assert lists["propensity"].between(0, 1, inclusive="right").all()
    assert lists.equals(model.recommend([f"u{n:03d}" for n in range(100)], k=K, rerank=explorer))


def test_a_bandit_learns_what_pays(model):
    """Rewards follow the taste of item 0 mod 3 alone, against the scores of most users."""
    generator = np.random.default_rng(0)
    ids = model.data.items["book"].ids
    user = generator.integers(0, 120, 3000)
    item = generator.integers(0, len(ids), 3000)
    pays = item % 3 == 0
    shown = pd.DataFrame({"user_id": [f"u{n:03d}" for n in user], "item_id": ids[item]})
    shown = shown.assign(domain="book", reward=(generator.random(3000) < 0.1 + 0.6 * pays) * 1.0)
    asked = [f"u{n:03d}" for n in range(60)]
    for method in ("thompson", "linucb"):
        explorer = Explorer(model, method, epsilon=0.0)
        before = model.recommend(asked, k=K, exclude_seen=False, rerank=explorer)
        after = model.recommend(asked, k=K, exclude_seen=False, rerank=explorer.learn(shown))
        paid = [(t["item_id"].str[1:].astype(int) % 3 == 0).mean() for t in (before, after)]
        assert paid[1] > 0.9 > paid[0]


def test_the_posterior_is_that_of_ridge_regression():
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((200, 4)), generator.random(200)
    config = BanditConfig(score_weight=0.0)
    bandit = LinearBandit(4, config).learn(x[:50], y[:50]).learn(x[50:], y[50:])
    penalty = (config.noise_sd / config.prior_sd) ** 2
    assert bandit.mean == pytest.approx(np.linalg.solve(x.T @ x + penalty * np.eye(4), x.T @ y))
    drawn = LinearBandit(4, BanditConfig(draws=20_000)).learn(x, y).sampled(0)
    assert np.cov(drawn) == pytest.approx(np.linalg.inv(bandit.precision), abs=1e-4)


@pytest.mark.parametrize(("k", "size"), [(3, 3), (3, 5), (2, 6), (3, 2)])
def test_places_are_those_of_every_possible_draw(k, size):
    """Add up all patterns of random places and all orders of drawn candidates."""
    epsilon, length = 0.3, min(k, size)
    expected = np.zeros((k, k))
    for at in product([False, True], repeat=length):
        drawn = list(permutations(range(size), sum(at)))
        weight = np.prod([epsilon if here else 1 - epsilon for here in at]) / len(drawn)
        for some in drawn:
            rest = (item for item in range(size) if item not in some)
            for place, here in enumerate(at):
                if not here:
                    expected[next(rest), place] += weight
    assert place_chances(k, epsilon, size) == pytest.approx(expected)
    assert place_chances(3, 0.0, 9).tolist() == np.eye(3).tolist()
    assert place_chances(3, 1.0, 9).max() == 0


def test_wrong_settings_name_the_remedy(model):
    with pytest.raises(ConfigError, match="did you mean 'thompson'"):
        Explorer(model, "tompson")
    with pytest.raises(ConfigError, match=r"\[0, 1\]"):
        Explorer.of(model, "epsilon=2")
    with pytest.raises(ConfigError, match="METHOD=EPSILON"):
        Explorer.of(model, "epsilon=many")
    with pytest.raises(InputError, match="reward"):
        Explorer(model).learn(pd.DataFrame({"user_id": ["a"], "domain": "d", "item_id": ["x"]}))
