import numpy as np
import pandas as pd
import pytest

from gnn.baselines.popularity import Popularity
from gnn.data import TrainingData
from gnn.interests import profile
from gnn.interests.estimating import learn_prior, posterior
from gnn.interests.profiling import PROFILE_COLUMNS, Profiler
from graphgen import ItemTable, build_graph
from graphgen.errors import ConfigError, InputError
from graphgen.log import InteractionLog
from graphgen.synthetic.generator import synthesize

ROWS = [
    ("a", "c1", "books", "2024-01-01"), ("a", "c2", "books", "2024-02-01"),
    ("a", "t1", "films", "2024-06-01"), ("b", "t1", "films", "2024-01-05"),
    ("b", "t2", "films", "2024-01-06"), ("b", "t2", "books", "2024-01-07"),
    ("c", "c1", "books", "2024-03-01"),
]  # fmt: skip
ITEMS = [
    ("c1", "books", "Crime"), ("c2", "books", "Crime|Tea"), ("t2", "books", "Tea"),
    ("t1", "films", "Tea"), ("t2", "films", "Tea"),
]  # fmt: skip


def small(rows=ROWS, *, times=True):
    columns = ["user_id", "item_id", "domain", "timestamp"]
    log = pd.DataFrame(rows, columns=columns)
    items = ItemTable(pd.DataFrame(ITEMS, columns=["item_id", "domain", "category"]))
    log = InteractionLog(log if times else log.drop(columns="timestamp"))
    return Popularity().fit(build_graph(log, items, encoder="none", category_items=1))


def planted(n_users=500, **settings):
    """Categories that are the planted themes, so that the estimator is judged and not a text."""
    data = synthesize(n_users=n_users, seed=0, **settings)
    themes = np.array(data.truth.themes)[data.truth.item_theme]
    items = data.items[["item_id", "domain"]].assign(category=themes)
    return data, data.log.drop(columns=["split", "setting"]), items


def fitted(log, items):
    return Popularity().fit(build_graph(InteractionLog(log), ItemTable(items), encoder="none"))


def test_dates_domains_items_and_counts_of_a_small_log():
    table = profile(small(), ["b", "a"], half_life=None)
    assert table.columns.tolist() == list(PROFILE_COLUMNS)
    assert table["user_id"].tolist() == ["b", "a", "a"]
    tea = table.iloc[0]
    assert (tea["interest"], tea["domains"], tea["interactions"]) == ("Tea", "films|books", 3)
    assert tea["item_ids"] == "t2|t2|t1"  # all are wholly of it: the latest first
    assert str(tea["first_seen"]) == "2024-01-05 00:00:00+00:00"
    assert str(tea["last_seen"]) == "2024-01-07 00:00:00+00:00"
    crime = table[(table["user_id"] == "a") & (table["interest"] == "Crime")].iloc[0]
    assert crime["item_ids"] == "c1|c2"  # c1 is wholly of it
    assert (crime["low"] < crime["share"] < crime["high"]) and crime["weight"] > 0
    assert crime["trend"] < 0  # a turned to Tea
    # The rest of b's expected shares is of an interest that b has not met.
    assert table.groupby("user_id")["share"].sum().round(2).tolist() == [1.0, 0.92]


def test_shares_are_those_of_a_beta_posterior_by_hand():
    data = small().data
    joint = Profiler(small()).interests.joint
    prior = learn_prior(data.matrix, joint)
    found = posterior((data.matrix @ joint).sorted_indices(), prior)
    # User a: 1.5 of 3 interactions are of Crime, 2.5 of 7 are of all users.
    assert prior.shares.tolist() == pytest.approx([2.5 / 7, 4.5 / 7])
    expected = (1.5 + prior.strength * 2.5 / 7) / (3 + prior.strength)
    assert found.share[0] == pytest.approx(expected)
    odds = expected / (1 - expected) / (2.5 / 4.5)
    assert found.weight[0] == pytest.approx(np.log(odds))


def test_one_click_is_no_interest():
    rows = [(f"u{n:02d}", item, domain, "2024-01-01")
            for n in range(40) for item, domain, _ in ITEMS[n % 2 :: 2]]  # fmt: skip
    table = profile(small([*rows, ("new", "c1", "books", "2024-01-01")]), "new")
    assert table["interactions"].tolist() == [1]
    assert not table["established"].any()


