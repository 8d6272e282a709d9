"""The drift monitor: silent without a change, and due where one was planted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gnn import load_model, make_model
from gnn.live.drift import population_stability, retrain_reasons
from gnn.live.updating import update_model
from graphgen import build_graph, update_graph


def log_of(n, *, start=0, seed=0, shift=0):
    """Return likes of popular and rare items; `shift` makes other items the popular ones."""
    rng = np.random.default_rng(seed)
    item = (rng.random(n) ** 1.5 * 600).astype(int)
    return pd.DataFrame(
        {
            "user_id": [f"u{number}" for number in rng.integers(0, 400, n)],
            "item_id": [f"i{number:03d}" for number in (599 - item if shift else item)],
            "domain": np.where(rng.random(n) < (0.9 if shift else 0.3), "film", "book"),
            "timestamp": 1_500_000_000 + 3600 * (start + np.arange(n)),
        }
    )


@pytest.fixture(scope="module")
def model():
    graph = build_graph(log_of(4000), encoder="none")
    return make_model("item-knn").fit(graph), graph


def test_the_same_distribution_is_no_reason(model, tmp_path):
    fitted, graph = model
    for part in range(2):
        graph = update_graph(graph, log_of(500, start=5000 + 600 * part, seed=part + 1))
        fitted = update_model(fitted, graph)
    fitted.save(tmp_path / "model")
    known = load_model(tmp_path / "model").provenance_
    assert len(known["updates"]) == 2
    last = known["updates"][-1]
    assert last["psi"]["domain"] < 0.05
    assert last["ndcg"] > 0
    assert last["calibration"] < 0.25
    assert not [why for why in retrain_reasons(known["reference"], known["updates"])
                if "histories" not in why]  # fmt: skip


def test_a_short_update_has_the_histories_of_a_long_one():
    """A user comes every hour, and likes five items, one an hour."""
    user, step = np.divmod(np.arange(6000), 5)
    log = pd.DataFrame(
        {
            "user_id": [f"u{number:04d}" for number in user],
            "item_id": [f"i{number}" for number in np.random.default_rng(0).integers(0, 80, 6000)],
            "domain": "book",
            "timestamp": 1_500_000_000 + 3600 * (user + step),
        }
    ).sort_values("timestamp")
    graph = build_graph(log[:5000], encoder="none")
    fitted = make_model("item-knn").fit(graph)
    known = update_model(fitted, update_graph(graph, log[5000:5050])).provenance_
    assert known["updates"][-1]["psi"]["length of histories"] < 0.1


def test_a_planted_change_is_a_reason(model):
    fitted, graph = model
    usual = update_graph(graph, log_of(400, start=5000, seed=1))
    fitted = update_model(fitted, usual)
    changed = update_graph(usual, log_of(600, start=6000, seed=2, shift=1))
    known = update_model(fitted, changed).provenance_
    reasons = " ".join(retrain_reasons(known["reference"], known["updates"]))
    assert "by domain has shifted" in reasons
    assert "by popularity of items has shifted" in reasons
    refitted = make_model("item-knn").fit(changed)
    assert "updates" not in refitted.provenance_


def test_falling_ndcg_is_a_reason():
    rows = [{"likes": 1, "psi": {}, "calibration": None, "ndcg": value, "error": 0.005}
            for value in (0.2, 0.21, 0.19, 0.15)]  # fmt: skip
    [reason] = retrain_reasons({"likes": 1000}, rows)
    assert reason == "NDCG@20 of new likes has fallen to 0.1500 from 0.2000 in the first 3 updates."
    assert not retrain_reasons({"likes": 1000}, rows[:3])


def test_stability_allows_for_chance():
    rng = np.random.default_rng(0)
    share = np.full(10, 0.1)
    found = [population_stability(rng.multinomial(80, share), rng.multinomial(80, share))
             for _ in range(200)]  # fmt: skip
    assert np.median(found) < 0.1
