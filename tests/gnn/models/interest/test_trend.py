"""Popularity trends: the formula, the choice of one, and the answer for unknown users."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn import make_model
from gnn.data import TrainingData
from gnn.models.interest.trend import (
    DAY,
    FLOOR,
    SLOW_SHARE,
    SLOWER,
    Trend,
    TrendConfig,
    choose_trend,
    last_times,
)
from gnn.validation import ValidationRows
from graphgen.log import InteractionLog


@pytest.fixture(scope="module")
def data(fashions, built):
    return TrainingData.from_graph(built(fashions))


def test_the_last_time_of_each_user():
    times = sp.csr_matrix(np.array([[5, 9, 5, 7], [0, 3, 0, 0], [0, 0, 0, 0]]))
    assert last_times(times).tolist() == [9, 3, 0]


@pytest.mark.parametrize("moment", ["last visit", "end of log"])
def test_the_trend_weighs_interactions_by_their_distance_in_time(data, moment):
    trend = Trend(data, TrendConfig(half_life=30, moment=moment))
    users = data.batch(np.arange(10))
    ours = trend.factor(users, "book").numpy()
    end = np.full(10, data.times.data.max())
    around = last_times(users.times) if moment == "last visit" else end
    want = np.full((10, data.n_items), FLOOR)
    edges = data.times.tocoo()
    for half_life, share in ((30, 1.0), (30 * SLOWER, SLOW_SHARE)):
        distance = np.abs(edges.data[None] - around[:, None]) / DAY
        weight = share * 2.0 ** (-distance / half_life)
        for item in range(data.n_items):
            want[:, item] += weight[:, edges.col == item].sum(1)
    want = np.sqrt(want)
    want /= (want @ data.popularity / data.popularity.sum())[:, None]
    # Buckets of half a half-life: no user is more than that away from where they are counted.
    np.testing.assert_allclose(ours, want, rtol=1e-4 if moment == "end of log" else 0.2)
    np.testing.assert_allclose(ours @ data.popularity, data.popularity.sum(), rtol=1e-4)


def test_a_long_log_is_counted_in_wider_buckets(data, monkeypatch):
    monkeypatch.setattr("gnn.models.interest.trend.MAX_TABLE", 200)
    trend = Trend(data, TrendConfig(half_life=1, moment="last visit", power=1.0))
    factor = trend.factor(data.batch(np.arange(data.n_users)), "book")
    assert torch.isfinite(factor).all()
    assert len(torch.unique(factor, dim=0)) <= 10


def test_a_trend_is_chosen_where_there_is_one(fashions, built, split_last):
    def chosen(frame, n_users=None):
        train, held = split_last(frame)
        data = TrainingData.from_graph(built(train))
        rows = ValidationRows.of(InteractionLog(held.frame.head(n_users or len(held))), data)
        popularity = torch.from_numpy(data.popularity)
        return choose_trend(
            lambda users, domain: popularity.expand(len(users), -1), data, rows, seed=0
        )

    config = chosen(fashions)
    assert config.moment == "last visit"
    assert config.half_life <= 15
    shuffled = fashions.copy()
    shuffled["timestamp"] = shuffled.timestamp.sample(frac=1, random_state=0).to_numpy()
    assert chosen(shuffled) is None
    assert chosen(fashions, n_users=10) is None  # Too few held-out users.


def test_unknown_users_get_items_that_are_popular_now(fashions, built):
    trend = TrendConfig(half_life=8, moment="end of log", power=1.0)
    model = make_model("interest-gnn", experts=("popularity",), trend=trend)
    model.fit(built(fashions), valid=None)
    top = model.recommend(["nobody"], k=1).item_id.tolist()
    age = (fashions.timestamp.max() - fashions.timestamp).dt.days
    weight = 2.0 ** (-age / 8) + SLOW_SHARE * 2.0 ** (-age / (8 * SLOWER))
    recent = FLOOR + weight.groupby(fashions.item_id).sum()
    popularity = fashions.item_id.value_counts()
    assert top == [(recent * popularity).idxmax()]
    assert top != [popularity.idxmax()]
