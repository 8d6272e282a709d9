"""Policies of a model judged by the log of another, against their true values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eval.abtests.analysis import analyse_abtest, read_events
from eval.experiments.policy_value import policy_values
from eval.offpolicy.log import read_shown
from gnn.live.exploration import Explorer, questions
from gnn.registry import make_model
from graphgen.build import build_graph
from graphgen.errors import ConfigError, InputError
from graphgen.rewards import as_exposures, with_rewards

K, USERS, ITEMS = 3, 150, 40
POLICIES = ("greedy", "epsilon=0.3", "thompson=0.1")
WHEN = pd.Timestamp("2026-03-01", tz="UTC")


@pytest.fixture(scope="module")
def model():
    generator = np.random.default_rng(0)
    user, item = np.repeat(np.arange(USERS), 8), generator.integers(0, ITEMS, USERS * 8)
    same = user % 4 == item % 4
    log = pd.DataFrame({"user_id": [f"u{u:03d}" for u in user], "item_id": item, "domain": "d"})
    log = log[same | (generator.random(len(log)) < 0.3)].drop_duplicates()
    return make_model("item-knn").fit(build_graph(log.astype(str), encoder="none"))


def click_chance(user, item, rank):
    """Users like items of their number mod 3; lower places are looked at less."""
    number = np.char.lstrip(user.astype(str), "u").astype(int)
    return (0.2 + 0.5 * ((number + item.astype(int)) % 3 == 0)) / np.sqrt(rank)


def true_value(model, policy):
    ids = model.users.ids
    everybody = pd.DataFrame({"user_id": ids, "domain": "d", "item_id": model.items("d").ids[0]})
    explorer = Explorer.of(model, policy)
    total = 0.0
    for asked in questions(model, everybody, explorer.depth(K)):
        likely = explorer.propensities(asked.users, asked.columns, asked.scores, K)
        item = model.items("d").ids[np.maximum(asked.columns, 0)]
        user = np.broadcast_to(ids[asked.rows][asked.user][:, None], item.shape)
        worth = [click_chance(user, item, rank) for rank in range(1, K + 1)]
        total += (likely * np.stack(worth, axis=2)).sum()
    return total / (K * len(ids))


def logged(model, seed, policy="epsilon=0.6", times=1):
    draws = range(seed * times, (seed + 1) * times)
    lists = pd.concat(
        model.recommend(model.users.ids, k=K, rerank=Explorer.of(model, policy, seed=draw))
        for draw in draws
    )
    chance = click_chance(lists["user_id"].to_numpy(), lists["item_id"].to_numpy(), lists["rank"])
    clicked = np.random.default_rng(seed).random(len(lists)) < chance
    return lists, clicked


@pytest.mark.parametrize(
    ("policies", "times"),
    [(POLICIES[:2], 24), pytest.param(POLICIES, 100, marks=pytest.mark.long)],
)
def test_true_values_lie_in_the_intervals(model, policies, times):
    truth = {policy: true_value(model, policy) for policy in policies}
    held, values = [], []
    for seed in range(times):
        lists, clicked = logged(model, seed, times=4)
        shown = lists.assign(reward=clicked * 1.0)
        found = policy_values(shown, model, policies, bootstrap=200)
        assert not any(of["warnings"] for of in found.meta["policies"].values())
        table = found.table.iloc[1:]
        true = table["policy"].map(truth)
        held.append(((table["low"] <= true) & (true <= table["high"])).to_numpy())
        values.append(table["value"].to_numpy() - true.to_numpy())
    share = pd.DataFrame(held).mean()
    assert (share >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / times) - 0.02).all(), share.tolist()
    error = np.std(values, axis=0) / np.sqrt(times)
    assert (np.abs(np.mean(values, axis=0)) < 3.5 * error + 0.003).all()


def test_one_log_is_read_by_both_analyses(model, tmp_path):
    parts = []
    for number, variant in enumerate(("control", "new")):
        lists, clicked = logged(model, number)
        half = lists["user_id"].str[1:].astype(int) % 2 == number
        rows = as_exposures(lists[half], variant, WHEN)
        events = rows.loc[clicked[half], ["user_id", "domain", "item_id", "variant"]]
        later = WHEN + pd.Timedelta(hours=1)
        parts += [rows, events.assign(event="click", timestamp=later)]
        skips = rows[~clicked[half]].head(5)[["user_id", "domain", "item_id", "variant"]]
        parts.append(skips.assign(event="skip", timestamp=later))
    paths = [tmp_path / "log.csv", tmp_path / "events.csv"]
    pd.concat(parts[::3]).to_csv(paths[0], index=False)
    pd.concat([part for n, part in enumerate(parts) if n % 3]).to_csv(paths[1], index=False)
    shown, notes = read_shown(*paths, rewards={"skip": 0.0})
    assert not notes
    assert shown["reward"].sum() == sum(len(part) for part in parts[1::3])
    assert shown["propensity"].to_numpy() == pytest.approx(pd.concat(parts[::3])["propensity"])
    found = policy_values(shown, model, ["greedy"], bootstrap=100)
    assert "| greedy | dr |" in found.to_markdown()
    assert found.table["value"].iloc[0] == pytest.approx(shown["reward"].mean())
    saved = found.save(tmp_path / "out")
    assert {path.name for path in saved.iterdir()} >= {"offpolicy.json", "report.md"}

    test = analyse_abtest(read_events(*paths), conversion="click")
    row = test.table.set_index("metric").loc["activity"]
    assert sum(test.ratio.counts.values()) == len(model.users)
    assert row["value_control"] * test.ratio.counts["control"] == pytest.approx(len(parts[1]))


def test_events_belong_to_the_exposure_before_them():
    hour = pd.Timedelta(hours=1)
    log = pd.DataFrame(
        {
            "user_id": "a", "domain": "d", "item_id": ["x", "x", "x", "y", "x"],
            "event": ["exposure", "click", "exposure", "click", "dwell"],
            "timestamp": [WHEN, WHEN + hour, WHEN + 2 * hour, WHEN, WHEN + 3 * hour],
            "rank": [1, None, 2, None, None], "propensity": [0.5, None, 0.25, None, None],
            "weight": [None, None, None, None, 0.4],
        }
    )  # fmt: skip
    shown, notes = with_rewards(log)
    assert shown["reward"].tolist() == [1.0, 0.4]
    assert notes == ["1 event of items that were not shown before."]
    assert with_rewards(log, {"click": 0.2})[0]["reward"].tolist() == [0.2, 0.4]
    plain = with_rewards(log.drop(columns="timestamp"))[0]
    assert plain["reward"].tolist() == [0.0, 1.0]


def test_broken_logs_say_what_is_wrong(model):
    lists, _ = logged(model, 0)
    with pytest.raises(InputError, match="no column 'propensity'"):
        with_rewards(lists.drop(columns="propensity"))
    with pytest.raises(InputError, match=r"'propensity' must be in \(0, 1\]; 1 row"):
        with_rewards(lists.assign(propensity=[0.0, *lists["propensity"][1:]]))
    with pytest.raises(InputError, match="'rank' must be a whole number"):
        with_rewards(lists.assign(rank=0.5))
    with pytest.raises(InputError, match="No shown item is of a domain"):
        policy_values(lists.assign(domain="e", reward=1.0), model, ["greedy"])
    with pytest.raises(ConfigError, match="did you mean 'thompson'"):
        policy_values(lists.assign(reward=1.0), model, ["tompson"])