def test_what_everybody_likes_has_a_smaller_weight_than_a_rare_interest():
    rows = [(f"u{n:02d}", "t1", "films", "2024-01-01") for n in range(40)]
    rows += [("x", item, domain, "2024-01-01") for item, domain, _ in ITEMS]
    table = profile(small(rows), "x").set_index("interest")
    assert table.loc["Tea", "share"] > table.loc["Crime", "share"]
    assert table.loc["Crime", "weight"] > 0 > table.loc["Tea", "weight"]


def test_the_planted_themes_are_recovered():
    data, log, items = planted(time_drift=0, domain_drift=0)
    table = profile(fitted(log, items), k=24, half_life=None)
    counts = log.groupby("user_id").size()
    active = counts.index[counts >= 10]
    taste = pd.DataFrame(
        data.truth.user_taste, index=data.users["user_id"], columns=list(data.truth.themes)
    )
    taste = taste.loc[active].stack()
    named = table[table["established"] & table["user_id"].isin(active)]
    named = set(zip(named["user_id"], named["interest"], strict=True))
    # Themes that are a fifth of the user's taste; any planted theme is right to name.
    wanted, right = set(taste.index[taste >= 0.2]), set(taste.index[taste > 0.01])
    assert len(named & right) / len(named) >= 0.9
    assert len(named & wanted) / len(wanted) >= 0.9


def test_strength_of_the_prior_is_that_of_planted_users():
    generator = np.random.default_rng(0)
    tastes = generator.dirichlet(np.full(5, 0.8), 2000)  # strength 4
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(500)], "domain": "d"})
    items["category"] = [f"topic {n % 5}" for n in range(500)]
    topic = np.array([generator.choice(5, 20, p=taste) for taste in tastes])
    item = topic + 5 * generator.integers(0, 100, topic.shape)
    log = pd.DataFrame(
        {"user_id": np.repeat([f"u{n}" for n in range(2000)], 20), "domain": "d",
         "item_id": [f"i{n}" for n in item.ravel()]}
    )  # fmt: skip
    data = TrainingData.from_graph(build_graph(log, items, encoder="none"))
    joint = Profiler(fitted(log, items)).interests.joint
    assert learn_prior(data.matrix, joint).strength == pytest.approx(4, rel=0.1)


def test_unknown_users_get_the_popular_interests_and_histories_count(caplog):
    model = small()
    table = profile(model, ["nobody", "a"])
    assert "They get the popular interests." in caplog.text
    popular = table[table["user_id"] == "nobody"]
    assert popular["interest"].tolist() == ["Tea", "Crime"]
    assert popular["interactions"].tolist() == [0, 0] and popular["last_seen"].isna().all()
    assert popular["item_ids"].iloc[0].startswith("t1|")
    history = pd.DataFrame({"user_id": ["nobody"], "item_id": ["c1"], "domain": ["books"],
                            "timestamp": ["2025-01-01"]})  # fmt: skip
    assert profile(model, "nobody", history=history)["interest"].tolist() == ["Crime"]


def test_without_times_dates_and_trends_are_missing_and_the_rest_is_there():
    table = profile(small(times=False))
    assert table["user_id"].unique().tolist() == ["a", "b", "c"]
    assert table["first_seen"].isna().all() and table["trend"].isna().all()
    assert table["share"].gt(0).all()


def test_recent_interactions_count_more():
    share = {
        half_life: profile(small(), "a", half_life=half_life).set_index("interest")["share"]["Tea"]
        for half_life in (30.0, None)
    }
    assert share[30.0] > share[None]


def test_a_model_without_topics_and_bad_arguments_are_refused():
    log = pd.DataFrame(ROWS, columns=["user_id", "item_id", "domain", "timestamp"])
    with pytest.raises(ConfigError, match="no topics"):
        profile(Popularity().fit(build_graph(log, encoder="none")), "a")
    with pytest.raises(InputError, match="half_life"):
        profile(small(), "a", half_life=0.0)
    with pytest.raises(InputError, match="`k`"):
        profile(small(), "a", k=0)
