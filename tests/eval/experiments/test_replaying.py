"""Prequential replay: blocks are predicted before they are revealed, and systems differ."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from eval.experiments.replaying import SYSTEMS, replay
from gnn import make_model
from graphgen import build_graph, read_log
from graphgen.errors import ConfigError, InputError


def log_of(n=900, seed=0):
    """Return a log whose favourite item changes after two thirds of the time."""
    rng = np.random.default_rng(seed)
    late = np.arange(n) > 2 * n // 3
    item = (rng.random(n) ** 3 * 12).astype(int) + 12 * late
    frame = pd.DataFrame(
        {
            "user_id": [f"u{number}" for number in rng.integers(0, 80, n)],
            "item_id": [f"i{number}" for number in item],
            "domain": "book",
            "timestamp": 1_500_000_000 + 3600 * np.arange(n),
        }
    )
    return frame.drop_duplicates(["user_id", "item_id"])


@pytest.fixture(scope="module")
def found():
    return replay(read_log(log_of()), "popularity", warm_up=0.5, blocks=5, retrain_every=2)


def test_updates_follow_a_new_favourite(found):
    last = found.blocks[found.blocks["block"] == 4].set_index("system")["ndcg@20"]
    assert last["updated"] > last["frozen"]
    # Popularity is exact, and was trained again after four of five blocks.
    assert last["updated"] == pytest.approx(last["retrained"])
    assert last["frozen"] == 0  # It does not know the new items.
    assert list(found.summary["system"]) == list(SYSTEMS)
    assert (found.blocks["low"] <= found.blocks["ndcg@20"] + 1e-9).all()
    gain = found.summary.set_index("system").loc["updated"]
    assert gain["gain_low"] <= gain["gain"] <= gain["gain_high"]


def test_costs_are_those_of_adapting(found):
    costs = found.blocks.pivot(index="block", columns="system", values="cpu_seconds")
    assert (costs[["frozen", "history"]] == 0).all().all()
    assert (costs["updated"] > 0).all()
    assert (costs["retrained"] > 0).tolist() == [False, True, False, True, False]


def test_a_block_is_predicted_before_it_is_revealed():
    """A model that is updated scores a like of a new pair no better than by earlier rows."""
    log = log_of(300)
    whole = replay(read_log(log), "popularity", blocks=3, systems=["updated"])
    other = log.copy()
    # Other rows after the first block must not change what is said of it.
    cut = len(log) // 2 + len(log) // 6 + 5
    other.loc[other.index[cut:], "item_id"] = [f"x{i}" for i in range(len(log) - cut)]
    changed = replay(read_log(other), "popularity", blocks=3, systems=["updated"])
    assert whole.blocks["ndcg@20"][0] == changed.blocks["ndcg@20"][0]


def test_a_fitted_model_goes_on_by_days_and_writes_a_report(tmp_path):
    log = log_of()
    graph = build_graph(log[:400], encoder="none")
    model = make_model("item-knn").fit(graph)
    found = replay(read_log(log[400:]), model, graph=graph, days=4, systems=["frozen", "updated"])
    found.save(tmp_path / "report")
    assert {p.name for p in (tmp_path / "report").iterdir()} >= {"report.html", "report.md"}
    content = json.loads((tmp_path / "report" / "replay.json").read_text())
    assert len(content["blocks"]) == 2 * content["blocks"][-1]["block"] + 2
    assert found.meta["retrain_due"]  # Its items are new.
    assert "A full retrain was due" in (tmp_path / "report" / "report.md").read_text()
    with pytest.raises(InputError, match="No like of the log is new"):
        replay(read_log(log[:400]), model, graph=graph)


def test_what_cannot_be_replayed_is_refused():
    log = read_log(log_of(60).drop(columns="timestamp"))
    with pytest.raises(InputError, match="timestamps"):
        replay(log, "popularity")
    with pytest.raises(ConfigError, match="`systems` are frozen"):
        replay(read_log(log_of(60)), "popularity", systems=["thawed"])
    with pytest.raises(ConfigError, match="`warm_up` between 0 and 1"):
        replay(read_log(log_of(60)), "popularity", warm_up=1.0)
