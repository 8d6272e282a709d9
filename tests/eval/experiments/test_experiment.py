"""Comparing systems that are trained and evaluated on the same rows."""

import gc
import json
import weakref

import numpy as np
import pandas as pd
import pytest

from eval.experiments.experiment import compare
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


def test_graded_relevance_counts_every_rating(graph, made):
    ratings = np.random.default_rng(0).integers(1, 6, len(made.test))
    truth = InteractionLog(made.test.assign(rating=ratings))
    options = {"bootstrap": 0, "metrics": ["ndcg"]}
    flat = compare(graph, truth, ["popularity"], **options).comparison
    graded = compare(graph, truth, ["popularity"], graded=True, **options).comparison
    assert graded.results["popularity"].meta["graded"]
    assert graded.results["popularity"].meta["n_truth_rows"] == len(truth)
    assert flat.results["popularity"].meta["n_truth_rows"] == int((ratings >= 4).sum())


def test_an_unknown_domain_is_named_before_training(graph, made):
    strange = InteractionLog(
        pd.DataFrame({"user_id": ["a"], "item_id": ["x"], "domain": ["opera"]})
    )
    with pytest.raises(UnknownIdError, match="does not have 'opera'"):
        compare(graph, strange, ["interest-gnn"])


def test_seeds_are_pooled_and_their_spread_is_shown(graph, made, tmp_path):
    log = InteractionLog(made.test)
    options = {
        "models": ["popularity", "bpr-mf"],
        "valid": InteractionLog(made.valid),
        "settings": {"bpr-mf": {"epochs": 2}},
        "metrics": ["recall", "ndcg", "hit-rate"],
        "bootstrap": 100,
    }
    pooled = compare(graph, log, seeds=[3, 5], **options)
    singles = [compare(graph, log, seed=each, **options) for each in (3, 5)]
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
        compare(graph, log, seeds=[1, 1], **options)
