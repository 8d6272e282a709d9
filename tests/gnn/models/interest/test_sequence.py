"""The order of events: visits, items that follow each other, and the expert made of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch

from gnn import make_model
from gnn.data import TrainingData
from gnn.models.interest.mixture import dense
from gnn.models.interest.network import NetworkVectors
from gnn.models.interest.sequence import RecentExpert, SequenceExpert, transitions
from gnn.numerics.order import recent_history, visits_ago
from gnn.users import user_batch
from graphgen.builders.transitions import following
from graphgen.log import InteractionLog


@pytest.fixture(scope="module")
def data(chains, built):
    return TrainingData.from_graph(built(chains))


def test_times_stand_beside_the_interactions(built):
    frame = pd.DataFrame(
        {
            "user_id": ["a", "a", "b"],
            "item_id": ["x", "y", "x"],
            "domain": ["book", "film", "book"],
            "timestamp": pd.to_datetime([3000, 1000, 2000], unit="ms", utc=True),
        }
    )
    data = TrainingData.from_graph(built(frame))
    assert data.times.toarray().tolist() == [[3000, 1000], [2000, 0]]
    assert data.batch(np.array([1])).times.toarray().tolist() == [[2000, 0]]
    assert TrainingData.from_graph(built(frame.drop(columns="timestamp"))).times is None


def test_of_equal_interactions_the_latest_counts(chains, built, data):
    later = pd.Timedelta(days=2)
    again = chains.head(1).assign(timestamp=chains.timestamp.iloc[0] + later)
    twice = TrainingData.from_graph(built(pd.concat([chains, again], ignore_index=True)))
    assert twice.matrix.data.tolist() == data.matrix.data.tolist()
    changed = (twice.times - data.times).data
    assert changed[changed != 0].tolist() == [later.total_seconds() * 1000]


def test_visits_are_counted_back_from_the_last_one():
    times = sp.csr_matrix(np.array([[5, 9, 5, 7], [0, 3, 0, 0], [0, 0, 0, 0]]))
    assert visits_ago(times).tolist() == [2, 0, 2, 1, 0]
    history = recent_history(times, 1.0)
    assert history.toarray().tolist() == [[0.25, 1, 0.25, 0.5], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert recent_history(times, 0.1).nnz == 2  # 2^-20 and 2^-10 are left out.
    assert times.nnz == 5


def test_following_counts_pairs_as_a_loop_does(data):
    times = data.times[:20].copy()
    times.data[times.data > np.median(times.data)] = times.data.max()  # Visits with several items.
    ours = following(times, half_life=2.0, user_exponent=0.3, item_exponent=0.4).toarray()
    n_items = times.shape[1]
    want = np.zeros((n_items, n_items))
    for user in times:
        visit = {time: number for number, time in enumerate(np.unique(user.data))}
        for i, first in zip(user.indices, user.data, strict=True):
            for j, second in zip(user.indices, user.data, strict=True):
                if i != j and first <= second:
                    gap = visit[second] - visit[first]
                    want[i, j] += 2.0 ** (-gap / 2) * user.nnz**-0.3
    popularity = np.maximum(np.bincount(times.indices, minlength=n_items), 1e-9) ** -0.4
    want = popularity[:, None] * want * popularity
    np.testing.assert_allclose(ours, want, rtol=1e-5)


def test_in_a_large_visit_no_pair_is_cut_by_its_place_in_the_catalogue():
    """Of thirty items of one visit each follows others, by chance and not by the order of ids."""
    times = np.ones((200, 31), dtype=np.int64)
    times[:, 30] = 2  # One more item a visit later.
    linked = following(sp.csr_matrix(times), half_life=2.0, user_exponent=0.0, item_exponent=0.0)
    last = linked[:, 30].toarray().ravel()[:30]
    assert last.min() > 0.5 * last.mean() > 0
    assert linked[30].nnz == 0


def test_following_of_single_interactions_is_empty():
    times = sp.csr_matrix(np.eye(3, dtype=np.int64))
    assert following(times, half_life=1.0, user_exponent=0.3, item_exponent=0.3).nnz == 0
    no_user = sp.csr_matrix((0, 3), dtype=np.int64)
    assert following(no_user, half_life=1.0, user_exponent=0.3, item_exponent=0.3).nnz == 0


def test_the_expert_finds_the_item_that_comes_next(data):
    users = data.batch(np.arange(data.n_users))
    best = dense(SequenceExpert(data, transitions(data), 1.0).score(users, "book"))
    best[torch.from_numpy(users.history.toarray()) > 0] = -1
    last = np.array([row.indices[row.data.argmax()] for row in users.times])
    assert (best.argmax(1).numpy() == (last + 1) % data.n_items).all()


def test_users_who_arrive_later_are_scored_by_the_order_of_events(chains, built):
    model = make_model("interest-gnn", experts=("sequence",)).fit(built(chains), valid=None)
    start = pd.Timestamp("2025-01-01", tz="UTC")
    ann = pd.DataFrame(
        {
            "user_id": "ann",
            "item_id": ["i09", "i03"],
            "domain": "book",
            "timestamp": [start, start + pd.Timedelta(days=1)],
        }
    )
    assert model.recommend(["ann"], k=1, history=InteractionLog(ann)).item_id.tolist() == ["i04"]
    ann["timestamp"] = ann.timestamp.to_numpy()[::-1]
    assert model.recommend(["ann"], k=1, history=InteractionLog(ann)).item_id.tolist() == ["i10"]


def test_interactions_without_time_since_training_count_as_the_latest(chains, built):
    model = make_model("item-knn").fit(built(chains))
    since = pd.DataFrame({"user_id": ["u000"] * 2, "item_id": ["i00", "i01"], "domain": "book"})
    batch = user_batch(model.data, ["u000", "nobody"], InteractionLog(since))
    latest = batch.times[0].indices[batch.times[0].data == batch.times[0].data.max()]
    assert {0, 1} <= set(latest.tolist())
    assert (batch.times != 0).nnz == (batch.history != 0).nnz
    assert batch.times[1].nnz == batch.history[1].nnz == 0


def test_the_latest_events_weigh_most_in_the_recent_vector(chains, data):
    """The cosine to the sum of item vectors, halved every visit back."""
    items = torch.nn.functional.normalize(torch.randn(data.n_items, 8), dim=1)
    expert = RecentExpert(data, NetworkVectors(items=items, history=items), half_life=1.0)
    users = user_batch(data, np.array(["u000", "nobody"], dtype=object), None)
    walked = chains[chains.user_id == "u000"].item_id
    place = torch.from_numpy(data.items["book"].encode(walked))
    weight = 0.5 ** torch.arange(len(place) - 1, -1, -1).float()
    want = torch.nn.functional.normalize(weight @ items[place], dim=0) @ items.T
    scores = expert.score(users, "book")
    torch.testing.assert_close(scores[0], want)
    assert not scores[1].any()
