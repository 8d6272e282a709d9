"""Planted drift: adapting pays, and the report says how much."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from eval.experiments.drift_simulation import BEST, BLOCKS, SYSTEMS, simulate_drift
from graphgen.errors import ConfigError
from graphgen.synthetic.generator import START, synthesize


@pytest.fixture(scope="module")
def found():
    return simulate_drift("sudden", n_users=120, n_items=2400)


def test_who_adapts_recovers_more_than_who_does_not(found):
    of = found.summary.set_index("system")
    assert list(of.index) == list(SYSTEMS)
    assert of["before"].min() > 3 * of.loc["frozen", "after"]
    assert of.loc["adaptive, recent", "after"] > of.loc["adaptive", "after"]
    assert of.loc["adaptive", "after"] > 2 * of.loc["frozen", "after"]
    assert (of["regret_low"] < of["regret"]).all() and (of["regret"] < of["regret_high"]).all()
    assert of.loc["adaptive, recent", "regret_high"] < of.loc["frozen", "regret_low"]
    assert np.isnan(of.loc["frozen", "recovery_days"])
    best = found.blocks[found.blocks["system"] == BEST]
    assert len(best) == BLOCKS and (best["quality"] == 1).all()
    assert (found.blocks["low"] <= found.blocks["ndcg@20"]).all()


def test_the_report_is_whole(found, tmp_path):
    folder = found.save(tmp_path / "report")
    files = {path.name for path in folder.iterdir()}
    assert files == {"report.html", "report.md", "simulation.json", "blocks.csv"}
    text = (folder / "report.md").read_text()
    assert "frozen does not recover" in text and "| adaptive |" in text
    assert "<svg" in (folder / "report.html").read_text()
    content = json.loads((folder / "simulation.json").read_text())
    assert content["meta"]["kind"] == "sudden" and len(content["summary"]) == len(SYSTEMS)
    assert len(pd.read_csv(folder / "blocks.csv")) == BLOCKS * (len(SYSTEMS) + 1)


@pytest.mark.parametrize("kind", ["sudden", "gradual", "recurring"])
def test_themes_follow_the_planted_drift(kind):
    """Shares of interactions with a later theme, by eighths of the log after its middle."""
    world = synthesize(
        n_users=300, n_items=2400, drift_share=1.0, drift_start=0.5, drift_kind=kind, days=800,
        domain_drift=0, chart_share=0, noise_share=0, mean_interactions=40.0, seed=1,
    )  # fmt: skip
    log, truth = world.log, world.truth
    user = world.users.set_index("user_id").index.get_indexer(log["user_id"])
    item = world.items.set_index("item_id").index.get_indexer(log["item_id"])
    later = truth.later_taste[user, truth.item_theme[item]] > 0
    days = (log["timestamp"].dt.tz_localize(None) - START).dt.total_seconds() / 86_400
    share = pd.Series(later).groupby((days // 100).to_numpy()).mean()
    assert (share[:4] == 0).all()
    expected = {"sudden": [1, 1, 1, 1], "gradual": [0.5, 1, 1, 1], "recurring": [1, 0, 1, 0]}
    assert share[4:].to_numpy() == pytest.approx(expected[kind], abs=0.15)


def test_an_unknown_drift_is_refused():
    with pytest.raises(ConfigError, match="sudden, gradual, recurring"):
        simulate_drift("slow")
