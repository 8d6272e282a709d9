"""What held-out rows say, and when they say nothing."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
import torch

from eval.monitoring import ValidationMonitor
from gnn import make_model
from gnn.data import TrainingData
from gnn.models.interest.blend import Blend
from gnn.models.interest.blend_learning import _Block, _frontier, _speaks
from gnn.models.interest.validation import RankingQuality, ValidationRows
from graphgen.log import InteractionLog


def rows_of(graph, **columns):
    return ValidationRows.of(InteractionLog(pd.DataFrame(columns)), TrainingData.from_graph(graph))


def test_repeated_rows_are_one_interaction(graph):
    item = graph.vocabularies["book"].ids[0]
    once = rows_of(graph, user_id=["u001"], item_id=[item], domain=["book"])
    twice = rows_of(graph, user_id=["u001"] * 2, item_id=[item] * 2, domain=["book"] * 2)
    assert len(once) == len(twice) == 1
    data = TrainingData.from_graph(graph)
    (block,) = twice.blocks(data, max_users=9, size=9, generator=np.random.default_rng(0))
    assert block.truth.data.tolist() == (once.kind + 1).tolist()


def quality(warm, cold):
    made = RankingQuality()
    for kind, found in enumerate((warm, cold)):
        label = torch.tensor(found)[:, None] * (kind + 1)
        counts = [torch.zeros(len(found), dtype=torch.int64) for _ in range(3)]
        counts[kind] += 1
        made.add("book", label, counts)
    return made


def test_a_single_person_of_a_kind_decides_nothing():
    plain, other = quality([1, 0] * 20, [0]), quality([1, 0] * 20, [1])
    assert other.known() == plain.known() == pytest.approx(0.5)
    assert other.gain_over(plain) == (0.0, 0.0)
    # As many as they are, they count alike.
    plain, other = quality([1, 0] * 20, [0] * 20), quality([1, 0] * 20, [1] * 20)
    assert other.known() - plain.known() == pytest.approx(0.5)


def test_one_person_in_all_makes_no_gain_certain():
    gain, error = quality([1], []).gain_over(quality([0], []))
    assert (gain, error) == (1.0, np.inf)


def candidates(kind, known, new):
    """Twenty people, each with one item of `kind` held out and one without interactions."""
    relevant = [torch.zeros(20, dtype=torch.int64) for _ in range(3)]
    relevant[kind] += 1
    return _Block(
        domain="book",
        features=torch.zeros(20, 4),
        paths=[[torch.tensor([[known, new]]).repeat(20, 1)]],
        likelihoods=[],
        owner=torch.arange(20),
        cold=torch.tensor([[0.0, 1.0]]).repeat(20, 1),
        label=torch.tensor([[kind + 1, 0]]).repeat(20, 1),
        relevant=relevant,
    )


def test_new_items_cost_what_they_cost_those_who_lose_most():
    """People who would lose nothing do not make it cheaper for the others."""
    warm, cold = candidates(0, 0.6, 0.4), candidates(1, 0.9, 0.1)
    blend = Blend.default(["filter"])
    both = _frontier([warm, cold], 0, blend)
    assert both == _frontier([warm], 0, blend)
    kept = {weight: share for weight, share, _ in both}
    assert kept[1.0] == 1.0
    # At a weight of 2 the new item (0.8) stands before the one that was held out (0.6).
    assert kept[2.0] == pytest.approx(1 / np.log2(3))
    assert {share for _, share, _ in _frontier([cold], 0, blend)} == {1.0}


def test_a_domain_speaks_for_itself_where_enough_people_do():
    known, new = candidates(0, 0.6, 0.4), candidates(2, 0.6, 0.4)
    assert not _speaks([known] * 24 + [new])
    assert _speaks([known] * 25 + [new])
    assert not _speaks([known] * 25)  # Of new items nothing is said.


def test_rows_of_new_items_alone_choose_nothing(graph, caplog):
    data = TrainingData.from_graph(graph)
    book = graph.vocabularies["book"].ids
    cold = book[np.flatnonzero(~data.warm[data.span("book")])]
    users = graph.vocabularies["user"].ids[: len(cold)]
    held = InteractionLog(pd.DataFrame({"user_id": users, "item_id": cold, "domain": "book"}))
    settings = {"embedding_dim": 8, "steps": 12}
    with caplog.at_level(logging.WARNING):
        model = make_model("interest-gnn", **settings).fit(
            graph, seed=0, monitor=ValidationMonitor(held, seed=0)
        )
    assert "No validation row is of an item with interactions" in caplog.text
    plain = make_model("interest-gnn", **settings).fit(graph, seed=0)
    assert model.blend_ == plain.blend_
    np.testing.assert_array_equal(
        model.score(["u001"], domain="book"), plain.score(["u001"], domain="book")
    )


def test_what_was_seen_is_ranked_where_it_is_asked_for(graph, log):
    model = make_model("interest-gnn", embedding_dim=8, steps=12).fit(graph, seed=0)
    recs = model.recommend(["u000"], domain="book", k=100, exclude_seen=False)
    seen = set(log[(log.user_id == "u000") & (log.domain == "book")].item_id)
    unseen = recs[~recs.item_id.isin(seen)]
    assert recs[recs.item_id.isin(seen)].score.mean() > unseen.score.mean()
    alone = model.recommend(["u000"], domain="book", k=100)
    pd.testing.assert_frame_equal(
        alone.drop(columns="rank"), unseen.reset_index(drop=True).drop(columns="rank")
    )
