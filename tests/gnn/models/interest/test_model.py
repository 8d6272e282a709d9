"""`interest-gnn` as a whole: choosing, refitting, saving, and no worse than its best expert."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from gnn import load_model, make_model
from gnn.data import TrainingData
from gnn.models.interest.mixture import Mixture
from gnn.models.interest.trend import TrendConfig
from gnn.training import TrainingLoop
from gnn.validation import ValidationRows, measure
from graphgen import build_graph, synthesize
from graphgen.errors import ConfigError, StorageError
from graphgen.log import InteractionLog

QUICK = {"embedding_dim": 8, "steps": 12, "validate_every": 4}


def scores_of(model, n_users=20):
    users = [f"u{number:03d}" for number in range(n_users)]
    return {domain: model.score(users, domain=domain) for domain in model.domains}


def assert_same(ours, theirs):
    for domain, scores in scores_of(theirs).items():
        np.testing.assert_array_equal(scores_of(ours)[domain], scores)


@pytest.fixture(scope="module")
def fitted(graph):
    return make_model("interest-gnn", **QUICK).fit(graph, seed=5)


def test_fit_chooses_on_held_out_rows_and_fits_again_on_all(graph, fitted):
    assert set(fitted.chosen_) == {"steps", "filter", "trend", "mixture", "tail"}
    assert fitted.chosen_["steps"] in {4, 8, 12}
    assert fitted.chosen_["mixture"]["trade_off"]  # Items were held out as new ones, too.
    assert fitted.data.matrix.nnz == TrainingData.from_graph(graph).matrix.nnz
    assert len(fitted.history_) == fitted.chosen_["steps"]
    assert fitted.config == make_model("interest-gnn", **QUICK).config
    assert fitted.mixture_ == Mixture.make(fitted.chosen_["mixture"])


@pytest.mark.parametrize("stage", ["choose", "refit"])
def test_an_interrupted_fit_goes_on_to_the_same_result(graph, tmp_path, monkeypatch, stage):
    class Interrupted(Exception):
        pass

    save = TrainingLoop._save

    def dying(self, *args):
        save(self, *args)
        if self.checkpoint.name.endswith(stage):
            raise Interrupted

    # As if all steps were best: both stages are long enough for a checkpoint.
    monkeypatch.setattr(
        "gnn.models.interest.model.best_step",
        lambda history: QUICK["steps"] if "metric" in history[-1] else None,
    )
    folder = tmp_path / "checkpoint"
    whole = make_model("interest-gnn", **QUICK).fit(graph, seed=5)
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(TrainingLoop, "_save", dying)
        make_model("interest-gnn", **QUICK).fit(graph, seed=5, checkpoint=folder)
    assert [path.name for path in tmp_path.iterdir()] == [f"checkpoint-{stage}"]
    resumed = make_model("interest-gnn", **QUICK).fit(graph, seed=5, checkpoint=folder)
    assert resumed.chosen_ == whole.chosen_
    assert_same(resumed, whole)
    assert not list(tmp_path.iterdir())


def test_rows_of_new_items_alone_choose_nothing(graph, caplog):
    data = TrainingData.from_graph(graph)
    book = graph.vocabularies["book"].ids
    cold = book[np.flatnonzero(~data.warm[data.span("book")])]
    users = graph.vocabularies["user"].ids[: len(cold)]
    held = InteractionLog(pd.DataFrame({"user_id": users, "item_id": cold, "domain": "book"}))
    with caplog.at_level(logging.WARNING):
        model = make_model("interest-gnn", **QUICK).fit(graph, valid=held)
    assert "No validation row is of an item with interactions" in caplog.text
    plain = make_model("interest-gnn", **QUICK).fit(graph, valid=None)
    assert model.mixture_ == plain.mixture_ == Mixture.default(plain.mixture_.experts)
    assert_same(model, plain)


def test_a_saved_model_is_loaded_as_it_was(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert_same(again, fitted)
    assert (again.chosen_, again.config) == (fitted.chosen_, fitted.config)
    # The trade-off comes with it.
    again.favour_new(1.0)
    assert again.mixture_ == fitted.mixture_.at_cost(1.0)


def test_the_order_of_events_is_followed_and_saved(chains, built, split_last, tmp_path):
    """The next item of a chain is found with times, and saved models find it as well."""
    train, held = split_last(chains)
    names = held.frame.user_id.tolist()

    def fitted(frame):
        return make_model("interest-gnn", embedding_dim=8, steps=6).fit(built(frame), valid=held)

    def hits(model):
        recs = model.recommend(names, k=1).set_index("user_id").item_id
        return float((recs.loc[names].to_numpy() == held.frame.item_id.to_numpy()).mean())

    model = fitted(train)
    assert hits(model) > 0.9
    assert hits(fitted(train.drop(columns="timestamp"))) < 0.8
    model.save(tmp_path / "model")
    assert_same(load_model(tmp_path / "model"), model)
    (tmp_path / "model" / "times.npy").unlink()
    with pytest.raises(StorageError, match="damaged"):
        load_model(tmp_path / "model")


def test_times_that_are_needed_and_missing_are_a_clear_error(chains, built):
    graph = built(chains.drop(columns="timestamp"))
    trend = TrendConfig(half_life=8, moment="end of log")
    with pytest.raises(ConfigError, match="no column `timestamp`"):
        make_model("interest-gnn", trend=trend).fit(graph, valid=None)
    model = make_model("interest-gnn", mixture=Mixture.default(("filter", "gnn", "sequence")))
    with pytest.raises(ConfigError, match="'sequence': the log has no timestamps"):
        model.fit(graph, valid=None)
    assert not model.history_  # Before anything was trained.


def test_favouring_new_items(graph, fitted):
    with pytest.raises(ConfigError, match=r"must lie in \[0, 1\]; got 2"):
        fitted.favour_new(2)
    plain = make_model("interest-gnn", **QUICK, experts=("filter",)).fit(graph, valid=None)
    with pytest.raises(ConfigError, match="without held-out rows of new items"):
        plain.favour_new(0.1)


def test_seen_items_are_ranked_where_it_is_asked_for(fitted, log):
    recs = fitted.recommend(["u000"], domain="book", k=100, exclude_seen=False)
    seen = set(log[(log.user_id == "u000") & (log.domain == "book")].item_id)
    unseen = recs[~recs.item_id.isin(seen)]
    assert recs[recs.item_id.isin(seen)].score.mean() > unseen.score.mean()
    alone = fitted.recommend(["u000"], domain="book", k=100)
    pd.testing.assert_frame_equal(
        alone.drop(columns="rank"), unseen.reset_index(drop=True).drop(columns="rank")
    )


@pytest.mark.slow
def test_the_mixture_is_no_worse_than_its_best_expert(tmp_path):
    """On test rows of the embedded example; new items apart, which an expert may not score."""
    made = synthesize(n_users=600, seed=3)
    graph = build_graph(made.train, made.items, encoder="hashing", cache_dir=tmp_path)
    model = make_model("interest-gnn", embedding_dim=32).fit(graph)
    names = model.mixture_.experts
    mixtures = [model.mixture_, *(Mixture.default([name]) for name in names)]
    mixtures = [mixture.replace(new_item_weight=0.0) for mixture in mixtures]

    def in_domain(domain):
        def scores(users):
            for mixture in mixtures:
                parts, features = model._expert_scores(users, domain)
                yield parts.mix_(mixture, features)

        return scores

    rows = ValidationRows.of(InteractionLog(made.test), model.data).of_kinds()
    ours, *alone = measure(
        in_domain, model.data, list(rows.blocks(model.data, max_users=10**6, seed=0))
    )
    best = max(alone, key=lambda quality: quality.mean())
    gain, error = ours.gain_over(best)
    assert gain > -error, (names, [quality.mean() for quality in alone], ours.mean())
