"""Reach over domains and gain over single-domain systems."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eval import (
    analyse,
    compare_results,
    comparison_markdown,
    evaluate,
    result_markdown,
    write_report,
)
from eval.comparison.analyses import domain_reach
from eval.comparison.comparison import migration_gain
from graphgen.errors import ConfigError, InputError


def result(rate, seed, n=200):
    generator = np.random.default_rng(seed)
    users = [f"u{i}" for i in range(n)]
    truth = pd.DataFrame({"user_id": users * 2, "domain": ["a"] * n + ["b"] * n, "item_id": "x"})
    hit = generator.random(2 * n) < np.repeat(rate, n)
    recs = truth.assign(item_id=np.where(hit, "x", "y"), rank=1)
    return evaluate(recs, truth, k=1, metrics=["recall", "hit-rate"]), hit


def test_reach_counts_domains_per_person():
    found, hit = result([0.5, 0.5], 0)
    table = domain_reach(found, k=1).set_index("metric")
    both = hit.reshape(2, -1)
    assert table.loc["reach@1", "value"] == pytest.approx(both.mean())
    assert table.loc["all-served@1", "value"] == pytest.approx(both.all(axis=0).mean())
    assert table.loc["reach@1", "low"] < 0.5 < table.loc["reach@1", "high"]
    with pytest.raises(ConfigError, match="no 'hit-rate@9'"):
        domain_reach(found, k=9)


def test_reach_of_several_runs_is_the_mean_of_theirs():
    runs = [result([0.5, 0.5], seed)[0] for seed in (0, 1, 2)]
    pooled = domain_reach(runs, k=1)
    each = [domain_reach(run, k=1)["value"] for run in runs]
    np.testing.assert_allclose(pooled["value"], np.mean(each, axis=0))
    width = (pooled["high"] - pooled["low"]).iloc[0]
    alone = domain_reach(runs[0], k=1)
    assert width < (alone["high"] - alone["low"]).iloc[0]  # independent runs average out


def test_reach_is_part_of_every_report(tmp_path):
    found, _ = result([0.5, 0.5], 0)
    page = (write_report(found, tmp_path / "one") / "report.html").read_text()
    assert "Domains reached" in page and "Reach@1" in page
    assert analyse(found).reach["metric"].iloc[0] == "reach@1"
    both = compare_results({"one": found, "two": result([0.9, 0.1], 1)[0]})
    text = comparison_markdown(both)
    assert text.count("## Domains reached") == 1
    section = text.split("## Domains reached")[1]
    assert "| one | all users | 200 |" in section and "| two | all users | 200 |" in section
    alone = found.per_user[found.per_user["domain"] == "a"]
    truth = alone[["user_id", "domain"]].assign(item_id="x")
    single = evaluate(truth.assign(rank=1), truth, k=1)
    assert not len(analyse(single).reach)  # nobody is in two domains
    assert "Domains reached" not in result_markdown(single)


def test_gain_is_over_the_best_single_domain_system_of_each_domain():
    ours, _ = result([0.8, 0.3], 1)
    singles = {"knn": result([0.6, 0.2], 2)[0], "pop": result([0.1, 0.5], 3)[0]}
    table = migration_gain(ours, singles, metrics=["recall@1"]).set_index("domain")
    assert table.loc["a", "best_single"] == "knn"
    assert table.loc["b", "best_single"] == "pop"
    for domain in ("a", "b"):
        best = max(s.value("recall@1", domain=domain) for s in singles.values())
        assert table.loc[domain, "gain"] == pytest.approx(
            ours.value("recall@1", domain=domain) - best
        )
        row = table.loc[domain]
        assert row["low"] < row["gain"] < row["high"]
    assert table.loc["a", "p_holm"] < 0.05
    assert table.loc["b", "gain"] < 0
    with pytest.raises(InputError, match="`single_domain` is empty"):
        migration_gain(ours, {})
