"""What held-out rows say, and when they say nothing."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
import torch

from eval.experiments.monitoring import ValidationMonitor
from gnn import make_model
from gnn.data import TrainingData
from gnn.models.interest.frontier import (
    measured_frontier,
    speaks_for_itself,
    weight_at_cost,
)
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


def quality(warm, cold, new=()):
    made = RankingQuality()
    for kind, found in enumerate((warm, cold, new)):
        label = torch.tensor(found, dtype=torch.int64)[:, None] * (kind + 1)
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


def test_new_items_cost_what_they_cost_those_who_lose_most():
    """People who lose nothing do not make it cheaper for the others."""
    all_, half, none = [1, 1] * 20, [1, 0] * 20, [0, 0] * 20

    def measured(before, after):
        return measured_frontier({0.0: quality(*before, none), 2.0: quality(*after, all_)})

    assert measured((all_, all_), (half, all_)) == ((0.0, 1.0, 0.0), (2.0, 0.5, 1.0))
    assert [kept for _, kept, _ in measured((all_, []), (half, []))] == [1.0, 0.5]
    assert [kept for _, kept, _ in measured(([], all_), ([], all_))] == [1.0, 1.0]


def test_the_frontier_ends_where_new_items_cost_more_than_they_gain():
    def found(known, new):
        return quality([1] * known + [0] * (40 - known), [], [1] * new + [0] * (40 - new))

    tried = {0.0: found(40, 0), 1.0: found(38, 1), 2.0: found(30, 10), 3.0: found(20, 19)}
    # Half of the known ones at 3 for nearly as many new ones; at 2 as many, though not at 1.
    assert [weight for weight, _, _ in measured_frontier(tried)] == [0.0, 1.0, 2.0]
    assert weight_at_cost(measured_frontier(tried), 1.0) == 2.0
    nothing = {0.0: found(40, 0), 1.0: found(38, 0)}
    assert weight_at_cost(measured_frontier(nothing), 1.0) == 0.0


def test_a_domain_speaks_for_itself_where_enough_people_do():
    def tried(warm, cold, new, found):
        none = quality([1] * warm, [0] * cold, [0] * new)
        return {0.0: none, 2.0: quality([1] * warm, [0] * cold, [1] * found + [0] * (new - found))}

    assert not speaks_for_itself(tried(499, 0, 20, 10))
    assert speaks_for_itself(tried(499, 1, 20, 10))
    assert not speaks_for_itself(tried(500, 0, 19, 10))  # Of new items little is said.
    # One found by chance, or none, is no sign that there is anything to find.
    assert not speaks_for_itself(tried(500, 0, 200, 1))
    assert not speaks_for_itself(tried(500, 0, 200, 0))
    elsewhere = {w: q.within("film") for w, q in tried(500, 0, 20, 10).items()}
    assert not speaks_for_itself(elsewhere)


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
