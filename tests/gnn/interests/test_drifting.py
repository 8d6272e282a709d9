import builtins

import numpy as np
import pandas as pd
import pytest

from gnn.baselines.popularity import Popularity
from gnn.interests import change_points, drift, evolution, sentence
from gnn.interests import profile as profile_of
from graphgen import ItemTable, build_graph
from graphgen.errors import ConfigError, InputError
from graphgen.log import InteractionLog

N = 24  # interactions of a user
TOPICS = ("Crime", "Tea", "Space", "Horses")


def made(n_users=100, *, times=True):
    """Half of the users turn from two topics to the two others on the 13th of 24 weeks."""
    generator = np.random.default_rng(0)
    drifts = np.arange(n_users) < n_users // 2
    side = generator.integers(0, 2, n_users)
    late = np.arange(N) >= N // 2
    topic = 2 * (side[:, None] ^ (drifts[:, None] & late)) + generator.integers(0, 2, (n_users, N))
    noise = generator.random(topic.shape) < 0.1
    topic[noise] = generator.integers(0, 4, noise.sum())
    item = topic + 4 * np.argsort(generator.random((n_users, 50)), axis=1)[:, :N]
    log = pd.DataFrame(
        {
            "user_id": np.repeat([f"u{n:03d}" for n in range(n_users)], N),
            "item_id": [f"i{n}" for n in item.ravel()],
            "domain": "d",
            "timestamp": np.tile(pd.date_range("2024-01-01", periods=N, freq="7D"), n_users),
        }
    )
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(200)], "domain": "d"})
    items["category"] = [TOPICS[n % 4] for n in range(200)]
    log = InteractionLog(log if times else log.drop(columns="timestamp"))
    return Popularity().fit(build_graph(log, ItemTable(items), encoder="none"))


@pytest.fixture(scope="module")
def model():
    return made()


def test_planted_drift_is_found_and_steady_users_are_left_alone(model):
    table = drift(model)
    planted = np.arange(100) < 50
    assert table["drifts"][planted].mean() >= 0.9
    assert table["drifts"][~planted].mean() <= 0.05
    since = table["since"][planted & table["drifts"]]
    assert (since == pd.Timestamp("2024-03-25", tz="UTC")).mean() > 0.6
    first = table[planted & table["drifts"]].iloc[0]
    assert {first["away_from"], first["towards"]} <= set(TOPICS)
    assert table["distance"][planted].mean() > 2 * table["distance"][~planted].mean()
    assert table.equals(drift(model))


def test_divergence_is_that_of_a_slow_loop(model):
    from scipy.spatial.distance import jensenshannon

    row = drift(model, "u000").iloc[0]
    data = model.data
    start, end = data.matrix.indptr[:2]
    when, item = data.order.data[start:end], data.matrix.indices[start:end]
    topic = np.array(data.about[item].argmax(axis=1)).ravel()
    late = when >= row["since"].value // 10**6
    parts = [np.bincount(topic[side], minlength=4) for side in (~late, late)]
    assert row["distance"] == pytest.approx(jensenshannon(*parts, base=2), abs=1e-6)


def test_windows_hold_the_shares_of_their_interactions(model):
    table = evolution(model, "u000", windows="84d")
    assert table.groupby("end")["interactions"].first().tolist() == [12, 12]
    assert table.groupby("end")["share"].sum().between(0.9, 1.001).all()
    top = table.groupby("end")["interest"].first().tolist()
    assert len(set(top)) == 2
    distance = table.groupby("end")["distance"].first().tolist()
    assert np.isnan(distance[0]) and distance[1] > 0.5
    together = evolution(model, ["u060", "u000"], windows="84d")
    own = together[together["user_id"] == "u000"].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, table)


def test_a_change_point_is_near_the_planted_moment(model):
    table = change_points(model, [f"u{n:03d}" for n in range(20)])
    days = (table["since"] - pd.Timestamp("2024-03-25", tz="UTC")).dt.days.abs()
    assert table["user_id"].nunique() >= 18 and days.median() <= 14


def test_change_points_name_the_missing_package(model, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name == "ruptures":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"interest-expansion\[interests\]"):
        change_points(model, "u000")


def test_evolution_needs_times_and_a_length(model):
    with pytest.raises(ConfigError, match="timestamp"):
        drift(made(10, times=False))
    with pytest.raises(InputError, match="90d"):
        evolution(model, "u000", windows="soon")


def test_sentences_hold_the_facts_of_the_tables(model):
    rows, moved = profile_of(model, "u000", half_life=None), drift(model, "u000").iloc[0]
    text = sentence(rows, moved)
    assert f"moving from {moved['away_from']} towards {moved['towards']} since March 2024" in text
    unknown = sentence(profile_of(model, "nobody"))
    assert unknown.startswith("Nothing is known about this user. Popular interests: ")
