"""Fairness: groups by hand, intervals by simulation, providers by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eval import EvaluationResult, evaluate, with_groups
from eval.comparison.fairness import group_fairness, provider_fairness
from graphgen.errors import ConfigError, InputError


def simulate(rates, n=60, seed=0):
    """One domain; group g is hit at place one with a probability of rates[g]."""
    generator = np.random.default_rng(seed)
    group = np.repeat(sorted(rates), n)
    users = [f"u{i}" for i in range(len(group))]
    truth = pd.DataFrame({"user_id": users, "domain": "d", "item_id": "x"})
    hit = generator.random(len(group)) < np.array([rates[g] for g in group])
    recs = truth.assign(item_id=np.where(hit, "x", "y"), rank=1)
    table = pd.DataFrame({"user_id": users, "group": group})
    return (
        evaluate(recs, with_groups(truth, table), k=1, metrics=["recall"], bootstrap=0),
        hit,
        group,
    )


def test_values_worst_gap_and_ratio():
    result, hit, group = simulate({"a": 0.2, "b": 0.6, "c": 0.9})
    table = group_fairness(result)
    macro = table[table["domain"] == "macro"]
    means = {g: hit[group == g].mean() for g in "abc"}
    values = macro[macro["what"] == "group"].set_index("group")["value"]
    assert values.to_dict() == pytest.approx(means)
    rest = macro.set_index("what")
    assert rest.loc["worst", "group"] == min(means, key=means.get)
    assert rest.loc["worst", "value"] == pytest.approx(min(means.values()))
    assert rest.loc["gap", "value"] == pytest.approx(max(means.values()) - min(means.values()))
    assert rest.loc["ratio", "value"] == pytest.approx(min(means.values()) / max(means.values()))
    assert rest.loc["gap", "low"] < 0.7 < rest.loc["gap", "high"]


def test_intervals_of_a_group_cover_its_rate():
    covered = []
    for seed in range(60):
        result, _, _ = simulate({"a": 0.3, "b": 0.5}, n=80, seed=seed)
        table = group_fairness(result, bootstrap=200)
        row = table[(table["what"] == "group") & (table["group"] == "a")].iloc[0]
        covered.append(row["low"] <= 0.3 <= row["high"])
    assert np.mean(covered) >= 0.85


@pytest.mark.slow
@pytest.mark.parametrize(
    "rates",
    [
        {"a": 0.3, "b": 0.3},
        {"a": 0.3, "b": 0.3, "c": 0.3, "d": 0.3},
        {"a": 0.2, "b": 0.5},
        {"a": 0.2, "b": 0.35, "c": 0.35, "d": 0.5},
        {"a": 0.2, "b": 0.5, "c": 0.5, "d": 0.5},
    ],
)
def test_intervals_of_extremes_cover_at_the_nominal_rate_with_a_gap_and_without(rates):
    true = {
        "worst": min(rates.values()),
        "gap": max(rates.values()) - min(rates.values()),
        "ratio": min(rates.values()) / max(rates.values()),
    }
    covered = []
    for seed in range(200):
        hit = np.random.default_rng(seed).random((len(rates), 120)) < [[r] for r in rates.values()]
        per_user = pd.DataFrame({"user_id": np.arange(hit.size).astype(str), "domain": "d"})
        group = np.repeat(list(rates), hit.shape[1])
        per_user = per_user.assign(slice="all", group=group, **{"recall@1": hit.ravel() * 1.0})
        result = EvaluationResult("simulated", per_user, pd.DataFrame())
        table = group_fairness(result, bootstrap=300, seed=seed)
        rows = table[table["domain"] == "macro"].set_index("what")
        covered.append([rows.loc[w, "low"] <= t <= rows.loc[w, "high"] for w, t in true.items()])
    shares = np.mean(covered, axis=0)
    # 95 % of 200 with a standard error of 1.5 points; near-ties make it a little conservative.
    assert (shares >= 0.905).all(), shares
    assert shares[1] < 1.0, shares


def test_small_groups_are_left_out_and_bad_input_is_refused():
    result, _, _ = simulate({"a": 0.2, "b": 0.6})
    groups = pd.Series(["a"] * 60 + ["b"] * 55 + ["tiny"] * 5, index=[f"u{i}" for i in range(120)])
    table = group_fairness(result, groups)
    assert "tiny" not in set(table["group"])
    with pytest.raises(InputError, match="Fewer than two groups have 10 users"):
        group_fairness(result, groups.replace({"b": "tiny", "a": "tiny"}))
    with pytest.raises(InputError, match="no column 'age'"):
        group_fairness(result, "age")
    with pytest.raises(ConfigError, match="'ndcg@9'"):
        group_fairness(result, metrics=["ndcg@9"])


def test_exposure_against_merit():
    items = pd.DataFrame({"domain": "d", "item_id": list("abc"), "category": ["p", "p", "q"]})
    recs = pd.DataFrame(
        {"user_id": ["u", "u", "v"], "domain": "d", "item_id": ["a", "c", "b"], "rank": [1, 2, 1]}
    )
    truth = pd.DataFrame({"user_id": ["u", "v"], "domain": "d", "item_id": ["c", "b"]})
    table = provider_fairness(recs, truth, items).set_index("provider")
    second = 1 / np.log2(3)
    assert table.loc["p", "exposure"] == pytest.approx(2 / (2 + second))
    assert table.loc["p", "merit"] == 0.5
    assert table.loc["q", "ratio"] == pytest.approx(second / (2 + second) / 0.5)
    only_first = provider_fairness(recs, truth, items, k=1).set_index("provider")
    assert only_first.loc["q", "exposure"] == 0
    with pytest.raises(InputError, match="providers have no column 'brand'"):
        provider_fairness(recs, truth, items, column="brand")
