"""Holding out, choosing, fitting again, comparing."""

import gc
import json
import weakref

import numpy as np
import pandas as pd
import pytest

from eval.experiments.experiment import compare, train
from eval.experiments.holdout import hold_out
from eval.experiments.monitoring import ValidationMonitor
from graphgen import build_graph, synthesize
from graphgen.errors import ConfigError, UnknownIdError
from graphgen.log import InteractionLog


@pytest.fixture(scope="module")
def made():
    return synthesize(n_users=400, seed=3)


@pytest.fixture(scope="module")
def graph(made, tmp_path_factory):
    return build_graph(
        made.train, made.items, encoder="hashing", cache_dir=tmp_path_factory.mktemp("cache")
    )


def pairs_of(graph):
    result = set()
    for domain in graph.domains:
        index, _ = graph.interactions(domain)
        users = graph.vocabularies["user"].decode(index[0].numpy())
        items = graph.vocabularies[domain].decode(index[1].numpy())
        result |= {(u, domain, i) for u, i in zip(users, items, strict=True)}
    return result


def rows_of(log):
    frame = log.frame
    return set(zip(frame.user_id, frame.domain.astype(str), frame.item_id, strict=True))


def test_hold_out_parts_the_interactions(graph):
    smaller, rows = hold_out(graph, seed=1)
    assert pairs_of(smaller) | rows_of(rows) == pairs_of(graph)
    assert not pairs_of(smaller) & rows_of(rows)
    assert len(rows) == len(rows_of(rows))
    for edge_type in smaller.data.edge_types:
        source, relation, target = edge_type
        if relation == "rev_interacts":
            forward = smaller.data[target, "interacts", source].edge_index
            assert (smaller.data[edge_type].edge_index.flip(0) == forward).all()


def test_hold_out_imitates_what_will_be_met(graph):
    smaller, rows = hold_out(graph, seed=1)
    kept = pd.DataFrame(sorted(pairs_of(smaller)), columns=["user_id", "domain", "item_id"])
    frame = rows.frame.astype({"domain": str})
    settings = dict(iter(frame.groupby("setting")))
    assert set(settings) == {"warm", "cold_user", "cold_item"}
    have = set(zip(kept.user_id, kept.domain, strict=True))
    cold = settings["cold_user"]
    assert not have & set(zip(cold.user_id, cold.domain, strict=True))
    assert set(cold.user_id) <= set(kept.user_id)
    known = set(zip(kept.domain, kept.item_id, strict=True))
    lost = settings["cold_item"]
    assert not known & set(zip(lost.domain, lost.item_id, strict=True))


def test_the_latest_block_is_held_out_where_there_are_times():
    log = pd.DataFrame(
        {
            "user_id": "ann",
            "item_id": [f"i{n}" for n in range(20)],
            "domain": "d",
            "timestamp": np.random.default_rng(0).permutation(20) * 86_400 + 1_400_000_000,
        }
    )
    _, rows = hold_out(build_graph(log, encoder="none"), share=0.2)
    latest = log.sort_values("timestamp").item_id.tail(4)
    assert set(rows.frame.item_id) == set(latest)


def test_without_times_half_the_histories_lose_a_block_of_twice_the_share():
    log = pd.DataFrame(
        {
            "user_id": np.repeat([f"u{n:03d}" for n in range(200)], 30),
            "item_id": np.tile([f"{n:02d}" for n in range(30)], 200),
            "domain": "d",
        }
    )
    _, rows = hold_out(build_graph(log, encoder="none"), share=0.2, seed=4)
    places = rows.frame.assign(place=rows.frame.item_id.astype(int)).groupby("user_id").place
    assert (places.size() == 12).all()
    assert (places.max() - places.min() == 11).all()
    assert 80 < len(places) < 120


def test_hold_out_is_seeded(graph):
    assert rows_of(hold_out(graph, seed=1)[1]) == rows_of(hold_out(graph, seed=1)[1])
    assert rows_of(hold_out(graph, seed=1)[1]) != rows_of(hold_out(graph, seed=2)[1])


