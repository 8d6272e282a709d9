"""Comparing systems: what is best, what cannot be told apart, and seeds."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from eval import (
    Comparison,
    compare_results,
    comparison_markdown,
    evaluate,
    pool_seeds,
    write_comparison,
)
from graphgen.errors import ConfigError, InputError, StorageError


def system(truth, rate, seed, n_items=200):
    """Recommend the relevant item at place one with a given probability."""
    generator = np.random.default_rng(seed)
    hit = generator.random(len(truth)) < rate
    recs = truth[["user_id", "domain"]].copy()
    recs["item_id"] = np.where(hit, truth["item_id"], "wrong")
    return recs.assign(rank=1)


@pytest.fixture
def truth():
    people = np.arange(300)
    frame = pd.DataFrame({"user_id": [f"u{i}" for i in people]})
    parts = [frame.assign(domain=d, item_id=[f"{d}{i}" for i in people]) for d in ("a", "b")]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def results(truth):
    return {
        name: replace(evaluate(system(truth, rate, seed), truth, k=1, bootstrap=200), name=name)
        for name, rate, seed in (("poor", 0.1, 1), ("good", 0.5, 2), ("rival", 0.48, 3))
    }


def rows(comparison, metric="recall@1", domain="macro"):
    table = comparison.table
    part = table[(table["metric"] == metric) & (table["domain"] == domain)]
    return part.set_index("system")


def test_marks_best_and_what_cannot_be_told_from_it(results):
    found = rows(compare_results(results))
    best = found.index[found["best"]].tolist()
    assert best == [found["value"].idxmax()]
    assert not found.loc["poor", "tied"]
    assert found.loc["poor", "separable"]
    assert found.loc["poor", "reference"] == best[0]
    assert found.loc["poor", "difference_high"] < 0
    other = ({"good", "rival"} - set(best)).pop()
    assert found.loc[other, "tied"]
    assert found.loc[best[0], "reference"] == other
    assert found.loc[best[0], "difference"] == -found.loc[other, "difference"]


def test_against_a_baseline(results):
    found = rows(compare_results(results, baseline="poor"), domain="a")
    assert found["reference"].drop("poor").eq("poor").all()
    assert pd.isna(found.loc["poor", "p_value"])
    assert (found["difference"].drop("poor") > 0).all()
    assert found.loc["good", "p_holm"] >= found.loc["good", "p_value"]


def test_lower_is_better_where_it_is(truth):
    results = {
        "few": evaluate(system(truth, 0.0, 1), truth, k=1),
        "many": evaluate(system(truth, 1.0, 1), truth, k=1),
    }
    comparison = compare_results(results, metrics=["entropy", "recall"])
    assert rows(comparison, "entropy@1").loc["many", "best"]
    assert rows(comparison, "entropy@1")["p_value"].isna().all()


def test_tables_can_be_narrowed(results):
    comparison = compare_results(results)
    text = comparison_markdown(comparison, ["recall@1"], slices=["all"], domains=["b"])
    assert text.count("\n## ") == 1
    assert re.search(r"## All users \(\d+ users\), b\n", text)
    assert "NDCG" not in text
    with pytest.raises(ConfigError, match="No slice 'warm' was compared"):
        comparison_markdown(comparison, slices=["warm"])


def test_seeds_are_pooled_over_users_and_their_spread_is_told(truth):
    runs = [evaluate(system(truth, 0.5, seed), truth, k=1) for seed in range(4)]
    pooled = pool_seeds(runs, name="ours")
    values = [run.value("recall@1") for run in runs]
    row = pooled.summary.set_index(["domain", "metric"]).loc["macro", "recall@1"]
    assert row["value"] == pytest.approx(np.mean(values))
    assert row["sd_seeds"] == pytest.approx(np.std(values, ddof=1))
    assert row["n_seeds"] == 4
    single = runs[0].summary.set_index(["domain", "metric"]).loc["macro", "recall@1"]
    assert row["high"] - row["low"] < single["high"] - single["low"]
    coverage = pooled.summary[pooled.summary["metric"] == "entropy@1"]
    assert coverage["value"].notna().all()
    comparison = compare_results({"ours": runs, "other": runs[0]})
    assert "±" in comparison_markdown(comparison)


def test_one_system_and_one_domain(results, truth):
    alone = compare_results({"good": results["good"]})
    assert alone.table["p_value"].isna().all()
    one = truth[truth["domain"] == "a"]
    pair = {n: evaluate(system(one, r, 5), one, k=1) for n, r in (("x", 0.2), ("y", 0.6))}
    comparison = compare_results(pair, metrics=["recall"])
    assert comparison.meta["n_tests"] == 1
    assert rows(comparison, domain="a").loc["x", "p_value"] == pytest.approx(
        rows(comparison).loc["x", "p_value"]
    )


def test_bad_comparisons_are_refused(results, truth):
    with pytest.raises(InputError, match="no system"):
        compare_results({})
    with pytest.raises(ConfigError, match="'best' to be the baseline"):
        compare_results(results, baseline="best")
    with pytest.raises(ConfigError, match="'recall@7'"):
        compare_results(results, metrics=["recall@7"])
    fewer = evaluate(system(truth, 0.5, 1), truth.head(200), k=1)
    with pytest.raises(InputError, match="not evaluated on the same users"):
        compare_results({**results, "fewer": fewer})
    more = pd.concat([truth, truth.assign(item_id="another")])
    with pytest.raises(InputError, match="not evaluated on the same relevant items"):
        compare_results({**results, "more": evaluate(system(truth, 0.5, 1), more, k=1)})


def test_save_and_load(results, tmp_path):
    comparison = compare_results(results)
    folder = write_comparison(comparison, tmp_path / "report")
    loaded = Comparison.load(folder)
    pd.testing.assert_frame_equal(
        comparison.table, loaded.table, check_dtype=False, check_column_type=False
    )
    assert comparison_markdown(loaded) == comparison_markdown(comparison)
    assert loaded.systems == comparison.systems
    with pytest.raises(StorageError, match="is not a report"):
        Comparison.load(tmp_path)
