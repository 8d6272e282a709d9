"""When people did what they did: sequences, trends, and what a log with times changes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch

import graphgen
from eval.experiments.monitoring import ValidationMonitor
from gnn import load_model, make_model
from gnn.data import TrainingData
from gnn.models.interest.blend import Blend
from gnn.models.interest.path_scores import dense
from gnn.models.interest.paths import path_lacks
from gnn.models.interest.recency import following, last_times, recent_history, visits_ago
from gnn.models.interest.sequence import SequencePath
from gnn.models.interest.trend import DAY, FLOOR, SLOW_SHARE, SLOWER, Trend, TrendConfig
from gnn.models.interest.trend_choice import choose_trend
from gnn.models.interest.validation import RankingQuality, ValidationRows
from graphgen.errors import ConfigError, StorageError
from graphgen.log import InteractionLog

N_ITEMS, N_USERS, LENGTH = 20, 200, 6
START = pd.Timestamp("2024-01-01", tz="UTC")


def chains(seed=0):
    """Everybody walks from a random item i to i + 1, and on, one a day."""
    generator = np.random.default_rng(seed)
    first = generator.integers(0, N_ITEMS, N_USERS)
    day = generator.integers(0, 300, N_USERS)
    step = np.arange(LENGTH)
    return pd.DataFrame(
        {
            "user_id": np.repeat([f"u{u:03d}" for u in range(N_USERS)], LENGTH),
            "item_id": [f"i{i:02d}" for i in ((first[:, None] + step) % N_ITEMS).ravel()],
            "domain": "book",
            "timestamp": START + pd.to_timedelta((day[:, None] + step).ravel(), unit="D"),
        }
    )


def fashions(seed=0):
    """Every twenty days another item is all the rage, whoever one is; people stay for ten days."""
    generator = np.random.default_rng(seed)
    rows = []
    for user in range(N_USERS):
        day = np.sort(generator.integers(0, 10, LENGTH) + generator.integers(0, 390))
        rage = day // 20 % N_ITEMS
        item = np.where(
            generator.random(LENGTH) < 0.7, rage, generator.integers(0, N_ITEMS, LENGTH)
        )
        rows.append(
            pd.DataFrame(
                {
                    "user_id": f"u{user:03d}",
                    "item_id": [f"i{i:02d}" for i in item],
                    "domain": "book",
                    "timestamp": START + pd.to_timedelta(day, unit="D"),
                }
            )
        )
    return pd.concat(rows, ignore_index=True).drop_duplicates(["user_id", "item_id"])


def built(frame):
    return graphgen.build_graph(frame, encoder="none")


def split_last(frame):
    """The last row of each person, and the others."""
    last = frame.groupby("user_id").cumcount(ascending=False) == 0
    return frame[~last], InteractionLog(frame[last].reset_index(drop=True))


@pytest.fixture(scope="module")
def chain_data():
    return TrainingData.from_graph(built(chains()))


def test_times_stand_beside_the_interactions():
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
    without = TrainingData.from_graph(built(frame.drop(columns="timestamp")))
    assert without.times is None
    assert path_lacks("sequence", without) == "the log has no timestamps"
    assert not path_lacks("sequence", data)


def test_visits_are_counted_back_from_the_last_one():
    times = sp.csr_matrix(np.array([[5, 9, 5, 7], [0, 3, 0, 0], [0, 0, 0, 0]]))
    assert visits_ago(times).tolist() == [2, 0, 2, 1, 0]
    history = recent_history(times, 1.0)
    assert history.toarray().tolist() == [[0.25, 1, 0.25, 0.5], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert recent_history(times, 0.1).nnz == 2  # 2^-20 and 2^-10 are left out.
    assert times.nnz == 5  # And taken from nobody else.
    assert last_times(times).tolist() == [9, 3, 0]


def test_following_counts_pairs_as_a_loop_does(chain_data):
    times = chain_data.times[:20].copy()
    times.data[times.data > 1e9] = times.data.max()  # Some visits with several items.
    ours = following(times, half_life=2.0, user_exponent=0.3, item_exponent=0.4).toarray()
    want = np.zeros((N_ITEMS, N_ITEMS))
    for user in times:
        visit = {time: number for number, time in enumerate(np.unique(user.data))}
        for i, first in zip(user.indices, user.data, strict=True):
            for j, second in zip(user.indices, user.data, strict=True):
                if i != j and first <= second:
                    gap = visit[second] - visit[first]
                    want[i, j] += 2.0 ** (-gap / 2) * user.nnz**-0.3
    popularity = np.maximum(np.bincount(times.indices, minlength=N_ITEMS), 1e-9) ** -0.4
    want = popularity[:, None] * want * popularity
    np.testing.assert_allclose(ours, want, rtol=1e-5)


def test_in_a_large_visit_no_pair_is_cut_by_its_place_in_the_catalogue():
    """Of thirty items of one visit each follows others; which is chance, not the order of ids."""
    times = np.ones((200, 31), dtype=np.int64)
    times[:, 30] = 2  # One more item a visit later.
    linked = following(sp.csr_matrix(times), half_life=2.0, user_exponent=0.0, item_exponent=0.0)
    last = linked[:, 30].toarray().ravel()[:30]
    assert last.min() > 0.5 * last.mean() > 0
    assert linked[30].nnz == 0


def test_of_equal_interactions_the_latest_counts():
    frame = chains()
    again = frame.head(1).assign(timestamp=frame.timestamp.iloc[0] + pd.Timedelta(days=2))
    data = TrainingData.from_graph(built(pd.concat([frame, again], ignore_index=True)))
    once = TrainingData.from_graph(built(frame))
    assert data.matrix.data.tolist() == once.matrix.data.tolist()
    changed = (data.times - once.times).data
    assert changed[changed != 0].tolist() == [2 * DAY]


def test_times_that_are_needed_and_missing_are_a_clear_error(tmp_path):
    graph = built(chains().drop(columns="timestamp"))
    trend = TrendConfig(half_life=8, moment="end of log", power=1.0)
    with pytest.raises(ConfigError, match="no column `timestamp`"):
        make_model("interest-gnn", trend=trend).fit(graph)
    blend = Blend.default(("filter", "gnn", "sequence"))
    model = make_model("interest-gnn", blend=blend)
    with pytest.raises(ConfigError, match="'sequence': the log has no timestamps"):
        model.fit(graph)
    assert not model.history_  # Before anything was trained.
    make_model("interest-gnn", paths=("sequence",)).fit(built(chains())).save(tmp_path / "model")
    (tmp_path / "model" / "times.npy").unlink()
    with pytest.raises(StorageError, match="damaged"):
        load_model(tmp_path / "model")


def test_following_of_single_interactions_is_empty():
    times = sp.csr_matrix(np.eye(3, dtype=np.int64))
    assert following(times, half_life=1.0, user_exponent=0.3, item_exponent=0.3).nnz == 0
    nobody = sp.csr_matrix((0, 3), dtype=np.int64)
    assert following(nobody, half_life=1.0, user_exponent=0.3, item_exponent=0.3).nnz == 0


def test_the_sequence_path_finds_what_comes_next(chain_data):
    users = chain_data.batch(np.arange(N_USERS))
    best = dense(SequencePath(chain_data, 1.0).score(users, "book"))
    best[torch.from_numpy(users.history.toarray()) > 0] = -1
    last = np.array([row.indices[row.data.argmax()] for row in users.times])
    assert (best.argmax(1).numpy() == (last + 1) % N_ITEMS).all()


@pytest.mark.parametrize("moment", ["last visit", "end of log"])
def test_the_trend_weighs_interactions_by_their_distance_in_time(moment):
    frame = fashions()
    data = TrainingData.from_graph(built(frame))
    trend = Trend(data, TrendConfig(half_life=30, moment=moment, power=0.5))
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
    # Buckets of half a half-life: nobody is more than that away from where they are counted.
    np.testing.assert_allclose(ours, want, rtol=1e-4 if moment == "end of log" else 0.2)
    np.testing.assert_allclose(ours @ data.popularity, data.popularity.sum(), rtol=1e-4)


def test_a_long_log_is_counted_in_wider_buckets(monkeypatch):
    monkeypatch.setattr("gnn.models.interest.trend.MAX_TABLE", 200)
    data = TrainingData.from_graph(built(fashions()))
    trend = Trend(data, TrendConfig(half_life=1, moment="last visit", power=1.0))
    factor = trend.factor(data.batch(np.arange(N_USERS)), "book")
    assert torch.isfinite(factor).all()
    assert len(torch.unique(factor, dim=0)) <= 10


def choice_of(frame, people=N_USERS):
    train, held = split_last(frame)
    held = InteractionLog(held.frame.head(people))
    data = TrainingData.from_graph(built(train))
    popularity = torch.from_numpy(data.popularity)

    def mixed(rows, domain):
        return popularity.expand(len(rows), -1)

    rows = ValidationRows.of(held, data)
    return choose_trend(mixed, data, rows, np.random.default_rng(0))


def test_a_trend_is_chosen_where_there_is_one():
    config = choice_of(fashions())
    assert config.moment == "last visit"
    assert config.half_life <= 15
    shuffled = fashions()
    shuffled["timestamp"] = shuffled.timestamp.sample(frac=1, random_state=0).to_numpy()
    assert choice_of(shuffled) is None
    assert choice_of(fashions(), people=10) is None  # Too few to tell.


def test_a_gain_comes_with_its_standard_error():
    generator = torch.Generator().manual_seed(0)
    ours, theirs = RankingQuality(), RankingQuality()
    counts = [torch.ones(400, dtype=torch.int64)]
    gains = {}
    for quality, share in ((ours, 0.6), (theirs, 0.4)):
        hit = torch.rand(400, generator=generator) < share
        quality.add("book", hit[:, None].long(), counts)
        gains[share] = hit.double()
    gain, error = ours.gain_over(theirs)
    difference = gains[0.6] - gains[0.4]
    assert gain == pytest.approx(float(difference.mean()))
    assert error == pytest.approx(float(difference.std()) / 20)


def test_interest_gnn_follows_the_order_of_events(tmp_path):
    """The next item of a chain is found with times, and saved models find it as well."""
    train, held = split_last(chains())
    names = held.frame.user_id.tolist()
    want = held.frame.item_id.tolist()

    def fitted(frame):
        model = make_model("interest-gnn", embedding_dim=8, steps=6)
        return model.fit(built(frame), monitor=ValidationMonitor(held))

    def hits(model, **more):
        recs = model.recommend(names, k=1, **more).set_index("user_id").item_id
        return float((recs.loc[names].to_numpy() == want).mean())

    model = fitted(train)
    assert model.chosen_["sequence_half_life"] > 0
    assert hits(model) > 0.9
    assert hits(fitted(train.drop(columns="timestamp"))) < 0.8
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    np.testing.assert_array_equal(
        again.score(names[:5], domain="book"), model.score(names[:5], domain="book")
    )


def test_who_arrives_later_is_scored_by_the_order_of_events():
    model = make_model("interest-gnn", paths=("sequence",)).fit(built(chains()))
    ann = pd.DataFrame(
        {
            "user_id": "ann",
            "item_id": ["i09", "i03"],
            "domain": "book",
            "timestamp": [START, START + pd.Timedelta(days=1)],
        }
    )
    assert model.recommend(["ann"], k=1, history=InteractionLog(ann)).item_id.tolist() == ["i04"]
    ann["timestamp"] = ann.timestamp.to_numpy()[::-1]
    assert model.recommend(["ann"], k=1, history=InteractionLog(ann)).item_id.tolist() == ["i10"]


def test_what_is_known_since_training_counts_as_later(chain_data):
    model = make_model("item-knn").fit(built(chains()))
    since = pd.DataFrame({"user_id": ["u000"] * 2, "item_id": ["i00", "i01"], "domain": "book"})
    batch = model._batch(["u000", "nobody"], InteractionLog(since))
    latest = batch.times[0].indices[batch.times[0].data == batch.times[0].data.max()]
    assert {0, 1} <= set(latest.tolist())
    assert (batch.times != 0).nnz == (batch.history != 0).nnz
    assert batch.times[1].nnz == batch.history[1].nnz == 0


def test_new_people_get_what_is_in_vogue():
    train, held = split_last(fashions())
    model = make_model(
        "interest-gnn",
        embedding_dim=8,
        steps=4,
        trend=TrendConfig(half_life=8, moment="end of log", power=1.0),
    ).fit(built(train), monitor=ValidationMonitor(held))
    top = model.recommend(["nobody"], k=1).item_id.tolist()
    age = (train.timestamp.max() - train.timestamp).dt.days
    weight = 2.0 ** (-age / 8) + SLOW_SHARE * 2.0 ** (-age / (8 * SLOWER))
    trend = FLOOR + weight.groupby(train.item_id).sum()
    popularity = train.item_id.value_counts()
    assert top == [(trend * popularity).idxmax()]
    assert top != [popularity.idxmax()]