def test_monitor_prefers_the_better_model(graph, made):
    from gnn import make_model

    monitor = ValidationMonitor(InteractionLog(made.valid))
    good = monitor(make_model("item-knn").fit(graph))
    assert good > monitor(make_model("popularity").fit(graph)) > 0


def test_training_without_validation_rows_fits_on_everything(graph):
    model = train(graph, "interest-gnn", settings={"steps": 8, "embedding_dim": 16})
    assert model.data.matrix.nnz == sum(
        graph.interactions(domain)[0].shape[1] for domain in graph.domains
    )
    assert model.blend_.frontier  # Chosen on held-out rows, cold items among them.
    assert model.config.steps <= 8


def test_compare(graph, made):
    seen = []
    experiment = compare(
        graph,
        InteractionLog(made.test),
        ["popularity", "interest-gnn"],
        valid=InteractionLog(made.valid),
        settings={"interest-gnn": {"steps": 12, "embedding_dim": 32}},
        bootstrap=200,
        on_run=lambda name, run, model: seen.append((name, run.seed, weakref.ref(model))),
    )
    assert [entry[:2] for entry in seen] == [("popularity", 0), ("interest-gnn", 0)]
    gc.collect()
    assert [alive() for *_, alive in seen] == [None, None]  # models are let go
    table = experiment.comparison.table
    cold = table[
        (table["slice"] == "setting=cold_user")
        & (table.domain == "macro")
        & (table.metric == "recall@20")
    ].set_index("system")["value"]
    assert cold["interest-gnn"] > cold["popularity"]
    assert (experiment.costs.peak_megabytes > 50).all()
    assert "fit s" in experiment.to_markdown()


def test_a_domain_that_nobody_can_know_is_named_before_training(graph, made):
    strange = InteractionLog(
        pd.DataFrame({"user_id": ["a"], "item_id": ["x"], "domain": ["opera"]})
    )
    with pytest.raises(UnknownIdError, match="does not have 'opera'"):
        compare(graph, strange, ["interest-gnn"])


def test_seeds_are_pooled_and_their_spread_is_shown(graph, made, tmp_path):
    log = InteractionLog(made.test)
    train_alone = {
        "models": ["popularity", "bpr-mf"],
        "valid": InteractionLog(made.valid),
        "settings": {"bpr-mf": {"epochs": 2}},
        "metrics": ["recall", "ndcg", "hit-rate"],
        "bootstrap": 100,
    }
    pooled = compare(graph, log, seeds=[3, 5], **train_alone)
    singles = [compare(graph, log, seed=each, **train_alone) for each in (3, 5)]
    values = [e.comparison.results["bpr-mf"].value("ndcg@20") for e in singles]
    table = pooled.comparison.table.set_index(["slice", "domain", "metric", "system"])
    row = table.loc["all", "macro", "ndcg@20", "bpr-mf"]
    assert values[0] != values[1]
    assert row["value"] == pytest.approx(np.mean(values))
    assert row["sd_seeds"] == pytest.approx(np.std(values, ddof=1))
    assert row["low"] < row["value"] < row["high"]
    assert table.loc["all", "macro", "ndcg@20", "popularity"]["sd_seeds"] < row["sd_seeds"]
    assert [run.seed for run in pooled.runs["bpr-mf"]] == [3, 5]
    assert len(pooled.costs) == 4
    pooled.save(tmp_path / "report")
    content = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert content["meta"]["seeds"] == [3, 5]
    assert [m["seed"] for m in content["meta"]["models"]["bpr-mf"]] == [3, 5]
    assert content["meta"]["models"]["bpr-mf"][0]["config"]["epochs"] == 2
    assert "±" in (tmp_path / "report" / "report.md").read_text()
    with pytest.raises(ConfigError, match="different whole numbers"):
        compare(graph, log, seeds=[1, 1], **train_alone)
